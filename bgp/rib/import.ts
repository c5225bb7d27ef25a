// Import: whether a path may be used, and with which attributes. Pure; asked once per attribute set and peer as far as
// no rule looks at the prefix, and asked again when somebody wants to know why a path was rejected.
//
// Everything that makes a path unusable for its own sake is here. What depends on the moment (the next hop cannot be
// reached, we originate the prefix ourselves) is the decision's business, so that it heals without a new UPDATE.
import { type Address, addressToBytes, familyOf, v4FromInt, v4ToInt } from '#ip';
import type { PathAttributes } from '../message.ts';
import {
  type CompiledPolicy,
  acceptAll,
  applyRule,
  choose,
  decidesAlone,
  describeDecision,
  narrow,
  noRule,
} from '../policy/policy.ts';
import type { PrefixWords } from '../policy/match.ts';
import { occurrences } from './as-path.ts';
import { hasCommunity, wellKnown } from './community.ts';
import type { RibPeer } from './peer.ts';
import { importUnderRole } from './role.ts';

/** What import knows about this speaker. */
export interface LocalFacts {
  readonly asn: number;
  readonly routerId: Address;
  /** The cluster that we reflect in; the router ID unless configured otherwise (RFC 4456 §7). */
  readonly clusterId: Address;
  /** Addresses of our own, which no path may have as its next hop. */
  readonly addresses: ReadonlySet<Address>;
  /** RFC 8212. */
  readonly requirePolicy: boolean;
  readonly interfaceOf: (nextHop: Address) => string | undefined;
}

/** What import makes of one attribute set from one peer, as far as it is the same for every prefix. */
export type ImportPlan =
  | { readonly refused: string }
  | {
      readonly refused?: undefined;
      readonly attributes: PathAttributes;
      readonly policy: CompiledPolicy;
      readonly candidates: readonly number[];
      /** The rule that decides about every prefix, where there is one. */
      readonly rule: number | undefined;
    };

type From = Pick<
  RibPeer,
  'asn' | 'localAsn' | 'internal' | 'role' | 'allowOwnAs' | 'interface' | 'importPolicy' | 'address'
>;

const nobody: readonly number[] = [];

export function planImport(heard: PathAttributes, from: From, local: LocalFacts): ImportPlan {
  const near = onTheLink(heard, from);
  const refused = unusable(near, from, local);
  if (refused !== undefined) return { refused };
  const judged = from.role === undefined ? { attributes: near } : importUnderRole(near, from.role, from.asn);
  if ('leak' in judged) return { refused: judged.leak };
  const { attributes } = judged;
  const policy = from.importPolicy;
  if (policy === undefined) return { attributes, policy: acceptAll, candidates: nobody, rule: noRule };
  const candidates = narrow(policy, attributes, {
    peerType: from.internal ? 'iBGP' : 'eBGP',
    source: 'RemotePeers',
    interface: isLinkLocal(attributes.nextHop) ? from.interface : local.interfaceOf(attributes.nextHop),
  });
  return { attributes, policy, candidates, rule: decidesAlone(policy, candidates) };
}

/** The rule that decides about a prefix under a plan that has no single one. */
export function importRule(plan: ImportPlan, prefixes: PrefixWords, prefix: number): number | undefined {
  if (plan.refused !== undefined) return undefined;
  return plan.rule ?? choose(plan.policy, plan.candidates, prefixes, prefix);
}

/** The attributes that a path is used with; undefined when the rule rejects it. */
export function importUnder(plan: ImportPlan, rule: number, from: From): PathAttributes | undefined {
  if (plan.refused !== undefined) return undefined;
  const attributes = plan.policy === acceptAll ? plan.attributes : applyRule(plan.policy, rule, plan.attributes);
  // RFC 8326 §4.2: whatever policy made of it, the path of a router that is about to go is the last choice.
  if (attributes === undefined || from.internal || !hasCommunity(attributes, wellKnown.gracefulShutdown)) {
    return attributes;
  }
  return { ...attributes, localPref: 0 };
}

/** Why a plan rejects the prefix, for a human; undefined when it does not. */
export function explainImport(plan: ImportPlan, prefixes: PrefixWords, prefix: number, from: From): string | undefined {
  if (plan.refused !== undefined) return `rejected: ${plan.refused}`;
  const rule = importRule(plan, prefixes, prefix)!;
  return importUnder(plan, rule, from) === undefined ? describeDecision(plan.policy, rule, 'import') : undefined;
}

/**
 * Two neighbours that speak by their link-local addresses need not have a subnet in common: then the link-local next hop
 * is the one that can be reached (RFC 2545 §3), and the global one beside it may be on a network that we do not have.
 */
function onTheLink(heard: PathAttributes, from: From): PathAttributes {
  if (heard.linkLocalNextHop === undefined || from.interface === undefined || !isLinkLocal(from.address)) return heard;
  const { linkLocalNextHop, ...rest } = heard;
  return { ...rest, nextHop: linkLocalNextHop };
}

function unusable(heard: PathAttributes, from: From, local: LocalFacts): string | undefined {
  if (local.requirePolicy && !from.internal && from.importPolicy === undefined) {
    return 'this external peer has no import policy (RFC 8212)';
  }
  return loops(heard, from, local) ?? wrongNextHop(heard, from, local);
}

/** RFC 4271 §9.1.2, RFC 4456 §8. */
function loops(heard: PathAttributes, from: From, local: LocalFacts): string | undefined {
  if (occurrences(heard.asPath, local.asn) > from.allowOwnAs) return `own AS ${local.asn} in the path`;
  if (occurrences(heard.asPath, from.localAsn) > from.allowOwnAs) return `own AS ${from.localAsn} in the path`;
  if (heard.originatorId === local.routerId) return `own router ID ${local.routerId} is its originator`;
  if (heard.clusterList?.includes(local.clusterId)) return `own cluster ID ${local.clusterId} in the cluster list`;
  return undefined;
}

function wrongNextHop(heard: PathAttributes, from: From, local: LocalFacts): string | undefined {
  const { nextHop } = heard;
  if (local.addresses.has(nextHop)) return `the next hop ${nextHop} is this node itself`;
  const kind = martian(nextHop);
  if (kind !== undefined) return `the next hop ${nextHop} is ${kind}`;
  if (isLinkLocal(nextHop) && from.interface === undefined) {
    return `the next hop ${nextHop} is link-local, and the peer names no interface`;
  }
  return undefined;
}

/** What makes an address no router's (RFC 4271 §6.3, RFC 6890, RFC 4291). */
function martian(address: Address): string | undefined {
  if (familyOf(address) === 4) return martianV4(v4ToInt(address) >>> 24);
  const bytes = addressToBytes(address);
  if (bytes[0] === 0xff) return 'a multicast address';
  const [last] = bytes.subarray(15);
  return bytes.subarray(0, 15).every((byte) => byte === 0) && last! < 2 ? 'no router (:: or ::1)' : undefined;
}

function martianV4(first: number): string | undefined {
  if (first === 0) return 'in 0.0.0.0/8';
  if (first === 127) return 'in 127.0.0.0/8';
  if (first >= 240) return 'in 240.0.0.0/4';
  return first >= 224 ? 'a multicast address' : undefined;
}

/** fe80::/10 (RFC 4291 §2.5.6). */
export function isLinkLocal(address: Address): boolean {
  return address.startsWith('fe') && /^fe[89ab][0-9a-f]:/.test(address);
}

/** A router ID as text, 0 included. */
export function routerIdText(routerId: number): Address {
  return v4FromInt(routerId);
}
