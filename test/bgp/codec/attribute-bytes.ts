// Attributes that must be there, in bytes and as values, and what comes of attributes around them.
import { parseAddress } from '#ip';
import { type UpdateTerms, decodeAttributes, strongestAction } from '../../../bgp/codec/index.ts';
import type { PathAttributes } from '../../../bgp/message.ts';
import { attribute, hex } from './bytes.ts';
import { external } from './terms.ts';

export const origin = attribute('40', 1, '00');
export const asPath = attribute('40', 2, '02 02 0000fde9 fa56ea00');
export const asPath2 = attribute('40', 2, '02 02 fde9 5ba0');
export const nextHop = attribute('40', 3, '0a000001');

/** The attributes that must be there, and what they say. */
export const mandatory = `${origin} ${asPath} ${nextHop}`;
export const mandatory2 = `${origin} ${asPath2} ${nextHop}`;
export const base: PathAttributes = {
  origin: 0,
  asPath: [{ type: 'sequence', asns: [65_001, 4_200_000_000] }],
  nextHop: parseAddress('10.0.0.1'),
};

interface Outcome {
  attributes?: PathAttributes;
  action?: 'discard' | 'withdraw';
}

/** What comes of attributes with classic NLRI, and the strongest action that a fault asks for. */
export function decode(attributes: string, terms: UpdateTerms = external, reachNextHop?: string): Outcome {
  const hop = reachNextHop === undefined ? undefined : hex(reachNextHop);
  const decoded = decodeAttributes(hex(attributes), hop, terms);
  const action = strongestAction(decoded.faults);
  return {
    ...(decoded.attributes && { attributes: decoded.attributes }),
    ...(action && { action }),
  };
}

// -- bytes and values

export function seq(...asns: number[]): PathAttributes['asPath'] {
  return [{ type: 'sequence', asns }];
}

export const as4Path = attribute('c0', 17, '02 02 0000fde9 fa56ea00');
