// From a session's terms and its wish to what its update group is told by: see rib/export.ts.
import { type Address, familyOf } from '#ip';
import type { AddressFamily, Terms } from './message.ts';
import type { CompiledPolicy } from './policy/policy.ts';
import type { ExportTerms } from './rib/export.ts';
import { isLinkLocal } from './rib/import.ts';
import type { RibPeer } from './rib/peer.ts';
import type { PeerWish, SpeakerWish } from './wish.ts';

export interface SessionFacts {
  readonly wish: PeerWish;
  readonly terms: Terms;
  readonly peer: RibPeer;
  readonly policy: CompiledPolicy | undefined;
  /** Our own address on the session. */
  readonly localAddress: Address;
  readonly speaker: SpeakerWish;
  readonly clusterId: Address;
  readonly interfaceOf: (address: Address) => string | undefined;
}

export function exportTerms(family: AddressFamily, facts: SessionFacts): ExportTerms {
  const { wish, terms, peer, speaker } = facts;
  return {
    family,
    internal: terms.internal,
    client: peer.client,
    localAsn: terms.localAsn,
    clusterId: facts.clusterId,
    role: peer.role,
    policy: facts.policy,
    requirePolicy: speaker.requirePolicy ?? false,
    nextHop: wish.nextHop,
    self: ownNextHop(family, facts),
    extendedNextHop: terms.extendedNextHop.includes(family),
    sharedInterface: wish.nextHop === 'auto' && !terms.internal ? facts.interfaceOf(wish.address) : undefined,
    notNextHop: speaker.originated.some(({ nextHop }) => nextHop === wish.address) ? wish.address : undefined,
    longLived: terms.longLived.has(family),
    fourOctetAs: terms.fourOctetAs,
    sendLimit: terms.sendLimit,
    addPath: terms.addPathSend.includes(family) ? wish.addPath.send : 0,
  };
}

/** Equal keys: one update group. */
export function exportKey({ policy, ...terms }: ExportTerms): string {
  return JSON.stringify([terms, policy?.policy]);
}

/** RFC 4271 §5.1.3, RFC 2545 §3, RFC 8950 §4. Undefined when nothing that we have could stand there. */
function ownNextHop(
  family: AddressFamily,
  { wish, terms, localAddress }: SessionFacts,
): { address: Address; linkLocal?: Address } | undefined {
  const wished = wish.nextHopAddress?.[family];
  const linkLocal = isLinkLocal(localAddress) ? localAddress : undefined;
  if (wished !== undefined) {
    return linkLocal !== undefined && familyOf(wished) === 6 ? { address: wished, linkLocal } : { address: wished };
  }
  const fits = familyOf(localAddress) === (family === 'ipv4-unicast' ? 4 : 6);
  return fits || (familyOf(localAddress) === 6 && terms.extendedNextHop.includes(family))
    ? { address: localAddress }
    : undefined;
}

/** Addresses that the wish says are ours, which no path may have as its next hop. */
export function wishedAddresses({ listen, peers }: SpeakerWish): Address[] {
  const wildcard = new Set(['0.0.0.0', '::']);
  const all = [...listen.map(({ address }) => address), ...peers.flatMap(({ localAddress }) => localAddress ?? [])];
  return all.filter((address) => !wildcard.has(address));
}
