// Pods that come and go while the store is away, out of the journal; and bringing the store up to it afterwards.
//
// A pod that comes gets an address that this node keeps (kept.ts): nobody else can have it, however long nobody
// answers. A pod that goes is written down. Everything here runs in the node's lane, one after the other.
import { type Address, type Family, containsPrefix, familyOf, familyOfPrefix } from '#ip';
import type { AddressRequest } from '../../cni/port.ts';
import type { IPAMBlock, IPAMBlockSpec } from '../resources/types.ts';
import { type Owner, allocate, free, freeOrdinals, handOver, holdingsOf, nextRevision } from './block.ts';
import { choosePools, poolOf, reservedBy, selectingPools } from './choose.ts';
import { type Site, TRIALS, claimBlock } from './claim.ts';
import { getBlock, ifUnchanged } from './data.ts';
import { IpamError } from './error.ts';
import { addToHandle } from './handles.ts';
import { type Journal, type JournalState, type KeptAddress, isSettled, strike } from './journal.ts';
import { type Place, isIdle, isStillKept, keepTarget, keeper, keptIn } from './kept.ts';
import { releaseHandles } from './release.ts';
import { type Settings, namespaceLabels } from './settings.ts';
import { timestamp } from './time.ts';

/** An address that a pod uses and the store has given to somebody else meanwhile: its node was taken for gone. */
export interface Conflict {
  readonly address: Address;
  readonly handle: string;
}

/**
 * Addresses for a pod while the store is away, all or none, and the same ones when it asks again.
 * @throws IpamError 'unavailable' when none is kept that would do; whatever the journal throws
 */
export async function assignAway(
  site: Site,
  journal: Journal,
  settings: Settings,
  request: AddressRequest,
): Promise<readonly Address[]> {
  const state = await journal.state();
  const held = [...usedBy(state, request.handle), ...lastSeenOf(site, state, request.handle)];
  const places: KeptAddress[] = [];
  const isFree = (kept: KeptAddress): boolean => kept.user === undefined && !places.includes(kept);
  for (const address of missingAddresses(request, held)) {
    const place =
      poolOf(settings.pools, address) && state.kept.find((kept) => isFree(kept) && kept.address === address);
    if (place === undefined) throw nothingKept(`${address} for ${request.handle} is not among them`);
    places.push(place);
  }
  for (const family of missingFamilies(request, held)) {
    const mayUse = usable(site, settings, request, family);
    const place = state.kept.find((kept) => isFree(kept) && mayUse(kept));
    if (place === undefined) throw nothingKept(`no IPv${family} address that ${request.handle} may have is left`);
    places.push(place);
  }
  const secondary = { ...request.attributes, node: site.node, timestamp: timestamp(site.now()) };
  const user = { handle: request.handle, secondary };
  const isTaken = new Set(places);
  if (places.length > 0) {
    await journal.change((now) => ({
      ...now,
      kept: now.kept.map((kept) => (isTaken.has(kept) ? { ...kept, user } : kept)),
    }));
  }
  const all = [...held, ...places.map(({ address }) => address)];
  return request.addresses ?? request.families.map((family) => all.find((address) => familyOf(address) === family)!);
}

/** Writes down that a handle was given back. What it had out of the journal may be given out again at once. */
export async function releaseAway(journal: Journal, handle: string): Promise<void> {
  await journal.change((state) => {
    const its = state.kept.filter(({ user }) => user?.handle === handle);
    // What was being handed over may be in the store under this handle already, and is freed there with the rest.
    const back = its.filter(({ handing }) => handing !== true).map(placeOf);
    return {
      ...state,
      kept: [...state.kept.filter((kept) => !its.includes(kept)), ...back],
      released: [...new Set([...state.released, handle])],
    };
  });
}

/**
 * Brings the store up to what the journal says; nothing to do is the rule. May be repeated from any point.
 * @returns addresses of pods that somebody else has now
 * @throws StoreError, IpamError: then the journal still says it
 */
export async function settleJournal(site: Site, journal: Journal): Promise<readonly Conflict[]> {
  if (isSettled(await journal.state())) return [];
  await journal.change((state) => ({
    ...state,
    kept: state.kept.map((kept) => (kept.user === undefined ? kept : { ...kept, handing: true as const })),
  }));
  const { kept, released } = await journal.state();
  const used = kept.filter((place): place is UsedAddress => place.user !== undefined);
  const conflicts: Conflict[] = [];
  // Handed over before anything is freed: a block in which nothing but kept addresses is left may be taken for empty.
  for (const place of used) {
    if (!(await handOverInStore(site, place))) {
      conflicts.push({ address: place.address, handle: place.user.handle });
    }
  }
  await freeTheRest(site, used, released);
  const isDone = new Set<KeptAddress>(used);
  await journal.change((state) => ({
    ...state,
    kept: state.kept.filter((place) => !isDone.has(place)),
    released: state.released.filter((handle) => !released.includes(handle)),
  }));
  return conflicts;
}

type UsedAddress = KeptAddress & { readonly user: Owner };

/**
 * Keeps as many addresses as wanted, out of blocks that are in use and have room. A block in the journal is read; what
 * is no longer kept there is struck out.
 */
export async function replenish(site: Site, journal: Journal, settings: Settings, wanted: number): Promise<void> {
  const blocks = site.known.ownBlocks() ?? [];
  await strikeLost(site, journal, blocks);
  const reserved = reservedBy(settings.reserved);
  for (const { family, count } of lacking(blocks, await journal.state(), wanted)) {
    const usableBlocks = blocks.filter(
      ({ spec }) => familyOfPrefix(spec.cidr) === family && isGiving(spec, site, settings),
    );
    for (const block of usableBlocks) {
      const ordinals = [...freeOrdinals(block.spec, reserved)];
      // Never the last ones: the next pod shall not have to claim a block because of this.
      const picks = ordinals.slice(0, Math.min(count, Math.floor(ordinals.length / 2)));
      if (picks.length === 0) continue;
      const owner = keeper(site.node);
      const spec = nextRevision(
        allocate(
          block.spec,
          picks.map((ordinal) => ({ ordinal, owner })),
        ),
      );
      const written = await ifUnchanged(site.store.update('IPAMBlock', { ...block, spec }));
      if (written !== undefined) await enter(site, journal, written.spec);
      break;
    }
  }
}

/** Whether {@link replenish} would do something, from memory alone. */
export function wantsMore(site: Site, state: JournalState, wanted: number): boolean {
  return lacking(site.known.ownBlocks() ?? [], state, wanted).length > 0;
}

/**
 * Enters what the store says is kept here and the journal does not know, unless a pod has it: a crash came between the
 * two, or the journal was lost.
 */
export async function adoptKept(site: Site, journal: Journal, alive: ReadonlySet<string>): Promise<void> {
  for (const { spec } of site.known.ownBlocks() ?? []) await enter(site, journal, spec, alive);
}

/** Gives back what is kept and not in use: in one block, or everywhere. Struck out first, freed then. */
export async function giveUpKept(site: Site, journal: Journal, blocks: readonly IPAMBlock[]): Promise<boolean> {
  let any = false;
  for (const { spec } of blocks) {
    const ordinals = await strike(journal, spec, site.node);
    for (let attempt = 1; ordinals.length > 0 && attempt <= TRIALS; attempt++) {
      const block = await getBlock(site.store, spec.cidr);
      const still =
        block === undefined ? [] : keptIn(block.spec, site.node).filter(({ ordinal }) => ordinals.includes(ordinal));
      if (block === undefined || still.length === 0) break;
      const freed = nextRevision(
        free(
          block.spec,
          still.map(({ ordinal }) => ordinal),
        ),
      );
      any = (await ifUnchanged(site.store.update('IPAMBlock', { ...block, spec: freed }))) !== undefined;
      if (any) break;
    }
  }
  return any;
}

/** Enters what is kept in the block, as the store has just confirmed it. */
async function enter(
  site: Site,
  journal: Journal,
  block: IPAMBlockSpec,
  alive: ReadonlySet<string> = new Set(),
): Promise<void> {
  await journal.change((state) => {
    const known = new Set(state.kept.map(({ cidr, ordinal }) => `${cidr} ${ordinal}`));
    const fresh = keptIn(block, site.node).filter(
      ({ cidr, ordinal, address }) => !known.has(`${cidr} ${ordinal}`) && !alive.has(address),
    );
    return fresh.length === 0 ? state : { ...state, kept: [...state.kept, ...fresh] };
  });
}

async function strikeLost(site: Site, journal: Journal, blocks: readonly IPAMBlock[]): Promise<void> {
  const byCidr = new Map(blocks.map(({ spec }) => [spec.cidr, spec]));
  await journal.change((state) => {
    const kept = state.kept.filter((place) => {
      const block = byCidr.get(place.cidr);
      return place.user !== undefined || (block !== undefined && isStillKept(block, place, site.node));
    });
    return kept.length === state.kept.length ? state : { ...state, kept };
  });
}

function lacking(
  blocks: readonly IPAMBlock[],
  state: JournalState,
  wanted: number,
): { readonly family: Family; readonly count: number }[] {
  const inUse = blocks.map(({ spec }) => spec).filter((spec) => !isIdle(spec));
  return ([4, 6] as const).flatMap((family) => {
    const target = keepTarget(inUse, family, wanted);
    const have = state.kept.filter(({ user, cidr }) => user === undefined && familyOfPrefix(cidr) === family).length;
    // Not one at a time: each costs a write of the block.
    return have * 2 >= target ? [] : [{ family, count: target - have }];
  });
}

/** Puts the user in the keeper's place. False when somebody else has the address. @throws StoreError, IpamError */
async function handOverInStore(site: Site, { cidr, ordinal, user }: UsedAddress): Promise<boolean> {
  for (let attempt = 1; attempt <= TRIALS; attempt++) {
    if (attempt > 1) await site.pause(attempt);
    const block = (await getBlock(site.store, cidr)) ?? (await claimBlock(site, cidr));
    if (block === undefined) continue;
    const held = holdingsOf(block.spec, user.handle);
    if (held.some((holding) => holding.ordinal === ordinal)) return true;
    const isKeptHere = keptIn(block.spec, site.node).some((place) => place.ordinal === ordinal);
    // Freed meanwhile, and nobody's yet: taken back.
    const isFree = block.spec.allocations[ordinal] === null;
    if (!isKeptHere && !isFree) return false;
    const spec = isKeptHere ? handOver(block.spec, ordinal, user) : allocate(block.spec, [{ ordinal, owner: user }]);
    if (!(await addToHandle(site, user.handle, cidr, held.length + 1))) continue;
    if ((await ifUnchanged(site.store.update('IPAMBlock', { ...block, spec: nextRevision(spec) }))) !== undefined) {
      return true;
    }
  }
  throw new IpamError('contended', `the block ${cidr} kept changing while ${user.handle} was entered; try again`);
}

/**
 * Frees what the released handles hold, and what a user got in an attempt that was cut off before it was served from
 * the journal; never an address that was handed over.
 */
async function freeTheRest(site: Site, used: readonly UsedAddress[], released: readonly string[]): Promise<void> {
  const inUse = new Set(used.map(({ user, address }) => `${user.handle} ${address}`));
  const families = new Set(used.map(({ user, address }) => `${user.handle} ${familyOf(address)}`));
  const mayGo = (handle: string, address: Address): boolean =>
    !inUse.has(`${handle} ${address}`) && (released.includes(handle) || families.has(`${handle} ${familyOf(address)}`));
  const handles = new Set([...released, ...used.map(({ user }) => user.handle)]);
  if (handles.size === 0) return;
  for (const error of (await releaseHandles(site, [...handles], mayGo)).values()) if (error !== undefined) throw error;
}

function usable(
  site: Site,
  settings: Settings,
  { pools: requested, attributes, namespaceLabels: labels }: AddressRequest,
  family: Family,
): (place: Place) => boolean {
  const { pools, refused } = choosePools(settings.pools, {
    family,
    node: site.node,
    nodeLabels: settings.nodes.get(site.node) ?? {},
    namespaceLabels: { ...labels, ...namespaceLabels(attributes['namespace']) },
    ...(requested !== undefined && { requested }),
  });
  if (pools.length === 0) throw new IpamError('pool', `no pool gives an IPv${family} address: ${refused.join('; ')}`);
  const isReserved = reservedBy(settings.reserved);
  return ({ cidr, address }) => pools.some(({ spec }) => containsPrefix(spec.cidr, cidr)) && !isReserved(address);
}

function isGiving(block: IPAMBlockSpec, site: Site, { pools, nodes }: Settings): boolean {
  const selecting = selectingPools(pools, nodes.get(site.node) ?? {});
  return !isIdle(block) && selecting.some(({ spec }) => containsPrefix(spec.cidr, block.cidr));
}

function placeOf({ cidr, ordinal, address, sequence }: KeptAddress): Place {
  return { cidr, ordinal, address, sequence };
}

function usedBy({ kept }: JournalState, handle: string): Address[] {
  return kept.filter(({ user }) => user?.handle === handle).map(({ address }) => address);
}

/** What the handle held when the store last answered, unless it was given back since. */
function lastSeenOf(site: Site, { released }: JournalState, handle: string): Address[] {
  if (released.includes(handle)) return [];
  return site.known.lastSeen().flatMap(({ spec }) => holdingsOf(spec, handle).map(({ address }) => address));
}

function missingAddresses({ addresses }: AddressRequest, held: readonly Address[]): Address[] {
  return [...new Set(addresses)].filter((address) => !held.includes(address));
}

function missingFamilies({ addresses, families }: AddressRequest, held: readonly Address[]): Family[] {
  if (addresses !== undefined) return [];
  return [...new Set(families)].filter((family) => !held.some((address) => familyOf(address) === family));
}

function nothingKept(why: string): IpamError {
  return new IpamError('unavailable', `the datastore is away, and of the addresses kept for that ${why}`);
}
