// `manxctl ipam release`: addresses that nobody has any more are given back, one by one or all that `ipam check -o FILE`
// found. Whatever is asked for, an address that a pod has now stays with it.
import { readFile } from 'node:fs/promises';
import { type Address, readAddress } from '#ip';
import { deleteUnchanged } from '../../ipam/data.ts';
import { createIpam } from '../../ipam/index.ts';
import { readTimestamp } from '../../ipam/time.ts';
import { handleName } from '../../resources/index.ts';
import { durationText } from '../../text.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { type Allocation, type ClusterData, type Examination, examine, readCluster } from '../ipam-examination.ts';
import {
  type LeakedAddress,
  type LeakedHandle,
  type Report,
  commonLeaks,
  misfits,
  parseReport,
  readClusterIdentity,
} from '../ipam-report.ts';
import { table } from '../table.ts';
import type { Target } from '../target.ts';
import { type Workload, listWorkloads } from '../workloads.ts';

type InStore = Exclude<Target, { at: 'agent' }>;

export interface ReleaseOptions {
  readonly ip?: readonly string[];
  readonly fromReport?: readonly string[];
  readonly force?: true;
}

type OpenStore = () => Promise<InStore & AsyncDisposable>;

export async function ipamRelease(context: Context, open: OpenStore, options: ReleaseOptions): Promise<void> {
  const { ip, fromReport, force = false } = options;
  if ((ip === undefined) === (fromReport === undefined)) {
    throw new CliError('usage', ['release what? --ip ADDRESS, or --from-report FILE (of ipam check -o FILE)']);
  }
  if (fromReport !== undefined) await releaseReported(context, open, fromReport, force);
  else await releaseAddresses(context, open, ip!.flatMap((text) => text.split(',')).map(requireAddress), force);
}

async function releaseAddresses(
  context: Context,
  open: OpenStore,
  addresses: readonly Address[],
  force: boolean,
): Promise<void> {
  await using target = await open();
  if (!force) await refuseWhereUsed(target, addresses);
  const ipam = createIpam({ store: target.store, node: '' });
  const freed = new Set(await ipam.releaseAddresses(addresses.map((address) => ({ address }))));
  const outcome = addresses.map((address) => ({ address, released: freed.has(address) }));
  context.show(outcome, () =>
    outcome.map(({ address, released }) =>
      released ? `Successfully released IP address ${address}` : `IP address ${address} is not assigned`,
    ),
  );
  if (freed.size < addresses.length) context.degraded();
}

function requireAddress(text: string): Address {
  const address = readAddress(text);
  if (address === undefined) throw new CliError('usage', [`${JSON.stringify(text)} is not an address`]);
  return address;
}

/** An address that is given to a second pod while the first one has it: nobody wants that by mistake. */
async function refuseWhereUsed(target: InStore, addresses: readonly Address[]): Promise<void> {
  if (target.at !== 'cluster') return;
  const workloads = await listWorkloads(target.kube.client);
  const used = workloads.flatMap(({ namespace, pod, addresses: own }) =>
    own.filter((address) => addresses.includes(address)).map((address) => `${address}: pod ${namespace}/${pod} has it`),
  );
  if (used.length === 0) return;
  throw new CliError('degraded', [
    'nothing was released: pods that exist have such an address',
    ...used,
    'delete the pod and its address goes by itself; --force releases it all the same',
  ]);
}

/** What becomes of one thing in a report: done, or why not. */
interface Verdict {
  readonly what: string;
  readonly handle: string;
  readonly done: boolean;
  readonly outcome: string;
}

async function releaseReported(
  context: Context,
  open: OpenStore,
  files: readonly string[],
  force: boolean,
): Promise<void> {
  const reports = await Promise.all(files.map(readReport));
  await using target = await open();
  if (target.at !== 'cluster') {
    throw new CliError('usage', ['a report is for a cluster: manxctl --kubeconfig FILE ipam release --from-report …']);
  }
  const { always, unlessForced } = misfits(reports, await readClusterIdentity(target.store));
  if (always.length > 0 || (unlessForced.length > 0 && !force)) throw unfit(always, unlessForced);
  if (unlessForced.length > 0) context.warn(['the report does not fit, and is used all the same:', ...unlessForced]);
  const leaks = commonLeaks(reports);
  const data = await readCluster(target);
  const examination = examine(data, []);
  const judge = judging(examination, data.workloads, context.now());
  const addresses = await freeAddresses(target, leaks.addresses, judge);
  const handles = await deleteHandles(target, leaks.handles, examination, data);
  context.show({ addresses, handles }, () => renderVerdicts(addresses, handles));
}

async function readReport(file: string): Promise<Report> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new CliError('usage', [`${file} cannot be read: ${(error as Error).message}`]);
  });
  return parseReport(text, file);
}

function unfit(always: readonly string[], unlessForced: readonly string[]): CliError {
  const hint = always.length > 0 ? [] : ['write a new one: manxctl ipam check -o FILE; or --force'];
  return new CliError('degraded', [
    'nothing was released: the report does not fit',
    ...always,
    ...unlessForced,
    ...hint,
  ]);
}

async function freeAddresses({ store }: InStore, leaks: readonly LeakedAddress[], judge: Judge): Promise<Verdict[]> {
  const judged = leaks.map((leak) => ({ leak, whyNot: judge(leak) }));
  const mayGo = judged.filter(({ whyNot }) => whyNot === undefined).map(({ leak }) => leak);
  // What was said of it is looked at once more in the write itself.
  const releases = mayGo.map(({ address, handle, sequence }) => ({
    ...{ address, handle },
    ...(sequence !== 0n && { sequence }),
  }));
  const freed = new Set(releases.length === 0 ? [] : await createIpam({ store, node: '' }).releaseAddresses(releases));
  return judged.map(({ leak, whyNot }) => ({
    ...{ what: leak.address, handle: leak.handle, done: freed.has(leak.address) },
    outcome: whyNot ?? (freed.has(leak.address) ? 'released' : 'kept: it has changed in this moment'),
  }));
}

/** A pod gets its address some time before it tells of it. */
const YOUNG_MS = 5 * 60_000;

/** Why an address that was leaked may not be released now; undefined when it may. */
type Judge = (leak: LeakedAddress) => string | undefined;

function judging({ allocations, tunnels, keptAside }: Examination, workloads: readonly Workload[], now: number): Judge {
  const given = new Map(allocations.map((one) => [one.address, one]));
  const users = new Map([
    ...[...tunnels, ...keptAside].map(({ address, by }) => [address, by] as const),
    ...workloads.flatMap((pod) => pod.addresses.map((address) => [address, podText(pod)] as const)),
  ]);
  const silent = new Map(workloads.filter(({ addresses }) => addresses.length === 0).map((pod) => [podText(pod), pod]));
  return ({ address, handle, sequence }) => {
    const present = given.get(address);
    if (present === undefined || present.resting) return 'given back already';
    if (present.handle !== handle || present.sequence !== sequence) {
      return `kept: given to somebody else since (handle ${present.handle ?? 'unknown'})`;
    }
    const user = users.get(address);
    if (user !== undefined) return `kept: ${user} has it`;
    return whyUnsure(present, silent, now);
  };
}

function whyUnsure({ attributes }: Allocation, silent: ReadonlyMap<string, Workload>, now: number): string | undefined {
  const { namespace = '', pod = '', timestamp } = attributes;
  const owner = silent.get(podText({ namespace, pod }));
  if (owner !== undefined) return `kept: ${podText(owner)} is there and has not told its address yet`;
  const since = timestamp === undefined ? undefined : readTimestamp(timestamp);
  if (since === undefined || now - since >= YOUNG_MS) return undefined;
  return `kept: given out ${durationText(now - since)} ago, its pod may not have told of it yet`;
}

function podText({ namespace, pod }: Pick<Workload, 'namespace' | 'pod'>): string {
  return `pod ${namespace}/${pod}`;
}

async function deleteHandles(
  { store }: InStore,
  leaks: readonly LeakedHandle[],
  { orphanHandles }: Examination,
  data: ClusterData,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const orphans = new Map(orphanHandles.map((one) => [one.metadata.name, one]));
  const all = new Set(data.handles.map(({ metadata }) => metadata.name));
  for (const { id, uid, revision } of leaks) {
    const orphan = orphans.get(handleName(id));
    const isSame = orphan?.metadata.resourceVersion === revision && orphan.metadata.uid === uid;
    const done = orphan !== undefined && isSame && (await deleteUnchanged(store, 'IPAMHandle', orphan));
    const whyNot = all.has(handleName(id)) ? 'kept: in use or changed since' : 'gone already';
    verdicts.push({ what: 'handle', handle: id, done, outcome: done ? 'deleted' : whyNot });
  }
  return verdicts;
}

export function renderVerdicts(addresses: readonly Verdict[], handles: readonly Verdict[]): string[] {
  const doneOf = (verdicts: readonly Verdict[]): string =>
    `${verdicts.filter(({ done }) => done).length} of ${verdicts.length}`;
  if (addresses.length + handles.length === 0) return ['Nothing is leaked in the report: nothing was released.'];
  return [
    `Released ${doneOf(addresses)} leaked ${addresses.length === 1 ? 'address' : 'addresses'}, deleted ${doneOf(handles)} empty ${handles.length === 1 ? 'handle' : 'handles'}.`,
    '',
    ...table(
      [
        { head: 'ADDRESS', cell: ({ what }: Verdict) => (what === 'handle' ? '–' : what) },
        { head: 'HANDLE', cell: ({ handle }) => handle },
        { head: 'OUTCOME', cell: ({ outcome }) => outcome },
      ],
      [...addresses, ...handles],
    ),
  ];
}
