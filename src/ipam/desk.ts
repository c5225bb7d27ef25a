// Where one batch is planned: which address goes to whom, block by block, before anything of it is written.
//
// The order in which a place is sought is Calico's: the node's own blocks, a block that nobody has, an empty block of
// another node, and last of all a single address from somebody else's block.
import { type Address, type Family, type Prefix, containsPrefix, familyOf, familyOfPrefix, prefixFrom } from '#ip';
import type { IPAMBlock, IPAMBlockSpec, IPPool } from '../resources/types.ts';
import { type Owner, allocate, freeOrdinals, hostOf, nextRevision, ordinalOf, wake } from './block.ts';
import { choosePools, nextFreeBlock, poolOf, reservedBy, rotate, seedOf } from './choose.ts';
import { type Site, claimBlock, isReclaimable, reclaimBlock } from './claim.ts';
import { getBlock, glanceAtBlocks, listLive } from './data.ts';
import { IpamError } from './error.ts';
import { exhausted } from './exhausted.ts';
import { type Settings, blockLimit, namespaceLabels } from './settings.ts';

/** A place for one address. */
export interface Pick {
  readonly draft: Draft;
  readonly ordinal: number;
}

/** A block and what shall be given out of it. */
export interface Draft {
  readonly block: IPAMBlock;
  /** The block as it will be written, but for the picks: what has rested long enough is free again. */
  readonly spec: IPAMBlockSpec;
  readonly picks: Map<number, Owner>;
}

/** Where the address may come from. */
export interface Wish {
  readonly pools?: readonly string[];
  readonly namespace?: string | undefined;
  readonly namespaceLabels?: Readonly<Record<string, string>> | undefined;
}

/** Where to look: with "own blocks" nothing is read, and what is not there is an error that says nothing. */
export type Reach = 'own blocks' | 'everywhere';

/** Who so often in a row wants a block that is taken has looked at something too old. */
const GLANCE_TRIES = 8;

export class Desk {
  readonly #site: Site;
  readonly #settings: Settings;
  readonly #reserved: (address: Address) => boolean;
  readonly #reach: Reach;
  readonly #drafts = new Map<Prefix, Draft>();
  /** Every block there is; read when no block is to be had otherwise. */
  #all: readonly IPAMBlock[] | undefined;

  /** @param own the node's own blocks */
  constructor(site: Site, settings: Settings, own: readonly IPAMBlock[], reach: Reach) {
    this.#site = site;
    this.#reach = reach;
    this.#settings = settings;
    this.#reserved = reservedBy(settings.reserved);
    for (const block of own) this.#draft(block);
  }

  /** The blocks from which something shall be given out. */
  drafts(): Draft[] {
    return [...this.#drafts.values()].filter(({ picks }) => picks.size > 0);
  }

  /** Finds a place for one more address of a family. @throws IpamError, StoreError */
  async pick(family: Family, wish: Wish, owner: Owner): Promise<Pick> {
    const { pools, refused } = choosePools(this.#settings.pools, {
      family,
      node: this.#site.node,
      nodeLabels: this.#settings.nodes.get(this.#site.node) ?? {},
      namespaceLabels: { ...wish.namespaceLabels, ...namespaceLabels(wish.namespace) },
      ...(wish.pools !== undefined && { requested: wish.pools }),
    });
    if (pools.length === 0) throw noPool(family, this.#site.node, refused);
    return this.#pickOpen(pools, owner) ?? this.#pickNew(family, pools, owner);
  }

  /** Finds the place of exactly this address. @throws IpamError, StoreError */
  async pickAddress(address: Address, owner: Owner): Promise<Pick> {
    const pool = poolOf(this.#settings.pools, address);
    if (pool === undefined) throw new IpamError('pool', `${address} is in no enabled pool for pods`);
    const cidr = prefixFrom(address, pool.spec.blockSize);
    const draft = this.#drafts.get(cidr) ?? this.#draft(await this.#blockFor(address, cidr));
    this.#mayBorrow(draft.spec, address);
    const ordinal = ordinalOf(draft.spec, address)!;
    if (draft.spec.allocations[ordinal] !== null || draft.picks.has(ordinal)) throw taken(address, draft, ordinal);
    draft.picks.set(ordinal, owner);
    return { draft, ordinal };
  }

  /** The block as it shall be written. */
  result(draft: Draft): IPAMBlock {
    const picks = [...draft.picks].map(([ordinal, owner]) => ({ ordinal, owner }));
    return { ...draft.block, spec: nextRevision(allocate(draft.spec, picks)) };
  }

  #pickOpen(pools: readonly IPPool[], owner: Owner): Pick | undefined {
    for (const draft of this.#drafts.values()) {
      if (!pools.some(({ spec }) => containsPrefix(spec.cidr, draft.spec.cidr))) continue;
      const picked = this.#pickFrom(draft, owner);
      if (picked !== undefined) return picked;
    }
    return undefined;
  }

  #pickFrom(draft: Draft, owner: Owner): Pick | undefined {
    for (const ordinal of freeOrdinals(draft.spec, this.#reserved)) {
      if (draft.picks.has(ordinal)) continue;
      draft.picks.set(ordinal, owner);
      return { draft, ordinal };
    }
    return undefined;
  }

  async #pickNew(family: Family, pools: readonly IPPool[], owner: Owner): Promise<Pick> {
    this.#assertReach();
    const { config } = this.#settings;
    while (config.autoAllocateBlocks && this.#ownCount(family) < blockLimit(config)) {
      const block = (await this.#claim(pools)) ?? (await this.#reclaim(pools));
      if (block === undefined) break;
      const picked = this.#pickFrom(this.#draft(block), owner);
      if (picked !== undefined) return picked;
    }
    // Calico's order: at the limit a node gets an error rather than a borrowed address.
    if (this.#ownCount(family) >= blockLimit(config)) throw atLimit(this.#site.node, family, this.#ownCount(family));
    const borrowed = config.strictAffinity ? undefined : await this.#borrow(pools, owner);
    if (borrowed !== undefined) return borrowed;
    throw exhausted(pools, await this.#blocks(), this.#settings);
  }

  /** By glances at the blocks, which may be old; by the store's word where they lead nowhere. */
  async #claim(pools: readonly IPPool[]): Promise<IPAMBlock | undefined> {
    const { store } = this.#site;
    const glimpsed = await this.#claimBeside(() => glanceAtBlocks(store), pools, GLANCE_TRIES);
    if (glimpsed !== undefined) return glimpsed;
    const all = async (): Promise<Prefix[]> => (await this.#blocks()).map(({ spec }) => spec.cidr);
    return this.#claimBeside(all, pools, Number.POSITIVE_INFINITY);
  }

  /** @param look which blocks there are, asked before each try: a try that fails costs more than a look. */
  async #claimBeside(
    look: () => Promise<readonly Prefix[] | undefined>,
    pools: readonly IPPool[],
    tries: number,
  ): Promise<IPAMBlock | undefined> {
    const taken = [...this.#drafts.keys()];
    for (let left = tries; left > 0; left--) {
      const present = await look();
      const cidr = present && this.#freePlace(pools, [...present, ...taken]);
      if (cidr === undefined) return undefined;
      const block = await claimBlock(this.#site, cidr);
      if (block !== undefined) return block;
      taken.push(cidr);
    }
    return undefined;
  }

  #freePlace(pools: readonly IPPool[], existing: readonly Prefix[]): Prefix | undefined {
    for (const pool of pools) {
      const seed = seedOf(this.#site.node, pool, this.#site.now());
      const cidr = nextFreeBlock(pool, existing, this.#settings.reserved, seed);
      if (cidr !== undefined) return cidr;
    }
    return undefined;
  }

  async #reclaim(pools: readonly IPPool[]): Promise<IPAMBlock | undefined> {
    for (const block of await this.#foreign(pools)) {
      const usable = isReclaimable(this.#site, block) && !freeOrdinals(block.spec, this.#reserved).next().done;
      const mine = usable ? await reclaimBlock(this.#site, block) : undefined;
      if (mine !== undefined) return mine;
    }
    return undefined;
  }

  async #borrow(pools: readonly IPPool[], owner: Owner): Promise<Pick | undefined> {
    for (const { spec } of await this.#foreign(pools)) {
      // Read again: what was listed may be old by now, and a borrowed address is worth a look.
      const block = await getBlock(this.#site.store, spec.cidr);
      const picked = block && this.#pickFrom(this.#draft(block), owner);
      if (picked !== undefined) return picked;
    }
    return undefined;
  }

  async #blockFor(address: Address, cidr: Prefix): Promise<IPAMBlock> {
    this.#assertReach();
    const present = await getBlock(this.#site.store, cidr);
    if (present !== undefined) return present;
    if (!this.#settings.config.autoAllocateBlocks) {
      throw new IpamError('limit', `the block ${cidr} of ${address} belongs to nobody, and autoAllocateBlocks is off`);
    }
    const block = (await claimBlock(this.#site, cidr)) ?? (await getBlock(this.#site.store, cidr));
    if (block === undefined)
      throw new IpamError('contended', `the block ${cidr} of ${address} keeps changing; try again`);
    return block;
  }

  #mayBorrow(block: IPAMBlockSpec, address: Address): void {
    const host = hostOf(block);
    if (host === this.#site.node || !this.#settings.config.strictAffinity) return;
    const owner = host ?? block.affinity ?? 'nobody';
    throw new IpamError('limit', `${address} is in a block of ${owner}, and strictAffinity forbids borrowing`);
  }

  #assertReach(): void {
    if (this.#reach === 'own blocks') throw new IpamError('contended', 'not in the blocks that are at hand');
  }

  async #blocks(): Promise<readonly IPAMBlock[]> {
    return (this.#all ??= await listLive(this.#site.store, 'IPAMBlock'));
  }

  async #foreign(pools: readonly IPPool[]): Promise<IPAMBlock[]> {
    const blocks = (await this.#blocks()).filter(
      ({ spec }) =>
        hostOf(spec) !== this.#site.node &&
        !this.#drafts.has(spec.cidr) &&
        !spec.affinity?.startsWith('virtual:') &&
        pools.some((pool) => containsPrefix(pool.spec.cidr, spec.cidr)),
    );
    return rotate(blocks, seedOf(this.#site.node, pools[0]!, this.#site.now()));
  }

  #ownCount(family: Family): number {
    const own = [...this.#drafts.values()].filter(({ spec }) => hostOf(spec) === this.#site.node);
    return own.filter(({ spec }) => familyOfPrefix(spec.cidr) === family).length;
  }

  #draft(block: IPAMBlock): Draft {
    const spec = wake(block.spec, this.#settings.config.ipCooldownSeconds ?? 0, this.#site.now());
    const draft = { block, spec, picks: new Map<number, Owner>() };
    this.#drafts.set(block.spec.cidr, draft);
    return draft;
  }
}

/** Takes a pick back. */
export function unpick({ draft, ordinal }: Pick): void {
  draft.picks.delete(ordinal);
}

function noPool(family: Family, node: string, refused: readonly string[]): IpamError {
  const why = refused.length === 0 ? `there is no IPv${family} pool` : refused.join('; ');
  return new IpamError('pool', `no pool gives ${node} an IPv${family} address: ${why}`);
}

function atLimit(node: string, family: Family, blocks: number): IpamError {
  return new IpamError(
    'limit',
    `no free address: ${node} has ${blocks} IPv${family} blocks, all full, and may have no more (IPAMConfig maxBlocksPerHost)`,
  );
}

function taken(address: Address, draft: Draft, ordinal: number): IpamError {
  const index = draft.spec.allocations[ordinal];
  const attribute = index === null || index === undefined ? undefined : draft.spec.attributes[index];
  if (attribute?.releasedAt !== undefined) {
    return new IpamError('taken', `${address} was released at ${attribute.releasedAt} and rests (ipCooldownSeconds)`);
  }
  const { namespace, pod } = attribute?.secondary ?? {};
  const who = pod === undefined ? `handle ${attribute?.handle_id ?? 'of another request'}` : `pod ${namespace}/${pod}`;
  return new IpamError('taken', `${address} is taken by ${who} (IPv${familyOf(address)} block ${draft.spec.cidr})`);
}
