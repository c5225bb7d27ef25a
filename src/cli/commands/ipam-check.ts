// `manxctl ipam check`: what is wrong in IPAM's data. Through an agent in short; on a cluster with calicoctl's report,
// which compares with the pods that there are, and behind it what only Manx looks at.
import { type Address, type Prefix, addressAt, comparePrefixes, containsAddress, readAddress } from '#ip';
import { checkBlock } from '../../ipam/check.ts';
import { type Finding, createIpam } from '../../ipam/index.ts';
import type { IPAMBlock, IPAMHandle, IPPool, Kinds } from '../../resources/types.ts';
import { handleName, isRecord } from '../../resources/index.ts';
import { countText } from '../../text.ts';
import type { Context } from '../context.ts';
import type { OpenTarget, Target } from '../target.ts';
import { type Workload, listWorkloads } from '../workloads.ts';

export interface CheckOptions {
  readonly showAllIps?: true;
  readonly showProblemIps?: true;
}

export async function ipamCheck(context: Context, open: OpenTarget, options: CheckOptions): Promise<void> {
  await using target = await open();
  const findings =
    target.at === 'agent'
      ? await target.api.get<readonly Finding[]>('/v1/ipam/check')
      : await createIpam({ store: target.store, node: '' }).check();
  if (target.at !== 'cluster') {
    context.show(findings, () => inShort(findings));
    if (findings.length > 0) context.degraded();
    return;
  }
  const report = examine(await readCluster(target), findings);
  context.show(report.problems, () => renderReport(report, options));
  if (report.problems.length > 0) context.degraded();
}

function inShort(findings: readonly Finding[]): string[] {
  return [
    ...findings.map(({ kind, message }) => `${kind}: ${message}`),
    findings.length === 0 ? 'No problems found.' : `${countText(findings.length, 'problem')} found.`,
  ];
}

export interface ClusterData {
  readonly blocks: readonly IPAMBlock[];
  readonly pools: readonly IPPool[];
  readonly nodes: readonly Kinds['Node'][];
  readonly handles: readonly IPAMHandle[];
  readonly workloads: readonly Workload[];
}

async function readCluster({ store, kube }: Extract<Target, { at: 'cluster' }>): Promise<ClusterData> {
  const [blocks, pools, nodes, handles, workloads] = await Promise.all([
    store.list('IPAMBlock'),
    store.list('IPPool'),
    store.list('Node'),
    store.list('IPAMHandle'),
    listWorkloads(kube.client),
  ]);
  return { blocks, pools, nodes, handles, workloads };
}

interface Allocation {
  readonly address: Address;
  readonly block: Prefix;
  readonly handle: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  /** Given back, and resting. */
  readonly resting: boolean;
}

/** An address that is in use, and by whom: "Workload(default/worker--1-k8s-web--1-eth0)". */
interface Use {
  readonly address: Address;
  readonly by: string;
}

export interface Report {
  readonly blocks: readonly IPAMBlock[];
  readonly pools: readonly IPPool[];
  readonly allocations: readonly Allocation[];
  readonly tunnels: readonly Use[];
  readonly workloads: readonly Use[];
  readonly handles: { readonly matched: number };
  readonly leaked: readonly Allocation[];
  readonly outsidePools: readonly Use[];
  readonly unallocated: readonly Use[];
  readonly orphanHandles: readonly string[];
  readonly missingHandles: readonly Allocation[];
  readonly invalidBlocks: readonly { readonly block: Prefix; readonly messages: readonly string[] }[];
  /** What calicoctl does not look at: affinities, blocks of nodes that are gone, blocks in no pool. */
  readonly more: readonly Finding[];
  /** All of the above, one sentence each. */
  readonly problems: readonly { readonly kind: string; readonly message: string }[];
}

/** Pure. */
export function examine(data: ClusterData, findings: readonly Finding[]): Report {
  const blocks = [...data.blocks].sort((a, b) => comparePrefixes(a.spec.cidr, b.spec.cidr));
  const pools = data.pools.filter(({ spec }) => !spec.disabled);
  const allocations = blocks.flatMap(allocationsOf);
  const tunnels = data.nodes.flatMap(tunnelsOf);
  const workloads = data.workloads.flatMap(usesOf);
  const used = new Set([...tunnels, ...workloads].map(({ address }) => address));
  const given = new Set(allocations.map(({ address }) => address));
  const loose = [...tunnels, ...workloads].filter(({ address }) => !given.has(address));
  const isInPool = ({ address }: Use): boolean => pools.some(({ spec }) => containsAddress(spec.cidr, address));
  const holding = new Set(allocations.flatMap(({ handle }) => (handle === undefined ? [] : [handleName(handle)])));
  const known = new Set(data.handles.map(({ metadata }) => metadata.name));
  const parts = {
    leaked: allocations.filter(({ address, resting }) => !resting && !used.has(address)),
    outsidePools: loose.filter((use) => !isInPool(use)),
    unallocated: loose.filter(isInPool),
    orphanHandles: data.handles.filter(({ metadata }) => !holding.has(metadata.name)).map(({ spec }) => spec.handleID),
    missingHandles: allocations.filter(({ handle }) => handle !== undefined && !known.has(handleName(handle))),
    invalidBlocks: blocks.flatMap(({ spec }) => {
      const messages = checkBlock(spec).map(({ message }) => message);
      return messages.length === 0 ? [] : [{ block: spec.cidr, messages }];
    }),
    more: findings.filter(({ kind }) => ['affinity', 'lost block', 'outside pools'].includes(kind)),
  };
  return {
    ...{ blocks, pools, allocations, tunnels, workloads, ...parts },
    handles: { matched: data.handles.length - parts.orphanHandles.length },
    problems: problemsOf(parts),
  };
}

type Parts = Pick<
  Report,
  'leaked' | 'outsidePools' | 'unallocated' | 'orphanHandles' | 'missingHandles' | 'invalidBlocks' | 'more'
>;

function problemsOf(parts: Parts): Report['problems'] {
  const problem = (kind: string) => (message: string) => ({ kind, message });
  return [
    ...parts.leaked.map(leakText).map(problem('leaked')),
    ...parts.outsidePools.map(outsideText).map(problem('outside pools')),
    ...parts.unallocated.map(unallocatedText).map(problem('not allocated')),
    ...parts.orphanHandles.map(orphanText).map(problem('orphan handle')),
    ...parts.missingHandles.map(missingText).map(problem('missing handle')),
    ...parts.invalidBlocks.map(({ messages }) => messages.join('; ')).map(problem('invalid block')),
    ...parts.more.map(({ kind, message }) => ({ kind, message })),
  ];
}

const leakText = (one: Allocation): string => `${one.address} is given out and nobody uses it (${attributesText(one)})`;
const outsideText = ({ address, by }: Use): string => `${address} is used by ${by} and in no active pool`;
const unallocatedText = ({ address, by }: Use): string => `${address} is used by ${by} and not given out`;
const orphanText = (handle: string): string => `handle ${handle} holds no address`;
const missingText = ({ address, handle }: Allocation): string =>
  `${address} is held under ${handle}, which is not there`;

function allocationsOf({ spec }: IPAMBlock): Allocation[] {
  return spec.allocations.flatMap((index, ordinal) => {
    if (index === null) return [];
    const { handle_id: handle, secondary = {}, releasedAt } = spec.attributes[index] ?? {};
    const address = addressAt(spec.cidr, ordinal);
    return [{ address, block: spec.cidr, handle, attributes: secondary, resting: releasedAt !== undefined }];
  });
}

/** Tunnels are Calico's: the model carries their addresses along and knows nothing of them. */
function tunnelsOf({ metadata, spec }: Kinds['Node']): Use[] {
  const { bgp, wireguard, ipv4VXLANTunnelAddr, ipv6VXLANTunnelAddr } = spec as Record<string, unknown>;
  const fieldOf = (holder: unknown, name: string): unknown => (isRecord(holder) ? holder[name] : undefined);
  const own = [
    fieldOf(bgp, 'ipv4IPIPTunnelAddr'),
    ...[ipv4VXLANTunnelAddr, ipv6VXLANTunnelAddr],
    ...['interfaceIPv4Address', 'interfaceIPv6Address'].map((name) => fieldOf(wireguard, name)),
  ];
  const addresses = own.flatMap((text) => (typeof text === 'string' ? (readAddress(text) ?? []) : []));
  return addresses.map((address) => ({ address, by: `Node(${metadata.name})` }));
}

/** A pod's name in Calico's way: its own hyphens are doubled. */
function usesOf({ namespace, pod, node, addresses }: Workload): Use[] {
  const [onNode, name] = [node, pod].map((text) => text.replaceAll('-', '--'));
  return addresses.map((address) => ({ address, by: `Workload(${namespace}/${onNode}-k8s-${name}-eth0)` }));
}

function attributesText({ handle, attributes }: Allocation): string {
  const extra = Object.entries(attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`);
  return `Main:${handle ?? ''} Extra:${extra.join(',')}`;
}

/** calicoctl's report, line by line; what is more stands before its last line. */
export function renderReport(report: Report, { showAllIps, showProblemIps }: CheckOptions): string[] {
  const all = (lines: () => string[]): string[] => (showAllIps ? lines().map((line) => `  ${line}`) : []);
  const problem = (lines: readonly string[]): string[] =>
    showAllIps || showProblemIps ? lines.map((line) => `  ${line}`) : [];
  const { blocks, pools, allocations, tunnels, workloads, handles } = report;
  const inUse = new Set([...tunnels, ...workloads].map(({ address }) => address)).size;
  return [
    ...[
      'Checking IPAM for inconsistencies...',
      '',
      'Loading all IPAM blocks...',
      `Found ${blocks.length} IPAM blocks.`,
    ],
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
    ...problem(report.leaked.map(leakText)),
    `Found ${report.leaked.length} IPs that are allocated in IPAM but not actually in use.`,
    'Scanning for IPs that are in use by a workload or node but not allocated in IPAM...',
    ...problem([...report.outsidePools.map(outsideText), ...report.unallocated.map(unallocatedText)]),
    `Found ${report.outsidePools.length} in-use IPs that are not in active IP pools.`,
    `Found ${report.unallocated.length} in-use IPs that are in active IP pools but have no corresponding IPAM allocation.`,
    ...['', 'Scanning for IPAM handles with no matching IPs...'],
    ...problem(report.orphanHandles.map(orphanText)),
    `Found ${report.orphanHandles.length} handles with no matching IPs (and ${handles.matched} handles with matches).`,
    'Scanning for IPs with missing handle...',
    ...problem(report.missingHandles.map(missingText)),
    `Found ${report.missingHandles.length} handles mentioned in blocks with no matching handle resource.`,
    'Validating IPAMBlock structures...',
    ...problem(report.invalidBlocks.flatMap(({ messages }) => messages)),
    `Found ${report.invalidBlocks.length} invalid IPAMBlocks.`,
    ...report.more.map(({ kind, message }) => `${kind}: ${message}`),
    `Check complete; found ${report.problems.length} problems.`,
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
