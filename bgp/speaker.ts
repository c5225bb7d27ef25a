// The speaker: owns the sessions and the tables, makes a wish true, and says what came of it.
//
// A route's way through here: a session hands an UPDATE to its neighbour (neighbour.ts), which decodes it and applies
// it to Adj-RIB-In (rib/rib.ts); that marks prefixes and wakes the turn, which lets the tables work in slices: decision,
// Loc-RIB, export and Adj-RIB-Out, messages to the sessions, and the best paths to whoever forwards by them.
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Address } from '#ip';
import { Deferral } from './deferral.ts';
import { wishedAddresses } from './export-terms.ts';
import { Listeners } from './listeners.ts';
import type { AddressFamily } from './message.ts';
import { Neighbours } from './neighbours.ts';
import type { RestartOptions } from './restart.ts';
import { type BestRoute, bestRoute } from './rib/best.ts';
import type { LocalFacts } from './rib/import.ts';
import type { Resolve } from './rib/next-hop-table.ts';
import { Rib, families } from './rib/rib.ts';
import { type RouteQuery, bestRoutes, routesOf } from './routes.ts';
import { type Clock, type Dialer, ceaseCodes, createDialer, listen, systemClock } from './session/index.ts';
import type { PeerPolicies, RouteStatus, SpeakerStatus } from './status.ts';
import type { SpeakerWish } from './wish.ts';

export interface SpeakerOptions {
  readonly clock?: Clock;
  readonly dialer?: Dialer;
  readonly listen?: typeof listen;
  readonly events?: SpeakerEvents;
  /** What the kernel says about a next hop; by default everything can be reached. */
  readonly resolve?: Resolve;
  /** How we came to be; without it nothing is said about a restart. */
  readonly restart?: RestartOptions;
}

export interface SpeakerEvents {
  /** Learned best paths that have changed, each prefix at most once per call; own routes are not among them. */
  best?(changes: readonly BestRoute[]): void;
  /** Something in status() has changed: a session's state, an error, a listener. */
  changed?(): void;
  /** Once: whoever had to say something has said it, or the wait is over. What is stale in the kernel may go. */
  converged?(): void;
  /** For the log: a constant message, values as fields. */
  note?(fact: { readonly message: string; readonly peer?: string; readonly [field: string]: unknown }): void;
}

export interface Speaker {
  /** Makes the wish true, disturbing only what has changed. */
  apply(wish: SpeakerWish): void;
  status(): SpeakerStatus;
  /** Routes with all their paths and reasons. Lazy. */
  routes(query?: RouteQuery): Iterable<RouteStatus>;
  /** How many routes each rule of a peer's policies decides about now; undefined for a peer that there is not. */
  policies(peer: string): Promise<PeerPolicies | undefined>;
  /** Every prefix that is forwarded by paths of peers. Lazy. */
  best(): Iterable<BestRoute>;
  /** `resolve` may answer differently now. */
  nextHopsChanged(): void;
  /** Asks a peer for all its routes again (RFC 2918). */
  refresh(peer: string): void;
  /** Ends a session with Cease 4 and begins it anew. */
  reset(peer: string): void;
  /** `restart`: closes without a word, so that helpers keep our routes. */
  close(how: 'restart' | 'shutdown'): Promise<void>;
}

/** How long the tables work before sessions and timers get their turn. */
const sliceMs = 4;

export function createSpeaker(options: SpeakerOptions = {}): Speaker {
  return new BgpSpeaker(options);
}

class BgpSpeaker implements Speaker {
  private readonly events: SpeakerEvents;
  private readonly clock: Clock;
  private readonly rib: Rib;
  private readonly deferral: Deferral;
  private readonly listeners: Listeners;
  private readonly neighbours: Neighbours;
  private readonly ownAddresses = new Set<Address>();
  private wish: SpeakerWish | undefined;
  private local: LocalFacts | undefined;
  private turn: NodeJS.Immediate | undefined;
  private closed = false;

  constructor(options: SpeakerOptions) {
    this.events = options.events ?? {};
    this.clock = options.clock ?? systemClock();
    this.deferral = this.createDeferral(options.restart);
    this.rib = this.createRib(options.resolve ?? (() => ({ reachable: true })));
    this.neighbours = this.createNeighbours(options.dialer ?? createDialer());
    this.listeners = new Listeners(
      options.listen ?? listen,
      (connection) => this.neighbours.accept(connection),
      () => this.events.changed?.(),
    );
  }

  // The wish.

  apply(wish: SpeakerWish): void {
    if (this.closed) return;
    const before = this.local;
    const knew = this.ownAddresses.size;
    this.wish = wish;
    for (const address of wishedAddresses(wish)) this.ownAddresses.add(address);
    this.local = this.localFacts(wish);
    this.rib.originated.apply(wish.originated, Math.floor(this.clock.now() / 1000));
    this.setMultipath(wish.multipath);
    this.listeners.apply(wish);
    this.neighbours.apply(wish);
    if (before !== undefined && (differ(before, this.local) || this.ownAddresses.size > knew)) this.importAgain();
    this.deferral.look();
    this.wake();
  }

  private localFacts({ asn, routerId, clusterId, requirePolicy }: SpeakerWish): LocalFacts {
    return {
      asn,
      routerId,
      clusterId: clusterId ?? routerId,
      addresses: this.ownAddresses,
      requirePolicy: requirePolicy ?? false,
      interfaceOf: (nextHop) => this.rib.nextHops.ask(nextHop).interface,
    };
  }

  private setMultipath(multipath: number): void {
    for (const family of families) {
      const table = this.rib.tables[family];
      if (table.locRib.multipath === multipath) continue;
      table.locRib.multipath = multipath;
      table.decideAgain();
    }
  }

  /** Paths that name one of our addresses as their next hop are none (RFC 4271 §5.1.3). */
  private learnAddress(address: Address): void {
    if (this.ownAddresses.has(address)) return;
    this.ownAddresses.add(address);
    this.importAgain();
  }

  private importAgain(): void {
    for (const neighbour of this.neighbours) neighbour.importAgain();
  }

  // The turn.

  private wake(): void {
    this.turn ??= setImmediate(() => this.takeTurn());
  }

  /** Everything that has changed since the last turn goes through decision and export, for a slice of time at most. */
  private takeTurn(): void {
    this.turn = undefined;
    // What goes while we close is not told: the routes are to outlive us.
    if (this.closed) return;
    const end = performance.now() + sliceMs;
    const changes: BestRoute[] = [];
    const wanted = this.events.best !== undefined;
    const more = this.rib.work(
      () => performance.now() >= end,
      (table, prefix) => {
        if (wanted) changes.push(bestRoute(table, prefix));
      },
    );
    if (more) this.wake();
    if (changes.length > 0) this.events.best?.(changes);
  }

  /** @param heldBack routes of neighbours were held back until now. */
  private deferralOver(family: AddressFamily, heldBack: boolean): void {
    if (heldBack) this.rib.tables[family].exportAgain();
    for (const neighbour of this.neighbours) neighbour.sayEndOfRib(family);
    this.wake();
  }

  // What is, for the operator.

  status(): SpeakerStatus {
    const { asn = 0, routerId = '0.0.0.0' as Address } = this.wish ?? {};
    return {
      asn,
      routerId,
      listening: this.listeners.status(),
      peers: [...this.neighbours].map((neighbour) => neighbour.status()),
      tables: { 'ipv4-unicast': this.tableStatus('ipv4-unicast'), 'ipv6-unicast': this.tableStatus('ipv6-unicast') },
    };
  }

  routes(query: RouteQuery = {}): Iterable<RouteStatus> {
    return this.local === undefined ? [] : routesOf(this.rib, [...this.neighbours], this.local, query);
  }

  async policies(peer: string): Promise<PeerPolicies | undefined> {
    const tally = this.neighbours.get(peer)?.policies();
    if (tally === undefined) return undefined;
    for (;;) {
      const end = performance.now() + sliceMs;
      do {
        const { done, value } = tally.next();
        if (done === true) return value;
      } while (performance.now() < end);
      await nextTurn();
    }
  }

  best(): Iterable<BestRoute> {
    return bestRoutes(this.rib);
  }

  private tableStatus(family: AddressFamily): { prefixes: number; paths: number } {
    const { locRib, paths } = this.rib.tables[family];
    return { prefixes: locRib.count, paths: paths.count };
  }

  // Orders.

  nextHopsChanged(): void {
    this.rib.nextHopsChanged();
    for (const neighbour of this.neighbours) neighbour.nextHopsChanged();
    this.wake();
  }

  refresh(peer: string): void {
    this.neighbours.get(peer)?.refresh();
  }

  reset(peer: string): void {
    this.neighbours.get(peer)?.session.reset(ceaseCodes.reset);
  }

  async close(how: 'restart' | 'shutdown'): Promise<void> {
    this.closed = true;
    this.deferral.stop();
    await Promise.all([this.listeners.closeAll(), this.neighbours.closeAll(how)]);
    clearImmediate(this.turn);
    this.turn = undefined;
  }

  // The parts.

  private createDeferral(options: RestartOptions | undefined): Deferral {
    return new Deferral(options, this.clock, {
      progress: () => [...this.neighbours].map((neighbour) => neighbour.progress()),
      over: (family, heldBack) => this.deferralOver(family, heldBack),
      converged: () => this.events.converged?.(),
    });
  }

  private createRib(resolve: Resolve): Rib {
    const nears = 'a peer nears its prefix limit';
    const exceeds = 'a peer exceeds its prefix limit, more are ignored';
    return new Rib({
      resolve,
      local: () => this.local!,
      deferring: (family) => this.deferral.holdsBack(family),
      notes: {
        nearLimit: ({ name, prefixLimit }, family, count) =>
          this.note(nears, { peer: name, family, count, max: prefixLimit?.max }),
        overLimit: ({ name, prefixLimit }, family) => this.note(exceeds, { peer: name, family, max: prefixLimit?.max }),
      },
    });
  }

  private createNeighbours(dialer: Dialer): Neighbours {
    const { rib, clock, deferral } = this;
    const host = {
      ...{ rib, clock, deferral, dialer },
      wish: () => this.wish!,
      local: () => this.local!,
      wake: () => this.wake(),
      changed: (neighbour: Parameters<Neighbours['changed']>[0]) => {
        this.neighbours.changed(neighbour);
        this.events.changed?.();
      },
      learnAddress: (address: Address) => this.learnAddress(address),
    };
    return new Neighbours(host, (message, fields) => this.note(message, fields));
  }

  private note(message: string, fields: Readonly<Record<string, unknown>>): void {
    this.events.note?.({ message, ...fields });
  }
}

/** Whether import would judge paths differently. */
function differ(a: LocalFacts, b: LocalFacts): boolean {
  const same = a.asn === b.asn && a.routerId === b.routerId && a.clusterId === b.clusterId;
  return !same || a.requirePolicy !== b.requirePolicy;
}
