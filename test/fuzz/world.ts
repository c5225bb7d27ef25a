// A speaker among neighbours of several kinds whose messages the fuzzer makes, and two sound ones, inside and outside,
// that write down what becomes of them.
import type { Address } from '#ip';
import type { AddressFamily, Capability, PeerWish } from '../../bgp/index.ts';
import { Player, Stage, ipv4, ipv6, peerWish, refreshes, restartsBoth, settle } from '../bgp/stage.ts';
import { RawPeer } from '../support/raw-peer.ts';

/** Ours. The messages in the corpus name 10.0.0.1 and others as next hops, so it is none of these. */
const ours = '10.99.0.1' as Address;
const ourAsn = 64_512;

export interface Kind {
  readonly wish: PeerWish;
  readonly capabilities: readonly Capability[];
}

const both: readonly AddressFamily[] = ['ipv4-unicast', 'ipv6-unicast'];
const all = { families: both, holdSeconds: 0 };
const as4 = (asn: number): Capability => ({ name: 'fourOctetAs', asn });
const sends = { receive: false, send: true };
const addPath: Capability = { name: 'addPath', families: [1, 2].map((afi) => ({ afi, safi: 1, ...sends })) };
const hops: Capability = { name: 'extendedNextHop', families: [{ afi: 1, safi: 1, nextHopAfi: 2 }] };

export const kinds: readonly Kind[] = [
  {
    wish: peerWish('plain', '10.9.0.1', 65_001, { ...all, families: ['ipv4-unicast'] }),
    capabilities: [ipv4, as4(65_001)],
  },
  {
    wish: peerWish('both', '10.9.0.2', 65_001, all),
    capabilities: [ipv4, ipv6, as4(65_001), restartsBoth, ...refreshes, { name: 'extendedMessage' }],
  },
  { wish: peerWish('two-octet', '10.9.0.3', 65_003, all), capabilities: [ipv4, ipv6] },
  {
    wish: peerWish('add-path', '10.9.0.4', 65_004, all),
    capabilities: [ipv4, ipv6, as4(65_004), addPath, restartsBoth],
  },
  {
    wish: peerWish('inside', '10.9.0.5', ourAsn, { ...all, extendedNextHop: true, routeReflectorClient: true }),
    capabilities: [ipv4, ipv6, as4(ourAsn), hops, ...refreshes],
  },
];

const witnesses = {
  outside: peerWish('outside', '10.9.1.1', 65_100, {
    ...all,
    nextHopAddress: { 'ipv6-unicast': 'fd99::1' as Address },
  }),
  inside: peerWish('witness', '10.9.1.2', ourAsn, {
    ...{ ...all, addPath: { receive: false, send: 3 } },
    nextHopAddress: { 'ipv6-unicast': 'fd99::1' as Address },
  }),
};

/** The kind of ADD-PATH that the inner witness can take. */
const takesPaths: Capability = { name: 'addPath', families: [{ afi: 1, safi: 1, receive: true, send: false }] };

export class World {
  readonly stage = new Stage({
    ...{ asn: ourAsn, routerId: ours, listen: [{ address: ours, port: 179 }] },
    peers: [...kinds.map(({ wish }) => wish), ...Object.values(witnesses)],
    multipath: 2,
  });
  readonly neighbours = new Map<string, RawPeer>();
  outside!: Player;
  inside!: Player;

  static async create(): Promise<World> {
    const world = new World();
    await settle();
    await world.meetWitnesses();
    return world;
  }

  /** The witnesses come, or come anew: nothing of what they wrote down stays. */
  async meetWitnesses(): Promise<void> {
    for (const old of [this.outside, this.inside]) await old?.vanish();
    this.outside = await this.join(witnesses.outside, [ipv4, ipv6], 10);
    this.inside = await this.join(witnesses.inside, [ipv4, ipv6, takesPaths], 11);
    this.stage.network.wires.length = 0;
    this.stage.network.dials.length = 0;
    this.stage.changes.length = 0;
    this.stage.notes.length = 0;
  }

  /** A neighbour connects, once its old connection is gone, and comes up. */
  async up({ wish, capabilities }: Kind): Promise<RawPeer> {
    const old = this.neighbours.get(wish.name);
    old?.connection.destroy();
    // After a quarrel nobody is let in for a while.
    await this.stage.clock.advance(6000);
    const raw = new RawPeer(await this.stage.network.connect(wish.address, ours));
    await raw.handshake({ asn: wish.asn, routerId: Number(wish.address.split('.')[3]), capabilities });
    await settle();
    this.neighbours.set(wish.name, raw);
    return raw;
  }

  /** Everything that the fuzzer's neighbours have said goes with them. */
  async leave(): Promise<void> {
    for (const raw of this.neighbours.values()) raw.connection.destroy();
    this.neighbours.clear();
    // Longer than any path is kept for a neighbour that may come back.
    await this.stage.clock.advance(700_000);
  }

  private async join(wish: PeerWish, capabilities: readonly Capability[], routerId: number): Promise<Player> {
    const connection = await this.stage.network.connect(wish.address, ours);
    const player = new Player(connection, wish.asn === ourAsn, capabilities);
    await player.handshake({ asn: wish.asn, routerId, capabilities: [as4(wish.asn), ...capabilities] });
    await settle();
    return player;
  }
}
