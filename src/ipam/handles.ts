// Handles: which blocks an owner has addresses in, and how many. An index, so that a release finds its blocks; the
// blocks are the truth. A handle is written before the block, so that whatever is given out can be found again; a count
// too many, left by an interruption, does no harm and is put right by the next write.
import type { Prefix } from '#ip';
import type { IPAMBlock, IPAMHandle } from '../resources/types.ts';
import { holdingsOf } from './block.ts';
import { type Site, TRIALS } from './claim.ts';
import { createLive, deleteUnchanged, getBlock, getHandle, ifUnchanged, newHandle, withSpec } from './data.ts';
import { IpamError } from './error.ts';

/** Block CIDR → number of addresses. */
export type Counts = Readonly<Record<string, number>>;

/** The blocks that a handle speaks of. */
export function blocksOf(handle: IPAMHandle | undefined): Prefix[] {
  return Object.keys(handle?.spec.block ?? {}) as Prefix[];
}

/** What the handle truly holds, by block. */
export function countHoldings(blocks: readonly IPAMBlock[], handle: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { spec } of blocks) {
    const held = holdingsOf(spec, handle).length;
    if (held > 0) counts[spec.cidr] = held;
  }
  return counts;
}

/** Makes the handle say this; with nothing to say it is deleted. False when it has changed since it was read. */
export async function writeHandle(
  site: Site,
  handle: string,
  present: IPAMHandle | undefined,
  counts: Counts,
): Promise<boolean> {
  if (Object.keys(counts).length === 0) {
    return present === undefined || deleteUnchanged(site.store, 'IPAMHandle', present);
  }
  const write =
    present === undefined
      ? createLive(site.store, 'IPAMHandle', newHandle(handle, counts))
      : site.store.update('IPAMHandle', withSpec(present, { block: counts }));
  return (await ifUnchanged(write)) !== undefined;
}

/** Makes the handle say that it has so many addresses in a block; the rest of it stays. False as with writeHandle. */
export async function addToHandle(site: Site, handle: string, block: Prefix, count: number): Promise<boolean> {
  const present = site.known.handle(handle) ?? (await getHandle(site.store, handle));
  return writeHandle(site, handle, present, { ...present?.spec.block, [block]: count });
}

/**
 * Makes the handle say what the blocks that it names say. What is known of them is enough for the first trial: only this
 * node gives something out under its handles, and it writes the handle first.
 * @throws StoreError, IpamError 'contended'
 */
export async function tidyHandle(site: Site, handle: string): Promise<void> {
  for (let attempt = 1; attempt <= TRIALS; attempt++) {
    const known = attempt === 1 ? site.known : undefined;
    const present = known?.handle(handle) ?? (await getHandle(site.store, handle));
    const blocks = await Promise.all(
      blocksOf(present).map(async (cidr) => known?.block(cidr) ?? getBlock(site.store, cidr)),
    );
    const counts = countHoldings(
      blocks.filter((block) => block !== undefined),
      handle,
    );
    if (await writeHandle(site, handle, present, counts)) return;
    await site.pause(attempt);
  }
  throw new IpamError('contended', `the handle ${handle} kept changing while it was put right; try again`);
}
