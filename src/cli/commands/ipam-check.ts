// `manxctl ipam check`: what is wrong in IPAM's data. Through an agent in short; on a cluster with calicoctl's report,
// which compares with the pods that there are, and behind it what only Manx looks at.
import { writeFile } from 'node:fs/promises';
import { type Finding, createIpam } from '../../ipam/index.ts';
import { countText } from '../../text.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import {
  type Allocation,
  type Examination,
  type KnownProblem,
  type Use,
  attributesText,
  examine,
  readCluster,
} from '../ipam-examination.ts';
import { formatReport, readClusterIdentity } from '../ipam-report.ts';
import type { OpenTarget } from '../target.ts';

export interface CheckOptions {
  readonly showAllIps?: true;
  readonly showProblemIps?: true;
  /** Where to write what was found, for `ipam release --from-report`. */
  readonly reportFile?: string;
}

export async function ipamCheck(context: Context, open: OpenTarget, options: CheckOptions): Promise<void> {
  await using target = await open();
  if (options.reportFile !== undefined && target.at !== 'cluster') throw notHere(options.reportFile);
  const findings =
    target.at === 'agent'
      ? await target.api.get<readonly Finding[]>('/v1/ipam/check')
      : await createIpam({ store: target.store, node: '' }).check();
  if (target.at !== 'cluster') {
    context.show(findings, () => inShort(findings));
    if (findings.length > 0) context.degraded();
    return;
  }
  const identity = options.reportFile === undefined ? undefined : await readClusterIdentity(target.store);
  const examination = examine(await readCluster(target), findings);
  context.show(examination.problems, () => renderExamination(examination, options));
  if (options.reportFile !== undefined && identity !== undefined) {
    await writeFile(options.reportFile, formatReport(examination, identity));
    const { leaked, orphanHandles } = examination;
    const found = `${countText(leaked.length, 'address', 'addresses')} and ${countText(orphanHandles.length, 'handle')}`;
    context.warn([`${options.reportFile} is written: ${found} that ipam release --from-report would give back`]);
  }
  if (examination.problems.length > 0) context.degraded();
}

function inShort(findings: readonly Finding[]): string[] {
  return [
    ...findings.map(({ kind, message }) => `${kind}: ${message}`),
    findings.length === 0 ? 'No problems found.' : `${countText(findings.length, 'problem')} found.`,
  ];
}

function notHere(file: string): CliError {
  return new CliError('usage', [
    `no report is written to ${file}: only on a cluster is it known which addresses pods have`,
    'a cluster:  manxctl --kubeconfig FILE ipam check -o REPORT, or DATASTORE_TYPE=kubernetes',
  ]);
}

/** calicoctl's report, line by line; what is more stands before its last line. */
export function renderExamination(examination: Examination, { showAllIps, showProblemIps }: CheckOptions): string[] {
  const { blocks, pools, allocations, tunnels, workloads, keptAside, found } = examination;
  const all = (lines: () => string[]): string[] => (showAllIps ? lines().map((line) => `  ${line}`) : []);
  const problem = (kind: KnownProblem): string[] =>
    showAllIps || showProblemIps ? found[kind].map((line) => `  ${line}`) : [];
  const inUse = new Set([...tunnels, ...workloads, ...keptAside].map(({ address }) => address)).size;
  return [
    ...['Checking IPAM for inconsistencies...', ''],
    ...['Loading all IPAM blocks...', `Found ${blocks.length} IPAM blocks.`],
    ...blocks.flatMap(({ spec }) => [
      ` IPAM block ${spec.cidr} affinity=${spec.affinity ?? '<none>'}:`,
      ...all(() => allocations.filter(({ block }) => block === spec.cidr).map(allocatedText)),
    ]),
    ...[`IPAM blocks record ${allocations.length} allocations.`, '', 'Loading all IPAM pools...'],
    ...pools.map(({ spec }) => `  ${spec.cidr}`),
    ...[`Found ${pools.length} active IP pools.`, '', 'Loading all nodes.'],
    ...all(() => tunnels.map(useText)),
    ...[`Found ${tunnels.length} node tunnel IPs.`, '', 'Loading all service load balancer IPs.'],
    ...['No configuration for LoadBalancer kubecontroller found, skipping service check', ''],
    'Loading all workload endpoints.',
    ...all(() => workloads.map(useText)),
    ...[`Found ${workloads.length} workload IPs.`, `Workloads and nodes are using ${inUse} IPs.`, ''],
    ...['Loading all handles', 'Looking for top (up to 20) nodes by allocations...', ...busiest(allocations), ''],
    'Scanning for IPs that are allocated but not actually in use...',
    ...problem('leaked'),
    `Found ${found.leaked.length} IPs that are allocated in IPAM but not actually in use.`,
    'Scanning for IPs that are in use by a workload or node but not allocated in IPAM...',
    ...[...problem('outside pools'), ...problem('not allocated')],
    `Found ${found['outside pools'].length} in-use IPs that are not in active IP pools.`,
    `Found ${found['not allocated'].length} in-use IPs that are in active IP pools but have no corresponding IPAM allocation.`,
    ...['', 'Scanning for IPAM handles with no matching IPs...'],
    ...problem('orphan handle'),
    `Found ${found['orphan handle'].length} handles with no matching IPs (and ${examination.matchedHandles} handles with matches).`,
    'Scanning for IPs with missing handle...',
    ...problem('missing handle'),
    `Found ${found['missing handle'].length} handles mentioned in blocks with no matching handle resource.`,
    'Validating IPAMBlock structures...',
    ...problem('invalid block'),
    `Found ${found['invalid block'].length} invalid IPAMBlocks.`,
    ...examination.more.map(({ kind, message }) => `${kind}: ${message}`),
    `Check complete; found ${examination.problems.length} problems.`,
  ];
}

function allocatedText(one: Allocation): string {
  return `${one.address} allocated; attrs ${attributesText(one)}`;
}

function useText({ address, by }: Use): string {
  return `${address} belongs to ${by}`;
}

function busiest(allocations: readonly Allocation[]): string[] {
  const byNode = Map.groupBy(allocations, ({ attributes }) => attributes['node'] ?? '');
  byNode.delete('');
  const counts = [...byNode].map(([node, own]) => ({ node, count: own.length }));
  counts.sort((a, b) => b.count - a.count || (a.node < b.node ? -1 : 1));
  const [most] = counts;
  if (most === undefined) return [];
  const median = counts[Math.floor(counts.length / 2)]!.count;
  return [
    ...counts.slice(0, 20).map(({ node, count }) => `  ${node} has ${count} allocations`),
    `Node with most allocations has ${most.count}; median is ${median}`,
  ];
}
