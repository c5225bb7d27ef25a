// Policy as data: an ordered list of rules, the first match decides. See README for the semantics.
import type { Address, Prefix } from '#ip';
import type { LargeCommunity } from '../message.ts';

/** A named list of rules. What no rule matches gets `otherwise`. */
export interface Policy {
  readonly name: string;
  readonly rules: readonly Rule[];
  readonly otherwise: 'accept' | 'reject';
}

/** All matches of a rule must hold; a rule without any holds always. */
export interface Rule {
  readonly name: string;
  readonly match?: Match;
  readonly action: 'accept' | 'reject';
  /** Applied in order when the action is accept. */
  readonly operations?: readonly Operation[];
}

export interface Match {
  readonly prefix?: {
    readonly cidr: Prefix;
    readonly operator: 'Equal' | 'NotEqual' | 'In' | 'NotIn';
    readonly minLength?: number;
    readonly maxLength?: number;
  };
  readonly communities?: readonly (number | LargeCommunity)[];
  /** The path begins with these AS numbers. */
  readonly asPathPrefix?: readonly number[];
  readonly nextHop?: Address;
  /** The route's LOCAL_PREF; of one that has none, as heard from an external peer, the usual 100. */
  readonly localPref?: number;
  readonly interface?: string;
  readonly peerType?: 'eBGP' | 'iBGP';
  /** Where the route comes from: a peer, or this node itself. */
  readonly source?: 'RemotePeers' | 'Local';
}

export type Operation =
  | { readonly do: 'setLocalPref'; readonly value: number }
  | { readonly do: 'setMed'; readonly value: number }
  | { readonly do: 'setPriority'; readonly value: number }
  | { readonly do: 'addCommunity'; readonly value: number | LargeCommunity }
  | { readonly do: 'removeCommunity'; readonly value: number | LargeCommunity }
  | { readonly do: 'prependAsPath'; readonly asns: readonly number[] };
