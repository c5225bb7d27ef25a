// UPDATE (RFC 4271 §4.3, RFC 4760): its fields and the runs of prefixes in it, in one pass over its bytes.
//
// On the way of every route: nothing is allocated per prefix, and everything returned is a view on the message. Here
// is decided what ends the session: only where routes cannot be told from the rest (RFC 7606 §3.j). Attributes
// themselves are decoded later, once per distinct block.
import type { AddressFamily, Fault, NlriField, ReachField, Terms, Update } from '../message.ts';
import {
  EXTENDED_LENGTH,
  MP_REACH_NLRI,
  MP_UNREACH_NLRI,
  OPTIONAL,
  TRANSITIVE,
  nameOfAttribute,
} from './attribute-table.ts';
import { type AttributeFault, isKnownAttribute, overrun, plainFault, walkAttributes } from './attribute-walk.ts';
import { bitsOfFamily, familyOfAfi } from './family.ts';
import { isNextHopLength } from './next-hop.ts';
import { isWellFormed } from './nlri.ts';
import { NotificationError } from './notification-error.ts';
import { octets } from './reader.ts';
import { concat } from './writer.ts';

/** The terms that an UPDATE is read under. */
export type UpdateTerms = Pick<Terms, 'families' | 'addPathReceive' | 'extendedNextHop' | 'internal' | 'fourOctetAs'>;

/** Where an attribute is: offsets of its flags, its value and its end. */
interface Place {
  readonly start: number;
  readonly value: number;
  readonly end: number;
}

/** What one scan over the attributes finds. */
interface Scan {
  reach: Place | undefined;
  unreach: Place | undefined;
  /** Where the last whole attribute ends. */
  end: number;
  overrun: AttributeFault | undefined;
}

/** An UPDATE in the making. */
interface Draft {
  readonly withdrawn: NlriField[];
  readonly announced: ReachField[];
  readonly faults: Fault[];
  /** It encodes reachable NLRI, be it of a family that we ignore (RFC 7606 §5.2). */
  reachable: boolean;
}

/** Subcodes of an UPDATE error (RFC 4271 §6.3). */
const MALFORMED_LIST = 1;
const UNKNOWN_WELL_KNOWN = 2;
const OPTIONAL_ERROR = 9;
const INVALID_NETWORK = 10;

const NO_BYTES = new Uint8Array(0);

/**
 * Reads the body of an UPDATE. Bytes in the result are views on `body`, but for attributes that were not in one piece.
 *
 * A fault that says `withdraw` means that all announced routes are to be withdrawn, whatever the attributes say. What
 * comes without `announced` needs no look at its attributes: RFC 7606 §5.2, which ends the session for an error in an
 * UPDATE without reachable NLRI, has been obeyed here.
 * @throws NotificationError 3/x where RFC 7606 leaves nothing milder than the end of the session.
 */
export function decodeUpdate(body: Uint8Array, terms: UpdateTerms): Update {
  const withdrawnEnd = endOfPart(body, 0);
  const attributesStart = withdrawnEnd + 2;
  const attributesEnd = endOfPart(body, withdrawnEnd);
  const scan = scanAttributes(body, attributesStart, attributesEnd);
  const draft: Draft = { withdrawn: [], announced: [], faults: [], reachable: attributesEnd < body.length };
  if (scan.overrun !== undefined) draft.faults.push(plainFault(scan.overrun));
  readClassic(draft, draft.withdrawn, body, 2, withdrawnEnd, terms);
  if (scan.unreach !== undefined) readUnreach(draft, body, scan.unreach, terms);
  if (scan.reach !== undefined) readReach(draft, body, scan.reach, terms);
  readClassic(draft, draft.announced, body, attributesEnd, body.length, terms);
  const attributes = otherAttributes(body, attributesStart, scan);
  if (!draft.reachable) requireSoundAttributes(attributes, scan, terms);
  const { withdrawn, announced, faults } = draft;
  const update: Update = { type: 'update', withdrawn, announced, attributes, faults };
  const family = endOfRib(body, scan, terms);
  return family === undefined ? update : { ...update, endOfRib: family };
}

/** The end of the part whose length stands at an offset (RFC 4271 §6.3: lengths that exceed the message). */
function endOfPart(body: Uint8Array, at: number): number {
  const end = at + 2 > body.length ? Infinity : at + 2 + u16(body, at);
  if (end > body.length) {
    throw new NotificationError(3, MALFORMED_LIST, NO_BYTES, `a length exceeds the message of ${octets(body.length)}`);
  }
  return end;
}

/**
 * Finds the two attributes that carry routes, in any position (RFC 7606 §5.1), and what no attribute may be.
 * @throws NotificationError
 */
function scanAttributes(body: Uint8Array, start: number, end: number): Scan {
  const scan: Scan = { reach: undefined, unreach: undefined, end, overrun: undefined };
  for (let at = start; at < end;) {
    const flags = body[at]!;
    const code = body[at + 1]!;
    const header = (flags & EXTENDED_LENGTH) === 0 ? 3 : 4;
    const value = at + header;
    const next = value > end ? Infinity : value + (header === 3 ? body[at + 2]! : u16(body, at + 2));
    if (next > end) {
      scan.overrun = overrunAt(at, end, code);
      scan.end = at;
      return scan;
    }
    if (code === MP_REACH_NLRI) scan.reach = checkPlace(body, { start: at, value, end: next }, 5, scan.reach);
    else if (code === MP_UNREACH_NLRI)
      scan.unreach = checkPlace(body, { start: at, value, end: next }, 3, scan.unreach);
    else if ((flags & OPTIONAL) === 0 && !isKnownAttribute(code)) throw unknownWellKnown(body.slice(at, next));
    at = next;
  }
  return scan;
}

/**
 * RFC 7606 §4: the routes of the rest of the UPDATE are withdrawn. Where the attribute itself carries routes they
 * cannot be told, and the session ends (§3.j).
 */
function overrunAt(at: number, end: number, code: number): AttributeFault {
  const isHeader = end - at >= 2;
  if (isHeader && (code === MP_REACH_NLRI || code === MP_UNREACH_NLRI)) {
    const reason = `${nameOfAttribute(code)} exceeds the path attributes (RFC 7606 §3.j)`;
    throw new NotificationError(3, MALFORMED_LIST, NO_BYTES, reason);
  }
  return overrun(`the last ${octets(end - at)} make no whole attribute`);
}

/** RFC 7606 §3.g: not twice; §5.3: flags as in RFC 4760, and long enough for its fixed fields. */
function checkPlace(body: Uint8Array, place: Place, least: number, before: Place | undefined): Place {
  if (before !== undefined) {
    const reason = `${nameOfAttribute(body[place.start + 1]!)} occurs twice (RFC 7606 §3.g)`;
    throw new NotificationError(3, MALFORMED_LIST, NO_BYTES, reason);
  }
  if ((body[place.start]! & (OPTIONAL | TRANSITIVE)) !== OPTIONAL) throw malformed(body, place, 'its flags are wrong');
  const length = place.end - place.value;
  if (length < least) throw malformed(body, place, `${octets(length)} are less than ${least}`);
  return place;
}

/** WITHDRAWN ROUTES or NLRI: always IPv4 unicast. */
function readClassic(
  draft: Draft,
  fields: NlriField[],
  body: Uint8Array,
  start: number,
  end: number,
  terms: UpdateTerms,
): void {
  if (start === end) return;
  const family = 'ipv4-unicast';
  const addPath = terms.addPathReceive.includes(family);
  if (!isWellFormed(body, start, end, 32, addPath)) {
    const reason = 'a prefix is longer than 32 bits or cut off (RFC 7606 §5.3)';
    throw new NotificationError(3, INVALID_NETWORK, NO_BYTES, reason);
  }
  if (terms.families.includes(family)) fields.push({ family, bytes: body.subarray(start, end), addPath });
  else draft.faults.push(notAgreed(1, 1));
}

/** MP_UNREACH_NLRI: AFI, SAFI, prefixes (RFC 4760 §4). */
function readUnreach(draft: Draft, body: Uint8Array, place: Place, terms: UpdateTerms): void {
  const family = agreedFamily(draft, body, place, terms);
  if (family === undefined) return;
  const field = readField(body, place, place.value + 3, family, terms);
  if (field.bytes.length > 0) draft.withdrawn.push(field);
}

/** MP_REACH_NLRI: AFI, SAFI, length and next hop, a reserved octet, prefixes (RFC 4760 §3). */
function readReach(draft: Draft, body: Uint8Array, place: Place, terms: UpdateTerms): void {
  const family = agreedFamily(draft, body, place, terms);
  if (family === undefined) {
    // Whatever it carries is of a family that has been off from the start, as RFC 7606 §7.11 allows.
    draft.reachable = true;
    return;
  }
  const length = body[place.value + 3]!;
  const nextHopEnd = place.value + 4 + length;
  if (!isNextHopLength(length, family, terms) || nextHopEnd >= place.end) {
    throw malformed(body, place, `a next hop of ${octets(length)} is none for ${family} (RFC 7606 §7.11)`);
  }
  const field = readField(body, place, nextHopEnd + 1, family, terms);
  if (field.bytes.length === 0) return;
  draft.announced.push({ ...field, nextHop: body.subarray(place.value + 4, nextHopEnd) });
  draft.reachable = true;
}

/** The family of an attribute that carries routes; undefined for one that was not agreed on (RFC 4760 §8). */
function agreedFamily(draft: Draft, body: Uint8Array, place: Place, terms: UpdateTerms): AddressFamily | undefined {
  const afi = u16(body, place.value);
  const safi = body[place.value + 2]!;
  const family = familyOfAfi(afi, safi);
  if (family !== undefined && terms.families.includes(family)) return family;
  draft.faults.push({ ...notAgreed(afi, safi), attribute: body[place.start + 1]! });
  return undefined;
}

function readField(
  body: Uint8Array,
  place: Place,
  start: number,
  family: AddressFamily,
  terms: UpdateTerms,
): NlriField {
  const addPath = terms.addPathReceive.includes(family);
  if (!isWellFormed(body, start, place.end, bitsOfFamily(family), addPath)) {
    throw malformed(body, place, 'a prefix is too long or cut off (RFC 7606 §5.3)');
  }
  return { family, bytes: body.subarray(start, place.end), addPath };
}

function notAgreed(afi: number, safi: number): Fault {
  return { action: 'discard', reason: `routes of AFI ${afi} SAFI ${safi}, not agreed on, are ignored (RFC 4760 §8)` };
}

/** The block without the attributes that carry routes: one view if they stand first or last, as they should. */
function otherAttributes(body: Uint8Array, start: number, { reach, unreach, end }: Scan): Uint8Array {
  if (reach === undefined && unreach === undefined) return end > start ? body.subarray(start, end) : NO_BYTES;
  const places = [reach, unreach].filter((place) => place !== undefined).sort((a, b) => a.start - b.start);
  const pieces: Uint8Array[] = [];
  let from = start;
  for (const place of places) {
    if (place.start > from) pieces.push(body.subarray(from, place.start));
    from = place.end;
  }
  if (end > from) pieces.push(body.subarray(from, end));
  return pieces.length > 1 ? concat(pieces) : (pieces[0] ?? NO_BYTES);
}

/**
 * RFC 7606 §5.2: an error in an UPDATE without reachable NLRI leaves doubt whether its routes were found at all.
 * @throws NotificationError
 */
function requireSoundAttributes(attributes: Uint8Array, scan: Scan, terms: UpdateTerms): void {
  if (attributes.length === 0 && scan.overrun === undefined) return;
  const faults = walkAttributes(attributes, terms).faults;
  const fault = scan.overrun ?? faults.find(({ action }) => action === 'withdraw');
  if (fault === undefined) return;
  const reason = `${fault.reason}, in an UPDATE that announces nothing (RFC 7606 §5.2)`;
  throw new NotificationError(3, fault.subcode, fault.data.slice(), reason);
}

/** RFC 4724 §2: an UPDATE with nothing in it, or with an MP_UNREACH_NLRI without prefixes and nothing else. */
function endOfRib(body: Uint8Array, { unreach }: Scan, terms: UpdateTerms): AddressFamily | undefined {
  const isEmpty = body.length === 4;
  const isAlone = unreach?.start === 4 && unreach.end === body.length && unreach.end - unreach.value === 3;
  if (!isEmpty && !isAlone) return undefined;
  const family = isEmpty ? 'ipv4-unicast' : familyOfAfi(u16(body, unreach!.value), body[unreach!.value + 2]!);
  return family !== undefined && terms.families.includes(family) ? family : undefined;
}

/** RFC 4760 §7 */
function malformed(body: Uint8Array, { start, end }: Place, reason: string): NotificationError {
  const text = `${nameOfAttribute(body[start + 1]!)} is malformed: ${reason}`;
  return new NotificationError(3, OPTIONAL_ERROR, body.slice(start, end), text);
}

/** RFC 4271 §6.3 */
function unknownWellKnown(attribute: Uint8Array): NotificationError {
  const reason = `attribute ${attribute[1]} is said to be well-known, but nobody here knows it`;
  return new NotificationError(3, UNKNOWN_WELL_KNOWN, attribute, reason);
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
