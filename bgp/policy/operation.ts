// What a rule that accepts does to the attributes: each operation makes a new set, and the old one stays as it was.
import { prependToAsPath } from '../codec/index.ts';
import type { LargeCommunity, PathAttributes } from '../message.ts';
import { carries, sameLarge } from './match.ts';
import type { Operation } from './rule.ts';

/** Calico: a route's priority is its kernel metric, and LOCAL_PREF is what is left of this above it. */
export const priorityCeiling = 2_147_483_647;

type Appliers = {
  readonly [Name in Operation['do']]: (
    attributes: PathAttributes,
    operation: Extract<Operation, { readonly do: Name }>,
  ) => PathAttributes;
};

const appliers: Appliers = {
  setLocalPref: (attributes, { value }) => ({ ...attributes, localPref: value }),
  setMed: (attributes, { value }) => ({ ...attributes, med: value }),
  setPriority: (attributes, { value }) => ({ ...attributes, localPref: priorityCeiling - value }),
  addCommunity: (attributes, { value }) => addCommunity(attributes, value),
  removeCommunity: (attributes, { value }) => removeCommunity(attributes, value),
  prependAsPath: (attributes, { asns }) => ({ ...attributes, asPath: prependToAsPath(attributes.asPath, asns) }),
};

export function applyOperation<Name extends Operation['do']>(
  attributes: PathAttributes,
  operation: Extract<Operation, { readonly do: Name }>,
): PathAttributes {
  return appliers[operation.do](attributes, operation);
}

export function addCommunity(attributes: PathAttributes, community: number | LargeCommunity): PathAttributes {
  if (carries(attributes, community)) return attributes;
  if (typeof community === 'number') {
    const communities = [...(attributes.communities ?? []), community].sort((a, b) => a - b);
    return { ...attributes, communities };
  }
  return { ...attributes, largeCommunities: [...(attributes.largeCommunities ?? []), community].sort(compareLarge) };
}

export function removeCommunity(attributes: PathAttributes, community: number | LargeCommunity): PathAttributes {
  if (!carries(attributes, community)) return attributes;
  const { communities, largeCommunities, ...rest } = attributes;
  const plain = communities?.filter((each) => each !== community);
  const large = largeCommunities?.filter((each) => typeof community === 'number' || !sameLarge(each, community));
  // An attribute without a community would be malformed (RFC 7606 §7.8): the last one takes it along.
  return {
    ...rest,
    ...(plain?.length && { communities: plain }),
    ...(large?.length && { largeCommunities: large }),
  };
}

function compareLarge(a: LargeCommunity, b: LargeCommunity): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
