// AS_PATH and AS4_PATH: their segments, their length, and how a path of four-octet AS numbers survives neighbours that
// only know two (RFC 6793).
import type { AsPath, AsPathSegment } from '../message.ts';
import { Malformed, type Reader } from './reader.ts';
import type { Writer } from './writer.ts';

/** Stands for an AS number that does not fit two octets (RFC 6793 §9). */
export const AS_TRANS = 23_456;

const MAX_SEGMENT = 255;

/** RFC 4271 §4.3, RFC 5065 §3. */
const segmentTypes = { set: 1, sequence: 2, confedSequence: 3, confedSet: 4 } as const;
const segmentNames: readonly (AsPathSegment['type'] | undefined)[] = [
  undefined,
  'set',
  'sequence',
  'confedSequence',
  'confedSet',
];

/**
 * Reads segments until the reader is empty.
 * @throws Malformed as in RFC 7606 §7.2 (type, empty segment, overrun, underrun) and RFC 7607 §2 (AS 0).
 */
export function decodeAsPath(reader: Reader, asnOctets: 2 | 4): AsPath {
  return reader.all((r) => decodeSegment(r, asnOctets));
}

function decodeSegment(reader: Reader, asnOctets: 2 | 4): AsPathSegment {
  const code = reader.u8();
  const type = segmentNames[code];
  if (type === undefined) throw new Malformed(`segment type ${code} is none`);
  const count = reader.u8();
  if (count === 0) throw new Malformed('a segment is empty');
  const numbers = reader.slice(count * asnOctets);
  const asns = numbers.all((r) => (asnOctets === 2 ? r.u16() : r.u32()));
  if (asns.includes(0)) throw new Malformed('it contains AS 0 (RFC 7607 §2)');
  return { type, asns };
}

/** Writes the path; segments of more than 255 numbers become several, the full ones last. */
export function encodeAsPath(writer: Writer, path: AsPath, asnOctets: 2 | 4): void {
  const isLong = path.some(({ asns }) => asns.length > MAX_SEGMENT || asns.length === 0);
  for (const { type, asns } of isLong ? path.flatMap(splitSegment) : path) {
    writer.u8(segmentTypes[type]).u8(asns.length);
    for (const asn of asns) {
      if (asnOctets === 4) writer.u32(asn);
      else writer.u16(toTwoOctets(asn));
    }
  }
}

function splitSegment(segment: AsPathSegment): readonly AsPathSegment[] {
  const { type, asns } = segment;
  if (asns.length > 0 && asns.length <= MAX_SEGMENT) return [segment];
  const segments: AsPathSegment[] = [];
  for (let end = asns.length; end > 0; end -= MAX_SEGMENT) {
    segments.unshift({ type, asns: asns.slice(Math.max(0, end - MAX_SEGMENT), end) });
  }
  return segments;
}

export function toTwoOctets(asn: number): number {
  return asn > 0xffff ? AS_TRANS : asn;
}

/** For the decision: a set counts 1, confederation segments count 0 (RFC 4271 §9.1.2.2, RFC 5065 §5.3). */
export function asPathLength(path: AsPath): number {
  return path.reduce((sum, segment) => sum + segmentLength(segment), 0);
}

function segmentLength({ type, asns }: AsPathSegment): number {
  if (type === 'sequence') return asns.length;
  return type === 'set' ? 1 : 0;
}

/**
 * The path with these numbers in front, the first of them first; the leading sequence takes them up to 255, what does
 * not fit opens another (RFC 4271 §5.1.2).
 */
export function prependToAsPath(path: AsPath, asns: readonly number[]): AsPath {
  const [first, ...rest] = path;
  if (asns.length === 0) return path;
  if (first?.type !== 'sequence') return [...splitSegment({ type: 'sequence', asns }), ...path];
  return [...splitSegment({ type: 'sequence', asns: [...asns, ...first.asns] }), ...rest];
}

/** Puts a sequence that fits behind another into it; the route stays the same. */
function joinSequences(path: AsPath, segment: AsPathSegment): AsPath {
  const last = path.at(-1);
  const joins = last?.type === 'sequence' && segment.type === 'sequence';
  if (!joins || last.asns.length + segment.asns.length > MAX_SEGMENT) return [...path, segment];
  return [...path.slice(0, -1), { type: 'sequence', asns: [...last.asns, ...segment.asns] }];
}

/** Whether a two-octet neighbour would see AS_TRANS, so that it must get AS4_PATH as well (RFC 6793 §4.2.2). */
export function needsFourOctets(path: AsPath): boolean {
  return path.some(({ asns }) => asns.some((asn) => asn > 0xffff));
}

/** Confederation segments never stand in AS4_PATH (RFC 6793 §4.2.2, §6). */
export function withoutConfederation(path: AsPath): AsPath {
  return path.filter(({ type }) => type === 'sequence' || type === 'set');
}

/**
 * The path that a two-octet neighbour's AS_PATH and AS4_PATH tell together: as much of AS_PATH as AS4_PATH is short
 * of, then AS4_PATH. Undefined when AS4_PATH is the longer one and must be ignored (RFC 6793 §4.2.3).
 */
export function mergeAs4Path(path: AsPath, as4Path: AsPath): AsPath | undefined {
  const missing = asPathLength(path) - asPathLength(as4Path);
  if (missing < 0) return undefined;
  return [...leadingPart(path, missing), ...as4Path].reduce(joinSequences, []);
}

/** As many leading segments as count `length`, with confederation segments that lead or are adjacent to one taken. */
function leadingPart(path: AsPath, length: number): AsPath {
  const taken: AsPathSegment[] = [];
  let left = length;
  for (const segment of path) {
    const counts = segmentLength(segment);
    if (counts > 0 && left === 0) break;
    taken.push(counts > left ? { ...segment, asns: segment.asns.slice(0, left) } : segment);
    if (counts > left) break;
    left -= counts;
  }
  return taken;
}
