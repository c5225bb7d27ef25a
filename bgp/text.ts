// Text forms of what routes carry: origin, AS numbers and paths, communities of all three kinds. Printing and parsing
// are pairs: what one prints the other reads, to the same value.
import { readAddress, v4FromInt, v4ToInt } from '#ip';
import type { AsPath, AsPathSegment, LargeCommunity, Origin } from './message.ts';

/** A text that is none of what was asked for. The message quotes it and stands alone. */
export class TextError extends Error {
  override readonly name = 'TextError';
}

const U16 = 0xffff;
const U32 = 0xffff_ffff;

const origins = ['i', 'e', '?'] as const;

/** "i", "e" or "?": IGP, EGP, INCOMPLETE, as every `show` command has it. */
export function formatOrigin(origin: Origin): (typeof origins)[number] {
  return origins[origin];
}

/** @throws TextError */
export function parseOrigin(text: string): Origin {
  const words: Readonly<Record<string, Origin>> = { i: 0, e: 1, '?': 2, igp: 0, egp: 1, incomplete: 2 };
  const key = text.toLowerCase();
  const origin = Object.hasOwn(words, key) ? words[key] : undefined;
  if (origin === undefined) throw new TextError(`${JSON.stringify(text)} is not an origin (i, e or ?)`);
  return origin;
}

/**
 * An AS number in asplain or asdot (RFC 5396): 1 to 4294967295.
 * @throws TextError
 */
export function parseAsn(text: string): number {
  const asn = readAsn(text);
  if (asn === undefined) throw new TextError(`${JSON.stringify(text)} is not an AS number (1 to 4294967295)`);
  return asn;
}

function readAsn(text: string): number | undefined {
  const [high, low, ...more] = text.split('.');
  if (more.length > 0) return undefined;
  const plain = low === undefined;
  const upper = plain ? 0 : readNumber(high!, U16);
  const lower = plain ? readNumber(high!, U32) : readNumber(low, U16);
  if (upper === undefined || lower === undefined) return undefined;
  return upper * 65_536 + lower || undefined;
}

/** How segments are enclosed; a sequence is bare. */
const brackets: Readonly<Record<AsPathSegment['type'], readonly [open: string, close: string]>> = {
  sequence: ['', ''],
  set: ['{', '}'],
  confedSequence: ['(', ')'],
  confedSet: ['[', ']'],
};

/** "65001 65010 {65020 65021}"; an empty path is an empty text. Two adjacent sequences look like one. */
export function formatAsPath(path: AsPath): string {
  return path
    .map(({ type, asns }) => {
      const [open, close] = brackets[type];
      return `${open}${asns.join(' ')}${close}`;
    })
    .join(' ');
}

/** One segment, in the group that its type is called; sticky, so that what fits none of them is not skipped. */
const segment =
  /\{(?<set>[^\]{}()[]+)\}|\((?<confedSequence>[^\]{}()[]+)\)|\[(?<confedSet>[^\]{}()[]+)\]|(?<sequence>[^\]{}()[]+)/gy;

/**
 * The path of a text as {@link formatAsPath} prints it; commas may stand for spaces within brackets.
 * @throws TextError
 */
export function parseAsPath(text: string): AsPath {
  const matches = [...text.matchAll(segment)];
  if (matches.map(([part]) => part).join('') !== text) {
    throw new TextError(`${JSON.stringify(text)} is not an AS path (AS numbers, sets of them in {})`);
  }
  return matches.flatMap(({ groups }) => {
    const [type, inner] = Object.entries(groups!).find(([, inner]) => inner !== undefined)!;
    const words = inner.split(type === 'sequence' ? /\s+/ : /[\s,]+/).filter((word) => word !== '');
    // Nothing but the space between two segments.
    if (type === 'sequence' && words.length === 0) return [];
    if (words.length === 0) throw new TextError(`${JSON.stringify(text)} has an empty segment`);
    return [{ type: type as AsPathSegment['type'], asns: words.map(parseAsn) }];
  });
}

/** The registry "BGP Well-known Communities", as far as it means something to a router of today. */
const wellKnown: Readonly<Record<string, number>> = {
  'graceful-shutdown': 0xffff_0000,
  'accept-own': 0xffff_0001,
  'llgr-stale': 0xffff_0006,
  'no-llgr': 0xffff_0007,
  blackhole: 0xffff_029a,
  'no-export': 0xffff_ff01,
  'no-advertise': 0xffff_ff02,
  'no-export-subconfed': 0xffff_ff03,
  'no-peer': 0xffff_ff04,
};
const wellKnownNames: ReadonlyMap<number, string> = new Map(Object.entries(wellKnown).map(([name, n]) => [n, name]));

/** "64512:120" or "64512:1:2"; well-known communities by name, "no-export". */
export function formatCommunity(community: number | LargeCommunity): string {
  if (typeof community !== 'number') return community.join(':');
  return wellKnownNames.get(community) ?? `${community >>> 16}:${community & U16}`;
}

/**
 * A community from two 16-bit numbers or a well-known name (RFC 1997), or a large one from three 32-bit numbers (RFC
 * 8092).
 * @throws TextError
 */
export function parseCommunity(text: string): number | LargeCommunity {
  const key = text.toLowerCase();
  if (Object.hasOwn(wellKnown, key)) return wellKnown[key]!;
  const parts = text.split(':');
  const numbers = parts.map((part) => readNumber(part, parts.length === 2 ? U16 : U32));
  const [a, b, c] = numbers;
  if (parts.length === 2 && a !== undefined && b !== undefined) return a * 65_536 + b;
  if (parts.length === 3 && a !== undefined && b !== undefined && c !== undefined) return [a, b, c];
  const wanted = 'two numbers up to 65535, three up to 4294967295, or a well-known name';
  throw new TextError(`${JSON.stringify(text)} is not a community (${wanted}, joined by ":")`);
}

/** Types of extended communities: a two-octet AS, an IPv4 address, or a four-octet AS in front (RFC 4360, RFC 5668). */
const TWO_OCTET_AS = 0x00;
const IPV4_ADDRESS = 0x01;
const FOUR_OCTET_AS = 0x02;
/** Route target, route origin (RFC 4360 §4, §5). */
const extendedKinds: Readonly<Record<string, number>> = { rt: 0x02, ro: 0x03 };

/**
 * "rt:65001:100", "rt:4200000000L:100", "ro:10.0.0.1:7" for route targets and origins, 16 hex digits behind "0x" for
 * all others. The L tells a four-octet AS number, which may be a small one.
 */
export function formatExtendedCommunity(community: bigint): string {
  const type = Number(community >> 56n);
  const subtype = Number((community >> 48n) & 255n);
  const kind = Object.entries(extendedKinds).find(([, code]) => code === subtype)?.[0];
  const value = community & 0xffff_ffff_ffffn;
  if (kind !== undefined && type === TWO_OCTET_AS) return `${kind}:${value >> 32n}:${value & 0xffff_ffffn}`;
  const [head, tail] = [Number(value >> 16n), value & 0xffffn];
  if (kind !== undefined && type === IPV4_ADDRESS) return `${kind}:${v4FromInt(head)}:${tail}`;
  if (kind !== undefined && type === FOUR_OCTET_AS) return `${kind}:${head}L:${tail}`;
  return `0x${community.toString(16).padStart(16, '0')}`;
}

/**
 * An extended community as {@link formatExtendedCommunity} prints it; an AS number above 65535 needs no L.
 * @throws TextError
 */
export function parseExtendedCommunity(text: string): bigint {
  const community = /^0x[0-9a-f]{16}$/i.test(text) ? BigInt(text) : readExtendedCommunity(text);
  if (community !== undefined) return community;
  const wanted = 'rt:AS:number, rt:address:number, ro:… or 0x and 16 hex digits';
  throw new TextError(`${JSON.stringify(text)} is not an extended community (${wanted})`);
}

function readExtendedCommunity(text: string): bigint | undefined {
  const [kind = '', head = '', tail = '', ...more] = text.toLowerCase().split(':');
  const subtype = Object.hasOwn(extendedKinds, kind) ? extendedKinds[kind] : undefined;
  if (subtype === undefined || more.length > 0) return undefined;
  const address = readAddress(head);
  if (address !== undefined) return joinExtended(IPV4_ADDRESS, subtype, v4ToInt(address), 16, readNumber(tail, U16));
  const asn = readNumber(head.replace(/l$/, ''), U32);
  if (asn === undefined) return undefined;
  const four = head.endsWith('l') || asn > U16;
  if (four) return joinExtended(FOUR_OCTET_AS, subtype, asn, 16, readNumber(tail, U16));
  return joinExtended(TWO_OCTET_AS, subtype, asn, 32, readNumber(tail, U32));
}

function joinExtended(type: number, subtype: number, head: number, bits: number, tail: number | undefined) {
  if (tail === undefined) return undefined;
  return (BigInt(type * 256 + subtype) << 48n) | (BigInt(head) << BigInt(bits)) | BigInt(tail);
}

/** A decimal number up to `max`, without sign or leading zeros. */
function readNumber(text: string, max: number): number | undefined {
  return /^(0|[1-9]\d{0,9})$/.test(text) && Number(text) <= max ? Number(text) : undefined;
}
