// The five messages of BGP-4 as values, and the words that all of the speaker shares.
//
// codec/ turns bytes into these and back; session/ and rib/ speak in them.
import type { Address } from '#ip';

/** The families that this speaker routes (AFI 1 and 2, SAFI 1). */
export type AddressFamily = 'ipv4-unicast' | 'ipv6-unicast';

export type Message = Open | Update | Notification | Keepalive | RouteRefresh;

export interface Open {
  readonly type: 'open';
  readonly version: number;
  /** The 2-octet field of the header: AS_TRANS (23456) when the real number needs four octets (RFC 6793). */
  readonly asn: number;
  readonly holdSeconds: number;
  /** The BGP identifier, an unsigned 32-bit integer (RFC 6286). */
  readonly routerId: number;
  readonly capabilities: readonly Capability[];
}

/** RFC 5492, one variant per capability that we know; everything else stays bytes. */
export type Capability =
  | { readonly name: 'multiprotocol'; readonly afi: number; readonly safi: number }
  | { readonly name: 'routeRefresh' }
  | {
      readonly name: 'extendedNextHop';
      readonly families: readonly { readonly afi: number; readonly safi: number; readonly nextHopAfi: number }[];
    }
  | { readonly name: 'extendedMessage' }
  | { readonly name: 'role'; readonly role: number }
  | {
      readonly name: 'gracefulRestart';
      /** R: this speaker has restarted (RFC 4724 §3). */
      readonly restarting: boolean;
      /** N: NOTIFICATIONs do not end the retention (RFC 8538 §2). */
      readonly notification: boolean;
      readonly restartSeconds: number;
      readonly families: readonly { readonly afi: number; readonly safi: number; readonly forwarding: boolean }[];
    }
  | { readonly name: 'fourOctetAs'; readonly asn: number }
  | {
      readonly name: 'addPath';
      readonly families: readonly {
        readonly afi: number;
        readonly safi: number;
        readonly receive: boolean;
        readonly send: boolean;
      }[];
    }
  | { readonly name: 'enhancedRouteRefresh' }
  | {
      readonly name: 'longLivedGracefulRestart';
      readonly families: readonly {
        readonly afi: number;
        readonly safi: number;
        readonly forwarding: boolean;
        readonly staleSeconds: number;
      }[];
    }
  | { readonly name: 'fqdn'; readonly host: string; readonly domain: string }
  | { readonly name: 'unknown'; readonly code: number; readonly value: Uint8Array };

/**
 * An UPDATE, split into its fields but with prefixes and attributes still in wire form: a table interns attributes on
 * these bytes and reads prefixes straight from them, so that nothing is allocated per route.
 */
export interface Update {
  readonly type: 'update';
  /** WITHDRAWN ROUTES and MP_UNREACH_NLRI. */
  readonly withdrawn: readonly NlriField[];
  /** NLRI and MP_REACH_NLRI. */
  readonly announced: readonly ReachField[];
  /** The path attributes in wire form, without MP_REACH_NLRI and MP_UNREACH_NLRI. Empty when there are none. */
  readonly attributes: Uint8Array;
  /** What RFC 7606 asks for on account of faults found so far; the strongest action wins. */
  readonly faults: readonly Fault[];
  /** Set for the End-of-RIB marker of a family (RFC 4724 §2). */
  readonly endOfRib?: AddressFamily;
}

/** A run of encoded prefixes, complete and checked: lengths fit the family, nothing is truncated. */
export interface NlriField {
  readonly family: AddressFamily;
  readonly bytes: Uint8Array;
  /** Each prefix carries a path identifier (RFC 7911). */
  readonly addPath: boolean;
}

export interface ReachField extends NlriField {
  /** From MP_REACH_NLRI: 4, 16 or 32 bytes (RFC 2545, 8950). Absent for classic NLRI, whose next hop is attribute 3. */
  readonly nextHop?: Uint8Array;
}

/** A fault in an UPDATE that does not end the session, and what it leads to (RFC 7606 §2, weakest first). */
export interface Fault {
  readonly action: 'discard' | 'withdraw';
  /** One sentence for the operator, with the section it rests on. */
  readonly reason: string;
  /** The attribute's type code, where there is one. */
  readonly attribute?: number;
}

/** The decoded path attributes of a route: what decision, policy and export look at. Absent means not present. */
export interface PathAttributes {
  readonly origin: Origin;
  readonly asPath: AsPath;
  /** The next hop; for IPv6 the global one when there are two (RFC 2545 §3). */
  readonly nextHop: Address;
  readonly linkLocalNextHop?: Address;
  readonly med?: number;
  readonly localPref?: number;
  readonly atomicAggregate?: true;
  readonly aggregator?: { readonly asn: number; readonly address: Address };
  /** RFC 1997, each an unsigned 32-bit integer, ascending and without doubles. */
  readonly communities?: readonly number[];
  /** RFC 4360, each 8 octets as an unsigned integer. */
  readonly extendedCommunities?: readonly bigint[];
  /** RFC 8092. */
  readonly largeCommunities?: readonly LargeCommunity[];
  readonly originatorId?: Address;
  readonly clusterList?: readonly Address[];
  /** OTC (RFC 9234 §5). */
  readonly onlyToCustomer?: number;
  /** Codes of known attributes that came with the Partial bit, which nobody may take away (RFC 4271 §5); ascending. */
  readonly partial?: readonly number[];
  /** Transitive attributes that we do not know, passed on with the Partial bit (RFC 4271 §5), ascending by code. */
  readonly unknown?: readonly UnknownAttribute[];
}

/** RFC 4271 §4.3: 0 IGP, 1 EGP, 2 INCOMPLETE. */
export type Origin = 0 | 1 | 2;

export type AsPath = readonly AsPathSegment[];

export interface AsPathSegment {
  readonly type: 'sequence' | 'set' | 'confedSequence' | 'confedSet';
  readonly asns: readonly number[];
}

export type LargeCommunity = readonly [global: number, local1: number, local2: number];

export interface UnknownAttribute {
  readonly code: number;
  readonly flags: number;
  readonly value: Uint8Array;
}

export interface Notification {
  readonly type: 'notification';
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

export interface Keepalive {
  readonly type: 'keepalive';
}

export interface RouteRefresh {
  readonly type: 'routeRefresh';
  readonly afi: number;
  readonly safi: number;
  /** RFC 7313 §3: 0 request, 1 BoRR, 2 EoRR. */
  readonly subtype: number;
}

/** What two OPENs agreed on: the frame in which everything after them is read and written. */
export interface Terms {
  readonly localAsn: number;
  readonly peerAsn: number;
  /** Both sides are in one AS. */
  readonly internal: boolean;
  readonly localRouterId: number;
  readonly peerRouterId: number;
  /** 0: neither hold timer nor keepalives run (RFC 4271 §4.2). */
  readonly holdSeconds: number;
  readonly keepaliveSeconds: number;
  readonly families: readonly AddressFamily[];
  readonly fourOctetAs: boolean;
  /** The largest message that we may receive, and send: 4096 or 65535 (RFC 8654). */
  readonly receiveLimit: number;
  readonly sendLimit: number;
  readonly addPathReceive: readonly AddressFamily[];
  readonly addPathSend: readonly AddressFamily[];
  /** Families whose next hop may be of the other IP version (RFC 8950). */
  readonly extendedNextHop: readonly AddressFamily[];
  readonly routeRefresh: boolean;
  readonly enhancedRouteRefresh: boolean;
  /** The peer's graceful-restart capability, if both sides sent one (RFC 4724). */
  readonly gracefulRestart?: PeerRestart;
  /** Both sides sent the N bit (RFC 8538). */
  readonly notificationRestart: boolean;
  /** The peer's long-lived stale times in seconds, per family, if both sides sent the capability (RFC 9494). */
  readonly longLived: ReadonlyMap<AddressFamily, number>;
  /** The peer's role, if both sides sent one (RFC 9234). */
  readonly role?: { readonly local: Role; readonly peer: Role };
}

export interface PeerRestart {
  readonly restarting: boolean;
  readonly restartSeconds: number;
  /** Families of the peer's capability, with its F bit. */
  readonly families: ReadonlyMap<AddressFamily, { readonly forwarding: boolean }>;
}

export type Role = 'provider' | 'routeServer' | 'routeServerClient' | 'customer' | 'peer';
