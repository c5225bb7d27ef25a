// What the tables know about a peer: one record, shared by all stages, with one part per family.
import type { Address } from '#ip';
import type { AddressFamily, Role } from '../message.ts';
import type { CompiledPolicy } from '../policy/policy.ts';
import type { PrefixLimit } from '../wish.ts';
import type { Member } from './member.ts';

export interface RibPeer {
  /** Its number in path records; {@link ownPeer} is this speaker itself. */
  readonly index: number;
  readonly name: string;
  address: Address;
  asn: number;
  /** The AS number that we show it. */
  localAsn: number;
  internal: boolean;
  /** Its BGP identifier, from its last OPEN; 0 before the first. */
  routerId: number;
  /** Its place among all peers when they are ordered by address. */
  rank: number;
  /** A route reflector's client (RFC 4456). */
  client: boolean;
  role: { readonly local: Role; readonly peer: Role } | undefined;
  allowOwnAs: number;
  /** The interface of a link-local peer. */
  interface: string | undefined;
  importPolicy: CompiledPolicy | undefined;
  prefixLimit: PrefixLimit | undefined;
  readonly families: Record<AddressFamily, PeerFamily>;
}

/** One family of a peer, and its counters. */
export interface PeerFamily {
  readonly family: AddressFamily;
  /** Paths that import accepted. */
  accepted: number;
  /** Paths from before its restart. */
  stale: number;
  /** Prefixes ignored for the limit since the session began. */
  discarded: number;
  /** The share of the limit has been warned about. */
  warned: boolean;
  /** Between BoRR and EoRR (RFC 7313 §4). */
  refreshing: boolean;
  readonly endOfRib: { sent: boolean; received: boolean };
  /** Its place in an update group while routes are sent to it. */
  member: Member | undefined;
}

export function createPeerFamily(family: AddressFamily): PeerFamily {
  return {
    family,
    accepted: 0,
    stale: 0,
    discarded: 0,
    warned: false,
    refreshing: false,
    endOfRib: { sent: false, received: false },
    member: undefined,
  };
}
