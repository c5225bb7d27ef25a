// Keeps the kernel's routes as they are wished: looks, plans, writes, and looks again.
//
// One worker does one thing at a time: a look (a dump of the main table of both families) or a chunk of writes. So what a
// look sees is never half of what we are writing. Hints only say when to look; a full comparison comes by itself.
import type { Prefix } from '#ip';
import { systemClock } from './clock.ts';
import { keyOf, leadsToLink, unmatched } from './diff.ts';
import { FibError, wordsOf } from './error.ts';
import type { Batch, Clock, Dump, Hint, KernelRoute, LineResult, Note } from './port.ts';
import { type FibStatus, type NextHop, PROTOCOL, type Route, type RouteTrouble } from './route.ts';
import { type Entry, Table, isRight, written } from './table.ts';
import { type Operation, lineOf } from './text.ts';

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

export interface RouteState {
  /** As wished; a stale one as it is. */
  readonly route: Route;
  /** outdated: ours is in, but not as wished. stale: ours from before our start, not wished, kept until release(). */
  readonly state: 'installed' | 'missing' | 'outdated' | 'stale';
  readonly trouble?: RouteTrouble;
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
/** A refused route is tried again after 1 s, 2 s, 4 s, … 30 s, and after every change of links and addresses. */
const RETRY_MS = { first: 1000, most: 30_000 };
/** `ip` failed: 0.2 s, 0.4 s, … 10 s. */
const OUTAGE_MS = { first: 200, most: 10_000 };
/** How many entries are gone through before others get a turn. */
const SLICE = 2000;

class Worker implements Reconciler {
  private readonly table = new Table();
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
  /** What is being written just now, and what was heard meanwhile. */
  private readonly writing = new Set<Entry>();
  private heard: Hint[] = [];

  private cancelRetry: (() => void) | undefined;
  private retryAt = Infinity;
  private error: string | undefined;
  private outages = 0;
  private cancelPause: (() => void) | undefined;
  private repairs = 0;
  private readonly remarks = new Map<string, { count: number; prefix: Prefix; reason?: string }>();

  constructor(ports: ReconcilerPorts) {
    this.ports = ports;
    this.clock = ports.clock ?? systemClock;
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
    this.lookSoon(0);
  }

  settled(): Promise<void> {
    if (this.closed) return Promise.reject(closedError());
    if (this.isSettled) return Promise.resolve();
    const waiter = Promise.withResolvers<void>();
    this.waiters.push(waiter);
    return waiter.promise;
  }

  status(): FibStatus {
    const counts = { desired: 0, installed: 0, missing: 0, stale: 0 };
    const troubles: RouteTrouble[] = [];
    for (const entry of this.table.entries.values()) {
      if (entry.wish) counts.desired++;
      const state = stateOf(entry);
      if (state === 'outdated') counts.missing++;
      else if (state) counts[state]++;
      if (entry.trouble) troubles.push(entry.trouble);
    }
    return {
      ...counts,
      troubles,
      repairs: this.repairs,
      ...(this.lastFullCheck !== undefined && { lastFullCheck: this.lastFullCheck }),
      ...(this.error !== undefined && { error: this.error }),
    };
  }

  routes(): readonly RouteState[] {
    const all: RouteState[] = [];
    for (const entry of this.table.entries.values()) {
      const state = stateOf(entry);
      const route = entry.wish ?? (entry.own && toRoute(entry.own));
      if (state && route) all.push({ route, state, ...(entry.trouble && { trouble: entry.trouble }) });
    }
    return all;
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const cancel of [this.cancelLook, this.cancelPeriod, this.cancelRetry, this.cancelPause]) cancel?.();
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

  private lookSoon(debounceMs = DEBOUNCE_MS): void {
    if (this.closed || this.lookDue || (this.cancelLook && debounceMs > 0)) return;
    const now = this.clock.now();
    const rested = this.lookEnded + PAUSE_PER_LOOK * this.lookTook;
    this.cancelLook?.();
    this.cancelLook = this.clock.after(Math.max(debounceMs, rested - now), () => {
      this.cancelLook = undefined;
      this.lookDue = true;
      this.wake();
    });
  }

  private async lookNow(): Promise<void> {
    const started = this.clock.now();
    const kick = this.kick;
    this.kick = this.lookDue = false;
    this.cancelLook?.();
    this.cancelPeriod?.();
    this.cancelLook = undefined;
    this.suspects.clear();
    this.table.beginLook();
    const links: KernelRoute[] = [];
    try {
      const { complete } = await this.ports.dump.routes((routes) => {
        for (const route of routes) {
          this.table.see(route);
          if (route.protocol === PROTOCOL && leadsToLink(route)) links.push(route);
        }
      });
      this.table.endLook(complete);
      await this.compare(complete);
      this.tellRemarks();
      this.works();
      if (complete) this.lastFullCheck = this.clock.now();
      else this.lookDue = true;
    } catch (error) {
      this.kick ||= kick;
      this.lookDue = true;
      this.fails(error);
      return;
    }
    this.looked = true;
    this.lookEnded = this.clock.now();
    this.lookTook = this.lookEnded - started;
    if (kick) for (const entry of this.table.refused) this.table.enqueue(entry);
    const period = Math.min(PERIOD_MS.most, Math.max(PERIOD_MS.least, PERIOD_MS.perLook * this.lookTook));
    this.cancelPeriod = this.clock.after(period, () => this.lookSoon(0));
    this.ports.looked?.(allOf(links, this.table.foreign));
  }

  /** Every entry against what was seen, in slices. */
  private async compare(complete: boolean): Promise<void> {
    let count = 0;
    for (const entry of this.table.entries.values()) {
      if (complete) this.table.vanish(entry);
      const steps = this.stepsFor(entry);
      if (steps.length === 0) {
        entry.drifted = false;
        this.table.forget(entry);
      } else if (entry.refusals === 0 || entry.trouble!.retryAt! <= this.clock.now()) this.table.enqueue(entry);
      if (++count % SLICE === 0) await turn();
    }
  }

  /** Whether a hint says only what we know already, above all what we have just written ourselves. */
  private isExplained(hint: Hint): boolean {
    if (hint.about !== 'route' || hint.route.protocol !== PROTOCOL) return false;
    const entry = this.table.entries.get(keyOf(hint.route.prefix, hint.route.metric, hint.route.tos));
    if (entry && this.writing.has(entry)) {
      this.heard.push(hint); // told again when the answer is there
      return true;
    }
    if (hint.deleted || entry?.own === undefined) return hint.deleted && entry?.own === undefined;
    return isSame(entry.own, hint.route);
  }

  /**
   * A route of ours is gone, says the kernel. It is put back without waiting for the look: where the hint is wrong or
   * somebody else was faster, the kernel refuses to add it, and the look finds out.
   */
  private isLoss(hint: Hint): boolean {
    if (hint.about !== 'route' || !hint.deleted || hint.route.protocol !== PROTOCOL) return false;
    const entry = this.table.entries.get(keyOf(hint.route.prefix, hint.route.metric, hint.route.tos));
    if (!entry?.own || entry.joined || entry.surplus || !isSame(entry.own, hint.route)) return false;
    this.table.lose(entry);
    this.table.enqueue(entry);
    this.wake();
    return true;
  }

  // Writing.

  /** What is to be done about an entry; its trouble is brought up to date. */
  private stepsFor(entry: Entry): readonly Operation[] {
    const { operations, trouble } = this.table.plan(entry);
    if (operations.length === 0 || trouble?.trouble === 'foreign') this.table.forgive(entry);
    if (entry.refusals > 0) return operations;
    const before = entry.trouble;
    if (trouble === undefined) entry.trouble = undefined;
    else if (before?.trouble !== trouble.trouble || before.reason !== trouble.reason) {
      entry.trouble = { prefix: entry.prefix, metric: entry.wish!.metric, ...trouble, since: this.clock.now() };
      this.remark('routes of somebody else are in the way', entry, trouble.reason);
    }
    return operations;
  }

  private async write(entries: readonly Entry[]): Promise<void> {
    const steps: { entry: Entry; operation: Operation; line: string }[] = [];
    for (const entry of entries) {
      if (this.suspects.has(entry.prefix)) continue; // the look that is coming sees to it
      const operations = this.stepsFor(entry);
      if (operations.length === 0) this.table.forget(entry);
      for (const operation of operations) {
        try {
          steps.push({ entry, operation, line: lineOf(operation) });
        } catch (error) {
          this.refuse(entry, wordsOf(error));
        }
      }
    }
    for (const { entry } of steps) this.writing.add(entry);
    try {
      const results = await this.ports.batch.run(steps.map(({ line }) => line));
      for (const [i, { entry, operation }] of steps.entries()) this.answered(entry, operation, results[i]!);
      this.works();
    } catch (error) {
      if (!(error instanceof FibError)) throw error;
      for (const { entry } of steps) this.table.enqueue(entry);
      this.lookDue = true;
      this.fails(error);
    } finally {
      this.writing.clear();
      for (const hint of this.heard.splice(0)) this.look(hint);
      this.tellRemarks();
    }
  }

  private answered(entry: Entry, operation: Operation, result: LineResult): void {
    if (!result.ok) {
      this.refused(entry, operation, result.error);
      return;
    }
    if (entry.drifted) {
      this.repairs++;
      entry.drifted = false;
      this.remark('repaired routes that somebody else had changed', entry);
    }
    if (operation.do !== 'delete') {
      this.table.settle(entry, written(operation.route));
      // Gateways may be behind it: whoever resolves next hops wants to know.
      if (leadsToLink(operation.route) && this.ports.looked) this.lookSoon();
    } else if (entry.joined?.theirs === false) {
      entry.joined = undefined; // they carried our protocol
    } else if (entry.surplus?.includes(operation.route)) {
      entry.surplus = entry.surplus.filter((route) => route !== operation.route);
    } else this.table.settle(entry, undefined);
    if (!entry.queue && this.stepsFor(entry).length > 0) this.table.enqueue(entry);
  }

  private refused(entry: Entry, operation: Operation, words: string): void {
    if (operation.do === 'delete' && entry.joined?.theirs === false && /No such process/.test(words)) {
      entry.joined.theirs = true;
      this.table.enqueue(entry);
      return;
    }
    this.refuse(entry, words);
    // An add finds something, a delete finds nothing, or a replace stopped half way: the kernel is not as we believed.
    if (operation.do !== 'add' || /File exists/.test(words)) this.lookSoon();
  }

  private refuse(entry: Entry, words: string): void {
    const now = this.clock.now();
    const retryMs = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** entry.refusals);
    const reason = `${words.replaceAll('\n', '; ')}${entry.wish && entry.own ? ' (the previous route stays)' : ''}`;
    const since = entry.trouble?.trouble === 'refused' ? entry.trouble.since : now;
    const { prefix } = entry;
    const metric = entry.wish?.metric ?? entry.own?.metric ?? 0;
    if (entry.refusals++ === 0) this.remark('the kernel refused routes', entry, reason);
    entry.trouble = { prefix, metric, trouble: 'refused', reason, since, retryAt: now + retryMs };
    this.table.refused.add(entry);
    this.retryBefore(now + retryMs);
  }

  private retryBefore(time: number): void {
    if (time >= this.retryAt || this.closed) return;
    this.cancelRetry?.();
    this.retryAt = time;
    this.cancelRetry = this.clock.after(Math.max(0, time - this.clock.now()), () => this.retry());
  }

  private retry(): void {
    const now = this.clock.now();
    let next = Infinity;
    for (const entry of this.table.refused) {
      const at = entry.trouble?.retryAt ?? now;
      if (at <= now) this.table.enqueue(entry);
      else next = Math.min(next, at);
    }
    this.retryAt = Infinity;
    // Those that are due within the same tenth of a second go together.
    if (next < Infinity) this.retryBefore(Math.max(next, now + 100));
    this.wake();
  }

  /** One line of the log for all routes of a look or a write that the same happened to. */
  private remark(message: string, { prefix }: Entry, reason?: string): void {
    const known = this.remarks.get(message) ?? { count: 0, prefix, ...(reason !== undefined && { reason }) };
    this.remarks.set(message, { ...known, count: known.count + 1 });
  }

  private tellRemarks(): void {
    for (const [message, { count, ...first }] of this.remarks) this.ports.note?.({ message, count, ...first });
    this.remarks.clear();
  }

  // `ip` itself.

  private works(): void {
    this.error = undefined;
    this.outages = 0;
  }

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

function stateOf(entry: Entry): RouteState['state'] | undefined {
  if (!entry.wish) return entry.own ? 'stale' : undefined;
  if (!entry.own) return 'missing';
  return isRight(entry) ? 'installed' : 'outdated';
}

function isSame(own: KernelRoute, now: KernelRoute): boolean {
  const plain = own.kind === now.kind && !own.odd && !now.odd;
  return plain && unmatched(own.nextHops, now.nextHops)?.length === 0;
}

function toRoute({ prefix, kind, metric, nextHops }: KernelRoute): Route {
  return { prefix, metric, kind: kind === 'blackhole' ? kind : 'unicast', nextHops };
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
