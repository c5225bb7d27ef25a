// Which routes the kernel of one node should have: to its pods, under its blocks, and to everything that BGP has
// learned. Pure.
import { type Address, type Prefix, familyOfPrefix, hostPrefix, isHostPrefix, parsePrefix } from '#ip';
import type { Attachment } from '../../cni/port.ts';
import type { NextHop, Route } from '../../fib/route.ts';
import { type PrefixSet, prefixSet } from './prefix-set.ts';
import { audienceOf, endpointOf } from './sessions.ts';
import { type SpeakingNode, addressesOf, speakingNodes } from './speaking-node.ts';
import { type ClusterView, clusterConfiguration, routePriority, serviceRanges } from './view.ts';

/** A learned best path, as far as the kernel needs it. Several paths are used at once. */
export interface LearnedRoute {
  readonly prefix: Prefix;
  readonly paths: readonly { readonly nextHop: Address; readonly interface?: string }[];
}

export interface RoutesInput {
  readonly view: ClusterView;
  readonly node: string;
  readonly best: Iterable<LearnedRoute>;
  /** Blocks of this node whose affinity is confirmed. */
  readonly ownBlocks: readonly Prefix[];
  readonly attachments: readonly Attachment[];
}

/** The whole desired set. No prefix stands in it twice with one metric; what is the node's own comes first. */
export function desiredRoutes(input: RoutesInput): readonly Route[] {
  const routes = new Map<string, Route>();
  const add = (route: Route | undefined): void => {
    if (route === undefined) return;
    const key = `${route.prefix} ${route.metric}`;
    if (!routes.has(key)) routes.set(key, route);
  };
  const learn = routeLearner(input);
  for (const attachment of input.attachments) for (const route of podRoutes(attachment)) add(route);
  for (const route of blackholes(input)) add(route);
  for (const route of staticRoutes(input.view, input.node)) add(route);
  for (const best of input.best) add(learn(best));
  return [...routes.values()];
}

/**
 * The same for one learned route after the other: the route for the kernel, or undefined when there is to be none.
 * For the fast way from a changed best path into the kernel; everything but `best` is looked at once.
 */
export function routeLearner(input: Omit<RoutesInput, 'best'>): (best: LearnedRoute) => Route | undefined {
  const fence = fenceOf(input);
  const metrics = { 4: routePriority(input.view, 4), 6: routePriority(input.view, 6) };
  return ({ prefix, paths }) => {
    if (isFencedOff(fence, prefix)) return undefined;
    const nextHops = nextHopsOf(paths, fence.self);
    const metric = metrics[familyOfPrefix(prefix)];
    return nextHops.length === 0 ? undefined : { prefix, kind: 'unicast', metric, nextHops };
  };
}

/** One for each address of a pod. From the moment on when it is being wired: the operation and we want the same. */
function podRoutes({ addresses, hostInterface }: Attachment): Route[] {
  return addresses.map((address) => ({
    prefix: hostPrefix(address),
    kind: 'unicast',
    metric: 0,
    nextHops: [{ dev: hostInterface }],
  }));
}

/**
 * Under every block that is announced, so that packets to an address without a pod end here and do not go back and
 * forth between this node and its default gateway. A block of one address is the pod's own route.
 */
function blackholes({ view, ownBlocks }: Pick<RoutesInput, 'view' | 'ownBlocks'>): Route[] {
  return ownBlocks
    .filter((block) => !isHostPrefix(block))
    .map((prefix) => ({
      ...{ prefix, kind: 'blackhole', nextHops: [] },
      metric: routePriority(view, familyOfPrefix(prefix)),
    }));
}

/** BGPPeer `reachableBy`: the way to a peer that is not on a connected network. */
function staticRoutes(view: ClusterView, name: string): Route[] {
  const self = speakingNodes(view).find((node) => node.name === name);
  return view.peers.flatMap((peer): Route[] => {
    const { reachableBy } = peer.spec;
    const place = endpointOf(peer);
    if (place === undefined || reachableBy === undefined || self === undefined || !audienceOf(peer)(self)) return [];
    const prefix = hostPrefix(place.address);
    const metric = routePriority(view, familyOfPrefix(prefix));
    return [{ prefix, kind: 'unicast', metric, nextHops: [{ via: reachableBy }] }];
  });
}

/** What BGP must not reach into. */
interface Fence {
  readonly self: ReadonlySet<Address>;
  readonly blocks: PrefixSet;
  /** Pods here, this node, and nodes on its subnet. */
  readonly hosts: ReadonlySet<Prefix>;
  readonly subnets: PrefixSet;
  /** Service ranges, and what no router forwards. */
  readonly never: PrefixSet;
}

const NOT_FORWARDED = ['127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '::1/128', 'fe80::/10', 'ff00::/8'];

function fenceOf({ view, node, ownBlocks, attachments }: Omit<RoutesInput, 'best'>): Fence {
  const nodes = speakingNodes(view);
  const self = nodes.find(({ name }) => name === node);
  const services = serviceRanges(clusterConfiguration(view)).map(({ cidr }) => cidr);
  const pods = attachments.flatMap(({ addresses }) => addresses);
  const own = self === undefined ? [] : addressesOf(self);
  const subnets = prefixSet(self === undefined ? [] : subnetsOf(self));
  // A node beyond our subnet may well be reached by a route that BGP has brought.
  const neighbours = nodes.flatMap(addressesOf).filter((address) => subnets.containing(hostPrefix(address)));
  return {
    self: new Set(own),
    blocks: prefixSet(ownBlocks),
    hosts: new Set([...pods, ...own, ...neighbours].map(hostPrefix)),
    subnets,
    never: prefixSet([...services, ...NOT_FORWARDED.map(parsePrefix)]),
  };
}

function isFencedOff(fence: Fence, prefix: Prefix): boolean {
  const isHost = isHostPrefix(prefix);
  return (
    fence.never.containing(prefix) !== undefined ||
    fence.hosts.has(prefix) ||
    // A single address in our block may be lent out; a larger part of it belongs to nobody else.
    (fence.blocks.containing(prefix) !== undefined && (!isHost || fence.blocks.has(prefix))) ||
    // The node's own subnet is reached by its link. A part of it would lead our sessions over another router.
    (fence.subnets.containing(prefix) !== undefined && !isHost)
  );
}

/** Never ourselves, and nobody twice. A link-local next hop means something on its own link only. */
function nextHopsOf(paths: LearnedRoute['paths'], self: ReadonlySet<Address>): NextHop[] {
  const hops = new Map<string, NextHop>();
  for (const { nextHop, interface: dev } of paths) {
    if (self.has(nextHop)) continue;
    hops.set(`${nextHop} ${dev ?? ''}`, { via: nextHop, ...(dev !== undefined && { dev }) });
  }
  return [...hops.values()];
}

function subnetsOf(self: SpeakingNode): Prefix[] {
  return Object.values(self.addresses)
    .map(({ prefix }) => prefix)
    .filter((prefix) => !isHostPrefix(prefix));
}
