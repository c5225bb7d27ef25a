// The speaker: owns the sessions and the tables, makes a wish true, and says what came of it.
//
// A route's way through here: a session hands an UPDATE to its neighbour (neighbour.ts), which decodes it and applies
// it to Adj-RIB-In (rib/rib.ts); that marks prefixes and wakes `turn`, which lets the tables work in slices: decision,
// Loc-RIB, export and Adj-RIB-Out, messages to the sessions, and the best paths to whoever forwards by them.
import { performance } from 'node:perf_hooks';
import { type Address, type Prefix, comparePrefixes, containsAddress } from '#ip';
import { Deferral } from './deferral.ts';
import { wishedAddresses } from './export-terms.ts';
import { Listeners } from './listeners.ts';
import type { AddressFamily } from './message.ts';
import { Neighbour, type NeighbourHost } from './neighbour.ts';
import type { RestartOptions } from './restart.ts';
import { type BestRoute, bestRoute } from './rib/best.ts';
import { explainPaths } from './rib/explain.ts';
import type { FamilyTable } from './rib/family-table.ts';
import type { LocalFacts } from './rib/import.ts';
import type { Resolve } from './rib/next-hop-table.ts';
import { pathField } from './rib/path-table.ts';
import { prefixField } from './rib/prefix-table.ts';
import { Rib, families } from './rib/rib.ts';
import {
  type Clock,
  type Connection,
  type Dialer,
  ceaseCodes,
  createDialer,
  listen,
  systemClock,
} from './session/index.ts';
import type { RouteStatus, SpeakerStatus } from './status.ts';
import type { DynamicPeerWish, PeerWish, SpeakerWish } from './wish.ts';

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

export interface RouteQuery {
  readonly prefix?: Prefix;
  readonly family?: AddressFamily;
  /** Only routes for which this peer has announced a path. */
  readonly peer?: string;
  readonly limit?: number;
}

export interface Speaker {
  /** Makes the wish true, disturbing only what has changed. */
  apply(wish: SpeakerWish): void;
  status(): SpeakerStatus;
  /** Routes with all their paths and reasons. Lazy. */
  routes(query?: RouteQuery): Iterable<RouteStatus>;
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
/** Up to so many prefixes are listed in order; more come as they are stored. */
const sortedMax = 20_000;

export function createSpeaker(options: SpeakerOptions = {}): Speaker {
  return new BgpSpeaker(options);
}

class BgpSpeaker implements Speaker {
  private readonly events: SpeakerEvents;
  private readonly clock: Clock;
  private readonly rib: Rib;
  private readonly deferral: Deferral;
  private readonly listeners: Listeners;
  private readonly host: NeighbourHost;
  /** By name; those of dynamic peers are `name address`. */
  private readonly neighbours = new Map<string, Neighbour>();
  private readonly ownAddresses = new Set<Address>();
  private wish: SpeakerWish | undefined;
  private local: LocalFacts | undefined;
  private turn: NodeJS.Immediate | undefined;
  private closed = false;

  constructor(options: SpeakerOptions) {
    this.events = options.events ?? {};
    this.clock = options.clock ?? systemClock();
    this.deferral = new Deferral(options.restart, this.clock, {
      progress: () => [...this.neighbours.values()].map((neighbour) => neighbour.progress()),
      over: (family, heldBack) => this.deferralOver(family, heldBack),
      converged: () => this.events.converged?.(),
    });
    this.rib = new Rib({
      resolve: options.resolve ?? (() => ({ reachable: true })),
      local: () => this.local!,
      deferring: (family) => this.deferral.holdsBack(family),
      notes: {
        nearLimit: ({ name, prefixLimit }, family, count) =>
          this.note('a peer nears its prefix limit', { peer: name, family, count, max: prefixLimit?.max }),
        overLimit: ({ name, prefixLimit }, family) =>
          this.note('a peer exceeds its prefix limit, more are ignored', { peer: name, family, max: prefixLimit?.max }),
      },
    });
    this.listeners = new Listeners(
      options.listen ?? listen,
      (connection) => this.accept(connection),
      () => this.events.changed?.(),
    );
    this.host = this.createHost(options.dialer ?? createDialer());
  }

  // The wish.

  apply(wish: SpeakerWish): void {
    if (this.closed) return;
    const before = this.wish;
    this.wish = wish;
    this.rib.originated.apply(wish.originated, this.seconds());
    this.setMultipath(wish.multipath);
    const isNewWorld = before !== undefined && this.localChanges(before, wish);
    for (const address of wishedAddresses(wish)) this.ownAddresses.add(address);
    this.local = this.localFacts(wish);
    this.listeners.apply(wish);
    this.applyPeers(wish);
    if (isNewWorld) for (const neighbour of this.neighbours.values()) neighbour.importAgain();
    this.deferral.look();
    this.wake();
  }

  private applyPeers(wish: SpeakerWish): void {
    const wished = new Map(wish.peers.map((peer) => [peer.name, peer]));
    for (const [name, neighbour] of this.neighbours) {
      const next = wished.get(name) ?? this.dynamicWish(neighbour.wish);
      if (next !== undefined && isStill(neighbour.wish, next)) neighbour.apply(next);
      else this.drop(name, neighbour, 'deconfigured');
    }
    for (const [name, peer] of wished) if (!this.neighbours.has(name)) this.add(peer);
  }

  private add(wish: PeerWish): Neighbour {
    const neighbour = new Neighbour(wish, this.host);
    this.neighbours.set(wish.name, neighbour);
    neighbour.session.start();
    return neighbour;
  }

  private drop(name: string, neighbour: Neighbour, how: 'deconfigured' | 'shutdown'): void {
    this.neighbours.delete(name);
    void neighbour.close(how);
  }

  private setMultipath(multipath: number): void {
    for (const family of families) {
      const table = this.rib.tables[family];
      if (table.locRib.multipath === multipath) continue;
      table.locRib.multipath = multipath;
      table.decideAgain();
    }
  }

  /** Whether import would judge stored paths differently. */
  private localChanges(before: SpeakerWish, wish: SpeakerWish): boolean {
    const facts = ({ asn, routerId, clusterId, requirePolicy }: SpeakerWish): unknown =>
      JSON.stringify([asn, routerId, clusterId, requirePolicy]);
    return facts(before) !== facts(wish) || wishedAddresses(wish).some((address) => !this.ownAddresses.has(address));
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

  // Connections that come in.

  private accept(connection: Connection): void {
    const neighbour = this.neighbourFor(connection) ?? this.addDynamic(connection);
    if (neighbour !== undefined) {
      neighbour.session.accept(connection);
      return;
    }
    // Not worth a NOTIFICATION: whoever is not expected learns nothing, not even that we speak BGP.
    connection.destroy();
    this.note('refused a connection from an address that is no peer', { address: connection.remote.address });
  }

  /** By address, and interface where it has one; of several the one for our address that was dialled, then one down. */
  private neighbourFor({ remote, local, interface: scope }: Connection): Neighbour | undefined {
    const matches = [...this.neighbours.values()].filter(
      ({ wish }) =>
        wish.address === remote.address &&
        (wish.interface === undefined || scope === undefined || wish.interface === scope) &&
        (wish.localAddress === undefined || wish.localAddress === local.address),
    );
    return matches.find(({ isUp }) => !isUp) ?? matches[0];
  }

  private addDynamic({ remote, interface: scope }: Connection): Neighbour | undefined {
    const from = this.wish?.dynamicPeers?.find(({ prefix }) => containsAddress(prefix, remote.address));
    if (from === undefined) return undefined;
    const mine = [...this.neighbours.values()].filter(({ wish }) => wish.name.startsWith(`${from.name} `));
    if (mine.length >= from.maxPeers) {
      this.note('refused a connection: as many dynamic peers as allowed', { peer: from.name, max: from.maxPeers });
      return undefined;
    }
    return this.add(dynamicPeer(from, remote.address, scope));
  }

  /** What a dynamic peer is wished to be now; undefined when it is not wished any more, or none. */
  private dynamicWish({ name, address, interface: scope }: PeerWish): PeerWish | undefined {
    const from = this.wish?.dynamicPeers?.find((each) => name === `${each.name} ${address}`);
    return from && containsAddress(from.prefix, address) ? dynamicPeer(from, address, scope) : undefined;
  }

  /** A dynamic peer whose connection is gone, and whose paths are not kept, is no peer any more. */
  private forgetDynamic(neighbour: Neighbour): void {
    const { name, address } = neighbour.wish;
    if (!name.endsWith(` ${address}`) || this.wish?.peers.some((peer) => peer.name === name)) return;
    const { state } = neighbour.session.status();
    if ((state === 'Active' || state === 'Idle') && !neighbour.isExpected && this.neighbours.get(name) === neighbour) {
      this.drop(name, neighbour, 'deconfigured');
    }
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
    for (const neighbour of this.neighbours.values()) neighbour.sayEndOfRib(family);
    this.wake();
  }

  // What is, for the operator.

  status(): SpeakerStatus {
    const { asn = 0, routerId = '0.0.0.0' as Address } = this.wish ?? {};
    const table = (family: AddressFamily): { prefixes: number; paths: number } => ({
      prefixes: this.rib.tables[family].locRib.count,
      paths: this.rib.tables[family].paths.count,
    });
    return {
      asn,
      routerId,
      listening: this.listeners.status(),
      peers: [...this.neighbours.values()].map((neighbour) => neighbour.status()),
      tables: { 'ipv4-unicast': table('ipv4-unicast'), 'ipv6-unicast': table('ipv6-unicast') },
    };
  }

  *routes({ prefix, family, peer, limit = Infinity }: RouteQuery = {}): Iterable<RouteStatus> {
    const wished = families.filter((each) => family === undefined || family === each);
    const from = peer === undefined ? undefined : (this.neighbours.get(peer)?.peer.index ?? -1);
    let left = limit;
    for (const each of wished) {
      const table = this.rib.tables[each];
      const ids = prefix === undefined ? prefixesOf(table) : [table.prefixes.findPrefix(prefix)];
      for (const id of ids) {
        if (left <= 0) return;
        if (id === 0 || !hasPath(table, id, from)) continue;
        left--;
        yield this.route(table, id);
      }
    }
  }

  *best(): Iterable<BestRoute> {
    for (const family of families) {
      const table = this.rib.tables[family];
      for (const id of prefixesOf(table)) {
        const route = bestRoute(table, id);
        if (route.paths.length > 0) yield route;
      }
    }
  }

  private route(table: FamilyTable, id: number): RouteStatus {
    const neighbours = [...this.neighbours.values()];
    return {
      prefix: table.prefixes.prefixOf(id),
      paths: explainPaths(table, id, this.local!),
      announcedTo: neighbours.filter((each) => each.announces(table.family, id)).map(({ wish }) => wish.name),
    };
  }

  // Orders.

  nextHopsChanged(): void {
    this.rib.nextHopsChanged();
    for (const neighbour of this.neighbours.values()) neighbour.regroup();
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
    const neighbours = [...this.neighbours.values()];
    this.neighbours.clear();
    await Promise.all([this.listeners.closeAll(), ...neighbours.map((neighbour) => neighbour.close(how))]);
    clearImmediate(this.turn);
    this.turn = undefined;
  }

  private createHost(dialer: Dialer): NeighbourHost {
    return {
      rib: this.rib,
      clock: this.clock,
      deferral: this.deferral,
      dialer,
      wish: () => this.wish!,
      local: () => this.local!,
      wake: () => this.wake(),
      changed: (neighbour) => {
        this.forgetDynamic(neighbour);
        this.events.changed?.();
      },
      learnAddress: (address) => this.learnAddress(address),
    };
  }

  /** Paths that name one of our addresses as their next hop are none (RFC 4271 §5.1.3). */
  private learnAddress(address: Address): void {
    if (this.ownAddresses.has(address)) return;
    this.ownAddresses.add(address);
    for (const neighbour of this.neighbours.values()) neighbour.importAgain();
  }

  private note(message: string, fields: Readonly<Record<string, unknown>>): void {
    this.events.note?.({ message, ...fields });
  }

  private seconds(): number {
    return Math.floor(this.clock.now() / 1000);
  }
}

/** Whether a peer may keep its history: it is where it was, or its link is, on which it is found by itself. */
function isStill(was: PeerWish, now: PeerWish): boolean {
  return was.address === now.address || (was.interface !== undefined && was.interface === now.interface);
}

function dynamicPeer(from: DynamicPeerWish, address: Address, scope?: string): PeerWish {
  const { prefix: _prefix, maxPeers: _maxPeers, ...wish } = from;
  const name = `${wish.name} ${address}`;
  return { ...wish, name, address, port: 179, passive: true, ...(scope !== undefined && { interface: scope }) };
}

/** Prefixes in use, in order unless there are very many. */
function prefixesOf({ prefixes }: FamilyTable): Iterable<number> {
  const all: number[] = [];
  for (let id = 1; id < prefixes.end; id++) if (prefixes.get(id, prefixField.firstPath) !== 0) all.push(id);
  if (all.length > sortedMax) return all;
  const keyed = all.map((id) => ({ id, prefix: prefixes.prefixOf(id) }));
  return keyed.sort((a, b) => comparePrefixes(a.prefix, b.prefix)).map(({ id }) => id);
}

function hasPath(table: FamilyTable, prefix: number, peer: number | undefined): boolean {
  const paths = [...table.locRib.pathsOf(prefix)];
  return peer === undefined ? paths.length > 0 : paths.some((path) => table.paths.get(path, pathField.peer) === peer);
}
