// When two attribute sets are the same set: a hash and an equality over decoded attributes.
//
// Sets are told apart by meaning, not by bytes: the same attributes from a 2-octet and a 4-octet peer, or in another
// order, are one set with one id. The table in attribute-table.ts compares ids from there on.
import type { AsPath, PathAttributes, UnknownAttribute } from '../message.ts';

/** A 32-bit hash; equal sets have equal hashes. */
export function hashAttributes(a: PathAttributes): number {
  let hash = mixText(a.origin + 1, a.nextHop);
  for (const segment of a.asPath) {
    hash = mix(hash, segment.type.length);
    for (const asn of segment.asns) hash = mix(hash, asn);
  }
  hash = mix(mix(hash, a.med ?? -1), a.localPref ?? -1);
  for (const community of a.communities ?? []) hash = mix(hash, community);
  for (const large of a.largeCommunities ?? []) hash = mix(mix(mix(hash, large[0]), large[1]), large[2]);
  for (const extended of a.extendedCommunities ?? []) hash = mix(hash, Number(BigInt.asIntN(32, extended)));
  if (a.originatorId !== undefined) hash = mixText(hash, a.originatorId);
  return hash;
}

export function sameAttributes(a: PathAttributes, b: PathAttributes): boolean {
  return (
    a === b ||
    (a.origin === b.origin &&
      a.nextHop === b.nextHop &&
      a.linkLocalNextHop === b.linkLocalNextHop &&
      a.med === b.med &&
      a.localPref === b.localPref &&
      a.atomicAggregate === b.atomicAggregate &&
      a.originatorId === b.originatorId &&
      a.onlyToCustomer === b.onlyToCustomer &&
      a.aggregator?.asn === b.aggregator?.asn &&
      a.aggregator?.address === b.aggregator?.address &&
      samePath(a.asPath, b.asPath) &&
      sameList(a.communities, b.communities) &&
      sameList(a.extendedCommunities, b.extendedCommunities) &&
      sameList(a.clusterList, b.clusterList) &&
      sameLists(a.largeCommunities, b.largeCommunities) &&
      sameList(a.partial, b.partial) &&
      sameUnknown(a.unknown, b.unknown))
  );
}

function samePath(a: AsPath, b: AsPath): boolean {
  return a.length === b.length && a.every(({ type, asns }, i) => type === b[i]!.type && sameList(asns, b[i]!.asns));
}

/** Absent and empty are the same: neither goes on the wire. */
function sameList<T>(a: readonly T[] = [], b: readonly T[] = []): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}

function sameLists<T>(a: readonly (readonly T[])[] = [], b: readonly (readonly T[])[] = []): boolean {
  return a.length === b.length && a.every((each, i) => sameList(each, b[i]));
}

function sameUnknown(a: readonly UnknownAttribute[] = [], b: readonly UnknownAttribute[] = []): boolean {
  if (a.length !== b.length) return false;
  return a.every(({ code, flags, value }, i) => {
    const other = b[i]!;
    return code === other.code && flags === other.flags && Buffer.compare(value, other.value) === 0;
  });
}

function mix(hash: number, value: number): number {
  const h = Math.imul(hash ^ value, 0x9e3779b1);
  return h ^ (h >>> 15);
}

function mixText(hash: number, text: string): number {
  let h = hash;
  for (let i = 0; i < text.length; i++) h = Math.imul(h, 31) + text.charCodeAt(i);
  return mix(h, 0);
}
