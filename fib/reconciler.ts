// Keeps the kernel's routes as they are wished: looks, plans, writes, and looks again.
//
// One worker does one thing at a time: a look (a dump of the main table of both families) or a chunk of writes. So what a
// look sees is never half of what we are writing. Hints only say when to look; a full comparison comes by itself.
import type { Prefix } from '#ip';
import { systemClock } from './clock.ts';
import { leadsToLink } from './diff.ts';
import { FibError } from './error.ts';
import type { Batch, Clock, Dump, Hint, KernelRoute, Note } from './port.ts';
import { Remarks, type RouteState, countEntries, routeStates } from './report.ts';
import { type FibStatus, type NextHop, PROTOCOL, type Route } from './route.ts';
import { type Entry, Table, isSame } from './table.ts';
import { Writer, ticksOf } from './writer.ts';

export interface ReconcilerPorts {
  readonly batch: Batch;
  readonly dump: Dump;
  readonly clock?: Clock;
  /** For the log. */
  readonly note?: (note: Note) => void;
  /** After every look: what the kernel can reach by routes that are not learned: everybody else's, and ours to links. */
  readonly looked?: (routes: Iterable<KernelRoute>) => void;
}

export interface Reconciler {
  /** The whole desired set. Synchronous; the work is done later, in one go with what else is told in this turn. */
  wish(routes: Iterable<Route>): void;
  /** A part of it: no route means not desired. */
  change(routes: Iterable<RouteChange>): void;
  /** The kernel may have changed. Without a hint: in any way. */
  look(hint?: Hint): void;
  /** What is ours in the kernel from before our start, and not wished, may go. */
  release(): void;
  /** Resolves when the kernel is as desired, or every difference is a known trouble. Rejects when closed before. */
  settled(): Promise<void>;
  status(): FibStatus;
  routes(): readonly RouteState[];
  /** Leaves the kernel as it is. */
  close(): Promise<void>;
}

export interface RouteChange {
  readonly prefix: Prefix;
  readonly metric: number;
  readonly route?: Route | undefined;
}

export function createReconciler(ports: ReconcilerPorts): Reconciler {
  return new Worker(ports);
}

/** Lines per write. A write is the longest that a look or a more urgent route waits. */
const CHUNK = 500;
/** From a hint to the look, so that a burst of them costs one. */
const DEBOUNCE_MS = 50;
/** Looks take half of the time at most: after one that took long, the next one waits as long. */
const PAUSE_PER_LOOK = 1;
/** A full comparison without any hint: every 10 s, up to every 60 s where a look is expensive. */
const PERIOD_MS = { least: 10_000, most: 60_000, perLook: 100 };
/** `ip` failed: 0.2 s, 0.4 s, … 10 s. */
const OUTAGE_MS = { first: 200, most: 10_000 };
/** How many entries are gone through before others get a turn. */
const SLICE = 2000;

class Worker implements Reconciler {
  private readonly table = new Table();
  private readonly remarks = new Remarks();
  private readonly writer: Writer;
  private readonly ports: ReconcilerPorts;
  private readonly clock: Clock;
  private working: Promise<void> | undefined;
  private closed = false;
  private waiters: PromiseWithResolvers<void>[] = [];

  /** What was said and not yet taken into the table. */
  private told: ({ all: true; routes: readonly Route[] } | { all: false; routes: readonly RouteChange[] })[] = [];
  private round = 0;

  private lookDue = true;
  private looked = false;
  private cancelLook: (() => void) | undefined;
  private cancelPeriod: (() => void) | undefined;
  private lookEnded = 0;
  private lookTook = 0;
  private lastFullCheck: number | undefined;
  /** Try what was refused again after the next look. */
  private kick = false;
  /** Prefixes that the kernel told news of since the last look began: not written before the next one. */
  private readonly suspects = new Set<Prefix>();
  /** What was heard of routes while they were being written. */
  private readonly heard: Hint[] = [];

  private error: string | undefined;
  private outages = 0;
  private cancelPause: (() => void) | undefined;

  constructor(ports: ReconcilerPorts) {
    this.ports = ports;
    this.clock = ports.clock ?? systemClock;
    const { table, clock, remarks } = this;
    const calls = { unsure: () => this.lookSoon(), due: () => this.wake() };
    this.writer = new Writer({ batch: ports.batch, table, clock, remarks, ...calls });
    this.wake();
  }

  wish(routes: Iterable<Route>): void {
    this.told = [{ all: true, routes: [...routes] }]; // whatever was told before is in it, or is not wished any more
    this.wake();
  }

  change(routes: Iterable<RouteChange>): void {
    this.told.push({ all: false, routes: [...routes] });
    this.wake();
  }

  look(hint: Hint = { about: 'anything' }): void {
    if (this.isExplained(hint)) return;
    if (!this.isLoss(hint) && hint.about === 'route') this.suspects.add(hint.route.prefix);
    // A gateway may be reachable now that was not.
    this.kick ||= hint.about !== 'route' || leadsToLink(hint.route);
    this.lookSoon();
  }

  release(): void {
    if (this.table.sweeping) return;
    this.table.sweeping = true;
    this.lookDue = true;
    this.wake();
  }

  settled(): Promise<void> {
    if (this.closed) return Promise.reject(closedError());
    if (this.isSettled) return Promise.resolve();
    const waiter = Promise.withResolvers<void>();
    this.waiters.push(waiter);
    return waiter.promise;
  }

  status(): FibStatus {
    return {
      ...countEntries(this.table.entries.values()),
      repairs: this.writer.repairs,
      ...(this.lastFullCheck !== undefined && { lastFullCheck: this.lastFullCheck }),
      ...(this.error !== undefined && { error: this.error }),
    };
  }

  routes(): readonly RouteState[] {
    return routeStates(this.table.entries.values());
  }

  async close(): Promise<void> {
    this.closed = true;
    this.writer.close();
    for (const cancel of [this.cancelLook, this.cancelPeriod, this.cancelPause]) cancel?.();
    await this.working;
    for (const waiter of this.waiters.splice(0)) waiter.reject(closedError());
  }

  private get isSettled(): boolean {
    const idle = !this.working && !this.hasWork && !this.cancelLook;
    return idle && this.looked && this.error === undefined;
  }

  private get hasWork(): boolean {
    return this.told.length > 0 || this.lookDue || this.table.waiting > 0;
  }

  private wake(): void {
    if (this.closed || this.cancelPause) return;
    this.working ??= this.work().finally(() => {
      this.working = undefined;
      if (this.isSettled) for (const waiter of this.waiters.splice(0)) waiter.resolve();
      else if (this.hasWork) this.wake();
    });
  }

  private async work(): Promise<void> {
    await turn();
    while (!this.closed && !this.cancelPause) {
      if (this.told.length > 0) await this.takeIn();
      else if (this.lookDue) await this.lookNow();
      else {
        const entries = this.table.take(CHUNK);
        if (entries.length === 0) return;
        await this.write(entries);
      }
    }
  }

  /** Takes what was told into the table, in slices. */
  private async takeIn(): Promise<void> {
    const [news] = this.told.splice(0, 1);
    const round = ++this.round;
    let count = 0;
    for (const item of news!.routes) {
      const route = news!.all ? (item as Route) : (item as RouteChange).route;
      const entry = this.table.wish(item.prefix, item.metric, route && withoutDoubles(route));
      if (entry) entry.round = round;
      if (++count % SLICE === 0) await turn();
    }
    if (!news!.all) return;
    for (const entry of this.table.entries.values()) {
      if (entry.wish && entry.round !== round) this.table.wish(entry.prefix, entry.wish.metric, undefined);
      if (++count % SLICE === 0) await turn();
    }
  }

  // Looking.

  private lookSoon(): void {
    if (this.closed || this.lookDue || this.cancelLook) return;
    const rested = this.lookEnded + PAUSE_PER_LOOK * this.lookTook;
    this.cancelLook = this.clock.after(Math.max(DEBOUNCE_MS, rested - ticksOf(this.clock)), () => {
      this.cancelLook = undefined;
      this.lookDue = true;
      this.wake();
    });
  }

  private async lookNow(): Promise<void> {
    const started = ticksOf(this.clock);
    const kick = this.kick;
    this.kick = this.lookDue = false;
    this.cancelLook?.();
    this.cancelPeriod?.();
    this.cancelLook = undefined;
    this.suspects.clear();
    this.table.beginLook();
    const links: KernelRoute[] = [];
    let whole = false;
    try {
      const { complete } = await this.ports.dump.routes((routes) => {
        for (const route of routes) {
          this.table.see(route);
          if (route.protocol === PROTOCOL && leadsToLink(route)) links.push(route);
        }
      });
      whole = complete;
      this.table.endLook(complete);
      await this.compare(complete);
      this.remarks.tell(this.ports.note);
      this.error = undefined;
      this.outages = 0;
      if (complete) this.lastFullCheck = this.clock.now();
    } catch (error) {
      this.kick ||= kick;
      this.lookDue = true;
      this.fails(error);
      return;
    }
    this.looked = true;
    this.lookEnded = ticksOf(this.clock);
    this.lookTook = this.lookEnded - started;
    if (!whole) this.lookSoon(); // not at once: where somebody never stops, our writes must have their turn
    if (kick) for (const entry of this.table.refused) this.table.enqueue(entry);
    const period = Math.min(PERIOD_MS.most, Math.max(PERIOD_MS.least, PERIOD_MS.perLook * this.lookTook));
    this.cancelPeriod = this.clock.after(period, () => this.lookSoon());
    this.ports.looked?.(allOf(links, this.table.foreign));
  }

  /** Every entry against what was seen, in slices. */
  private async compare(complete: boolean): Promise<void> {
    let count = 0;
    for (const entry of this.table.entries.values()) {
      if (complete) this.table.vanish(entry);
      if (this.writer.consider(entry).length === 0) {
        entry.drifted = false;
        this.table.forget(entry);
      } else if (!this.writer.mustWait(entry)) this.table.enqueue(entry);
      if (++count % SLICE === 0) await turn();
    }
  }

  /**
   * Whether a hint says only what we know already, above all what we have just written ourselves. What is said of a
   * route that is being written is judged when the answer is there.
   */
  private isExplained(hint: Hint): boolean {
    if (hint.about !== 'route' || hint.route.protocol !== PROTOCOL) return false;
    const entry = this.table.entryOf(hint.route);
    if (entry === undefined || !this.writer.writing.has(entry)) return this.table.expects(hint);
    this.heard.push(hint);
    return true;
  }

  /**
   * A route of ours is gone, says the kernel. It is put back without waiting for the look: where the hint is wrong or
   * somebody else was faster, the kernel refuses to add it, and the look finds out. Not so a route to a link, which
   * goes when the link does.
   */
  private isLoss(hint: Hint): boolean {
    if (hint.about !== 'route' || !hint.deleted || hint.route.protocol !== PROTOCOL) return false;
    const entry = this.table.entryOf(hint.route);
    if (!entry?.own || entry.joined || entry.surplus || leadsToLink(entry.own)) return false;
    if (!isSame(entry.own, hint.route)) return false;
    this.table.lose(entry);
    this.table.enqueue(entry);
    this.wake();
    return true;
  }

  // Writing.

  private async write(entries: readonly Entry[]): Promise<void> {
    try {
      await this.writer.write(entries, this.suspects);
    } catch (error) {
      this.lookDue = true; // some of it may have been carried out
      this.fails(error);
    }
    for (const hint of this.heard.splice(0)) this.look(hint);
    this.remarks.tell(this.ports.note);
  }

  // `ip` itself.

  private fails(error: unknown): void {
    if (!(error instanceof FibError)) throw error;
    if (this.closed) return;
    const pause = Math.min(OUTAGE_MS.most, OUTAGE_MS.first * 2 ** this.outages++);
    this.error = error.message;
    this.ports.note?.({ message: 'the kernel cannot be asked or told', error: error.message, retryMs: pause });
    this.cancelPause = this.clock.after(pause, () => {
      this.cancelPause = undefined;
      this.wake();
    });
  }
}

/** Two peers may name the same next hop; the kernel takes each once. */
function withoutDoubles(route: Route): Route {
  if (route.nextHops.length < 2) return route;
  const seen = new Map<string, NextHop>();
  for (const hop of route.nextHops) seen.set(`${hop.via} ${hop.dev}`, hop);
  return seen.size === route.nextHops.length ? route : { ...route, nextHops: [...seen.values()] };
}

function* allOf(
  own: readonly KernelRoute[],
  foreign: ReadonlyMap<Prefix, readonly KernelRoute[]>,
): Iterable<KernelRoute> {
  yield* own;
  for (const routes of foreign.values()) yield* routes;
}

function closedError(): FibError {
  return new FibError('closed', 'the reconciler has been closed');
}

/** Lets everything else that waits have its turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
