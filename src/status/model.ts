// What agents tell the cluster: the two kinds of projectmanx.org/v1 that nobody but Manx writes. Everything that is said
// is in `status`; there is no `spec`, for nobody wishes anything here.

import type { Condition } from '../resources/types.ts';

/** How they are called in the API. One object per session would be as many as a mesh has lines, all written at once. */
export const statusKinds = {
  NodeRoutingStatus: { plural: 'noderoutingstatuses', short: ['nrs'] },
  BGPPeerStatus: { plural: 'bgppeerstatuses', short: ['bgpps'] },
} as const;
export type StatusKind = keyof typeof statusKinds;

/** RFC 3339, whole seconds, as metav1.Time has it. */
export type Timestamp = string;

/** How one node routes. Cluster-scoped, named as its Node, written by the agent there. */
export interface NodeRouting {
  readonly version: string;
  readonly startedAt: Timestamp;
  /** When this was written. It is written again after five minutes at the latest: whoever is older than that is away. */
  readonly writtenAt: Timestamp;
  readonly health: NodeHealth;
  /** Absent until the configuration says who this node is. */
  readonly bgp?: { readonly asn: number; readonly routerID: string };
  /** Where the node's own addresses come from; absent where nobody looked for them. */
  readonly addresses?: readonly NodeAddress[];
  /** "2/3": Established, of those that should be. */
  readonly sessionsUp: string;
  readonly sessions: readonly NodeSession[];
  /** Absent where routes are not put into the kernel. */
  readonly routes?: NodeRoutes;
  /** Absent where pods are not wired, or their records could not be read. */
  readonly pods?: NodePods;
  readonly store: NodeStore;
  /** What the configuration asks of this node and cannot have. */
  readonly troubles: readonly Trouble[];
}

export interface NodeHealth {
  readonly state: 'good' | 'degraded';
  /** One clause each; empty when good. */
  readonly reasons: readonly string[];
  /** All of them in one line. */
  readonly summary: string;
}

export interface NodeAddress {
  readonly family: 'IPv4' | 'IPv6';
  readonly address?: string;
  readonly interface?: string;
  /** "first-found of 2 addresses", "as the Node says". */
  readonly method: string;
  /** What is wrong with it: none was found, or another node has it. */
  readonly reason?: string;
}

export interface NodeSession {
  readonly name: string;
  /** Address of the peer; with "%eth1" where it means nothing without; the link alone while nobody was found there. */
  readonly peer: string;
  /** "node mesh", "global", "node specific". */
  readonly type: string;
  readonly asn: number;
  /** The BGPPeer that asks for it; absent in the mesh. */
  readonly bgpPeer?: string;
  readonly state: 'Idle' | 'Connect' | 'Active' | 'OpenSent' | 'OpenConfirm' | 'Established';
  /** Up since, or down since. */
  readonly since: Timestamp;
  /** Why it is not up. */
  readonly cause?: string;
  /** The configuration keeps it down. */
  readonly shutDown?: true;
  /** How often it went down since the agent started. */
  readonly flaps: number;
  readonly lastError?: { readonly at: Timestamp; readonly text: string };
  readonly families: readonly SessionFamily[];
}

export interface SessionFamily {
  readonly family: 'ipv4-unicast' | 'ipv6-unicast';
  readonly received: number;
  readonly accepted: number;
  readonly advertised: number;
  /** Kept from before a restart of the peer. */
  readonly stale: number;
  /** Prefixes beyond the limit. */
  readonly discarded?: number;
  readonly limit?: number;
}

export interface NodeRoutes {
  readonly desired: number;
  readonly installed: number;
  readonly missing: number;
  /** From before the agent's start, kept until the peers have sent everything. */
  readonly stale: number;
  readonly refused: number;
  /** Somebody else's route has the place of ours, or goes before it. */
  readonly foreign: number;
  /** How often somebody changed a route of ours and it was put back. */
  readonly repairs: number;
  /** The first twenty of the refused and foreign ones. */
  readonly troubles: readonly RouteNote[];
  /** Why the kernel cannot be asked or told. */
  readonly error?: string;
}

export interface RouteNote {
  readonly prefix: string;
  readonly trouble: 'refused' | 'foreign' | 'shadowed';
  readonly reason: string;
  readonly since: Timestamp;
}

export interface NodePods {
  readonly wired: number;
  readonly blocks: readonly { readonly cidr: string; readonly inUse: number; readonly total: number }[];
}

export interface NodeStore {
  /** Absent while the agent has no word from it. */
  readonly inStepSince?: Timestamp;
  readonly error?: string;
}

export interface Trouble {
  readonly kind?: string;
  readonly name?: string;
  /** "spec.password". */
  readonly path?: string;
  readonly message: string;
}

/** How a BGPPeer does on all nodes that it is for. Cluster-scoped, named as the BGPPeer, written by one agent for all. */
export interface BGPPeerState {
  /** "11/12": Established, of those that should be. */
  readonly sessionsUp: string;
  readonly ready: number;
  readonly wanted: number;
  /** Ready, MissingSecret, MissingFilter, Conflicting, NoMatchingNode. */
  readonly conditions: readonly Condition[];
  /** What there is to say in one line. */
  readonly summary: string;
  /** The first twenty sessions that are down, or nodes that have none. */
  readonly down: readonly DownSession[];
}

export interface DownSession {
  readonly node: string;
  /** Absent where there is no session at all. */
  readonly session?: string;
  readonly since?: Timestamp;
  readonly cause: string;
}
