// How full the pools are: the numbers behind `ipam show`. Pure. Sizes are bigints, for an IPv6 pool has up to 2^128
// addresses (calicoctl prints a negative number there).
import {
  type Address,
  type Prefix,
  addressAt,
  comparePrefixes,
  containsAddress,
  containsPrefix,
  prefixesOverlap,
  sizeOf,
} from '#ip';
import type { AllocationAttribute, IPAMBlock, IPAMConfigSpec, IPPool } from '../resources/types.ts';
import { allocated, hostOf, usedCount } from './block.ts';
import { reservedBy } from './choose.ts';
import { type Settings, blockLimit } from './settings.ts';

export interface IpamUsage {
  readonly pools: readonly PoolUsage[];
  /** Blocks that lie in none of the pools that there are (any more). */
  readonly blocksOutsidePools: readonly BlockUsage[];
  readonly borrowed: readonly Borrowed[];
  readonly configuration: Configuration;
}

/** total = inUse + reserved + free. Resting addresses count as in use, reserved ones in use as in use. */
export interface Counts {
  readonly total: bigint;
  readonly inUse: bigint;
  readonly reserved: bigint;
  readonly free: bigint;
}

export interface PoolUsage extends Counts {
  readonly name: string;
  readonly cidr: Prefix;
  readonly disabled: boolean;
  /** In the order of addresses. */
  readonly blocks: readonly BlockUsage[];
}

export interface BlockUsage extends Counts {
  readonly cidr: Prefix;
  /** As stored: "host:worker-1"; absent when nobody owns the block. */
  readonly affinity?: string;
  /** The node of the affinity, when it is one. */
  readonly node?: string;
}

/** An address that a node uses out of another's block. */
export interface Borrowed {
  readonly address: Address;
  readonly borrowingNode: string;
  readonly block: Prefix;
  /** The node that owns the block; absent when nobody does. */
  readonly blockOwner?: string;
  /** "pod", or the kind of tunnel. */
  readonly type: string;
  /** "namespace/pod", or the handle. */
  readonly allocatedTo: string;
}

export interface Configuration extends IPAMConfigSpec {
  readonly ipCooldownSeconds: number;
  /** What maxBlocksPerHost comes to, Calico's own limit included. */
  readonly blockLimit: number;
}

/** What is known of one address, for `ipam show --ip`. */
export interface AddressUsage {
  readonly address: Address;
  readonly state: 'in use' | 'resting' | 'free' | 'outside every pool';
  readonly pool?: string;
  readonly block?: Prefix;
  readonly handle?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly releasedAt?: string;
}

export function usageOf(settings: Settings, blocks: readonly IPAMBlock[]): IpamUsage {
  const sorted = [...blocks].sort((a, b) => comparePrefixes(a.spec.cidr, b.spec.cidr));
  const outside = sorted.filter(
    ({ spec }) => !settings.pools.some((pool) => containsPrefix(pool.spec.cidr, spec.cidr)),
  );
  const { config } = settings;
  return {
    pools: settings.pools.map((pool) => poolUsage(pool, sorted, settings.reserved)),
    blocksOutsidePools: outside.map((block) => blockUsage(block, settings.reserved)),
    borrowed: sorted.flatMap(borrowedIn),
    configuration: { ...config, ipCooldownSeconds: config.ipCooldownSeconds ?? 0, blockLimit: blockLimit(config) },
  };
}

export function addressUsage(settings: Settings, blocks: readonly IPAMBlock[], address: Address): AddressUsage {
  const pool = settings.pools.find(({ spec }) => containsAddress(spec.cidr, address));
  const block = blocks.find(({ spec }) => containsAddress(spec.cidr, address));
  const attribute = block && attributesByAddress(block).get(address);
  const where = { address, ...(pool && { pool: pool.metadata.name }), ...(block && { block: block.spec.cidr }) };
  if (attribute === undefined) return { ...where, state: pool || block ? 'free' : 'outside every pool' };
  return {
    ...where,
    state: attribute.releasedAt === undefined ? 'in use' : 'resting',
    ...(attribute.handle_id !== undefined && { handle: attribute.handle_id }),
    ...(attribute.secondary && { attributes: attribute.secondary }),
    ...(attribute.releasedAt !== undefined && { releasedAt: attribute.releasedAt }),
  };
}

export function attributesByAddress({ spec }: IPAMBlock): Map<Address, AllocationAttribute> {
  return new Map(
    [...allocated(spec)].map(({ ordinal, attribute }) => [addressAt(spec.cidr, ordinal), attribute ?? {}] as const),
  );
}

function poolUsage(pool: IPPool, blocks: readonly IPAMBlock[], reserved: readonly Prefix[]): PoolUsage {
  const { cidr } = pool.spec;
  const inPool = blocks.filter(({ spec }) => containsPrefix(cidr, spec.cidr));
  return {
    name: pool.metadata.name,
    cidr,
    disabled: pool.spec.disabled,
    ...countsOf(cidr, inPool, reserved),
    blocks: inPool.map((block) => blockUsage(block, reserved)),
  };
}

function blockUsage(block: IPAMBlock, reserved: readonly Prefix[]): BlockUsage {
  const { cidr, affinity } = block.spec;
  const node = hostOf(block.spec);
  return {
    cidr,
    ...(affinity !== undefined && { affinity }),
    ...(node !== undefined && { node }),
    ...countsOf(cidr, [block], reserved),
  };
}

function countsOf(cidr: Prefix, blocks: readonly IPAMBlock[], reserved: readonly Prefix[]): Counts {
  const isReserved = reservedBy(reserved);
  const total = sizeOf(cidr);
  const inUse = BigInt(blocks.reduce((sum, { spec }) => sum + usedCount(spec), 0));
  const reservedInUse = blocks.flatMap((block) => [...attributesByAddress(block).keys()].filter(isReserved)).length;
  const withheld = sizeWithin(cidr, reserved) - BigInt(reservedInUse);
  return { total, inUse, reserved: withheld, free: total - inUse - withheld };
}

/** How many addresses of the prefix lie in any of the others, each counted once. */
function sizeWithin(cidr: Prefix, others: readonly Prefix[]): bigint {
  const overlapping = others.filter((other) => prefixesOverlap(cidr, other));
  if (overlapping.some((other) => containsPrefix(other, cidr))) return sizeOf(cidr);
  const unique = [...new Set(overlapping)];
  const outermost = unique.filter((a) => !unique.some((b) => a !== b && containsPrefix(b, a)));
  return outermost.reduce((sum, prefix) => sum + sizeOf(prefix), 0n);
}

function borrowedIn(block: IPAMBlock): Borrowed[] {
  const owner = hostOf(block.spec);
  return [...attributesByAddress(block)].flatMap(([address, attribute]) => {
    const { node, namespace, pod, type } = attribute.secondary ?? {};
    if (node === undefined || node === owner || attribute.releasedAt !== undefined) return [];
    return [
      {
        address,
        borrowingNode: node,
        block: block.spec.cidr,
        ...(owner !== undefined && { blockOwner: owner }),
        type: pod === undefined ? (type ?? 'other') : 'pod',
        allocatedTo: pod === undefined ? (attribute.handle_id ?? '') : `${namespace ?? ''}/${pod}`,
      },
    ];
  });
}
