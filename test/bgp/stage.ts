// A speaker among neighbours that a test plays: network and clock in memory, every word on the wire written down.
//
// What players say and hear goes through the codec, which has tests of its own with bytes written by hand; what a
// player knows is kept in plain Maps, apart from anything in rib/.
import { isDeepStrictEqual } from 'node:util';
import { type Address, type Prefix, addressOf, addressToBytes, lengthOf, parseAddress } from '#ip';
import {
  afiSafi,
  decodeAttributes,
  decodeNotification,
  decodeRouteRefresh,
  decodeUpdate,
  encodeAttributes,
  encodeEndOfRib,
  encodeNextHop,
  encodeReach,
  encodeRouteRefresh,
  encodeUnreach,
  encodeUpdate,
  nlriPrefixes,
} from '../../bgp/codec/index.ts';
import {
  type AddressFamily,
  type BestRoute,
  type Capability,
  type Notification,
  type PathAttributes,
  type PeerWish,
  type Speaker,
  type SpeakerOptions,
  type SpeakerWish,
  createSpeaker,
  peerDefaults,
} from '../../bgp/index.ts';
import type { Connection } from '../../bgp/session/port.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { MemoryNetwork, type WireOptions } from '../support/memory-transport.ts';
import { RawPeer, ipv4, ipv6, restarts } from '../support/raw-peer.ts';

export const ourAddress = '10.0.0.1' as Address;
export const ourAsn = 64_512;
export const v4: AddressFamily = 'ipv4-unicast';
export const v6: AddressFamily = 'ipv6-unicast';

/** Attributes of a route from AS 65001 unless told otherwise. */
export function attributes(other: Partial<PathAttributes> = {}): PathAttributes {
  return { origin: 0, asPath: path(65_001), nextHop: '192.0.2.1' as Address, ...other };
}

export function path(...asns: number[]): PathAttributes['asPath'] {
  return asns.length === 0 ? [] : [{ type: 'sequence', asns }];
}

export function peerWish(name: string, address: string, asn: number, other: Partial<PeerWish> = {}): PeerWish {
  return {
    ...peerDefaults,
    ...{ name, address: parseAddress(address), asn, kind: 'test', families: [v4], passive: true },
    ...other,
  };
}

export class Stage {
  readonly clock = new FakeClock();
  readonly network: MemoryNetwork;
  readonly speaker: Speaker;
  wish: SpeakerWish;
  /** Every change of best paths, in order. */
  readonly changes: BestRoute[] = [];
  readonly notes: string[] = [];
  converged = 0;

  constructor(
    wish: Partial<SpeakerWish> = {},
    options: Partial<SpeakerOptions> & { readonly wire?: WireOptions } = {},
  ) {
    const { wire, ...others } = options;
    this.network = new MemoryNetwork(wire);
    this.speaker = createSpeaker({
      clock: this.clock,
      dialer: this.network.dialer(ourAddress),
      listen: async ({ address, port }, onConnection) => {
        const close = this.network.listen(address, onConnection, port);
        const nothing = (): void => undefined;
        return {
          ...{ address, port, trouble: undefined, setPassword: nothing, setTtlSecurity: nothing },
          close: async () => {
            close();
            // A real one takes a turn or two.
            await settle(3);
          },
        };
      },
      events: {
        best: (changes) => this.changes.push(...changes),
        converged: () => this.converged++,
        note: ({ message }) => this.notes.push(message),
      },
      ...others,
    });
    this.wish = {
      ...{ asn: ourAsn, routerId: ourAddress, listen: [{ address: ourAddress, port: 179 }] },
      ...{ peers: [], originated: [], multipath: 1 },
      ...wish,
    };
    this.speaker.apply(this.wish);
  }

  /** Changes the wish. */
  async apply(wish: Partial<SpeakerWish>): Promise<void> {
    this.wish = { ...this.wish, ...wish };
    this.speaker.apply(this.wish);
    await settle();
  }

  /** Changes one peer's wish. */
  async applyPeer(name: string, other: Partial<PeerWish>): Promise<void> {
    await this.apply({ peers: this.wish.peers.map((peer) => (peer.name === name ? { ...peer, ...other } : peer)) });
  }

  /** A wished peer connects and comes up, saying these capabilities besides its AS number. */
  async join(name: string, capabilities: readonly Capability[] = [ipv4]): Promise<Player> {
    const wish = this.wish.peers.find((peer) => peer.name === name)!;
    const connection = await this.network.connect(wish.address, ourAddress);
    const player = new Player(connection, wish.asn === (wish.localAsn ?? this.wish.asn), capabilities);
    const routerId = [...addressToBytes(wish.address)].reduce((sum, byte) => (sum * 256 + byte) % 2 ** 32, 0);
    await player.handshake({
      ...{ asn: wish.asn > 65_535 ? 23_456 : wish.asn, routerId },
      capabilities: [{ name: 'fourOctetAs', asn: wish.asn }, ...capabilities],
    });
    await settle();
    return player;
  }

  /** A peer in the wish and up. */
  async add(wish: PeerWish, capabilities?: readonly Capability[]): Promise<Player> {
    await this.apply({ peers: [...this.wish.peers, wish] });
    return this.join(wish.name, capabilities);
  }

  family(peer: string, family: AddressFamily = v4) {
    const status = this.speaker.status().peers.find(({ name }) => name === peer)!;
    return status.families.find((each) => each.family === family)!;
  }

  session(peer: string) {
    return this.speaker.status().peers.find(({ name }) => name === peer)!;
  }

  /** The next hops by which prefixes are forwarded now: "10.1.0.0/24 via 192.0.2.1". */
  forwarding(): string[] {
    return [...this.speaker.best()].map(
      ({ prefix, paths }) => `${prefix} via ${paths.map(({ nextHop }) => nextHop).join(', ')}`,
    );
  }

  /** Each path for a prefix in short: "tor-a: best: the only path". */
  why(prefix: string): string[] {
    return [...this.speaker.routes({ prefix: prefix as Prefix })].flatMap(({ paths }) =>
      paths.map(({ peer, why }) => `${peer ?? 'own'}: ${why}`),
    );
  }
}

/** A neighbour in the test's hands. */
export class Player extends RawPeer {
  private readonly internal: boolean;
  private readonly capabilities: readonly Capability[];
  private read = 0;
  /** What it has been told and not been untold: prefix, with "#ID" where there is one. */
  private readonly table = new Map<string, PathAttributes>();
  /** Everything it was told, in order: "+10.0.0.0/8", "-10.0.0.0/8", "EoR ipv4-unicast", "refresh 1". */
  private readonly log: string[] = [];
  /** What it was told although it knew. */
  readonly redundant: string[] = [];

  constructor(connection: Connection, internal: boolean, capabilities: readonly Capability[]) {
    super(connection);
    this.internal = internal;
    this.capabilities = capabilities;
  }

  /** Announces prefixes with one set of attributes; a path identifier for each if `pathIds` are given. */
  async announce(
    prefixes: readonly string[],
    set: PathAttributes = attributes(),
    pathIds?: readonly number[],
  ): Promise<void> {
    const nlri = encodePrefixes(prefixes, pathIds);
    const to = { fourOctetAs: true, internal: this.internal };
    const family = familyOfText(prefixes[0]!);
    const hop = encodeNextHop(family, set.nextHop, set.linkLocalNextHop);
    const classic = family === v4 && hop.length === 4;
    this.write(
      classic
        ? encodeUpdate({ attributes: encodeAttributes(set, { ...to, nextHop: set.nextHop }), announced: nlri })
        : encodeUpdate({ attributes: joined(encodeReach(family, hop, nlri), encodeAttributes(set, to)) }),
    );
    await settle();
  }

  async withdraw(prefixes: readonly string[], pathIds?: readonly number[]): Promise<void> {
    const nlri = encodePrefixes(prefixes, pathIds);
    const family = familyOfText(prefixes[0]!);
    this.write(
      family === v4 ? encodeUpdate({ withdrawn: nlri }) : encodeUpdate({ attributes: encodeUnreach(family, nlri) }),
    );
    await settle();
  }

  async endOfRib(family: AddressFamily = v4): Promise<void> {
    this.write(encodeEndOfRib(family));
    await settle();
  }

  async refresh(subtype: number, family: AddressFamily = v4): Promise<void> {
    this.write(encodeRouteRefresh({ ...afiSafi(family), subtype }));
    await settle();
  }

  /** What is said meanwhile arrives as one piece. */
  async together(say: () => void): Promise<void> {
    const { stream } = this.connection;
    stream.cork();
    say();
    stream.uncork();
    await settle();
  }

  /** The connection breaks without a word. */
  async vanish(): Promise<void> {
    this.connection.destroy();
    await settle();
  }

  /** The NOTIFICATION that ends it all, past whatever else comes before. */
  async nextUntilNotification(): Promise<Notification> {
    for (;;) {
      const { type, body } = await this.next();
      if (type === 'notification') return decodeNotification(body);
    }
  }

  /** What it knows from us now. */
  get known(): ReadonlyMap<string, PathAttributes> {
    this.readOn();
    return this.table;
  }

  /** The prefixes that it knows, sorted. */
  get prefixes(): string[] {
    return [...this.known.keys()].sort();
  }

  /** Takes what it was told since the last time. */
  news(): string[] {
    this.readOn();
    return this.log.splice(0);
  }

  /** Bodies of the UPDATEs that it has got. */
  get updates(): Uint8Array[] {
    return this.heard.filter(({ type }) => type === 'update').map(({ body }) => body);
  }

  private readOn(): void {
    for (; this.read < this.heard.length; this.read++) {
      const { type, body } = this.heard[this.read]!;
      if (type === 'update') this.readUpdate(body);
      if (type === 'routeRefresh') this.log.push(`refresh ${decodeRouteRefresh(body).subtype}`);
    }
  }

  private readUpdate(body: Uint8Array): void {
    const terms = termsOf(this.capabilities, this.internal);
    const update = decodeUpdate(body, terms);
    if (update.endOfRib !== undefined) this.log.push(`EoR ${update.endOfRib}`);
    for (const field of update.withdrawn) {
      for (const route of nlriPrefixes(field)) {
        this.log.push(`-${nameOf(route)}`);
        if (!this.table.delete(nameOf(route))) this.redundant.push(`-${nameOf(route)}`);
      }
    }
    for (const field of update.announced) {
      const { attributes: set, faults } = decodeAttributes(update.attributes, field.nextHop, terms);
      if (set === undefined || faults.length > 0) throw new Error(`a faulty UPDATE: ${JSON.stringify(faults)}`);
      for (const route of nlriPrefixes(field)) {
        this.log.push(`+${nameOf(route)}`);
        if (isDeepStrictEqual(this.table.get(nameOf(route)), set)) this.redundant.push(`+${nameOf(route)}`);
        this.table.set(nameOf(route), set);
      }
    }
  }
}

export { ipv4, ipv6, restarts, settle };

/** All of the wish's peers must be able to be restarted: the capability for both families. */
export const restartsBoth = restarts({
  families: [
    { afi: 1, safi: 1, forwarding: true },
    { afi: 2, safi: 1, forwarding: true },
  ],
});

export const refreshes: readonly Capability[] = [{ name: 'routeRefresh' }, { name: 'enhancedRouteRefresh' }];

/** ADD-PATH for IPv4 in both directions. */
export const addPath: Capability = { name: 'addPath', families: [{ afi: 1, safi: 1, receive: true, send: true }] };

function termsOf(capabilities: readonly Capability[], internal: boolean) {
  const withPaths = capabilities.some(({ name }) => name === 'addPath');
  const hops = capabilities.some(({ name }) => name === 'extendedNextHop');
  return {
    ...{ families: [v4, v6], internal, fourOctetAs: true },
    ...{ addPathReceive: withPaths ? [v4] : [], extendedNextHop: hops ? [v4] : [] },
  };
}

function nameOf({ prefix, pathId }: { prefix: Prefix; pathId?: number }): string {
  return pathId === undefined ? prefix : `${prefix}#${pathId}`;
}

function familyOfText(prefix: string): AddressFamily {
  return prefix.includes(':') ? v6 : v4;
}

function encodePrefixes(prefixes: readonly string[], pathIds?: readonly number[]): Uint8Array {
  return joined(
    ...prefixes.map((prefix, i) => {
      const length = lengthOf(prefix as Prefix);
      const octets = addressToBytes(addressOf(prefix as Prefix)).subarray(0, (length + 7) >> 3);
      const id = pathIds?.[i];
      const identifier = id === undefined ? [] : [id >>> 24, (id >>> 16) & 255, (id >>> 8) & 255, id & 255];
      return Uint8Array.of(...identifier, length, ...octets);
    }),
  );
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
