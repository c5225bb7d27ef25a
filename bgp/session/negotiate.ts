// OPEN against OPEN: what both sides agree on, or the NOTIFICATION that says why not.
//
// Pure. Everything agreed is read from the two OPENs, so that what was offered is what counts, however the wish has
// changed since.
import { v4FromInt } from '#ip';
import { afiSafi } from '../codec/index.ts';
import type { AddressFamily, Capability, Open, PeerRestart, Role, Terms } from '../message.ts';
import type { PeerWish } from '../wish.ts';
import { type Words, errorCodes } from './cease.ts';
import { asTrans, roleCodes } from './offer.ts';

/** Terms, or what to say to a neighbour that we cannot come to terms with. */
export type Agreement = { readonly terms: Terms } | { readonly refusal: Words };

const families: readonly AddressFamily[] = ['ipv4-unicast', 'ipv6-unicast'];

/** RFC 9234 §4.2: which roles fit each other. */
const counterparts: Readonly<Record<Role, Role>> = {
  provider: 'customer',
  customer: 'provider',
  routeServer: 'routeServerClient',
  routeServerClient: 'routeServer',
  peer: 'peer',
};

/**
 * What two OPENs agree on.
 * @param expected the wish for this neighbour, as far as no OPEN carries it.
 */
export function negotiate(ours: Open, theirs: Open, expected: Pick<PeerWish, 'asn' | 'keepaliveSeconds'>): Agreement {
  const local = asnOf(ours);
  const refusal =
    checkHeader(ours, theirs, expected.asn, local) ??
    checkRoles(ours, theirs, local === expected.asn) ??
    checkFamilies(ours, theirs);
  if (refusal) return { refusal };

  const holdSeconds = Math.min(ours.holdSeconds, theirs.holdSeconds);
  const restart = peerRestart(ours, theirs);
  const role = agreedRole(ours, theirs);
  const terms: Terms = {
    localAsn: local,
    peerAsn: expected.asn,
    internal: local === expected.asn,
    localRouterId: ours.routerId,
    peerRouterId: theirs.routerId,
    holdSeconds,
    keepaliveSeconds: keepaliveSeconds(holdSeconds, expected.keepaliveSeconds),
    families: sharedFamilies(ours, theirs),
    fourOctetAs: both(ours, theirs, 'fourOctetAs'),
    // RFC 8654 §4: each side's offer stands for what it can receive, whether or not the other one offers it too.
    receiveLimit: has(ours, 'extendedMessage') ? 65535 : 4096,
    sendLimit: has(theirs, 'extendedMessage') ? 65535 : 4096,
    addPathReceive: addPath(ours, theirs, 'receive', 'send'),
    addPathSend: addPath(ours, theirs, 'send', 'receive'),
    extendedNextHop: extendedNextHop(ours, theirs),
    routeRefresh: both(ours, theirs, 'routeRefresh'),
    enhancedRouteRefresh: both(ours, theirs, 'enhancedRouteRefresh'),
    notificationRestart: restart !== undefined && restartOf(ours)!.notification && restartOf(theirs)!.notification,
    longLived: longLived(ours, theirs),
    ...(restart && { gracefulRestart: restart }),
    ...(role && { role }),
  };
  return { terms };
}

/** RFC 4271 §6.2 in its order: AS, identifier, hold time. The codec has seen to the version. */
function checkHeader(ours: Open, theirs: Open, expected: number, local: number): Words | undefined {
  return (
    checkAsn(theirs, expected) ??
    checkIdentifier(ours, theirs, local === expected) ??
    (theirs.holdSeconds === 1 || theirs.holdSeconds === 2
      ? refuse(6, `the peer's hold time is ${theirs.holdSeconds} s; it must be 0 or at least 3 s`)
      : undefined)
  );
}

function checkAsn(theirs: Open, expected: number): Words | undefined {
  const asn = asnOf(theirs);
  // RFC 7607 §2: AS 0 belongs to nobody.
  if (asn === 0) return refuse(2, 'the peer says that it is AS 0');
  if (theirs.asn !== asn && theirs.asn !== asTrans) {
    return refuse(2, `the peer contradicts itself: AS ${theirs.asn} in its OPEN, AS ${asn} in the capability`);
  }
  if (asn !== expected) return refuse(2, `the peer says that it is AS ${asn}; AS ${expected} is configured here`);
  return undefined;
}

/** RFC 6286 §2.2: any non-zero number is an identifier; inside an AS it is unique. */
function checkIdentifier(ours: Open, theirs: Open, internal: boolean): Words | undefined {
  if (theirs.routerId === 0) return refuse(3, 'the peer has the BGP identifier 0.0.0.0');
  if (internal && theirs.routerId === ours.routerId) {
    return refuse(3, `the peer in our own AS has our BGP identifier ${v4FromInt(ours.routerId)}; one must change`);
  }
  return undefined;
}

/** RFC 9234 §4.2. Who sends no role is not refused for it. */
function checkRoles(ours: Open, theirs: Open, internal: boolean): Words | undefined {
  const local = all(ours, 'role')[0];
  const heard = all(theirs, 'role').map(({ role }) => role);
  if (internal || local === undefined || heard.length === 0) return undefined;
  const wanted = counterparts[roleName(local.role)!];
  if (heard.every((role) => role === roleCodes[wanted])) return undefined;
  const names = [...new Set(heard)].map((role) => roleName(role) ?? `role ${role}`).join(' and ');
  return refuse(11, `our role is ${roleName(local.role)}, so the peer's must be ${wanted}, but it says ${names}`);
}

/** RFC 5492 §3: without a family in common there is nothing to say; the data names what we would have needed. */
function checkFamilies(ours: Open, theirs: Open): Words | undefined {
  if (sharedFamilies(ours, theirs).length > 0) return undefined;
  const needed = familiesOf(ours);
  const data = Uint8Array.from(needed.flatMap((family) => [1, 4, 0, afiSafi(family).afi, 0, afiSafi(family).safi]));
  const names = (list: readonly AddressFamily[]): string => list.join(' and ') || 'no family that we know';
  return { ...refuse(7, `we want ${names(needed)}, the peer offers ${names(familiesOf(theirs))}`), data };
}

function refuse(subcode: number, reason: string): Words {
  return { code: errorCodes.open, subcode, data: new Uint8Array(), reason };
}

/** RFC 6793 §3: the capability has the real number. */
function asnOf(open: Open): number {
  return last(open, 'fourOctetAs')?.asn ?? open.asn;
}

/** RFC 4271 §4.4: at most one KEEPALIVE per second, a third of the hold time apart. */
function keepaliveSeconds(holdSeconds: number, wished: number | undefined): number {
  if (holdSeconds === 0) return 0;
  return Math.max(1, Math.min(wished ?? Infinity, holdSeconds / 3));
}

/** RFC 4760 §8: a speaker without the capability speaks IPv4 unicast. */
function familiesOf(open: Open): AddressFamily[] {
  const offered = all(open, 'multiprotocol');
  if (offered.length === 0) return ['ipv4-unicast'];
  return families.filter((family) => offered.some(isOf(family)));
}

function sharedFamilies(ours: Open, theirs: Open): AddressFamily[] {
  const offered = familiesOf(theirs);
  return familiesOf(ours).filter((family) => offered.includes(family));
}

/** RFC 7911 §4: a direction is agreed when one side sends and the other receives. */
function addPath(ours: Open, theirs: Open, we: 'send' | 'receive', they: 'send' | 'receive'): AddressFamily[] {
  return sharedFamilies(ours, theirs).filter(
    (family) =>
      last(ours, 'addPath')?.families.findLast(isOf(family))?.[we] &&
      last(theirs, 'addPath')?.families.findLast(isOf(family))?.[they],
  );
}

function extendedNextHop(ours: Open, theirs: Open): AddressFamily[] {
  const offers = (open: Open, family: AddressFamily): boolean =>
    all(open, 'extendedNextHop').some((capability) =>
      capability.families.some((tuple) => isOf(family)(tuple) && tuple.nextHopAfi !== afiSafi(family).afi),
    );
  return sharedFamilies(ours, theirs).filter((family) => offers(ours, family) && offers(theirs, family));
}

function peerRestart(ours: Open, theirs: Open): PeerRestart | undefined {
  const offered = restartOf(theirs);
  if (offered === undefined || restartOf(ours) === undefined) return undefined;
  const covered = sharedFamilies(ours, theirs).flatMap((family) => {
    const tuple = offered.families.findLast(isOf(family));
    return tuple ? [[family, { forwarding: tuple.forwarding }] as const] : [];
  });
  return { restarting: offered.restarting, restartSeconds: offered.restartSeconds, families: new Map(covered) };
}

/** RFC 9494 §4.2: counts only beside the graceful-restart capability. */
function longLived(ours: Open, theirs: Open): Map<AddressFamily, number> {
  const offered = last(theirs, 'longLivedGracefulRestart');
  if (!offered || !last(ours, 'longLivedGracefulRestart') || !restartOf(ours) || !restartOf(theirs)) return new Map();
  return new Map(
    sharedFamilies(ours, theirs).flatMap((family) => {
      const tuple = offered.families.findLast(isOf(family));
      return tuple ? [[family, tuple.staleSeconds] as const] : [];
    }),
  );
}

function agreedRole(ours: Open, theirs: Open): { local: Role; peer: Role } | undefined {
  const local = last(ours, 'role');
  const peer = last(theirs, 'role');
  if (!local || !peer) return undefined;
  return { local: roleName(local.role)!, peer: roleName(peer.role)! };
}

function roleName(code: number): Role | undefined {
  return (Object.keys(roleCodes) as Role[]).find((role) => roleCodes[role] === code);
}

/** RFC 4724 §3: of several, the last one counts. */
function restartOf(open: Open): Extract<Capability, { name: 'gracefulRestart' }> | undefined {
  return last(open, 'gracefulRestart');
}

function isOf(family: AddressFamily): (tuple: { afi: number; safi: number }) => boolean {
  return ({ afi, safi }) => afi === afiSafi(family).afi && safi === afiSafi(family).safi;
}

type Named<Name extends Capability['name']> = Extract<Capability, { readonly name: Name }>;

function all<Name extends Capability['name']>(open: Open, name: Name): Named<Name>[] {
  return open.capabilities.filter((capability): capability is Named<Name> => capability.name === name);
}

function last<Name extends Capability['name']>(open: Open, name: Name): Named<Name> | undefined {
  return all(open, name).at(-1);
}

function has(open: Open, name: Capability['name']): boolean {
  return last(open, name) !== undefined;
}

function both(ours: Open, theirs: Open, name: Capability['name']): boolean {
  return has(ours, name) && has(theirs, name);
}
