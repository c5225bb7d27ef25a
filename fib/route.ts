// A route as the kernel holds it, and the mark by which we know our own.
import { type Address, type Prefix, familyOfPrefix } from '#ip';

/** Our routing protocol number in the kernel (deploy/rt_protos.d/manx.conf gives it the name). */
export const PROTOCOL = 201;

/** The metric of routes learned by BGP: behind whatever an operator sets by hand. Pods' own routes have 0. */
export const BGP_METRIC = 1024;

/** A route that should be, or is, in the kernel's main table. */
export interface Route {
  readonly prefix: Prefix;
  readonly kind: 'unicast' | 'blackhole';
  /** As given to `ip`; 0 means the kernel's default (0 for IPv4, 1024 for IPv6). */
  readonly metric: number;
  /** One for a plain route, several for ECMP, none for a blackhole. Order does not matter. */
  readonly nextHops: readonly NextHop[];
}

export interface NextHop {
  /** The gateway; absent for a route to a link. May be of the other family (RFC 8950: `via inet6`). */
  readonly via?: Address;
  /** The interface; may be left out where the gateway decides it. */
  readonly dev?: string;
}

/** A desired route that is not in the kernel as wished, and why. */
export interface RouteTrouble {
  readonly prefix: Prefix;
  readonly metric: number;
  /**
   * refused: the kernel said no (`reason` is its text), retried at `retryAt`.
   * foreign: somebody else's route (its protocol in `reason`) has the same prefix, and the same metric or one that ours
   *          would take the traffic from; ours waits.
   * shadowed: ours is in, but somebody else's for the same prefix has a better metric and is used instead.
   */
  readonly trouble: 'refused' | 'foreign' | 'shadowed';
  readonly reason: string;
  readonly since: number;
  readonly retryAt?: number;
}

/** What the reconciler says about itself. Times are ms since the epoch. */
export interface FibStatus {
  readonly desired: number;
  readonly installed: number;
  readonly missing: number;
  /** Ours in the kernel, not desired, kept until the speaker has converged after a start. */
  readonly stale: number;
  readonly troubles: readonly RouteTrouble[];
  readonly lastFullCheck?: number;
  /** Repairs of what somebody else changed. */
  readonly repairs: number;
  /** Set while the kernel cannot be asked or told. */
  readonly error?: string;
}

/** The metric as the kernel shows it: IPv6 has no 0, it becomes IP6_RT_PRIO_USER. */
export function kernelMetric(prefix: Prefix, metric: number): number {
  return metric === 0 && familyOfPrefix(prefix) === 6 ? 1024 : metric;
}

const protocolNames: Readonly<Record<number, string>> = {
  0: 'unspec',
  1: 'redirect',
  2: 'kernel',
  3: 'boot',
  4: 'static',
  9: 'ra',
  11: 'zebra',
  12: 'bird',
  16: 'dhcp',
  18: 'keepalived',
  42: 'babel',
  186: 'bgp',
  187: 'isis',
  188: 'ospf',
  189: 'rip',
  192: 'eigrp',
  [PROTOCOL]: 'manx',
};

/** The name of a routing protocol number as in iproute2's rt_protos, or the number. */
export function protocolName(protocol: number): string {
  return protocolNames[protocol] ?? String(protocol);
}
