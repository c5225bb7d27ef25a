// Putting right what interruptions leave behind: addresses of this node that no pod has any more, affinities that were
// never confirmed, blocks that this node has no more use for.
import { isDeepStrictEqual } from 'node:util';
import { type Address, type Prefix, addressAt, containsPrefix, familyOfPrefix } from '#ip';
import type { IPAMBlock } from '../resources/types.ts';
import { allocated, hostOf, isEmpty } from './block.ts';
import { selectingPools } from './choose.ts';
import { type Site, adoptBlock, ownAffinities, releaseEmptyBlock, settledBlocks } from './claim.ts';
import { deleteUnchanged, getBlock, listLive } from './data.ts';
import { tidyHandle } from './handles.ts';
import { isKept } from './kept.ts';
import { cooldownSeconds, releaseFrom } from './release.ts';
import type { Settings } from './settings.ts';

/**
 * What is alive: handles, or addresses (of pods that another plugin wired, say). A function is asked after the blocks
 * have been read, so that an ADD in progress, whose record is written before its address is given out, is among them.
 */
export type Live = ReadonlySet<string> | (() => Promise<ReadonlySet<string>>);

/** An address that was given back because nobody uses it. */
export interface Collected {
  readonly address: Address;
  readonly handle: string;
}

interface Leak extends Collected {
  readonly block: Prefix;
  readonly ordinal: number;
  readonly sequence?: bigint;
}

/** Where to look for a node's leaks: in all blocks, in its own, or in its own and those of others that it borrowed from. */
export type Places = 'all' | 'own' | readonly Prefix[];

/** Frees the addresses of this node whose owner is not alive. Tunnel addresses are the node's own, and stay. */
export async function collect(site: Site, live: Live, places: Places): Promise<readonly Collected[]> {
  const blocks = await blocksToLookAt(site, places);
  const alive = typeof live === 'function' ? await live() : live;
  const leaks = blocks.flatMap((block) => leaksIn(site.node, block, alive));
  const cooldown = leaks.length === 0 ? 0 : await cooldownSeconds(site);
  const freed: Collected[] = [];
  for (const [cidr, inBlock] of Map.groupBy(leaks, ({ block }) => block)) {
    const ordinals = new Set(await releaseFrom(site, cidr, cooldown, () => inBlock));
    const gone = inBlock.filter(({ ordinal }) => ordinals.has(ordinal));
    freed.push(...gone.map(({ address, handle }) => ({ address, handle })));
  }
  for (const handle of new Set(leaks.map(({ handle }) => handle))) await tidyHandle(site, handle);
  if (places !== 'own') await noteElsewhere(site, blocks, new Set(freed.map(({ address }) => address)));
  return freed;
}

/** A list of all blocks is for once in a node's life; after that the journal knows where the node has borrowed. */
async function blocksToLookAt(site: Site, places: Places): Promise<IPAMBlock[]> {
  if (places === 'all') return listLive(site.store, 'IPAMBlock');
  const elsewhere = places === 'own' ? [] : places;
  const foreign = await Promise.all(elsewhere.map((cidr) => getBlock(site.store, cidr)));
  return [...(await settledBlocks(site)), ...foreign.filter((block) => block !== undefined)];
}

async function noteElsewhere(site: Site, blocks: readonly IPAMBlock[], freed: ReadonlySet<Address>): Promise<void> {
  const holding = blocks.filter(({ spec }) => {
    const used = [...allocated(spec)].filter(({ attribute }) => attribute?.secondary?.['node'] === site.node);
    return hostOf(spec) !== site.node && used.some(({ ordinal }) => !freed.has(addressAt(spec.cidr, ordinal)));
  });
  const elsewhere = holding.map(({ spec }) => spec.cidr);
  await site.journal?.change((state) =>
    isDeepStrictEqual(state.elsewhere, elsewhere) ? state : { ...state, elsewhere },
  );
}

/**
 * Ends what was interrupted, and gives up this node's empty blocks that no pool wants it to have any more (a pool that
 * was deleted, disabled, or no longer selects the node).
 */
export async function reconcile(site: Site, settings: Settings): Promise<void> {
  const settled = await settledBlocks(site);
  const wanted = selectingPools(settings.pools, settings.nodes.get(site.node) ?? {});
  for (const block of settled) {
    const isWanted = wanted.some(({ spec }) => containsPrefix(spec.cidr, block.spec.cidr));
    if (!isWanted && isEmpty(block.spec)) await releaseEmptyBlock(site, block);
  }
}

/** Blocks of this node that lost their affinity, and affinities that lost their block: where no collector does it. */
export async function reconcileAll(site: Site): Promise<void> {
  const known = new Set((await ownAffinities(site)).map(({ spec }) => spec.cidr));
  for (const { spec } of await listLive(site.store, 'IPAMBlock')) {
    if (hostOf(spec) === site.node && !known.has(spec.cidr)) await adoptBlock(site, spec.cidr);
  }
  await sweepAffinities(site);
}

/** How long a block that the node could do without has to be empty. */
export const SURPLUS_AFTER_MS = 10 * 60_000;

/**
 * Gives back blocks that have been empty for long, as Calico's kube-controllers do: as long as another one of the same
 * family has room, so that the next pod need not wait for a claim.
 */
export class Surplus {
  /** By block: since when it has been seen empty without a break, in monotonic ms. */
  #emptySince = new Map<Prefix, number>();

  async giveBack(site: Site, uptime: number): Promise<readonly Prefix[]> {
    const own = site.known.ownBlocks() ?? (await settledBlocks(site));
    const empty = own.filter(({ spec }) => isEmpty(spec));
    this.#emptySince = new Map(empty.map(({ spec }) => [spec.cidr, this.#emptySince.get(spec.cidr) ?? uptime]));
    const gone: Prefix[] = [];
    for (const block of empty) {
      const { cidr } = block.spec;
      if (uptime - this.#emptySince.get(cidr)! < SURPLUS_AFTER_MS) continue;
      const others = own.filter(({ spec }) => spec.cidr !== cidr && !gone.includes(spec.cidr));
      const hasRoom = others.some(
        ({ spec }) => familyOfPrefix(spec.cidr) === familyOfPrefix(cidr) && spec.unallocated.length > 0,
      );
      if (hasRoom && (await releaseEmptyBlock(site, block))) gone.push(cidr);
    }
    return gone;
  }
}

/** Affinities, of whatever node, whose release was cut short after the block had gone. Their node may never return. */
export async function sweepAffinities(site: Site): Promise<void> {
  for (const affinity of await listLive(site.store, 'BlockAffinity')) {
    const { cidr, node, state } = affinity.spec;
    if (state !== 'pendingDeletion') continue;
    const block = await getBlock(site.store, cidr);
    // Unchanged since it was read: nobody has begun to claim the block anew.
    if (block === undefined || hostOf(block.spec) !== node)
      await deleteUnchanged(site.store, 'BlockAffinity', affinity);
  }
}

function leaksIn(node: string, { spec }: IPAMBlock, alive: ReadonlySet<string>): Leak[] {
  return [...allocated(spec)].flatMap(({ ordinal, attribute }) => {
    const { handle_id: handle, secondary, releasedAt } = attribute ?? {};
    const address = addressAt(spec.cidr, ordinal);
    const isPodHere = secondary?.['node'] === node && secondary['type'] === undefined;
    if (!isPodHere || handle === undefined || releasedAt !== undefined || isKept(attribute)) return [];
    if (alive.has(handle) || alive.has(address)) return [];
    const sequence = spec.sequenceNumberForAllocation[ordinal];
    return [{ block: spec.cidr, ordinal, address, handle, ...(sequence !== undefined && { sequence }) }];
  });
}
