// What a cluster's IPAM data is compared with: its pods and nodes. Pure; `ipam check` shows it, a report file keeps it,
// and `ipam release --from-report` looks at it again.
import { type Address, type Prefix, addressAt, comparePrefixes, containsAddress, readAddress } from '#ip';
import { checkBlock } from '../ipam/check.ts';
import type { Finding } from '../ipam/index.ts';
import { KEEPING_HANDLE } from '../ipam/kept.ts';
import { handleName, isRecord } from '../resources/index.ts';
import type { IPAMBlock, IPAMHandle, IPPool, Kinds } from '../resources/types.ts';
import type { Target } from './target.ts';
import { type Workload, listWorkloads } from './workloads.ts';

export interface ClusterData {
  readonly blocks: readonly IPAMBlock[];
  readonly pools: readonly IPPool[];
  readonly nodes: readonly Kinds['Node'][];
  readonly handles: readonly IPAMHandle[];
  readonly workloads: readonly Workload[];
}

/** Pods are asked for last: what was given out while the rest was read has its pod by then. */
export async function readCluster({ store, kube }: Extract<Target, { at: 'cluster' }>): Promise<ClusterData> {
  const [blocks, pools, nodes, handles] = await Promise.all([
    store.list('IPAMBlock'),
    store.list('IPPool'),
    store.list('Node'),
    store.list('IPAMHandle'),
  ]);
  return { blocks, pools, nodes, handles, workloads: await listWorkloads(kube.client) };
}

/** An address that is given out. */
export interface Allocation {
  readonly address: Address;
  readonly block: Prefix;
  /** The node that the block belongs to. */
  readonly owner: string | undefined;
  readonly handle: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  /** When it was given out, in the block's own count. */
  readonly sequence: bigint;
  /** Given back, and resting. */
  readonly resting: boolean;
}

/** An address that is in use, and by whom: "Workload(default/worker--1-k8s-web--1-eth0)". */
export interface Use {
  readonly address: Address;
  readonly by: string;
}

/** What is wrong, in one sentence. */
export interface Problem {
  readonly kind: string;
  readonly message: string;
}

/** The problems that calicoctl looks for, in its order. */
export type KnownProblem =
  | 'leaked'
  | 'outside pools'
  | 'not allocated'
  | 'orphan handle'
  | 'missing handle'
  | 'invalid block';

export interface Examination {
  readonly blocks: readonly IPAMBlock[];
  readonly pools: readonly IPPool[];
  readonly allocations: readonly Allocation[];
  readonly tunnels: readonly Use[];
  readonly workloads: readonly Use[];
  /** Set aside by a Windows host or by us: in use, as far as anybody else is concerned. */
  readonly keptAside: readonly Use[];
  readonly leaked: readonly Allocation[];
  readonly orphanHandles: readonly IPAMHandle[];
  readonly matchedHandles: number;
  readonly found: Readonly<Record<KnownProblem, readonly string[]>>;
  /** What calicoctl does not look at: affinities, blocks of nodes that are gone, blocks in no pool. */
  readonly more: readonly Problem[];
  /** All of it, one sentence each. */
  readonly problems: readonly Problem[];
}

export function examine(data: ClusterData, findings: readonly Finding[]): Examination {
  const blocks = [...data.blocks].sort((a, b) => comparePrefixes(a.spec.cidr, b.spec.cidr));
  const pools = data.pools.filter(({ spec }) => !spec.disabled);
  const allocations = blocks.flatMap(allocationsOf);
  const tunnels = data.nodes.flatMap(tunnelsOf);
  const workloads = data.workloads.flatMap(usesOf);
  const keptAside = allocations.filter(isKeptAside).map(({ address }) => ({ address, by: 'Reserved for Windows' }));
  const given = new Set(allocations.map(({ address }) => address));
  const used = new Set([...tunnels, ...workloads, ...keptAside].map(({ address }) => address));
  const loose = [...tunnels, ...workloads].filter(({ address }) => !given.has(address));
  const isInPool = ({ address }: Use): boolean => pools.some(({ spec }) => containsAddress(spec.cidr, address));
  const handled = allocations.filter((one) => one.handle !== undefined && !isKeptAside(one));
  const holding = new Set(handled.map(({ handle }) => handleName(handle!)));
  const known = new Set(data.handles.map(({ metadata }) => metadata.name));
  const leaked = allocations.filter(({ address, resting }) => !resting && !used.has(address));
  const orphanHandles = data.handles.filter(({ metadata }) => !holding.has(metadata.name));
  const found = {
    leaked: leaked.map((one) => `${one.address} is given out and nobody uses it (${attributesText(one)})`),
    'outside pools': loose
      .filter((use) => !isInPool(use))
      .map(({ address, by }) => `${address} is used by ${by} and in no active pool`),
    'not allocated': loose.filter(isInPool).map(({ address, by }) => `${address} is used by ${by} and not given out`),
    'orphan handle': orphanHandles.map(({ spec }) => `handle ${spec.handleID} holds no address`),
    'missing handle': handled
      .filter(({ handle }) => !known.has(handleName(handle!)))
      .map(({ address, handle }) => `${address} is held under ${handle}, which is not there`),
    'invalid block': blocks.flatMap(({ spec }) => {
      const messages = checkBlock(spec).map(({ message }) => message);
      return messages.length === 0 ? [] : [messages.join('; ')];
    }),
  } satisfies Record<KnownProblem, string[]>;
  const more = findings
    .filter(({ kind }) => ['affinity', 'lost block', 'outside pools'].includes(kind))
    .map(({ kind, message }) => ({ kind, message }));
  const problems = Object.entries(found).flatMap(([kind, messages]) => messages.map((message) => ({ kind, message })));
  return {
    ...{ blocks, pools, allocations, tunnels, workloads, keptAside, leaked, orphanHandles, found, more },
    matchedHandles: data.handles.length - orphanHandles.length,
    problems: [...problems, ...more],
  };
}

export function attributesText({ handle, attributes }: Allocation): string {
  const extra = Object.entries(attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`);
  return `Main:${handle ?? ''} Extra:${extra.join(',')}`;
}

function allocationsOf({ spec }: IPAMBlock): Allocation[] {
  const [, owner] = /^host:(.*)$/.exec(spec.affinity ?? '') ?? [];
  return spec.allocations.flatMap((index, ordinal) => {
    if (index === null) return [];
    const { handle_id: handle, secondary: attributes = {}, releasedAt } = spec.attributes[index] ?? {};
    const address = addressAt(spec.cidr, ordinal);
    const sequence = spec.sequenceNumberForAllocation[ordinal] ?? 0n;
    return [{ address, block: spec.cidr, owner, handle, attributes, sequence, resting: releasedAt !== undefined }];
  });
}

function isKeptAside({ handle }: Allocation): boolean {
  return handle === KEEPING_HANDLE;
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
