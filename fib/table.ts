// What should be and what is, side by side: one entry per prefix and metric, and the queues of those to be worked on.
// No I/O and no time in here; the reconciler decides when.
import { type Prefix, familyOfPrefix } from '#ip';
import { type Plan, isAs, keyOf, leadsToLink, plan, unmatched } from './diff.ts';
import type { KernelNextHop, KernelRoute } from './port.ts';
import { type NextHop, PROTOCOL, type Route, type RouteTrouble, kernelMetric } from './route.ts';

export interface Entry {
  readonly key: string;
  readonly prefix: Prefix;
  wish: Route | undefined;
  /** It was wished in this life of ours, so it may go before the sweep once it is not wished any more. */
  wished: boolean;
  /** Ours in the kernel: as the last look saw it, or as an acknowledged write left it. */
  own: KernelRoute | undefined;
  surplus: KernelRoute[] | undefined;
  joined: { nextHops: readonly KernelNextHop[]; theirs: boolean } | undefined;
  /** The look that saw it last. */
  seen: number;
  /** Somebody else changed it since it was right. */
  drifted: boolean;
  trouble: RouteTrouble | undefined;
  /** How often in a row the kernel refused it, and when to try again (ticks). */
  refusals: number;
  retryAt: number;
  /** The queue that it waits in. */
  queue: Set<Entry> | undefined;
  /** The last whole wish that had it. */
  round: number;
}

const NOBODY: readonly KernelRoute[] = [];

export class Table {
  readonly entries = new Map<string, Entry>();
  /** Everybody else's routes as of the last look. */
  foreign: ReadonlyMap<Prefix, readonly KernelRoute[]> = new Map();
  /** Those that the kernel refused. */
  readonly refused = new Set<Entry>();
  /** Whether ours of before our start may go. */
  sweeping = false;
  /** By rank; see diff.ts, rankOf. */
  private readonly queues: readonly Set<Entry>[] = [new Set(), new Set(), new Set(), new Set()];
  private look = 0;
  private foreignSeen = new Map<Prefix, KernelRoute[]>();

  /** One route is wished as given, or not at all. Returns its entry, if there is one. */
  wish(prefix: Prefix, metric: number, route: Route | undefined): Entry | undefined {
    const key = keyOf(prefix, metric);
    const entry = this.entries.get(key) ?? (route && this.create(key, prefix));
    if (entry === undefined || (route ? entry.wish && sameRoute(entry.wish, route) : !entry.wish)) return entry;
    entry.wish = route;
    entry.wished = true;
    this.forgive(entry);
    this.enqueue(entry);
    return entry;
  }

  /** Where a route of ours in the kernel belongs. */
  entryOf(route: KernelRoute): Entry | undefined {
    return this.entries.get(keyOf(route.prefix, route.metric, route.tos));
  }

  /** Whether the kernel says of a route of ours what we believe anyway. */
  expects({ deleted, route }: { readonly deleted: boolean; readonly route: KernelRoute }): boolean {
    const own = this.entryOf(route)?.own;
    return deleted || own === undefined ? deleted && own === undefined : isSame(own, route);
  }

  /** The next entries to write, at most so many, all of one rank. */
  take(limit: number): Entry[] {
    const taken: Entry[] = [];
    const queue = this.queues.find(({ size }) => size > 0);
    if (queue === undefined) return taken;
    for (const entry of queue) {
      if (taken.length === limit) break;
      queue.delete(entry);
      entry.queue = undefined;
      taken.push(entry);
    }
    return taken;
  }

  get waiting(): number {
    return this.queues.reduce((sum, { size }) => sum + size, 0);
  }

  enqueue(entry: Entry): void {
    const route = entry.wish ?? entry.own;
    const toLink = route !== undefined && leadsToLink(route);
    const rank = entry.wish ? (toLink ? 0 : 1) : toLink ? 3 : 2;
    entry.queue?.delete(entry);
    entry.queue = this.queues[rank]!;
    entry.queue.add(entry);
  }

  plan(entry: Entry): Plan {
    const sweep = this.sweeping || entry.wished;
    return plan({ ...entry, foreign: this.foreign.get(entry.prefix) ?? NOBODY, sweep });
  }

  /** A look begins: see() everything, then close() every entry. */
  beginLook(): void {
    this.look++;
    this.foreignSeen = new Map();
  }

  see(route: KernelRoute): void {
    if (route.protocol === PROTOCOL) this.seeOwn(route);
    else {
      const known = this.foreignSeen.get(route.prefix);
      if (known) known.push(route);
      else this.foreignSeen.set(route.prefix, [route]);
    }
  }

  /** All of the kernel has been seen. Incomplete: what was not seen may still be there. */
  endLook(complete: boolean): void {
    if (!complete) for (const [prefix, routes] of this.foreign) this.addForeign(prefix, routes);
    this.foreign = this.foreignSeen;
  }

  /** Whether the look that has just ended did not see what is believed to be there. Then it is not. */
  vanish(entry: Entry): void {
    if (entry.seen !== this.look && entry.own !== undefined) this.lose(entry);
  }

  /** Somebody took it away. */
  lose(entry: Entry): void {
    entry.drifted ||= isRight(entry);
    entry.own = entry.surplus = entry.joined = undefined;
  }

  /** After a write: the kernel has this, or nothing of ours. */
  settle(entry: Entry, own: KernelRoute | undefined): void {
    entry.own = own;
    entry.surplus = entry.joined = undefined;
    this.forgive(entry);
    this.forget(entry);
  }

  /** Drops an entry that says nothing any more. */
  forget(entry: Entry): void {
    if (entry.wish || entry.own || entry.queue) return;
    this.refused.delete(entry);
    this.entries.delete(entry.key);
  }

  /** The refusals of the past do not count any more. */
  forgive(entry: Entry): void {
    this.refused.delete(entry);
    entry.refusals = 0;
    if (entry.trouble?.trouble === 'refused') entry.trouble = undefined;
  }

  private create(key: string, prefix: Prefix): Entry {
    const entry: Entry = {
      key,
      prefix,
      wish: undefined,
      wished: false,
      own: undefined,
      surplus: undefined,
      joined: undefined,
      seen: 0,
      drifted: false,
      trouble: undefined,
      refusals: 0,
      retryAt: 0,
      queue: undefined,
      round: 0,
    };
    this.entries.set(key, entry);
    return entry;
  }

  private seeOwn(route: KernelRoute): void {
    const key = keyOf(route.prefix, route.metric, route.tos);
    const entry = this.entries.get(key) ?? this.create(key, route.prefix);
    if (entry.seen === this.look) {
      entry.surplus = [...(entry.surplus ?? []), route];
      return;
    }
    entry.seen = this.look;
    entry.surplus = undefined;
    const extra =
      entry.own && isPlain(entry.own) && isPlain(route) ? unmatched(entry.own.nextHops, route.nextHops) : undefined;
    if (extra?.length === 0) entry.joined = undefined;
    else {
      entry.drifted ||= isRight(entry);
      // In IPv6, next hops beside all those that we know to be ours may be somebody else's.
      const joined = extra !== undefined && familyOfPrefix(route.prefix) === 6;
      if (joined) return this.join(entry, extra);
      entry.joined = undefined;
    }
    // What is in every detail as before stays, so that a look at a big table makes little garbage that lives long.
    if (extra?.length !== 0 || entry.own!.nextHops.some(({ dev }) => dev === undefined)) entry.own = route;
  }

  private join(entry: Entry, extra: readonly KernelNextHop[]): void {
    const known = entry.joined && unmatched(entry.joined.nextHops, extra)?.length === 0;
    if (!known) entry.joined = { nextHops: extra, theirs: false };
  }

  private addForeign(prefix: Prefix, routes: readonly KernelRoute[]): void {
    const seen = this.foreignSeen.get(prefix) ?? [];
    const unseen = routes.filter(({ metric, tos }) => !seen.some((one) => one.metric === metric && one.tos === tos));
    if (unseen.length > 0) this.foreignSeen.set(prefix, [...seen, ...unseen]);
  }
}

/** Whether the kernel was believed to have what is wished. */
export function isRight(entry: Entry): boolean {
  return entry.wish !== undefined && entry.own !== undefined && isAs(entry.wish, entry.own);
}

/** A route as the kernel has it after it has taken ours. */
export function written(route: Route): KernelRoute {
  const { prefix, kind, nextHops } = route;
  return { prefix, kind, nextHops, metric: kernelMetric(prefix, route.metric), protocol: PROTOCOL };
}

/** Whether both are the same route, as far as its words in the monitor tell. */
export function isSame(own: KernelRoute, now: KernelRoute): boolean {
  const plain = own.kind === now.kind && !own.odd && !now.odd;
  return plain && unmatched(own.nextHops, now.nextHops)?.length === 0;
}

/** Adds up to what two looks can compare by their next hops alone. */
function isPlain(route: KernelRoute): boolean {
  return route.kind !== 'other' && !route.odd;
}

function sameRoute(a: Route, b: Route): boolean {
  return a.kind === b.kind && a.metric === b.metric && sameHops(a.nextHops, b.nextHops);
}

function sameHops(a: readonly NextHop[], b: readonly NextHop[]): boolean {
  const has = (hops: readonly NextHop[], { via, dev }: NextHop): boolean =>
    hops.some((hop) => hop.via === via && hop.dev === dev);
  return a.length === b.length && a.every((hop) => has(b, hop)) && b.every((hop) => has(a, hop));
}
