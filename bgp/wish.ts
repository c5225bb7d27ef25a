// What the speaker should be: the declarative face. The whole wish goes in; the speaker works out what changed, and a
// session is disturbed only when its own terms change.
import type { Address, Prefix } from '#ip';
import type { AddressFamily, LargeCommunity, Role } from './message.ts';
import type { Policy } from './policy/rule.ts';

export interface SpeakerWish {
  readonly asn: number;
  /** The BGP identifier, any non-zero IPv4 address (RFC 6286). */
  readonly routerId: Address;
  /** Where to accept sessions. Empty: nowhere, every peer is dialled. */
  readonly listen: readonly Endpoint[];
  /** Names are unique. */
  readonly peers: readonly PeerWish[];
  /** Peers that may come from anywhere in a prefix; each gets a session of its own, named `name address`. */
  readonly dynamicPeers?: readonly DynamicPeerWish[];
  readonly originated: readonly OriginatedRoute[];
  /** How many equally good paths are used at once; 1 for none (RFC 4271 §9.1.2.2 stops before the last steps). */
  readonly multipath: number;
  /** Set on a route reflector (RFC 4456). */
  readonly clusterId?: Address;
  /** Refuse routes from and to eBGP peers that have no policy (RFC 8212). */
  readonly requirePolicy?: boolean;
}

export interface Endpoint {
  readonly address: Address;
  /** 0: any free port (status tells which). */
  readonly port: number;
  /** Needed for a link-local address. */
  readonly interface?: string;
}

/** One neighbour. Every field but the first five has a default; see {@link peerDefaults}. */
export interface PeerWish {
  readonly name: string;
  /** Where it is; `::` while `absent` says that nobody knows. */
  readonly address: Address;
  readonly asn: number;
  /** Free text shown in status, e.g. "node mesh", "global", "node specific". */
  readonly kind: string;
  readonly families: readonly AddressFamily[];

  readonly port: number;
  /** The interface of a link-local peer, or the one to bind to. */
  readonly interface?: string;
  /** Local address of the session. */
  readonly localAddress?: Address;
  /**
   * Why the address of the peer is not known, in words: it is to be found on `interface`, and has not been found, or is
   * lost. No session until a wish has an address; a restart waits for it as for any other peer.
   */
  readonly absent?: string;
  /** Shown to this peer instead of the speaker's own (RFC 7705's local-as). */
  readonly localAsn?: number;
  /** Never dial, only accept. */
  readonly passive: boolean;
  /** Take no part at all, and say so to the peer (Cease 2) with this text (RFC 9003). */
  readonly shutdown?: string;
  readonly holdSeconds: number;
  /** Default: a third of the negotiated hold time. */
  readonly keepaliveSeconds?: number;
  readonly connectRetrySeconds: number;
  /** TCP MD5 (RFC 2385). */
  readonly password?: string;
  /** GTSM: how many hops away the peer may be (RFC 5082). */
  readonly ttlSecurityHops?: number;
  readonly nextHop: 'auto' | 'self' | 'keep';
  /** The address announced as next hop for a family whose version is not the session's. */
  readonly nextHopAddress?: Partial<Record<AddressFamily, Address>>;
  /** How often our own AS may stand in a received path. */
  readonly allowOwnAs: number;
  readonly gracefulRestart: {
    readonly enabled: boolean;
    readonly restartSeconds: number;
    /** How long stale paths are kept at most, whatever the peer asked for. */
    readonly staleSecondsMax: number;
    /** As helper: keep stale paths this long after restart time has run out; 0 for not (RFC 9494). */
    readonly longLivedSeconds: number;
  };
  readonly routeReflectorClient: boolean;
  readonly addPath: { readonly receive: boolean; /** Paths per prefix; 0: off. */ readonly send: number };
  readonly extendedNextHop: boolean;
  readonly role?: Role;
  readonly prefixLimit?: PrefixLimit;
  readonly importPolicy?: Policy;
  readonly exportPolicy?: Policy;
}

export interface PrefixLimit {
  /** Prefixes per family. */
  readonly max: number;
  /** Warn from this share on, in percent. */
  readonly warnPercent: number;
  /** What happens beyond: extra prefixes are ignored, or the session is closed (Cease 1) and stays down so long. */
  readonly action: 'discard' | 'close';
  readonly idleSeconds: number;
}

export interface DynamicPeerWish extends Omit<PeerWish, 'address' | 'passive' | 'port'> {
  readonly prefix: Prefix;
  readonly maxPeers: number;
}

/** A route that this speaker announces as its own. */
export interface OriginatedRoute {
  readonly prefix: Prefix;
  readonly med?: number;
  readonly localPref?: number;
  readonly communities?: readonly number[];
  readonly largeCommunities?: readonly LargeCommunity[];
  /** Default: self. */
  readonly nextHop?: Address;
}

/** What a peer wish says when it does not say otherwise. Hold time as in BIRD and FRR's data-centre use. */
export const peerDefaults = {
  port: 179,
  passive: false,
  holdSeconds: 90,
  connectRetrySeconds: 5,
  nextHop: 'auto',
  allowOwnAs: 0,
  gracefulRestart: { enabled: true, restartSeconds: 120, staleSecondsMax: 300, longLivedSeconds: 0 },
  routeReflectorClient: false,
  addPath: { receive: true, send: 0 },
  extendedNextHop: false,
} as const satisfies Partial<PeerWish>;
