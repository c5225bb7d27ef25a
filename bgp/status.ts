// What the speaker says about itself: plain data, ready for JSON. The operator's screens are drawn from these alone.
import type { Address, Prefix } from '#ip';
import type { AddressFamily, Capability, PathAttributes } from './message.ts';

export type SessionState = 'Idle' | 'Connect' | 'Active' | 'OpenSent' | 'OpenConfirm' | 'Established';

export interface SpeakerStatus {
  readonly asn: number;
  readonly routerId: Address;
  readonly listening: readonly { readonly address: Address; readonly port: number; readonly error?: string }[];
  readonly peers: readonly PeerStatus[];
  /** Per family: prefixes with a best path, and paths in all. */
  readonly tables: Readonly<Record<AddressFamily, { readonly prefixes: number; readonly paths: number }>>;
}

export interface PeerStatus {
  readonly name: string;
  readonly kind: string;
  /** `::` while it is not known. */
  readonly address: Address;
  /** The one that it is on, or bound to. */
  readonly interface?: string;
  readonly asn: number;
  readonly state: SessionState;
  /** When the state was entered (ms since the epoch). */
  readonly since: number;
  /** Why the session is not up, or what it is doing about it, in words; absent when Established. */
  readonly reason?: string;
  /** Why it is not up, and nothing of what is done about it: the same from try to try while the world is the same. */
  readonly cause?: string;
  readonly passive: boolean;
  readonly local?: { readonly address: Address; readonly port: number };
  readonly remote?: { readonly address: Address; readonly port: number; readonly openedBy: 'us' | 'peer' };
  readonly localAsn: number;
  readonly peerRouterId?: Address;
  readonly capabilities: { readonly sent: readonly Capability[]; readonly received: readonly Capability[] };
  readonly families: readonly FamilyStatus[];
  readonly timers: {
    readonly hold?: TimerStatus;
    readonly keepalive?: TimerStatus;
    readonly connectRetry?: TimerStatus;
  };
  readonly messages: Readonly<Record<Direction, Readonly<Record<MessageCounter, number>>>>;
  /** How often an Established session has gone down. */
  readonly flaps: number;
  /** The newest first, five at most. */
  readonly errors: readonly SessionError[];
}

export type Direction = 'sent' | 'received';
export type MessageCounter = 'open' | 'update' | 'notification' | 'keepalive' | 'routeRefresh';

export interface TimerStatus {
  readonly leftSeconds: number;
  readonly totalSeconds: number;
}

/** Counters of one family of a session. */
export interface FamilyStatus {
  readonly family: AddressFamily;
  /** Agreed on in the OPENs. */
  readonly negotiated: boolean;
  /** Prefixes in Adj-RIB-In, those that passed import, those in Adj-RIB-Out. */
  readonly received: number;
  readonly accepted: number;
  readonly advertised: number;
  /** Paths kept from before a restart of the peer (RFC 4724). */
  readonly stale: number;
  readonly endOfRib: Readonly<Record<Direction, boolean>>;
  readonly prefixLimit?: { readonly max: number; readonly action: 'discard' | 'close'; readonly discarded: number };
}

/** What the rules of a peer's policies decide about at this moment. */
export interface PeerPolicies {
  readonly import: PolicyUse;
  /** Absent while the session is not up: then there is nobody to be told. */
  readonly export?: PolicyUse;
}

/** A policy, with the number of routes that each rule decides about, in order. Both families together. */
export interface PolicyUse {
  readonly policy: string;
  readonly rules: readonly (RuleOutcome & { readonly name: string })[];
  /** What no rule matches. */
  readonly otherwise: RuleOutcome;
  /** Refused before any rule was asked: a loop, a next hop that is none, what iBGP or the route itself forbids. */
  readonly unasked: number;
}

export interface RuleOutcome {
  readonly action: 'accept' | 'reject';
  readonly routes: number;
}

/** Why a session ended, or an UPDATE was not taken as it came. */
export interface SessionError {
  /** ms since the epoch. */
  readonly at: number;
  /** One sentence for a human: "hold timer expired (4/0), sent". */
  readonly text: string;
  readonly code?: number;
  readonly subcode?: number;
  readonly direction?: Direction;
  /** Data of the NOTIFICATION, in hex. */
  readonly data?: string;
  /** The offending message in hex, where there is one. */
  readonly message?: string;
}

/** All paths for one prefix, the best first, each with its reason. */
export interface RouteStatus {
  readonly prefix: Prefix;
  readonly paths: readonly PathStatus[];
  /** Names of the peers that it is announced to. */
  readonly announcedTo: readonly string[];
  /** What each peer of its family is told, and why: only where one prefix was asked for. */
  readonly exports?: readonly ExportStatus[];
}

export interface PathStatus {
  /** The peer's name; undefined for a route of our own. */
  readonly peer?: string;
  readonly pathId?: number;
  readonly attributes: PathAttributes;
  /** When it was last heard (ms since the epoch). */
  readonly since: number;
  readonly state: 'best' | 'multipath' | 'valid' | 'rejected';
  /** Which step of the decision, which rule or which check put it there. */
  readonly why: string;
  /** Which rule of the import policy let it in; absent where none was asked, or it is not in. */
  readonly rule?: string;
  readonly stale: boolean;
}

export interface ExportStatus {
  readonly peer: string;
  readonly announced: boolean;
  /** Which rule or which check decided. */
  readonly why: string;
  /** As the peer is told it, and whether it is that of the path itself. */
  readonly nextHop?: { readonly address: Address; readonly unchanged: boolean };
}
