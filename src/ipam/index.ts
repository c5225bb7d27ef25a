// IPAM: which address belongs to whom, kept in Calico's blocks, affinities and handles. The public face.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Address, type Prefix, containsAddress, offsetOf } from '#ip';
import type { AddressRequest, AssignedAddresses } from '../../cni/port.ts';
import { type Store, StoreError } from '../store/port.ts';
import type { Conflict } from './away.ts';
import { hostOf, usedCount } from './block.ts';
import { type Finding, check } from './check.ts';
import { type Site, isInStep, ownAffinities, settledBlocks } from './claim.ts';
import { type Collected, type Live, type Places, Surplus, collect, reconcile, reconcileAll } from './collect.ts';
import { getBlock, listLive } from './data.ts';
import { IpamError } from './error.ts';
import { tidyHandle } from './handles.ts';
import { Journal, type JournalPort } from './journal.ts';
import { Known } from './known.ts';
import { createLane } from './lane.ts';
import { Outage } from './outage.ts';
import { type AddressRelease, releaseFrom } from './release.ts';
import { readSettings } from './settings.ts';
import { type AddressUsage, type IpamUsage, addressUsage, attributesByAddress, usageOf } from './usage.ts';

export type { Conflict } from './away.ts';
export type { Finding, FindingKind } from './check.ts';
export type { Collected, Live } from './collect.ts';
export { type ClusterCollected, ClusterCollector } from './cluster.ts';
export { IpamError, type IpamErrorCode } from './error.ts';
export { type JournalPort, type JournalState, fileJournal } from './journal.ts';
export type { AddressRelease } from './release.ts';
export type { AddressUsage, BlockUsage, Borrowed, Configuration, Counts, IpamUsage, PoolUsage } from './usage.ts';

export interface IpamPorts {
  readonly store: Store;
  readonly node: string;
  /** ms since the epoch; the system's by default. */
  readonly clock?: () => number;
  /** Where to write down what happens while the store is away; absent: nothing is given out then. */
  readonly journal?: JournalPort;
  /** How many addresses of each family to keep for such times; {@link KEEP} by default. */
  readonly keep?: number;
  /** Monotonic ms; the system's by default. */
  readonly uptime?: () => number;
  /** A node with a new journal looks at all blocks once, some time within this; {@link LOOK_ALL_WITHIN_MS} by default. */
  readonly lookAllWithinMs?: number;
  /** Told of an address that a pod here uses and somebody else was given meanwhile. */
  readonly onConflict?: (conflict: Conflict) => void;
  /** Waits between two trials of a write; random and growing to 100 ms by default. */
  readonly pause?: (attempt: number) => Promise<void>;
}

/** Enough for the pods of a node that come anew within an hour; what is not used, the node itself uses when it is full. */
export const KEEP = 8;

/** A thousand agents that start for the first time together do not list everything at once. */
export const LOOK_ALL_WITHIN_MS = 20 * 60_000;

/** A block of this node that may be announced: its affinity is confirmed. */
export interface OwnBlock {
  readonly cidr: Prefix;
  readonly inUse: number;
  readonly free: number;
}

/** What others have made of this node's blocks. */
export interface Followed {
  readonly gained: readonly Prefix[];
  readonly lost: readonly Prefix[];
}

/** Every method throws {@link IpamError}, and 'unavailable' when the store does not answer. */
export interface Ipam {
  /** Addresses for one owner, all or none; the same ones when it has some already. */
  assign(request: AddressRequest): Promise<AssignedAddresses>;
  /** Frees everything that the handle holds; nothing held is no error. */
  release(handle: string): Promise<void>;
  /** Frees single addresses, each if what is said about it is true. Gives those that were freed. */
  releaseAddresses(releases: readonly AddressRelease[]): Promise<readonly Address[]>;
  /** What this node may announce, in the order of names. Changes nothing. */
  ownBlocks(): Promise<readonly OwnBlock[]>;
  /** Brings the store up to what was served while it was away. Does nothing when there is nothing. */
  settle(): Promise<void>;
  /** What waits for the store to come back: addresses given out, and handles given back. */
  pending(): Promise<{ readonly given: number; readonly released: number }>;
  /**
   * Ends claims and releases that were cut short, and gives back what is not needed. For the agent's start, and now and then.
   */
  reconcile(): Promise<void>;
  /**
   * After a hint that affinities have changed: if they are not as this process left them, what others have begun with this
   * node's blocks is brought to an end. Costs no request otherwise. Gives which blocks came and went.
   */
  follow(): Promise<Followed>;
  /** Frees this node's addresses whose owner is not alive. */
  collect(live: Live): Promise<readonly Collected[]>;
  usage(): Promise<IpamUsage>;
  lookUp(address: Address): Promise<AddressUsage>;
  check(): Promise<readonly Finding[]>;
}

export function createIpam(ports: IpamPorts): Ipam {
  const { node } = ports;
  const known = new Known(ports.store, node);
  const { store } = known;
  const journal = ports.journal && new Journal(ports.journal);
  const site: Site = { store, known, journal, node, now: ports.clock ?? Date.now, pause: ports.pause ?? backOff };
  const uptime = ports.uptime ?? (() => performance.now());
  const outage =
    journal &&
    new Outage({
      ...{ site, journal },
      keep: ports.keep ?? KEEP,
      uptime,
      onConflict: ports.onConflict ?? (() => undefined),
    });
  const lane = createLane({ site, explain, outage });
  const surplus = new Surplus();
  const lookAllAt = uptime() + Math.random() * (ports.lookAllWithinMs ?? LOOK_ALL_WITHIN_MS);
  const placesToLook = async (): Promise<Places> => {
    const state = await journal?.state();
    return state?.elsewhere ?? (journal !== undefined && uptime() < lookAllAt ? 'own' : 'all');
  };
  return {
    assign: async (request) => ({ addresses: await lane.assign(request) }),
    release: (handle) => lane.release(handle),
    releaseAddresses: (releases) => lane.run(() => releaseAddresses(site, releases)),
    ownBlocks: () => explained(() => announcedBlocks(site)),
    settle: () => lane.run(async () => outage?.settle()),
    pending: async () => (await outage?.pending()) ?? { given: 0, released: 0 },
    reconcile: () =>
      lane.run(async () => {
        await outage?.settle();
        const settings = await readSettings(store);
        if (journal === undefined) await reconcileAll(site);
        await outage?.giveUpUnwanted(settings);
        await reconcile(site, settings);
        await surplus.giveBack(site, uptime());
      }),
    follow: () =>
      lane.run(async () => {
        if (await isInStep(site)) return { gained: [], lost: [] };
        await outage?.settle();
        return follow(site);
      }),
    collect: (live) =>
      lane.run(async () => {
        await outage?.settle();
        const freed = await collect(site, live, await placesToLook());
        await outage?.review(typeof live === 'function' ? await live() : live);
        return freed;
      }),
    usage: () => explained(async () => usageOf(await readSettings(store), await listLive(store, 'IPAMBlock'))),
    lookUp: (address) =>
      explained(async () => addressUsage(await readSettings(store), await listLive(store, 'IPAMBlock'), address)),
    check: () => explained(() => checkStore(store)),
  };
}

async function announcedBlocks(site: Site): Promise<OwnBlock[]> {
  const confirmed = (await ownAffinities(site)).filter(({ spec }) => spec.state === 'confirmed');
  const blocks = await Promise.all(
    confirmed.map(async ({ spec }) => site.known.block(spec.cidr) ?? getBlock(site.store, spec.cidr)),
  );
  return blocks.flatMap((block) => {
    if (block === undefined || hostOf(block.spec) !== site.node) return [];
    const inUse = usedCount(block.spec);
    return [{ cidr: block.spec.cidr, inUse, free: block.spec.allocations.length - inUse }];
  });
}

async function follow(site: Site): Promise<Followed> {
  const known = site.known.ownBlocks()?.map(({ spec }) => spec.cidr);
  const present = (await settledBlocks(site)).map(({ spec }) => spec.cidr);
  // Whoever knew nothing before cannot say what has changed.
  const before = known ?? present;
  return {
    gained: present.filter((cidr) => !before.includes(cidr)),
    lost: before.filter((cidr) => !present.includes(cidr)),
  };
}

async function releaseAddresses(site: Site, releases: readonly AddressRelease[]): Promise<Address[]> {
  const blocks = await listLive(site.store, 'IPAMBlock');
  const freed: Address[] = [];
  for (const block of blocks) {
    const { cidr } = block.spec;
    const inBlock = releases
      .filter(({ address }) => containsAddress(cidr, address))
      .map((release) => ({ ...release, ordinal: Number(offsetOf(cidr, release.address)) }));
    const holders = attributesByAddress(block);
    // Whoever asks for a single address means it: it does not rest.
    const ordinals = new Set(inBlock.length === 0 ? [] : await releaseFrom(site, cidr, 0, () => inBlock));
    for (const { address, ordinal } of inBlock) {
      if (!ordinals.has(ordinal)) continue;
      freed.push(address);
      const handle = holders.get(address)?.handle_id;
      if (handle !== undefined) await tidyHandle(site, handle);
    }
  }
  return freed;
}

async function checkStore(store: Store): Promise<Finding[]> {
  const [settings, blocks, affinities, handles] = await Promise.all([
    readSettings(store),
    listLive(store, 'IPAMBlock'),
    listLive(store, 'BlockAffinity'),
    listLive(store, 'IPAMHandle'),
  ]);
  return check({ settings, blocks, affinities, handles });
}

const PAUSE_MAX_MS = 100;

async function backOff(attempt: number): Promise<void> {
  await sleep(Math.random() * Math.min(2 ** attempt, PAUSE_MAX_MS));
}

async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof Error ? explain(error) : error;
  }
}

/** A store that fails is for IPAM's callers a store that is away: the same request may succeed later. */
function explain(error: Error): Error {
  if (!(error instanceof StoreError)) return error;
  return new IpamError('unavailable', `the datastore cannot be used: ${error.message}`, { cause: error });
}
