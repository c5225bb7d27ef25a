// How a node comes to own a block, and how it loses one.
//
// Two objects say who owns a block, and they cannot be written at once: the block's own `affinity`, and a
// BlockAffinity per node and block. The order makes any interruption harmless:
//
//   claim    pending affinity → create the block → confirm the affinity
//   release  affinity pendingDeletion → delete the empty block → delete the affinity
//
// The creation of the block decides a race; the loser deletes its affinity. An affinity that is not confirmed promises
// nothing: nobody announces its block. Before its owner confirms it, the block is written anew, so that whoever was
// about to delete the block on an older reading loses.
import type { Prefix } from '#ip';
import type { BlockAffinity, IPAMBlock } from '../resources/types.ts';
import type { Store } from '../store/port.ts';
import { emptyBlock, hostOf, isEmpty, nextRevision } from './block.ts';
import {
  createLive,
  deleteUnchanged,
  getAffinity,
  getBlock,
  ifUnchanged,
  listLive,
  newAffinity,
  newBlock,
  withSpec,
} from './data.ts';
import { IpamError } from './error.ts';
import type { Journal } from './journal.ts';
import type { Known } from './known.ts';

/** A node at the store. */
export interface Site {
  readonly store: Store;
  /** What came by at `store`. */
  readonly known: Known;
  /** Where what the node keeps for times without a store is written down; absent: it keeps nothing. */
  readonly journal?: Journal | undefined;
  readonly node: string;
  /** ms since the epoch. */
  readonly now: () => number;
  /** Waits before trial number `attempt`, counted from 1. */
  readonly pause: (attempt: number) => Promise<void>;
}

/** Trials of one compare-and-swap before giving up, as in Calico. */
export const TRIALS = 100;

/** How long an empty block stays with its owner before others may take it. */
export const RECLAIM_AFTER_MS = 60_000;

/**
 * Claims a block that does not exist. Undefined when another node has it now.
 * @throws StoreError, IpamError 'contended'
 */
export async function claimBlock(site: Site, cidr: Prefix): Promise<IPAMBlock | undefined> {
  const affinity = await pendingAffinity(site, cidr);
  const block = await ifUnchanged(
    createLive(site.store, 'IPAMBlock', newBlock(emptyBlock(cidr, mine(site), site.now()))),
  );
  if (block !== undefined && (await confirm(site, affinity))) return block;
  return settle(site, cidr);
}

/**
 * Brings one block and this node's affinity to it in line, whatever was interrupted: the block is ours and confirmed,
 * or there is no affinity. Gives the block if it is ours.
 * @throws StoreError, IpamError 'contended'
 */
export async function settle(site: Site, cidr: Prefix): Promise<IPAMBlock | undefined> {
  for (let attempt = 1; attempt <= TRIALS; attempt++) {
    const outcome = await settleOnce(site, cidr);
    if (outcome !== 'again') return outcome;
    await site.pause(attempt);
  }
  throw new IpamError('contended', `block ${cidr} kept changing while ${site.node} settled its affinity; try again`);
}

/** The affinities of this node, in whatever state. */
export async function ownAffinities(site: Site): Promise<BlockAffinity[]> {
  const affinities = await listLive(site.store, 'BlockAffinity', { node: site.node });
  return affinities.filter(({ spec }) => spec.type === 'host');
}

/** Whether this node's affinities say what this process knows: each confirmed, and one for each block. @throws StoreError */
export async function isInStep(site: Site): Promise<boolean> {
  const affinities = await ownAffinities(site);
  if (affinities.some(({ spec }) => spec.state !== 'confirmed')) return false;
  const known = site.known.ownBlocks();
  // Before the first reading, and after a write that failed: whoever needs a block reads them all next.
  if (known === undefined) return true;
  const claimed = new Set(affinities.map(({ spec }) => spec.cidr));
  return claimed.size === known.length && known.every(({ spec }) => claimed.has(spec.cidr));
}

/** The blocks of this node; what was interrupted is brought to an end on the way. @throws StoreError, IpamError */
export async function settledBlocks(site: Site): Promise<IPAMBlock[]> {
  const affinities = await ownAffinities(site);
  const confirmed = new Set(affinities.filter(({ spec }) => spec.state === 'confirmed').map(({ spec }) => spec.cidr));
  // The list may be older than our own last claim.
  const cidrs = [...affinities, ...site.known.lastSeen()].map(({ spec }) => spec.cidr);
  const blocks = await Promise.all(
    [...new Set(cidrs)].map(async (cidr) => {
      const block = await getBlock(site.store, cidr);
      return confirmed.has(cidr) && isMine(site, block) ? block : settle(site, cidr);
    }),
  );
  const own = blocks.filter((block) => block !== undefined);
  site.known.allAre(own);
  return own;
}

/** Whether the block is empty and has rested long enough for another node to take it over. */
export function isReclaimable(site: Site, block: IPAMBlock): boolean {
  const { affinity, affinityClaimTime } = block.spec;
  const claimedAt = affinityClaimTime === undefined ? 0 : Date.parse(affinityClaimTime);
  const host = hostOf(block.spec);
  return (
    isEmpty(block.spec) &&
    (affinity === undefined || (host !== undefined && host !== site.node)) &&
    site.now() - claimedAt >= RECLAIM_AFTER_MS
  );
}

/** Takes over an empty block of another node. Undefined when it is in use after all. @throws StoreError, IpamError */
export async function reclaimBlock(site: Site, block: IPAMBlock): Promise<IPAMBlock | undefined> {
  return (await releaseEmptyBlock(site, block)) ? claimBlock(site, block.spec.cidr) : undefined;
}

/**
 * Takes an empty block from its owner, be it this node or another: the block and the affinity are gone afterwards.
 * False when the block has changed since it was read, and nothing was taken. @throws StoreError
 */
export async function releaseEmptyBlock(site: Site, block: IPAMBlock): Promise<boolean> {
  const { cidr } = block.spec;
  const host = hostOf(block.spec);
  const affinity = host === undefined ? undefined : await getAffinity(site.store, host, cidr);
  const marked = affinity && (await setState(site, affinity, 'pendingDeletion'));
  if (affinity !== undefined && marked === undefined) return false;
  const deleted = await deleteUnchanged(site.store, 'IPAMBlock', block);
  const present = deleted ? undefined : await getBlock(site.store, cidr);
  if (marked !== undefined && present?.spec.affinity === block.spec.affinity) {
    // The owner was quicker. It would confirm its affinity itself, but not announce the block until then.
    await setState(site, marked, 'confirmed');
  } else if (marked !== undefined) {
    await deleteUnchanged(site.store, 'BlockAffinity', marked);
  }
  return present === undefined;
}

/** A block that is ours but has no affinity gets one. @throws StoreError, IpamError */
export async function adoptBlock(site: Site, cidr: Prefix): Promise<IPAMBlock | undefined> {
  await pendingAffinity(site, cidr);
  return settle(site, cidr);
}

async function settleOnce(site: Site, cidr: Prefix): Promise<IPAMBlock | undefined | 'again'> {
  // The affinity first: a block that is read after it is at least as new.
  const affinity = await getAffinity(site.store, site.node, cidr);
  const block = await getBlock(site.store, cidr);
  if (!isMine(site, block)) {
    if (affinity === undefined || (await deleteUnchanged(site.store, 'BlockAffinity', affinity))) return undefined;
    return 'again';
  }
  if (affinity?.spec.state === 'confirmed') return block;
  const pending = affinity ?? (await pendingAffinity(site, cidr));
  const rewritten = await ifUnchanged(site.store.update('IPAMBlock', { ...block, spec: nextRevision(block.spec) }));
  if (rewritten === undefined) return 'again';
  return (await confirm(site, pending)) ? rewritten : 'again';
}

async function pendingAffinity(site: Site, cidr: Prefix): Promise<BlockAffinity> {
  for (let attempt = 1; attempt <= TRIALS; attempt++) {
    const created = await ifUnchanged(createLive(site.store, 'BlockAffinity', newAffinity(site.node, cidr, 'pending')));
    if (created !== undefined) return created;
    const present = await getAffinity(site.store, site.node, cidr);
    if (present?.spec.state === 'pending') return present;
    // Left over from a release that was cut short: claimed anew.
    const pending = present && (await setState(site, present, 'pending'));
    if (pending !== undefined) return pending;
    await site.pause(attempt);
  }
  throw new IpamError('contended', `the affinity of ${site.node} to ${cidr} keeps changing; try again`);
}

async function confirm(site: Site, affinity: BlockAffinity): Promise<boolean> {
  return (await setState(site, affinity, 'confirmed')) !== undefined;
}

async function setState(
  site: Site,
  affinity: BlockAffinity,
  state: BlockAffinity['spec']['state'],
): Promise<BlockAffinity | undefined> {
  return ifUnchanged(site.store.update('BlockAffinity', withSpec(affinity, { state })));
}

function isMine(site: Site, block: IPAMBlock | undefined): block is IPAMBlock {
  return block !== undefined && block.spec.affinity === mine(site);
}

function mine(site: Site): string {
  return `host:${site.node}`;
}
