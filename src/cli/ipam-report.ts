// The file between `ipam check -o FILE` and `ipam release --from-report FILE`, in the form of calicoctl's: what was given
// out, what of it nobody used, and of which cluster at which time. Pure but for the question which cluster this is.
import { type Address, readAddress } from '#ip';
import { formatJson, handleName, isRecord, parseJson } from '../resources/index.ts';
import type { Store } from '../store/port.ts';
import { version } from '../version.ts';
import { CliError } from './exit.ts';
import type { Allocation, Examination } from './ipam-examination.ts';

/** Which cluster, and which state of it. */
export interface ClusterIdentity {
  readonly guid: string;
  readonly type: string;
  /** The version of ClusterInformation: it changes when a cluster is locked, migrated or upgraded. */
  readonly revision: string;
  readonly locked: boolean;
}

/** An address that nobody used, as it was when it was given out: it is the same one only while all of this holds. */
export interface LeakedAddress {
  readonly address: Address;
  readonly handle: string;
  readonly sequence: bigint;
}

/** A handle that held nothing. */
export interface LeakedHandle {
  readonly id: string;
  readonly uid: string | undefined;
  readonly revision: string;
}

export interface Report {
  readonly file: string;
  /** Who wrote it: "manxctl 0.3.0". */
  readonly version: string;
  readonly guid: string;
  readonly revision: string;
  readonly addresses: readonly LeakedAddress[];
  readonly handles: readonly LeakedHandle[];
}

const WRITER = `manxctl ${version}`;

/** @throws CliError where the cluster does not say which one it is */
export async function readClusterIdentity(store: Pick<Store, 'get'>): Promise<ClusterIdentity> {
  const information = await store.get('ClusterInformation', 'default');
  const { clusterGUID: guid = '', clusterType: type = '', datastoreReady } = information?.spec ?? {};
  if (information === undefined || guid === '') {
    throw new CliError('degraded', [
      'this cluster has no GUID (ClusterInformation default), so that no report can be told from those of others',
      'an agent gives it one at its first start',
    ]);
  }
  return { guid, type, revision: information.metadata.resourceVersion ?? '', locked: datastoreReady === false };
}

export function formatReport(examination: Examination, { guid, type, revision, locked }: ClusterIdentity): string {
  const users = Map.groupBy(
    [...examination.tunnels, ...examination.workloads, ...examination.keptAside],
    ({ address }) => address,
  );
  // What rests is neither in use nor leaked: it comes back by itself.
  const allocations = examination.allocations
    .filter(({ resting }) => !resting)
    .map((one) => [one.address, [entryOf(one, users.get(one.address)?.map(({ by }) => by) ?? [])]] as const);
  const report = {
    version: WRITER,
    ...{ clusterGUID: guid, datastoreLocked: locked, clusterInformationRevision: revision, clusterType: type },
    allocations: Object.fromEntries(allocations),
    leakedHandles: examination.orphanHandles.map(({ metadata, spec }) => ({
      ID: spec.handleID,
      ...(metadata.uid !== undefined && { UID: metadata.uid }),
      Revision: metadata.resourceVersion ?? '',
    })),
  };
  return `${formatJson(report, 2)}\n`;
}

function entryOf({ address, owner, handle, sequence, attributes }: Allocation, owners: readonly string[]): object {
  const { pod, namespace, node = owner, type, timestamp } = attributes;
  return {
    ip: address,
    ...(handle !== undefined && { handle }),
    sequenceNumber: sequence,
    ...(pod !== undefined && { pod }),
    ...(namespace !== undefined && { namespace }),
    ...(node !== undefined && { node }),
    ...(type !== undefined && { type }),
    ...(timestamp !== undefined && { creationTimestamp: timestamp }),
    inUse: owners.length > 0,
    ...(node !== owner && { borrowed: true }),
    owners,
  };
}

/** @throws CliError 'usage' for anything that is no report */
export function parseReport(text: string, file: string): Report {
  const fail = (why: string): CliError => new CliError('usage', [`${file} is no report of ipam check: ${why}`]);
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw fail((error as Error).message);
  }
  const { version: writer, clusterGUID, clusterInformationRevision, allocations, leakedHandles } = fieldsOf(value);
  if (typeof clusterGUID !== 'string' || clusterGUID === '') throw fail('it names no cluster (clusterGUID)');
  if (typeof clusterInformationRevision !== 'string') throw fail('it has no clusterInformationRevision');
  if (!isRecord(allocations)) throw fail('it has no allocations');
  const entries = Object.values(allocations).flatMap((entry) => (Array.isArray(entry) ? entry.map(fieldsOf) : []));
  const handles = Array.isArray(leakedHandles) ? leakedHandles.map(fieldsOf) : [];
  return {
    ...{ file, guid: clusterGUID, revision: clusterInformationRevision },
    version: typeof writer === 'string' ? writer : '',
    // What does not say that it was not in use was in use.
    addresses: entries.filter(({ inUse }) => inUse === false).flatMap(leakedAddress),
    handles: handles.flatMap(leakedHandle),
  };
}

/** Without a handle and a number nothing could tell whether it is still the same: such an entry is passed over. */
function leakedAddress({ ip, handle, sequenceNumber }: Record<string, unknown>): LeakedAddress[] {
  const address = typeof ip === 'string' ? readAddress(ip) : undefined;
  const isNumber = typeof sequenceNumber === 'bigint' || Number.isSafeInteger(sequenceNumber);
  if (address === undefined || typeof handle !== 'string' || !isNumber) return [];
  return [{ address, handle, sequence: BigInt(sequenceNumber as bigint | number) }];
}

function leakedHandle({ ID: id, UID: uid, Revision: revision }: Record<string, unknown>): LeakedHandle[] {
  if (typeof id !== 'string' || typeof revision !== 'string') return [];
  return [{ id, uid: typeof uid === 'string' ? uid : undefined, revision }];
}

/** What is leaked by all of them: written some time apart, they tell a leak from a pod that is on its way. */
export function commonLeaks(reports: readonly Report[]): Pick<Report, 'addresses' | 'handles'> {
  const [first, ...others] = reports;
  if (first === undefined) return { addresses: [], handles: [] };
  return {
    addresses: first.addresses.filter((one) =>
      others.every(({ addresses }) => addresses.some((other) => isSameAddress(one, other))),
    ),
    handles: first.handles.filter((one) =>
      others.every(({ handles }) => handles.some((other) => isSameHandle(one, other))),
    ),
  };
}

/**
 * Why the reports must not be used on this cluster, one line each. `always`: not even by force.
 */
export function misfits(
  reports: readonly Report[],
  cluster: ClusterIdentity,
): { readonly always: readonly string[]; readonly unlessForced: readonly string[] } {
  const always = reports
    .filter(({ guid }) => guid !== cluster.guid)
    .map(({ file, guid }) => `${file} is of another cluster: ${guid}, and this one is ${cluster.guid}`);
  const foreign = reports
    .filter((report) => report.version !== WRITER)
    .map((report) => `${report.file} was written by ${report.version || 'an unknown program'}, and this is ${WRITER}`);
  const isStale = !reports.some(({ revision }) => revision === cluster.revision);
  const stale = `ClusterInformation has changed since ${reports.map(({ file }) => file).join(', ')} (its version is ${cluster.revision} now)`;
  return { always, unlessForced: [...foreign, ...(isStale ? [stale] : [])] };
}

function isSameAddress(a: LeakedAddress, b: LeakedAddress): boolean {
  return a.address === b.address && a.handle === b.handle && a.sequence === b.sequence;
}

function isSameHandle(a: LeakedHandle, b: LeakedHandle): boolean {
  return handleName(a.id) === handleName(b.id) && a.uid === b.uid && a.revision === b.revision;
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}
