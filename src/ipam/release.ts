// Giving addresses back: from the blocks first, then from the handles. Whatever is given back twice, or is no longer
// there, is no error. An empty block stays with its node, which will want it again; others may take it over later.
import type { Address, Prefix } from '#ip';
import type { IPAMBlock, IPAMBlockSpec } from '../resources/types.ts';
import { type Release, free, holdingsOf, hostOf, isEmpty, nextRevision, releasable, rest } from './block.ts';
import { type Site, TRIALS, ownAffinities } from './claim.ts';
import { deleteUnchanged, getBlock, getHandle, ifUnchanged } from './data.ts';
import { IpamError, asError } from './error.ts';
import { blocksOf, tidyHandle } from './handles.ts';
import { strike } from './journal.ts';
import { isIdle } from './kept.ts';

/** What became of each handle: an error, or nothing to say. */
export type Released = ReadonlyMap<string, Error | undefined>;

/**
 * Frees everything that these handles hold, with one write for each block. A handle that is not there is sought in
 * the node's own blocks. Never rejects: the errors are in the answer.
 *
 * @param mayGo whether one of the addresses may be freed; all of them by default
 */
export async function releaseHandles(
  site: Site,
  handles: readonly string[],
  mayGo: (handle: string, address: Address) => boolean = () => true,
): Promise<Released> {
  const outcome = new Map<string, Error | undefined>(handles.map((handle) => [handle, undefined]));
  const byBlock = await findBlocks(site, handles, outcome);
  const cooldown = await cooldownSeconds(site).catch((error: unknown) => asError(error));
  await Promise.all(
    [...byBlock].map(async ([cidr, holders]) => {
      try {
        if (cooldown instanceof Error) throw cooldown;
        await releaseFrom(site, cidr, cooldown, (block) =>
          holders.flatMap((handle) =>
            holdingsOf(block, handle)
              .filter(({ address }) => mayGo(handle, address))
              .map(({ ordinal }) => ({ ordinal, handle })),
          ),
        );
      } catch (error) {
        for (const handle of holders) outcome.set(handle, asError(error));
      }
    }),
  );
  const freed = handles.filter((handle) => outcome.get(handle) === undefined);
  await Promise.all(
    freed.map((handle) => tidyHandle(site, handle).catch((error: unknown) => outcome.set(handle, asError(error)))),
  );
  return outcome;
}

/**
 * Frees some ordinals of one block if their conditions (still) hold. Gives the addresses that were freed.
 * @throws StoreError, IpamError 'contended'
 */
export async function releaseFrom(
  site: Site,
  cidr: Prefix,
  cooldown: number,
  choose: (block: IPAMBlockSpec) => readonly Release[],
): Promise<readonly number[]> {
  for (let attempt = 1; attempt <= TRIALS; attempt++) {
    const known = attempt === 1 ? site.known.block(cidr) : undefined;
    const plan = planRelease(known, choose) ?? planRelease(await getBlock(site.store, cidr), choose);
    if (plan === undefined) return [];
    const { block, ordinals } = plan;
    const freed = cooldown > 0 ? rest(block.spec, ordinals, site.now()) : free(block.spec, ordinals);
    const spec = await withoutKept(site, freed);
    if (await writeOrDrop(site, block, nextRevision(spec))) return ordinals;
    await site.pause(attempt);
  }
  throw new IpamError('contended', `the block ${cidr} kept changing while addresses were given back; try again`);
}

/** With the last pod goes what is kept in its block: for Calico a block with nothing else is empty, and may be taken. */
async function withoutKept(site: Site, block: IPAMBlockSpec): Promise<IPAMBlockSpec> {
  if (site.journal === undefined || hostOf(block) !== site.node) return block;
  if (!isIdle(block) || isEmpty(block)) return block;
  // What is struck out is lost for this outage, if one has begun: better to hear of it before.
  await getBlock(site.store, block.cidr);
  return free(block, await strike(site.journal, block, site.node));
}

function planRelease(
  block: IPAMBlock | undefined,
  choose: (block: IPAMBlockSpec) => readonly Release[],
): { readonly block: IPAMBlock; readonly ordinals: readonly number[] } | undefined {
  const ordinals = block === undefined ? [] : releasable(block.spec, choose(block.spec));
  return block === undefined || ordinals.length === 0 ? undefined : { block, ordinals };
}

/** How long an address rests after its release. @throws StoreError */
export async function cooldownSeconds(site: Site): Promise<number> {
  return (await site.store.get('IPAMConfig', 'default'))?.spec.ipCooldownSeconds ?? 0;
}

/** An address with what must be true of it for its release. */
export interface AddressRelease {
  readonly address: Address;
  readonly handle?: string;
  readonly sequence?: bigint;
}

/** Which handles hold something in which block. */
async function findBlocks(
  site: Site,
  handles: readonly string[],
  outcome: Map<string, Error | undefined>,
): Promise<Map<Prefix, string[]>> {
  const byBlock = new Map<Prefix, string[]>();
  const own = once(async () => (await ownAffinities(site)).map(({ spec }) => spec.cidr));
  await Promise.all(
    handles.map(async (handle) => {
      try {
        const present = site.known.handle(handle) ?? (await getHandle(site.store, handle));
        const blocks = present === undefined ? await own() : blocksOf(present);
        for (const cidr of blocks) byBlock.set(cidr, [...(byBlock.get(cidr) ?? []), handle]);
      } catch (error) {
        outcome.set(handle, asError(error));
      }
    }),
  );
  return byBlock;
}

/** A block that nobody owns any more goes away with its last address, as in Calico. */
async function writeOrDrop(site: Site, block: IPAMBlock, spec: IPAMBlockSpec): Promise<boolean> {
  if (spec.affinity === undefined && isEmpty(spec)) return deleteUnchanged(site.store, 'IPAMBlock', block);
  return (await ifUnchanged(site.store.update('IPAMBlock', { ...block, spec }))) !== undefined;
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
