// The routing tables of a speaker, both families over one set of attributes, and the peers that fill them.
//
// Input is synchronous and only marks what has to be looked at; work() does the rest in slices.
import { type Address, compareAddresses } from '#ip';
import { decodeAttributes, strongestAction } from '../codec/index.ts';
import type { AddressFamily, Fault, ReachField, Terms, Update } from '../message.ts';
import type { LimitNotes } from './adj-in.ts';
import { AttributeCache } from './attribute-cache.ts';
import { AttributeTable } from './attribute-table.ts';
import { FamilyTable, type Shared } from './family-table.ts';
import type { LocalFacts } from './import.ts';
import { NextHopTable, type Resolve } from './next-hop-table.ts';
import { Originated } from './originated.ts';
import { ownPeer, pathFlag } from './path-table.ts';
import { type RibPeer, createPeerFamily } from './peer.ts';

export const families: readonly AddressFamily[] = ['ipv4-unicast', 'ipv6-unicast'];

/** How an attribute block is read depends on these alone. */
export type DecodeTerms = Pick<Terms, 'fourOctetAs' | 'internal'>;

export interface RibPorts {
  readonly resolve: Resolve;
  readonly local: () => LocalFacts;
  readonly notes: LimitNotes;
  readonly deferring: (family: AddressFamily) => boolean;
}

export type NewPeer = Omit<RibPeer, 'index' | 'rank' | 'families' | 'routerId'>;

export class Rib {
  readonly attributes: AttributeTable;
  readonly nextHops: NextHopTable;
  readonly tables: Readonly<Record<AddressFamily, FamilyTable>>;
  readonly originated: Originated;
  private readonly peers: (RibPeer | undefined)[] = [undefined];
  /** Peers whose last paths are still being removed. */
  private readonly leaving = new Set<RibPeer>();
  /** One for each kind of {@link DecodeTerms}. */
  private readonly caches: (AttributeCache | undefined)[] = [undefined, undefined, undefined, undefined];

  constructor(ports: RibPorts) {
    this.nextHops = new NextHopTable(ports.resolve);
    this.attributes = new AttributeTable(this.nextHops);
    const shared: Shared = { ...ports, attributes: this.attributes, nextHops: this.nextHops, peers: this.peers };
    this.tables = {
      'ipv4-unicast': new FamilyTable('ipv4-unicast', shared),
      'ipv6-unicast': new FamilyTable('ipv6-unicast', shared),
    };
    this.originated = new Originated(this.tables, this.attributes);
  }

  addPeer(peer: NewPeer): RibPeer {
    const free = this.peers.indexOf(undefined, ownPeer + 1);
    const index = free < 0 ? this.peers.length : free;
    const families = {
      'ipv4-unicast': createPeerFamily('ipv4-unicast'),
      'ipv6-unicast': createPeerFamily('ipv6-unicast'),
    };
    const added: RibPeer = { ...peer, index, rank: 0, routerId: 0, families };
    this.peers[index] = added;
    this.rankPeers();
    return added;
  }

  /** The peer by the same name is at another address now: it is somebody else, whose paths those are not. */
  movePeer(peer: RibPeer, address: Address): void {
    this.purge(peer, families);
    peer.address = address;
    this.rankPeers();
  }

  /** Removes a peer and, in slices, its paths. */
  removePeer(peer: RibPeer): void {
    this.purge(peer, families);
    this.leaving.add(peer);
  }

  /** Removes all paths of a peer in these families, in slices. */
  purge(peer: RibPeer, of: readonly AddressFamily[]): void {
    for (const family of of) {
      if (this.tables[family].markAll(peer, pathFlag.doomed) > 0) this.tables[family].sweep(peer, pathFlag.doomed);
    }
  }

  /**
   * Applies an UPDATE. @param now seconds since the epoch.
   * @returns the faults in it, those of its attributes included; what they ask for has been done (RFC 7606 §2).
   * @throws NotificationError when the session must end.
   */
  apply(peer: RibPeer, update: Update, terms: DecodeTerms, now: number): readonly Fault[] {
    for (const field of update.withdrawn) this.tables[field.family].adjIn.withdraw(peer, field);
    if (update.announced.length === 0) return update.faults;
    if (strongestAction(update.faults) === 'withdraw') {
      for (const field of update.announced) this.tables[field.family].adjIn.withdraw(peer, field);
      return update.faults;
    }
    let faults = update.faults;
    for (const field of update.announced) {
      const found = this.announce(peer, field, update.attributes, terms, now);
      if (found.length > 0) faults = [...faults, ...found];
    }
    return faults;
  }

  /**
   * Works on both families until nothing is left or the time is up.
   * @returns whether something is left that need not wait for a peer.
   */
  work(isTimeUp: () => boolean, selected: (table: FamilyTable, prefix: number) => void): boolean {
    let more = false;
    for (const family of families) {
      const table = this.tables[family];
      more = table.work(isTimeUp, (prefix) => selected(table, prefix)) || more;
    }
    if (!more) this.forgetPeers();
    return more;
  }

  /** The next hops may resolve differently now. */
  nextHopsChanged(): void {
    const changed = this.nextHops.resolveAll();
    if (changed.size === 0) return;
    for (const family of families) {
      this.tables[family].resolveAgain((nextHop) => changed.has(nextHop));
      this.tables[family].exportAgain();
    }
  }

  private announce(
    peer: RibPeer,
    field: ReachField,
    raw: Uint8Array,
    terms: DecodeTerms,
    now: number,
  ): readonly Fault[] {
    const { adjIn } = this.tables[field.family];
    const { set, faults } = this.intern(raw, field.nextHop, terms);
    if (set === 0) {
      // RFC 7606 §2: treat-as-withdraw also removes what the peer said before.
      adjIn.withdraw(peer, field);
      return faults;
    }
    try {
      adjIn.announce(peer, field, set, now);
    } finally {
      this.attributes.release(set);
    }
    return faults;
  }

  /** The id of an attribute block, held; 0 when its faults withdraw the routes. */
  private intern(
    raw: Uint8Array,
    nextHop: Uint8Array | undefined,
    terms: DecodeTerms,
  ): { set: number; faults: readonly Fault[] } {
    const cache = this.cacheFor(terms);
    const known = cache.find(raw, nextHop);
    if (known !== 0) {
      this.attributes.retain(known);
      return { set: known, faults: noFaults };
    }
    const { attributes, faults } = decodeAttributes(raw, nextHop, terms);
    if (attributes === undefined) return { set: 0, faults };
    const set = this.attributes.intern(attributes);
    // A block with faults is read again each time, so that each time it is told.
    if (faults.length === 0) cache.add(raw, nextHop, set);
    return { set, faults };
  }

  private cacheFor({ fourOctetAs, internal }: DecodeTerms): AttributeCache {
    const { caches } = this;
    const index = (fourOctetAs ? 1 : 0) + (internal ? 2 : 0);
    return (caches[index] ??= new AttributeCache(this.attributes));
  }

  /** Only when nothing is left to do is it certain that nobody remembers the peer's number. */
  private forgetPeers(): void {
    for (const peer of this.leaving) this.peers[peer.index] = undefined;
    this.leaving.clear();
  }

  /** RFC 4271 §9.1.2.2 g: the lower address wins. */
  private rankPeers(): void {
    const known = this.peers.filter((peer) => peer !== undefined);
    known.sort((a, b) => compareAddresses(a.address, b.address) || a.index - b.index);
    for (const [rank, peer] of known.entries()) peer.rank = rank;
  }
}

const noFaults: readonly Fault[] = [];
