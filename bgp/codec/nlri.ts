// NLRI: runs of encoded prefixes (RFC 4271 §4.3), each perhaps behind a path identifier (RFC 7911 §3).
//
// A run is checked once as a whole and then kept as bytes: a table reads prefixes straight from it.
import { type Prefix, addressFromBytes, addressOf, addressToBytes, lengthOf, prefixFrom } from '#ip';
import type { NlriField } from '../message.ts';
import { bitsOfFamily } from './family.ts';
import { Writer } from './writer.ts';

/**
 * Whether the bytes from `start` up to `end` are whole prefixes of a family with so many address bits (RFC 7606 §5.3).
 * On the way of every route: allocates nothing.
 */
export function isWellFormed(bytes: Uint8Array, start: number, end: number, bits: number, addPath: boolean): boolean {
  const identifier = addPath ? 4 : 0;
  let at = start;
  while (at < end) {
    at += identifier;
    if (at >= end) return false;
    const length = bytes[at]!;
    if (length > bits) return false;
    at += 1 + ((length + 7) >> 3);
  }
  return at === end;
}

/**
 * The prefixes of a field that decodeUpdate has checked, host bits masked (RFC 4271 §4.3: their value is irrelevant).
 * For tests and tools: it allocates for each of them.
 */
export function* nlriPrefixes(field: NlriField): Generator<{ prefix: Prefix; pathId?: number }> {
  const { bytes, family, addPath } = field;
  for (let at = 0; at < bytes.length;) {
    const pathId = addPath ? readPathId(bytes, at) : undefined;
    if (addPath) at += 4;
    const length = bytes[at]!;
    const octets = (length + 7) >> 3;
    const address = new Uint8Array(bitsOfFamily(family) / 8);
    address.set(bytes.subarray(at + 1, at + 1 + octets));
    at += 1 + octets;
    const prefix = prefixFrom(addressFromBytes(address), length);
    yield pathId === undefined ? { prefix } : { prefix, pathId };
  }
}

function readPathId(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** One prefix as it stands in NLRI. For tests and tools, like {@link nlriPrefixes}. */
export function encodePrefix(prefix: Prefix, pathId?: number): Uint8Array {
  const length = lengthOf(prefix);
  const address = addressToBytes(addressOf(prefix)).subarray(0, (length + 7) >> 3);
  const writer = pathId === undefined ? new Writer() : new Writer().u32(pathId);
  return writer.u8(length).bytes(address).finish();
}
