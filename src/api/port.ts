// What the API asks of the agent.
import type { Prefix } from '#ip';
import type { AddressFamily } from '../../bgp/message.ts';
import type { PeerPolicies, RouteStatus, SpeakerStatus } from '../../bgp/status.ts';
import type { PeerWish } from '../../bgp/wish.ts';
import type { FibStatus } from '../../fib/route.ts';
import type { AgentStatus } from '../agent/status.ts';
import type { Documents } from '../documents.ts';
import type { Ipam } from '../ipam/index.ts';
import type { KernelRouteView, ServicesAnswer } from './views.ts';

export interface ApiSource {
  readonly identity: { readonly version: string; readonly node: string; readonly startedAt: number };
  status(): Promise<AgentStatus>;
  /** Undefined until the configuration says who this node is. */
  speaker(): SpeakerFace | undefined;
  /** What the configuration asks of a peer that is in status. */
  wishOf(peer: string): WishOfPeer | undefined;
  /** Undefined without FIB. */
  kernel(): KernelFace | undefined;
  services(): ServicesAnswer;
  readonly ipam: Pick<Ipam, 'usage' | 'lookUp' | 'check'>;
  readonly documents: Documents;
}

/** A peer of a prefix has no address of its own in the wish. */
export type WishOfPeer = Omit<PeerWish, 'address' | 'passive' | 'port'>;

export interface SpeakerFace {
  status(): SpeakerStatus;
  routes(query?: RouteQuery): Iterable<RouteStatus>;
  /** How many routes each rule of the peer's policies decides about now. */
  policies(peer: string): Promise<PeerPolicies | undefined>;
  refresh(peer: string): void;
  reset(peer: string): void;
}

export interface RouteQuery {
  readonly prefix?: Prefix;
  readonly family?: AddressFamily;
  readonly peer?: string;
  readonly limit?: number;
}

export interface KernelFace {
  status(): FibStatus;
  routes(): readonly KernelRouteView[];
}
