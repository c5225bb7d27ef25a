// What the API shows where the agent's own values hold bytes, bigints or codes: the same facts as readable JSON.
import type { Address, Prefix } from '#ip';
import type { AddressFamily, AsPath, Capability, Origin, PathAttributes } from '../../bgp/message.ts';
import { formatAsPath, formatCommunity, formatExtendedCommunity } from '../../bgp/text.ts';
import type { ExportStatus, PathStatus, PeerPolicies, PeerStatus, RouteStatus } from '../../bgp/status.ts';
import type { PeerWish } from '../../bgp/wish.ts';
import type { FibStatus, Route, RouteTrouble } from '../../fib/route.ts';
import type { ServiceEntry } from '../services/announced.ts';
import type { ServicesStatus } from '../services/follow.ts';
import type { WishOfPeer } from './port.ts';

/** A capability with what it carries, bytes in hex. */
export type CapabilityView =
  | Exclude<Capability, { name: 'unknown' }>
  | { readonly name: 'unknown'; readonly code: number; readonly value: string };

export interface PeerView extends Omit<PeerStatus, 'capabilities'> {
  readonly capabilities: {
    readonly sent: readonly CapabilityView[];
    readonly received: readonly CapabilityView[];
  };
  /** What the configuration asks of this session, where that is not in the rest. */
  readonly wish?: WishView;
  /** How many routes each rule of its filters decides about now, where one peer was asked for. */
  readonly policies?: PeerPolicies;
}

export interface WishView {
  readonly importPolicy?: string;
  readonly exportPolicy?: string;
  /** The secret itself is never shown. */
  readonly password: boolean;
  readonly ttlSecurityHops?: number;
  readonly role?: string;
  readonly routeReflectorClient: boolean;
  readonly gracefulRestart: PeerWish['gracefulRestart'];
  readonly shutdown?: string;
}

export interface RouteView {
  readonly prefix: Prefix;
  /** The best first. */
  readonly paths: readonly PathView[];
  readonly announcedTo: readonly string[];
  /** What each peer is told and why, where one prefix was asked for. */
  readonly exports?: readonly ExportStatus[];
  /** Absent where routes do not go into the kernel, or this one should not. */
  readonly kernel?: readonly KernelRouteView[];
}

export interface RoutesAnswer {
  readonly routes: readonly RouteView[];
  /** There are more than were asked for. */
  readonly more: boolean;
}

export interface PathView extends Omit<PathStatus, 'attributes'> {
  readonly attributes: AttributesView;
}

export interface AttributesView {
  readonly origin: 'IGP' | 'EGP' | 'incomplete';
  /** "65001 {65002 65003} (64512)": sequences bare, sets in braces, confederation parts in brackets. */
  readonly asPath: string;
  /** As the decision counts it: a set is one, confederation parts none (RFC 4271 §9.1.2.2, RFC 5065 §5.3). */
  readonly asPathLength: number;
  readonly nextHop: Address;
  readonly linkLocalNextHop?: Address;
  readonly med?: number;
  readonly localPref?: number;
  readonly atomicAggregate?: true;
  readonly aggregator?: { readonly asn: number; readonly address: Address };
  /** "64512:120", or a well-known one's name: "no-export". */
  readonly communities?: readonly string[];
  /** "64512:300:100" */
  readonly largeCommunities?: readonly string[];
  /** "rt:65001:100", or 16 hex digits behind "0x". */
  readonly extendedCommunities?: readonly string[];
  readonly originatorId?: Address;
  readonly clusterList?: readonly Address[];
  readonly onlyToCustomer?: number;
  readonly unknown?: readonly { readonly code: number; readonly flags: number; readonly value: string }[];
}

export interface FibAnswer {
  readonly status: FibStatus;
  readonly routes: readonly KernelRouteView[];
}

export interface ServicesAnswer {
  readonly status: ServicesStatus;
  readonly entries: readonly ServiceEntry[];
}

export interface KernelRouteView {
  readonly route: Route;
  readonly state: string;
  readonly trouble?: RouteTrouble;
}

export function viewPeer(status: PeerStatus, wish?: WishOfPeer): PeerView {
  const { sent, received } = status.capabilities;
  return {
    ...status,
    capabilities: { sent: sent.map(viewCapability), received: received.map(viewCapability) },
    ...(wish && { wish: viewWish(wish) }),
  };
}

function viewCapability(capability: Capability): CapabilityView {
  return capability.name === 'unknown' ? { ...capability, value: hex(capability.value) } : capability;
}

function viewWish(wish: WishOfPeer): WishView {
  return {
    ...(wish.importPolicy && { importPolicy: wish.importPolicy.name }),
    ...(wish.exportPolicy && { exportPolicy: wish.exportPolicy.name }),
    password: wish.password !== undefined,
    ...(wish.ttlSecurityHops !== undefined && { ttlSecurityHops: wish.ttlSecurityHops }),
    ...(wish.role && { role: wish.role }),
    routeReflectorClient: wish.routeReflectorClient,
    gracefulRestart: wish.gracefulRestart,
    ...(wish.shutdown !== undefined && { shutdown: wish.shutdown }),
  };
}

/** @param kernel what the kernel has, or should have, of a prefix */
export function viewRoute(route: RouteStatus, kernel?: (prefix: Prefix) => readonly KernelRouteView[]): RouteView {
  const installed = kernel?.(route.prefix) ?? [];
  return {
    prefix: route.prefix,
    paths: route.paths.map((path) => ({ ...path, attributes: viewAttributes(path.attributes) })),
    announcedTo: route.announcedTo,
    ...(route.exports && { exports: route.exports }),
    ...(installed.length > 0 && { kernel: installed }),
  };
}

const originNames = { 0: 'IGP', 1: 'EGP', 2: 'incomplete' } as const satisfies Record<Origin, string>;

export function viewAttributes(attributes: PathAttributes): AttributesView {
  const { communities, largeCommunities, extendedCommunities, unknown, origin, asPath, ...same } = attributes;
  return {
    origin: originNames[origin],
    asPath: formatAsPath(asPath),
    asPathLength: asPathLength(asPath),
    ...same,
    ...(communities && { communities: communities.map(formatCommunity) }),
    ...(largeCommunities && { largeCommunities: largeCommunities.map(formatCommunity) }),
    ...(extendedCommunities && {
      extendedCommunities: extendedCommunities.map(formatExtendedCommunity),
    }),
    ...(unknown && { unknown: unknown.map((attribute) => ({ ...attribute, value: hex(attribute.value) })) }),
  };
}

function asPathLength(path: AsPath): number {
  const lengths = path.map(({ type, asns }) => (type === 'sequence' ? asns.length : type === 'set' ? 1 : 0));
  return lengths.reduce<number>((sum, length) => sum + length, 0);
}

export function familyText(family: AddressFamily): string {
  return family === 'ipv4-unicast' ? 'IPv4 unicast' : 'IPv6 unicast';
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
