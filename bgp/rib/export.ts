// Export: whether a route goes to a peer, and with which attributes. Pure; asked once per attribute set and update
// group as far as no rule looks at the prefix.
//
// The order: what the route itself forbids, what iBGP and roles forbid, policy, then what the kind of session makes of
// the attributes. Policy sees the route as it stands in Loc-RIB, less a MED that is not for the peer, so that a MED
// that policy sets does go out.
import { type Address, familyOf, v4FromInt } from '#ip';
import { isTransitive, prependToAsPath } from '../codec/index.ts';
import type { AddressFamily, AsPathSegment, PathAttributes } from '../message.ts';
import { type PrefixWords, defaultLocalPref } from '../policy/match.ts';
import { type CompiledPolicy, acceptAll, applyRule, choose, decidesAlone, narrow, noRule } from '../policy/policy.ts';
import type { PeerWish } from '../wish.ts';
import { hasCommunity, wellKnown } from './community.ts';
import { isLinkLocal } from './import.ts';
import type { RibPeer } from './peer.ts';
import { exportUnderRole } from './role.ts';

/** Everything about a peer that what it is sent depends on: peers with equal terms form an update group. */
export interface ExportTerms {
  readonly family: AddressFamily;
  readonly internal: boolean;
  /** It is our route reflector client. */
  readonly client: boolean;
  readonly localAsn: number;
  readonly clusterId: Address;
  readonly role: RibPeer['role'];
  readonly policy: CompiledPolicy | undefined;
  readonly requirePolicy: boolean;
  readonly nextHop: PeerWish['nextHop'];
  /** Our own address as next hop; undefined when the session has none of a version that the peer understands. */
  readonly self: { readonly address: Address; readonly linkLocal?: Address } | undefined;
  /** A next hop of IP version 6 may stand in an IPv4 route (RFC 8950). */
  readonly extendedNextHop: boolean;
  /** The interface of the network that a directly connected external peer shares with us. */
  readonly sharedInterface: string | undefined;
  /** The peer's address, if some route of ours names it as next hop (RFC 4271 §5.1.3). */
  readonly notNextHop: Address | undefined;
  /** The peer keeps long-lived stale routes apart (RFC 9494). */
  readonly longLived: boolean;
  readonly fourOctetAs: boolean;
  readonly sendLimit: number;
  /** Paths per prefix; 0 without ADD-PATH. */
  readonly addPath: number;
}

/** Where a route comes from: a peer, or this speaker. */
export type Source = Pick<RibPeer, 'internal' | 'client' | 'routerId'> | undefined;

export type ExportPlan =
  | { readonly refused: string }
  | {
      readonly refused?: undefined;
      readonly attributes: PathAttributes;
      readonly source: Source;
      readonly policy: CompiledPolicy;
      readonly candidates: readonly number[];
      readonly rule: number | undefined;
    };

const nobody: readonly number[] = [];

/** What a next hop in our own routes stands for that have none of their own: us. */
export const unspecified: Readonly<Record<AddressFamily, Address>> = {
  'ipv4-unicast': '0.0.0.0' as Address,
  'ipv6-unicast': '::' as Address,
};

export function planExport(
  route: PathAttributes,
  source: Source,
  to: ExportTerms,
  interfaceOf: (nextHop: Address) => string | undefined,
): ExportPlan {
  const refused = forbidden(route, source, to);
  if (refused !== undefined) return { refused };
  const judged = to.role === undefined ? { attributes: route } : exportUnderRole(route, to.role, to.localAsn);
  if ('leak' in judged) return { refused: judged.leak };
  const attributes = source !== undefined && !to.internal ? withoutMed(judged.attributes) : judged.attributes;
  const { policy } = to;
  if (policy === undefined) return { attributes, source, policy: acceptAll, candidates: nobody, rule: noRule };
  const candidates = narrow(policy, attributes, {
    peerType: to.internal ? 'iBGP' : 'eBGP',
    source: source === undefined ? 'Local' : 'RemotePeers',
    interface: interfaceOf(attributes.nextHop),
  });
  return { attributes, source, policy, candidates, rule: decidesAlone(policy, candidates) };
}

export function exportRule(plan: ExportPlan, prefixes: PrefixWords, prefix: number): number | undefined {
  if (plan.refused !== undefined) return undefined;
  return plan.rule ?? choose(plan.policy, plan.candidates, prefixes, prefix);
}

/** The attributes that the peer is sent; undefined when it is sent nothing. */
export function exportUnder(
  plan: ExportPlan,
  rule: number,
  to: ExportTerms,
  interfaceOf: (nextHop: Address) => string | undefined,
): PathAttributes | undefined {
  if (plan.refused !== undefined) return undefined;
  const accepted = plan.policy === acceptAll ? plan.attributes : applyRule(plan.policy, rule, plan.attributes);
  const hops = accepted && nextHops(accepted, plan.source, to, interfaceOf);
  if (accepted === undefined || hops === undefined) return undefined;
  const attributes = { ...withoutLinkLocal(accepted), ...hops };
  return to.internal ? internalAttributes(attributes, plan.source, to) : externalAttributes(attributes, to);
}

function forbidden(route: PathAttributes, source: Source, to: ExportTerms): string | undefined {
  if (to.requirePolicy && !to.internal && to.policy === undefined) {
    return 'this external peer has no export policy (RFC 8212)';
  }
  if (source === undefined) {
    return to.notNextHop === route.nextHop ? 'its next hop is the peer itself (RFC 4271 §5.1.3)' : undefined;
  }
  if (hasCommunity(route, wellKnown.noAdvertise)) return 'NO_ADVERTISE';
  if (!to.internal && hasCommunity(route, wellKnown.noExport)) return 'NO_EXPORT';
  if (!to.internal && hasCommunity(route, wellKnown.noExportSubconfed)) return 'NO_EXPORT_SUBCONFED';
  if (!to.longLived && hasCommunity(route, wellKnown.longLivedStale)) return 'long-lived stale (RFC 9494 §4.3)';
  // RFC 4271 §9.2, RFC 4456 §6: between internal peers only if one of them is a client.
  if (source.internal && to.internal && !source.client && !to.client) return 'learned from an internal peer';
  return undefined;
}

/** RFC 4271 §5.1.4: what one neighbouring AS told us is not for another. */
function withoutMed(attributes: PathAttributes): PathAttributes {
  if (attributes.med === undefined) return attributes;
  const { med: _, ...rest } = attributes;
  return rest;
}

function internalAttributes(attributes: PathAttributes, source: Source, to: ExportTerms): PathAttributes {
  const withPreference = { ...attributes, localPref: attributes.localPref ?? defaultLocalPref };
  if (source === undefined || !source.internal) return withPreference;
  // RFC 4456 §8: a reflected route says who brought it into the AS, and through which clusters it came.
  return {
    ...withPreference,
    originatorId: attributes.originatorId ?? v4FromInt(source.routerId),
    clusterList: [to.clusterId, ...(attributes.clusterList ?? [])],
  };
}

function externalAttributes(attributes: PathAttributes, to: ExportTerms): PathAttributes {
  // RFC 5065 §4.1: confederation segments stay inside the confederation.
  const stays = ({ type }: AsPathSegment): boolean => type === 'sequence' || type === 'set';
  const path = attributes.asPath.every(stays) ? attributes.asPath : attributes.asPath.filter(stays);
  return { ...withinReach(withoutInternal(attributes)), asPath: prependToAsPath(path, [to.localAsn]) };
}

// Copying an object but for some properties is dear, and mostly there are none of them.

function withoutLinkLocal(attributes: PathAttributes): PathAttributes {
  if (attributes.linkLocalNextHop === undefined) return attributes;
  const { linkLocalNextHop: _, ...rest } = attributes;
  return rest;
}

function withoutInternal(attributes: PathAttributes): PathAttributes {
  const { localPref, originatorId, clusterList } = attributes;
  if (localPref === undefined && originatorId === undefined && clusterList === undefined) return attributes;
  const { localPref: _, originatorId: __, clusterList: ___, ...rest } = attributes;
  return rest;
}

/**
 * RFC 4360 §6: non-transitive extended communities end at the AS border. The encoder would leave them out as well, but
 * two sets that look the same to the peer have to be one here, or it is told again what it knows.
 */
function withinReach(attributes: PathAttributes): PathAttributes {
  const { extendedCommunities } = attributes;
  if (extendedCommunities === undefined || extendedCommunities.every(isTransitive)) return attributes;
  return { ...attributes, extendedCommunities: extendedCommunities.filter(isTransitive) };
}

type NextHops = Pick<PathAttributes, 'nextHop' | 'linkLocalNextHop'>;

/** RFC 4271 §5.1.3, RFC 2545 §3. Undefined when there is none that the peer could use. */
function nextHops(
  route: PathAttributes,
  source: Source,
  to: ExportTerms,
  interfaceOf: (nextHop: Address) => string | undefined,
): NextHops | undefined {
  if (staysAsItIs(route, source, to, interfaceOf)) return { nextHop: route.nextHop };
  if (to.self === undefined) return undefined;
  const { address, linkLocal } = to.self;
  return linkLocal === undefined ? { nextHop: address } : { nextHop: address, linkLocalNextHop: linkLocal };
}

function staysAsItIs(
  { nextHop }: PathAttributes,
  source: Source,
  to: ExportTerms,
  interfaceOf: (nextHop: Address) => string | undefined,
): boolean {
  if (nextHop === unspecified['ipv4-unicast'] || nextHop === unspecified['ipv6-unicast']) return false;
  // A link-local address means nothing on another link, and an address of the wrong version nothing to the peer.
  if (isLinkLocal(nextHop) || !isUnderstood(nextHop, to)) return false;
  if (source === undefined) return true;
  if (to.nextHop !== 'auto') return to.nextHop === 'keep';
  return to.internal || (to.sharedInterface !== undefined && interfaceOf(nextHop) === to.sharedInterface);
}

function isUnderstood(nextHop: Address, to: ExportTerms): boolean {
  return familyOf(nextHop) === (to.family === 'ipv4-unicast' ? 4 : 6) || to.extendedNextHop;
}
