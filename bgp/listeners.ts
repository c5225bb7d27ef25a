// Where the speaker listens: the wished endpoints against the open ones, with every peer's protection on each.
import { type Address, type Prefix, addressOf, familyOf, familyOfPrefix, isHostPrefix } from '#ip';
import { type Connection, type Listener, TransportError, type listen } from './session/index.ts';
import type { SpeakerStatus } from './status.ts';
import type { Endpoint, SpeakerWish } from './wish.ts';

interface Place {
  readonly endpoint: Endpoint;
  listener?: Listener;
  error?: string;
  closed: boolean;
}

type Protection = { readonly password: string | undefined; readonly ttlSecurityHops: number | undefined };
type Guarded = ReadonlyMap<Address | Prefix, Protection>;

export class Listeners {
  private readonly open: typeof listen;
  private readonly onConnection: (connection: Connection) => void;
  private readonly changed: () => void;
  private readonly places = new Map<string, Place>();
  /** What every listener has been told about peers. */
  private guarded: Guarded = new Map();

  constructor(open: typeof listen, onConnection: (connection: Connection) => void, changed: () => void) {
    this.open = open;
    this.onConnection = onConnection;
    this.changed = changed;
  }

  apply(wish: SpeakerWish): void {
    const wished = new Map(wish.listen.map((endpoint) => [keyOf(endpoint), endpoint]));
    for (const [key, place] of this.places) if (!wished.has(key)) void this.close(key, place);
    const before = this.guarded;
    this.guarded = protections(wish);
    for (const place of this.places.values()) this.guard(place, before);
    for (const [key, endpoint] of wished) if (!this.places.has(key)) this.start(key, endpoint);
  }

  status(): SpeakerStatus['listening'] {
    return [...this.places.values()].map(({ endpoint, listener, error }) => {
      const trouble = error ?? listener?.trouble;
      return {
        address: endpoint.address,
        port: listener?.port ?? endpoint.port,
        ...(trouble !== undefined && { error: trouble }),
      };
    });
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.places].map(([key, place]) => this.close(key, place)));
  }

  private start(key: string, endpoint: Endpoint): void {
    const place: Place = { endpoint, closed: false };
    this.places.set(key, place);
    const { interface: scope } = endpoint;
    this.open(endpoint, this.onConnection, scope === undefined ? {} : { interface: scope }).then(
      async (listener) => {
        place.listener = listener;
        this.guard(place, new Map());
        // The wish may have moved on while the port was being opened.
        if (place.closed) await listener.close();
        this.changed();
      },
      (error: unknown) => {
        place.error = describe(error);
        this.changed();
      },
    );
  }

  private async close(key: string, place: Place): Promise<void> {
    this.places.delete(key);
    place.closed = true;
    await place.listener?.close();
  }

  /** Tells a listener what has changed about peers of its family since `before`. */
  private guard(place: Place, before: Guarded): void {
    const { listener, endpoint } = place;
    if (listener === undefined) return;
    delete place.error;
    for (const peer of new Set([...before.keys(), ...this.guarded.keys()])) {
      if (versionOf(peer) !== familyOf(endpoint.address)) continue;
      try {
        protect(listener, peer, before.get(peer), this.guarded.get(peer));
      } catch (error) {
        place.error = describe(error);
      }
    }
  }
}

function keyOf({ address, port, interface: scope = '' }: Endpoint): string {
  return `${address} ${port} ${scope}`;
}

function protect(listener: Listener, peer: Address | Prefix, was?: Protection, now?: Protection): void {
  if (was?.password !== now?.password) listener.setPassword(peer, now?.password);
  if (was?.ttlSecurityHops !== now?.ttlSecurityHops) listener.setTtlSecurity(peer, now?.ttlSecurityHops);
}

/** By address or prefix: what connections from there must have. */
function protections({ peers, dynamicPeers = [] }: SpeakerWish): Guarded {
  const all: [Address | Prefix, Protection][] = [
    ...dynamicPeers.map(({ prefix, password, ttlSecurityHops }): [Prefix | Address, Protection] => [
      isHostPrefix(prefix) ? addressOf(prefix) : prefix,
      { password, ttlSecurityHops },
    ]),
    ...peers
      .filter(({ absent }) => absent === undefined)
      .map(({ address, password, ttlSecurityHops }): [Address, Protection] => [address, { password, ttlSecurityHops }]),
  ];
  return new Map(
    all.filter(([, { password, ttlSecurityHops }]) => password !== undefined || ttlSecurityHops !== undefined),
  );
}

function versionOf(peer: Address | Prefix): 4 | 6 {
  return peer.includes('/') ? familyOfPrefix(peer as Prefix) : familyOf(peer as Address);
}

/** Errors of the operator's are shown; ours end the process. */
function describe(error: unknown): string {
  if (!(error instanceof TransportError)) throw error;
  return error.message;
}
