// The two halves of a rule's match: what depends on the prefix, as integers, and all the rest.
//
// They are apart because attributes are shared by many prefixes: the second half is tested once per attribute set, and
// a prefix costs only the comparisons of the rules that are left.
import { type Prefix, addressOf, addressToBytes, familyOfPrefix, lengthOf } from '#ip';
import type { AddressFamily, LargeCommunity, PathAttributes } from '../message.ts';
import type { Match } from './rule.ts';

/** Prefixes by id, as rib/prefix-table.ts holds them. */
export interface PrefixWords {
  readonly family: AddressFamily;
  length(id: number): number;
  /** A 32-bit word of the address, signed. */
  word(id: number, index: number): number;
}

/** What a rule may look at besides prefix and attributes. */
export interface Circumstances {
  /** The type of the peer that the policy belongs to. */
  readonly peerType: 'eBGP' | 'iBGP';
  readonly source: 'RemotePeers' | 'Local';
  /** Where the next hop is. */
  readonly interface?: string | undefined;
}

/** RFC 4271 §5.1.5 leaves the degree of preference of an eBGP route to policy; 100 is everybody's default. */
export const defaultLocalPref = 100;

export type PrefixTest = (prefixes: PrefixWords, id: number) => boolean;

/**
 * A prefix of the other family never matches, whatever the operator: Calico renders matchRules of one family into that
 * family's filter only.
 */
export function compilePrefixTest(match: NonNullable<Match['prefix']>): PrefixTest {
  const family: AddressFamily = familyOfPrefix(match.cidr) === 4 ? 'ipv4-unicast' : 'ipv6-unicast';
  const length = lengthOf(match.cidr);
  const words = wordsOf(match.cidr);
  // Calico: the range never reaches above the prefix itself.
  const minLength = Math.max(match.minLength ?? length, length);
  const maxLength = match.maxLength ?? 128;
  const inside: PrefixTest = (prefixes, id) =>
    prefixes.length(id) >= minLength && prefixes.length(id) <= maxLength && isUnder(prefixes, id, words, length);
  const equal: PrefixTest = (prefixes, id) => prefixes.length(id) === length && isUnder(prefixes, id, words, length);
  const test = match.operator === 'In' || match.operator === 'NotIn' ? inside : equal;
  const wanted = match.operator === 'In' || match.operator === 'Equal';
  return (prefixes, id) => prefixes.family === family && test(prefixes, id) === wanted;
}

/** Everything but the prefix. */
export function matchesAttributes(match: Match, attributes: PathAttributes, circumstances: Circumstances): boolean {
  const { communities, asPathPrefix, nextHop, peerType, source } = match;
  if (peerType !== undefined && peerType !== circumstances.peerType) return false;
  if (source !== undefined && source !== circumstances.source) return false;
  if (nextHop !== undefined && nextHop !== attributes.nextHop) return false;
  if (match.localPref !== undefined && match.localPref !== (attributes.localPref ?? defaultLocalPref)) return false;
  if (match.interface !== undefined && !matchesName(match.interface, circumstances.interface)) return false;
  if (communities !== undefined && !communities.every((each) => carries(attributes, each))) return false;
  return asPathPrefix === undefined || beginsWith(attributes, asPathPrefix);
}

export function carries(attributes: PathAttributes, community: number | LargeCommunity): boolean {
  if (typeof community === 'number') return attributes.communities?.includes(community) ?? false;
  return attributes.largeCommunities?.some((each) => sameLarge(each, community)) ?? false;
}

export function sameLarge(a: LargeCommunity, b: LargeCommunity): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2];
}

function beginsWith({ asPath }: PathAttributes, asns: readonly number[]): boolean {
  const path = asPath.flatMap(({ type, asns }) => (type === 'sequence' ? asns : []));
  return asns.every((asn, i) => path[i] === asn);
}

/** "*" stands for any characters, as in BIRD's and Calico's interface patterns. */
function matchesName(pattern: string, name: string | undefined): boolean {
  if (name === undefined) return false;
  const [head = '', ...parts] = pattern.split('*');
  if (parts.length === 0) return name === pattern;
  const tail = parts.pop()!;
  if (!name.startsWith(head) || name.length < head.length + tail.length || !name.endsWith(tail)) return false;
  const end = name.length - tail.length;
  let at = head.length;
  for (const part of parts) {
    const found = name.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

function isUnder(prefixes: PrefixWords, id: number, words: Int32Array, length: number): boolean {
  if (prefixes.length(id) < length) return false;
  for (let i = 0, left = length; left > 0; i++, left -= 32) {
    const mask = left >= 32 ? -1 : -1 << (32 - left);
    if (((prefixes.word(id, i) ^ words[i]!) & mask) !== 0) return false;
  }
  return true;
}

function wordsOf(prefix: Prefix): Int32Array {
  const bytes = addressToBytes(addressOf(prefix));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(i * 4));
}
