// Values of path attributes that take more than a number: how each is read and written, and what makes it malformed.
import { type Address, v4FromInt, v4ToInt } from '#ip';
import type { AsPath, LargeCommunity, Origin, Terms } from '../message.ts';
import { decodeAsPath, encodeAsPath, toTwoOctets, withoutConfederation } from './as-path.ts';
import { Malformed, type Reader } from './reader.ts';
import type { Writer } from './writer.ts';

export interface Aggregator {
  readonly asn: number;
  readonly address: Address;
}

/** What an attribute's bytes depend on. */
export type Neighbour = Pick<Terms, 'fourOctetAs' | 'internal'>;

export function readOrigin(reader: Reader): Origin {
  const origin = reader.u8();
  if (origin > 2) throw new Malformed(`value ${origin} is none`);
  return origin as Origin;
}

export function readAsPath(reader: Reader, { fourOctetAs, internal }: Neighbour): AsPath {
  const path = decodeAsPath(reader, fourOctetAs ? 4 : 2);
  // We are in no confederation, so that no external neighbour is in ours.
  const confederation = path.some(({ type }) => type === 'confedSequence' || type === 'confedSet');
  if (confederation && !internal) throw new Malformed('confederation segments from outside (RFC 5065 §5)');
  return path;
}

/** Confederation segments end at the AS border, also those that an internal neighbour gave us (RFC 5065 §4). */
export function writeAsPath(writer: Writer, path: AsPath, { fourOctetAs, internal }: Neighbour): void {
  encodeAsPath(writer, internal ? path : withoutConfederation(path), fourOctetAs ? 4 : 2);
}

/** RFC 6793 §6: no shorter than one segment of one number; whether any segment is allowed here is decided later. */
export function readAs4Path(reader: Reader): AsPath {
  if (reader.left < 6) throw new Malformed('it has less than one segment');
  return decodeAsPath(reader, 4);
}

export function readAggregator(reader: Reader, asnOctets: 2 | 4): Aggregator {
  const asn = asnOctets === 2 ? reader.u16() : reader.u32();
  if (asn === 0) throw new Malformed('it names AS 0 (RFC 7607 §2)');
  return { asn, address: readV4(reader) };
}

export function writeAggregator(writer: Writer, { asn, address }: Aggregator, asnOctets: 2 | 4): void {
  if (asnOctets === 2) writer.u16(toTwoOctets(asn));
  else writer.u32(asn);
  writeAddress(writer, address);
}

/** Those whose type says "non-transitive" end at the AS border (RFC 4360 §6). */
export function writeExtendedCommunities(
  writer: Writer,
  communities: readonly bigint[],
  { internal }: Neighbour,
): void {
  for (const community of communities) if (internal || isTransitive(community)) writer.u64(community);
}

/** RFC 4360 §2: the second highest bit of an extended community's type. */
export function isTransitive(community: bigint): boolean {
  return ((community >> 62n) & 1n) === 0n;
}

export function readV4(reader: Reader): Address {
  return v4FromInt(reader.u32());
}

export function writeAddress(writer: Writer, address: Address): void {
  writer.u32(v4ToInt(address));
}

/** Communities are a set (RFC 1997, RFC 4360 §2): ascending and without doubles, so that equal sets look equal. */
export function distinct<T extends number | bigint>(values: readonly T[]): T[] {
  return [...new Set(values)].sort((a, b) => (a < b ? -1 : 1));
}

/** RFC 8092 §4: doubles are removed silently. */
export function distinctLarge(values: readonly LargeCommunity[]): LargeCommunity[] {
  const bySpelling = new Map(values.map((value) => [value.join(':'), value]));
  return [...bySpelling.values()].sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
}
