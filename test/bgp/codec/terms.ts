// The terms of sessions that codec tests read and write under.
import type { UpdateTerms } from '../../../bgp/codec/index.ts';

/** Another AS, both families, four-octet AS numbers, nothing else agreed on. */
export const external: UpdateTerms = {
  families: ['ipv4-unicast', 'ipv6-unicast'],
  addPathReceive: [],
  extendedNextHop: [],
  internal: false,
  fourOctetAs: true,
};

export const internal: UpdateTerms = { ...external, internal: true };

/** A peer that knows two octets of an AS number only (RFC 6793). */
export const twoOctet: UpdateTerms = { ...external, fourOctetAs: false };
