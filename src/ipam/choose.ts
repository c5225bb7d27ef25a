// Which pools a request may use, and which block of a pool a node tries next. Pure.
import {
  type Address,
  type Family,
  type Prefix,
  addressOf,
  bitsOfPrefix,
  containsAddress,
  containsPrefix,
  countSubnets,
  familyOfPrefix,
  lastAddressOf,
  lengthOf,
  offsetOf,
  prefixesOverlap,
  subnetAt,
} from '#ip';
import type { IPPool } from '../resources/types.ts';
import { matches, parseSelector } from '../resources/selector.ts';
import { creationOrder } from '../resources/together.ts';

/** What pools are asked for, and by whom. */
export interface PoolQuery {
  readonly family: Family;
  readonly node: string;
  readonly nodeLabels: Readonly<Record<string, string>>;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  /** Names or CIDRs; absent: every pool that selects the node. */
  readonly requested?: readonly string[];
}

export interface PoolChoice {
  readonly pools: readonly IPPool[];
  /** Why each of the others is out, one clause each: "pool b is disabled". */
  readonly refused: readonly string[];
}

/**
 * The pools of a family that may serve a request, by name. A pool that is asked for by name or CIDR is used without
 * regard to its selectors and its assignment mode, as in Calico; a disabled one never is.
 */
export function choosePools(pools: readonly IPPool[], query: PoolQuery): PoolChoice {
  const chosen: IPPool[] = [];
  const refused: string[] = [];
  for (const pool of pools.filter(({ spec }) => familyOfPrefix(spec.cidr) === query.family)) {
    const reason = refusalOf(pool, query) ?? overlapOf(pool, pools);
    if (reason === undefined) chosen.push(pool);
    else refused.push(`pool ${pool.metadata.name} ${reason}`);
  }
  const unknown = (query.requested ?? []).filter((text) => !pools.some((pool) => isCalled(pool, text)));
  return { pools: chosen, refused: [...refused, ...unknown.map((text) => `pool ${text} does not exist`)] };
}

/**
 * The pool that goes before this one because they overlap: the older one, else the first by name. From both, two nodes
 * could claim blocks of different sizes that share addresses, and neither would see the other's.
 */
export function elderOf(pool: IPPool, pools: readonly IPPool[]): IPPool | undefined {
  return pools.find(
    (other) => other !== pool && prefixesOverlap(other.spec.cidr, pool.spec.cidr) && isElder(other, pool),
  );
}

/** The pool in which an address may be asked for by itself. Neither selectors nor the assignment mode matter. */
export function poolOf(pools: readonly IPPool[], address: Address): IPPool | undefined {
  return pools.find(({ spec }) => containsAddress(spec.cidr, address) && isUsable(spec));
}

/** Pools whose blocks the node may keep although they are empty. */
export function selectingPools(
  pools: readonly IPPool[],
  nodeLabels: Readonly<Record<string, string>>,
): readonly IPPool[] {
  return pools.filter(({ spec }) => isUsable(spec) && selects(spec.nodeSelector, nodeLabels));
}

/**
 * The next block of the pool that nobody has. Tried are some places that the node's name draws, and then all, upwards and
 * around from the last of these: nodes that claim at the same time rarely meet, in a pool that is nearly full no more
 * often than they must. `existing` are the blocks that there are (of any size); blocks that are reserved as a whole are
 * passed over. Undefined when the pool is used up.
 *
 * @param seed see {@link seedOf}
 */
export function nextFreeBlock(
  pool: IPPool,
  existing: readonly Prefix[],
  reserved: readonly Prefix[],
  seed: number,
): Prefix | undefined {
  const { cidr, blockSize } = pool.spec;
  const count = countSubnets(cidr, blockSize);
  const inPool = existing.filter((block) => prefixesOverlap(block, cidr));
  const blocks = new Set(inPool.filter((block) => lengthOf(block) === blockSize));
  const odd = inPool.filter((block) => lengthOf(block) !== blockSize);
  const at = (index: bigint): Prefix => subnetAt(cidr, blockSize, index);
  const obstacleAt = (candidate: Prefix): Prefix | undefined =>
    (blocks.has(candidate) ? candidate : undefined) ??
    reserved.find((prefix) => containsPrefix(prefix, candidate)) ??
    odd.find((block) => prefixesOverlap(block, candidate));
  const drawn = draws(seed, count);
  const lucky = drawn.find((index) => obstacleAt(at(index)) === undefined);
  if (lucky !== undefined) return at(lucky);
  const start = drawn.at(-1)!;
  for (let step = 0n; step < count; step++) {
    const index = (start + step) % count;
    const obstacle = obstacleAt(at(index));
    if (obstacle === undefined) return at(index);
    // Over the whole of it in one step: a reserved /66 of an IPv6 pool has more blocks than anybody can walk.
    step += lastIndexIn(pool, obstacle) - index;
  }
  return undefined;
}

/** Where a node's search begins: FNV-1 of its name. For blocks of one address, where all would meet, the clock's. */
export function seedOf(node: string, pool: IPPool, now: number): number {
  return pool.spec.blockSize === bitsOfPrefix(pool.spec.cidr) ? Math.trunc(now) >>> 0 : fnv32(node);
}

/** A whole list, turned so that it begins where the seed says: every node tries others' blocks in its own order. */
export function rotate<T>(list: readonly T[], seed: number): T[] {
  const start = list.length === 0 ? 0 : seed % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

function refusalOf(pool: IPPool, query: PoolQuery): string | undefined {
  const { spec } = pool;
  if (query.requested !== undefined && !query.requested.some((text) => isCalled(pool, text))) {
    return 'was not asked for';
  }
  if (spec.disabled) return 'is disabled';
  if (!spec.allowedUses.includes('Workload')) return `is for ${spec.allowedUses.join(' and ')} only`;
  if (query.requested !== undefined) return undefined;
  if (spec.assignmentMode === 'Manual') return 'is only used when asked for (assignmentMode Manual)';
  if (!selects(spec.nodeSelector, query.nodeLabels)) {
    return `does not select ${query.node} (nodeSelector ${spec.nodeSelector})`;
  }
  if (!selects(spec.namespaceSelector, query.namespaceLabels)) {
    return `does not select the namespace (namespaceSelector ${spec.namespaceSelector})`;
  }
  return undefined;
}

function overlapOf(pool: IPPool, pools: readonly IPPool[]): string | undefined {
  const elder = elderOf(pool, pools);
  return elder && `overlaps pool ${elder.metadata.name} (${elder.spec.cidr}), which was there before`;
}

function isElder({ metadata: a }: IPPool, { metadata: b }: IPPool): boolean {
  const [madeA, madeB] = [creationOrder(a), creationOrder(b)];
  return madeA === madeB ? a.name < b.name : madeA < madeB;
}

function isCalled(pool: IPPool, text: string): boolean {
  return pool.metadata.name === text || pool.spec.cidr === text;
}

function isUsable(spec: IPPool['spec']): boolean {
  return !spec.disabled && spec.allowedUses.includes('Workload');
}

function selects(selector: string | undefined, labels: Readonly<Record<string, string>>): boolean {
  return selector === undefined || selector === '' || matches(parseSelector(selector), labels);
}

function lastIndexIn(pool: IPPool, obstacle: Prefix): bigint {
  const { cidr, blockSize } = pool.spec;
  if (containsPrefix(obstacle, cidr)) return countSubnets(cidr, blockSize) - 1n;
  return offsetOf(cidr, lastAddressOf(obstacle)) >> BigInt(bitsOfPrefix(cidr) - blockSize);
}

/** Where nine tenths of a pool are taken, one node in thirty draws nothing that is free, and walks. */
const DRAWS = 32;

/** Numbers below `count` (which may have up to 128 bits), the same for the same seed. SplitMix64's mixing. */
function draws(seed: number, count: bigint): readonly bigint[] {
  let state = BigInt(seed);
  const next = (): bigint => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = BigInt.asUintN(64, (state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  };
  return Array.from({ length: DRAWS }, () => ((next() << 64n) | next()) % count);
}

/** FNV-1 with 32 bits, of the name's UTF-8. */
export function fnv32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = (Math.imul(hash, 0x01000193) ^ byte) >>> 0;
  return hash;
}

/** Whether an address is reserved, for many questions in a row. */
export function reservedBy(reserved: readonly Prefix[]): (address: Address) => boolean {
  const hosts = new Set(reserved.filter((prefix) => lengthOf(prefix) === bitsOfPrefix(prefix)).map(addressOf));
  const networks = reserved.filter((prefix) => lengthOf(prefix) !== bitsOfPrefix(prefix));
  return (address) => hosts.has(address) || networks.some((prefix) => containsAddress(prefix, address));
}
