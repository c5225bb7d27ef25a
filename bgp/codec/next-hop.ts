// Next hops: attribute 3 and the field in MP_REACH_NLRI (RFC 2545 §3, RFC 8950 §3).
import { type Address, addressFromBytes, addressToBytes, familyOf } from '#ip';
import type { AddressFamily, Terms } from '../message.ts';
import { concat } from './writer.ts';

/** The octets that a next hop in MP_REACH_NLRI may have; anything else ends the session (RFC 7606 §7.11). */
export function isNextHopLength(
  length: number,
  family: AddressFamily,
  { extendedNextHop }: Pick<Terms, 'extendedNextHop'>,
): boolean {
  const isV6 = length === 16 || length === 32;
  if (family === 'ipv6-unicast') return isV6;
  return length === 4 || (isV6 && extendedNextHop.includes(family));
}

/**
 * The next hop that 4, 16 or 32 octets spell. Of 32 the second half is kept as the link-local address, or becomes the
 * next hop when the first half is "::", as from a neighbour that has no global address; if it is not link-local, it
 * says nothing that RFC 2545 knows, and is dropped.
 */
export function decodeNextHop(bytes: Uint8Array): { nextHop: Address; linkLocalNextHop?: Address } {
  if (bytes.length !== 32) return { nextHop: addressFromBytes(bytes) };
  const nextHop = addressFromBytes(bytes.subarray(0, 16));
  const second = bytes.subarray(16);
  if (!isLinkLocal(second)) return { nextHop };
  const linkLocalNextHop = addressFromBytes(second);
  if (nextHop === '::' || nextHop === linkLocalNextHop) return { nextHop: linkLocalNextHop };
  return { nextHop, linkLocalNextHop };
}

/** fe80::/10 (RFC 4291 §2.5.6). */
function isLinkLocal(bytes: Uint8Array): boolean {
  return bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80;
}

/**
 * The next hop as it stands in MP_REACH_NLRI or, for IPv4, in attribute 3: 4, 16 or 32 octets. An IPv4 next hop of an
 * IPv6 family is written IPv4-mapped, since the field knows no 4 octets there (RFC 4798 §2).
 */
export function encodeNextHop(family: AddressFamily, nextHop: Address, linkLocal?: Address): Uint8Array {
  const bytes = addressToBytes(nextHop);
  if (familyOf(nextHop) === 6) return linkLocal === undefined ? bytes : concat([bytes, addressToBytes(linkLocal)]);
  if (family === 'ipv4-unicast') return bytes;
  return concat([new Uint8Array(10), Uint8Array.of(0xff, 0xff), bytes]);
}
