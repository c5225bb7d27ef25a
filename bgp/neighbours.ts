// All neighbours: those of the wish, which stay until the wish changes, and those that came by themselves from a
// prefix of the wish, which go when nothing is left of their session. And which of them a connection belongs to.
import { type Address, containsAddress } from '#ip';
import { Neighbour, type NeighbourHost } from './neighbour.ts';
import type { Connection } from './session/index.ts';
import type { DynamicPeerWish, PeerWish, SpeakerWish } from './wish.ts';

export type Note = (message: string, fields: Readonly<Record<string, unknown>>) => void;

export class Neighbours {
  private readonly host: NeighbourHost;
  private readonly note: Note;
  /** Those of dynamic peers are named `name address`. */
  private readonly byName = new Map<string, Neighbour>();
  /** Those that came by themselves and whose first connection has been dealt with. */
  private readonly dynamic = new Set<Neighbour>();
  private dynamicWishes: readonly DynamicPeerWish[] = [];
  /** Addresses of peers that the wish names. */
  private named: ReadonlySet<Address> = new Set();

  constructor(host: NeighbourHost, note: Note) {
    this.host = host;
    this.note = note;
  }

  [Symbol.iterator](): Iterator<Neighbour> {
    return this.byName.values();
  }

  get(name: string): Neighbour | undefined {
    return this.byName.get(name);
  }

  /** Makes the peers of a wish these, disturbing only those whose own wish has changed. */
  apply({ peers, dynamicPeers = [] }: SpeakerWish): void {
    this.dynamicWishes = dynamicPeers;
    this.named = new Set(peers.map(({ address }) => address));
    const wished = new Map(peers.map((peer) => [peer.name, peer]));
    for (const [name, neighbour] of this.byName) {
      const next = wished.get(name) ?? this.dynamicWish(neighbour.wish);
      if (next !== undefined && isStill(neighbour.wish, next)) neighbour.apply(next);
      else this.drop(neighbour);
    }
    for (const [name, peer] of wished) if (!this.byName.has(name)) this.add(peer);
  }

  /** Hands a connection to the neighbour that it belongs to, or closes it. */
  accept(connection: Connection): void {
    const known = this.neighbourFor(connection);
    const neighbour = known ?? this.addDynamic(connection);
    if (neighbour === undefined) {
      // Not worth a NOTIFICATION: whoever is not expected learns nothing, not even that we speak BGP.
      connection.destroy();
      return;
    }
    neighbour.session.accept(connection);
    if (known !== undefined) return;
    this.dynamic.add(neighbour);
    this.changed(neighbour);
  }

  /** A session has changed its state: one that came by itself may have nothing left. */
  changed(neighbour: Neighbour): void {
    if (!this.dynamic.has(neighbour) || neighbour.isExpected) return;
    const { state } = neighbour.session.status();
    if (state === 'Active' || state === 'Idle') this.drop(neighbour);
  }

  async closeAll(how: 'restart' | 'shutdown'): Promise<void> {
    const all = [...this.byName.values()];
    this.byName.clear();
    this.dynamic.clear();
    await Promise.all(all.map((neighbour) => neighbour.close(how)));
  }

  private add(wish: PeerWish): Neighbour {
    const neighbour = new Neighbour(wish, this.host);
    this.byName.set(wish.name, neighbour);
    neighbour.session.start();
    return neighbour;
  }

  private drop(neighbour: Neighbour): void {
    this.byName.delete(neighbour.wish.name);
    this.dynamic.delete(neighbour);
    void neighbour.close('deconfigured');
  }

  /** By address, interface and local address as far as the wish names them; of several one that is not up. */
  private neighbourFor({ remote, local, interface: scope }: Connection): Neighbour | undefined {
    const matches = [...this.byName.values()].filter(
      ({ wish }) =>
        wish.address === remote.address &&
        (wish.interface === undefined || scope === undefined || wish.interface === scope) &&
        (wish.localAddress === undefined || wish.localAddress === local.address),
    );
    return matches.find(({ isUp }) => !isUp) ?? matches[0];
  }

  private addDynamic({ remote, interface: scope }: Connection): Neighbour | undefined {
    const { address } = remote;
    const from = this.dynamicWishes.find(({ prefix }) => containsAddress(prefix, address));
    if (from === undefined) {
      this.note('refused a connection from an address that is no peer', { address });
      return undefined;
    }
    const count = [...this.dynamic].filter(({ wish }) => wish.name.startsWith(`${from.name} `)).length;
    if (count >= from.maxPeers) {
      this.note('refused a connection: there are as many dynamic peers as allowed', {
        peer: from.name,
        address,
        count,
      });
      return undefined;
    }
    return this.add(dynamicPeer(from, address, scope));
  }

  /** What a peer that came by itself is wished to be now; undefined when it is not wished any more, or by name. */
  private dynamicWish({ name, address, interface: scope }: PeerWish): PeerWish | undefined {
    if (this.named.has(address)) return undefined;
    const from = this.dynamicWishes.find((each) => name === `${each.name} ${address}`);
    return from && containsAddress(from.prefix, address) ? dynamicPeer(from, address, scope) : undefined;
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
