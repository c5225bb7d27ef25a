// Whether the store can be asked at present, and who serves a request then: the store, or the journal.
import { type Address, containsPrefix } from '#ip';
import type { AddressRequest } from '../../cni/port.ts';
import { StoreError } from '../store/port.ts';
import {
  type Conflict,
  adoptKept,
  assignAway,
  giveUpKept,
  releaseAway,
  replenish,
  settleJournal,
  wantsMore,
} from './away.ts';
import type { Site } from './claim.ts';
import { settledBlocks } from './claim.ts';
import { IpamError } from './error.ts';
import { type Journal, isSettled } from './journal.ts';
import { selectingPools } from './choose.ts';
import { type Settings, readSettings } from './settings.ts';

/** After a failure the store is left alone for a while: a runtime waits for each ADD. */
const FIRST_REST_MS = 2000;
const LONGEST_REST_MS = 30_000;

export interface OutageOptions {
  readonly site: Site;
  readonly journal: Journal;
  /** How many addresses of each family to keep. */
  readonly keep: number;
  /** Monotonic ms. */
  readonly uptime: () => number;
  readonly onConflict: (conflict: Conflict) => void;
}

export class Outage {
  readonly #options: OutageOptions;
  #restMs = 0;
  #askAgainAt = Number.NEGATIVE_INFINITY;
  #settings: Settings | undefined;

  constructor(options: OutageOptions) {
    this.#options = options;
  }

  /**
   * Whether to ask the store. Before it is asked for anything, it is brought up to what happened while it was away.
   * @throws what keeps it from that, other than that it is still away
   */
  async isStoreThere(): Promise<boolean> {
    if (this.#options.uptime() < this.#askAgainAt) return false;
    try {
      await this.settle();
      return true;
    } catch (error) {
      if (!this.isAway(error)) throw error;
      return false;
    }
  }

  /** Brings the store up to the journal. @throws StoreError, IpamError */
  async settle(): Promise<void> {
    const { site, journal, onConflict } = this.#options;
    for (const conflict of await settleJournal(site, journal)) onConflict(conflict);
  }

  /** Whether the error says that the store is away; it is left alone for a while then. */
  isAway(error: unknown): boolean {
    const isIt = isUnavailable(error);
    if (isIt) {
      this.#restMs = Math.min(LONGEST_REST_MS, this.#restMs === 0 ? FIRST_REST_MS : this.#restMs * 2);
      this.#askAgainAt = this.#options.uptime() + this.#restMs;
    }
    return isIt;
  }

  /** The store has answered. */
  answered(): void {
    this.#restMs = 0;
    this.#askAgainAt = Number.NEGATIVE_INFINITY;
  }

  async assign(request: AddressRequest): Promise<readonly Address[]> {
    const { site, journal } = this.#options;
    return assignAway(site, journal, await this.#lastSettings(), request);
  }

  release(handle: string): Promise<void> {
    return releaseAway(this.#options.journal, handle);
  }

  /** Whether {@link replenish} is due. */
  async wantsMore(): Promise<boolean> {
    const { site, journal, keep } = this.#options;
    return wantsMore(site, await journal.state(), keep);
  }

  async replenish(): Promise<void> {
    const { site, journal, keep } = this.#options;
    await replenish(site, journal, await this.#lastSettings(), keep);
  }

  /** The journal against the store, thoroughly. @param alive addresses of pods that are wired here */
  async review(alive: ReadonlySet<string>): Promise<void> {
    const { site, journal } = this.#options;
    await settledBlocks(site);
    await adoptKept(site, journal, alive);
    await this.replenish();
  }

  /** Gives back what is kept, because it is needed now. False when there was nothing. */
  giveUp(): Promise<boolean> {
    const { site, journal } = this.#options;
    return giveUpKept(site, journal, site.known.lastSeen());
  }

  /** Gives back what is kept in blocks that no pool wants this node to have any more. */
  async giveUpUnwanted({ pools, nodes }: Settings): Promise<void> {
    const { site, journal } = this.#options;
    const wanted = selectingPools(pools, nodes.get(site.node) ?? {});
    const unwanted = site.known
      .lastSeen()
      .filter(({ spec }) => !wanted.some((pool) => containsPrefix(pool.spec.cidr, spec.cidr)));
    await giveUpKept(site, journal, unwanted);
  }

  /** What waits for the store. */
  async pending(): Promise<{ readonly given: number; readonly released: number }> {
    const { kept, released } = await this.#options.journal.state();
    return { given: kept.filter(({ user }) => user !== undefined).length, released: released.length };
  }

  async isSettled(): Promise<boolean> {
    return isSettled(await this.#options.journal.state());
  }

  /** The configuration as it is, or as it last was. */
  async #lastSettings(): Promise<Settings> {
    try {
      this.#settings = await readSettings(this.#options.site.store);
      return this.#settings;
    } catch (error) {
      if (this.#settings === undefined) throw error;
      return this.#settings;
    }
  }
}

function isUnavailable(error: unknown): boolean {
  if (error instanceof StoreError) return error.code === 'unavailable';
  return error instanceof IpamError && error.code === 'unavailable';
}
