// The kinds that are nothing but status (projectmanx.org/v1): what `kubectl get` shows of each node and each BGPPeer.
//
// Agents write them past the store, whose kinds are wishes and have a spec. One object per node, and one per BGPPeer:
// an object per session would be as many as a mesh has lines, and all of them would be written at once.
import type { Metadata } from './types.ts';

interface StatusResource<Kind extends string, Status> {
  readonly apiVersion: 'projectmanx.org/v1';
  readonly kind: Kind;
  readonly metadata: Metadata;
  readonly status: Status;
}

/** Called like the node. */
export type NodeRoutingStatus = StatusResource<'NodeRoutingStatus', NodeRoutingStatusStatus>;
/** Called like the BGPPeer. */
export type BGPPeerStatus = StatusResource<'BGPPeerStatus', BGPPeerStatusStatus>;

export interface NodeRoutingStatusStatus {
  readonly version?: string;
  readonly startedAt?: string;
  readonly updatedAt: string;
  readonly health: 'Good' | 'Degraded';
  /** Why it is degraded, one sentence each. */
  readonly reasons?: readonly string[];
  readonly asNumber?: number;
  readonly routerID?: string;
  readonly addresses?: readonly NodeAddressStatus[];
  readonly sessions: {
    /** "2/3", for the eye; the numbers are beside it. */
    readonly ready: string;
    readonly established: number;
    readonly wanted: number;
  };
  readonly peers?: readonly SessionStatus[];
  readonly routes: {
    readonly desired: number;
    readonly installed: number;
    /** In the kernel otherwise than wished, refused by it, or on the way there. */
    readonly drift: number;
  };
  readonly pods?: { readonly wired: number };
  readonly blocks?: readonly string[];
  readonly conditions?: readonly Condition[];
}

/** Where the node's own address comes from. */
export interface NodeAddressStatus {
  readonly family: 'IPv4' | 'IPv6';
  readonly address?: string;
  readonly interface?: string;
  /** "first-found", "can-reach=192.0.2.1", "configured". */
  readonly method: string;
  /** Why there is none, or why this one. */
  readonly reason?: string;
}

export interface SessionStatus {
  readonly name: string;
  /** The BGPPeer that asks for it; absent in the mesh. */
  readonly bgpPeer?: string;
  readonly kind: string;
  readonly address: string;
  readonly asNumber: number;
  readonly state: string;
  readonly since?: string;
  readonly lastError?: string;
  readonly lastErrorAt?: string;
  readonly received?: number;
  readonly accepted?: number;
  readonly advertised?: number;
  readonly flaps?: number;
}

export interface BGPPeerStatusStatus {
  readonly updatedAt: string;
  /** "12/12": sessions that are established, of those that the BGPPeer asks for. */
  readonly ready: string;
  readonly established: number;
  readonly wanted: number;
  /** The most telling condition, for the eye. */
  readonly reason?: string;
  readonly nodes?: readonly { readonly name: string; readonly state: string; readonly error?: string }[];
  readonly conditions?: readonly Condition[];
}

/** As metav1.Condition. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

export const statusKinds = {
  NodeRoutingStatus: { plural: 'noderoutingstatuses', short: ['nrs'] },
  BGPPeerStatus: { plural: 'bgppeerstatuses', short: ['bgpps'] },
} as const;
export type StatusKind = keyof typeof statusKinds;
