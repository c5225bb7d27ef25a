// What a node announces as its own: its confirmed blocks, single addresses in others' blocks, service ranges, and in an
// unnumbered fabric itself.
import { type Address, type Prefix, containsAddress, familyOf, familyOfPrefix, hostPrefix, isHostPrefix } from '#ip';
import { priorityCeiling } from '../../bgp/policy/operation.ts';
import type { OriginatedRoute } from '../../bgp/wish.ts';
import { type Advertisements, communitiesFor } from './communities.ts';
import type { SpeakingNode } from './speaking-node.ts';
import { type ClusterView, routePriority } from './view.ts';

/** What is ours at this moment. */
export interface Own {
  /** Blocks with a confirmed affinity. */
  readonly blocks: readonly Prefix[];
  /** Addresses of the pods here. */
  readonly addresses: readonly Address[];
  /** The node has sessions over links without addresses. */
  readonly unnumbered: boolean;
  /** Ranges and single addresses of Services. */
  readonly services: readonly Prefix[];
}

/**
 * Pods are announced by their block; one by one only where they lie in somebody else's block, inside a pool. What
 * disableBGPExport and filters say is for the export policy: a filter may accept what is not announced by default.
 *
 * A node on a subnet is reached by the subnet. Where one is that has none, and only links without addresses, nobody can
 * say but the node.
 */
export function originatedRoutes(
  view: ClusterView,
  self: SpeakingNode,
  own: Own,
  advertisements: Advertisements,
): OriginatedRoute[] {
  const borrowed = own.addresses
    .filter((address) => !own.blocks.some((block) => containsAddress(block, address)))
    .filter((address) => view.pools.some(({ spec }) => containsAddress(spec.cidr, address)))
    .map(hostPrefix);
  const itself = own.unnumbered ? Object.values(self.addresses).filter(({ prefix }) => isHostPrefix(prefix)) : [];
  const hosts = itself.map(({ prefix }) => prefix);
  const prefixes = new Set([...own.blocks, ...borrowed, ...hosts, ...own.services]);
  return [...prefixes].map((prefix) => originate(view, prefix, advertisements));
}

/** The LOCAL_PREF that Calico's nodes give to a route of normal priority: 2147482623. */
export function normalLocalPref(view: ClusterView, prefix: Prefix): number {
  return priorityCeiling - routePriority(view, familyOfPrefix(prefix));
}

function originate(view: ClusterView, prefix: Prefix, advertisements: Advertisements): OriginatedRoute {
  const communities = communitiesFor(advertisements, prefix);
  const standard = communities.filter((value) => typeof value === 'number');
  const large = communities.filter((value) => typeof value !== 'number');
  return {
    prefix,
    localPref: normalLocalPref(view, prefix),
    ...(standard.length > 0 && { communities: standard }),
    ...(large.length > 0 && { largeCommunities: large }),
  };
}

export function familyAnnounced(address: Address): 'ipv4-unicast' | 'ipv6-unicast' {
  return familyOf(address) === 4 ? 'ipv4-unicast' : 'ipv6-unicast';
}
