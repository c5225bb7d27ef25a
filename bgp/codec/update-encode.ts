// UPDATE as it is sent: its three parts put together, the attributes that carry routes, and the End-of-RIB marker.
import type { AddressFamily } from '../message.ts';
import { MP_REACH_NLRI, MP_UNREACH_NLRI, OPTIONAL } from './attribute-table.ts';
import { encodeAttribute } from './attributes.ts';
import { afiSafi } from './family.ts';
import { encodeMessage } from './header.ts';
import { Writer } from './writer.ts';

/** The parts of an UPDATE in wire form; absent means empty. */
export interface UpdateParts {
  /** WITHDRAWN ROUTES: IPv4 prefixes. */
  readonly withdrawn?: Uint8Array;
  /** All path attributes; MP_REACH_NLRI and MP_UNREACH_NLRI stand first (RFC 7606 §5.1). */
  readonly attributes?: Uint8Array;
  /** NLRI: IPv4 prefixes. */
  readonly announced?: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);

/**
 * A whole message. Its length is the caller's to mind (4096, or 65535 to a peer of RFC 8654).
 * @throws RangeError when it exceeds 65535 octets.
 */
export function encodeUpdate({
  withdrawn = NO_BYTES,
  attributes = NO_BYTES,
  announced = NO_BYTES,
}: UpdateParts): Uint8Array {
  const body = new Writer().u16(withdrawn.length).bytes(withdrawn).u16(attributes.length).bytes(attributes);
  return encodeMessage('update', body.bytes(announced).finish());
}

/** MP_REACH_NLRI with a next hop from encodeNextHop() and encoded prefixes (RFC 4760 §3). */
export function encodeReach(family: AddressFamily, nextHop: Uint8Array, prefixes: Uint8Array): Uint8Array {
  const { afi, safi } = afiSafi(family);
  const value = new Writer().u16(afi).u8(safi).u8(nextHop.length).bytes(nextHop).u8(0).bytes(prefixes);
  return encodeAttribute(OPTIONAL, MP_REACH_NLRI, value.finish());
}

/** MP_UNREACH_NLRI with encoded prefixes (RFC 4760 §4). */
export function encodeUnreach(family: AddressFamily, prefixes: Uint8Array): Uint8Array {
  const { afi, safi } = afiSafi(family);
  return encodeAttribute(OPTIONAL, MP_UNREACH_NLRI, new Writer().u16(afi).u8(safi).bytes(prefixes).finish());
}

/** The marker behind the last route of a family (RFC 4724 §2), a whole message. */
export function encodeEndOfRib(family: AddressFamily): Uint8Array {
  return encodeUpdate(family === 'ipv4-unicast' ? {} : { attributes: encodeUnreach(family, NO_BYTES) });
}
