// A second decoder of UPDATEs, written from the RFCs alone: slow, simple, sharing nothing with the first. It turns a
// body into arrays of numbers, cuts pieces off their front, and answers in strings.
import type { UpdateTerms } from '../../../bgp/codec/index.ts';

/** The session ends; or routes come and go, with the attributes that they have, or none when they are withdrawn. */
export type Answer =
  | 'reset'
  | {
      readonly withdrawn: readonly string[];
      readonly announced: readonly string[];
      /** Per way that a next hop comes: classic NLRI and MP_REACH_NLRI. */
      readonly attributes: Readonly<Record<string, 'withdraw' | Readonly<Record<string, string>>>>;
    };

class Reset extends Error {}

interface Attr {
  readonly optional: boolean;
  readonly transitive: boolean;
  readonly partial: boolean;
  readonly code: number;
  readonly value: readonly number[];
}

const num = (bytes: readonly number[]): bigint => bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
const int = (bytes: readonly number[]): number => Number(num(bytes));
const hexOf = (bytes: readonly number[]): string => bytes.map((b) => b.toString(16).padStart(2, '0')).join('');
function chunks(bytes: readonly number[], size: number): number[][] {
  return bytes.length === 0 ? [] : [bytes.slice(0, size), ...chunks(bytes.slice(size), size)];
}

export function naiveUpdate(body: Uint8Array, terms: UpdateTerms): Answer {
  try {
    return update([...body], terms);
  } catch (error) {
    if (error instanceof Reset) return 'reset';
    throw error;
  }
}

function update(body: number[], terms: UpdateTerms): Answer {
  const [withdrawnBytes, afterWithdrawn] = behindLength(body);
  const [attributeBytes, nlriBytes] = behindLength(afterWithdrawn);
  const { attrs, overrun } = split(attributeBytes);
  const withdrawn = prefixes(withdrawnBytes, 1, terms);
  const classic = prefixes(nlriBytes, 1, terms);
  const hasV4 = terms.families.includes('ipv4-unicast');

  const mp = (code: number): Attr | undefined => {
    const found = attrs.filter((attr) => attr.code === code);
    if (found.length > 1 || found.some((attr) => !attr.optional || attr.transitive)) throw new Reset();
    return found[0];
  };
  const reach = mp(14);
  const unreach = mp(15);
  // RFC 4271 §6.3
  if (attrs.some(({ optional, code }) => !optional && !KNOWN.includes(code))) throw new Reset();

  const gone = hasV4 ? withdrawn : [];
  if (unreach !== undefined) {
    if (unreach.value.length < 3) throw new Reset();
    if (agreed(unreach.value, terms)) gone.push(...prefixes(unreach.value.slice(3), unreach.value[1]!, terms));
  }
  let reachable = classic.length > 0;
  let mpRoutes: string[] = [];
  let hop: number[] = [];
  if (reach !== undefined) {
    if (reach.value.length < 5) throw new Reset();
    if (agreed(reach.value, terms)) {
      const [afi, length] = [reach.value[1]!, reach.value[3]!];
      hop = reach.value.slice(4, 4 + length);
      if (reach.value.length < 4 + length + 1 || !mayBeNextHop(afi, length, terms)) throw new Reset();
      mpRoutes = prefixes(reach.value.slice(4 + length + 1), afi, terms);
      reachable ||= mpRoutes.length > 0;
    } else {
      reachable = true;
    }
  }
  const others = attrs.filter(({ code }) => code !== 14 && code !== 15);
  const verdict = judge(others, terms);
  const withdraw = overrun || verdict === 'withdraw';
  // RFC 7606 §5.2
  if (!reachable && withdraw) throw new Reset();
  const attributes: Record<string, 'withdraw' | Record<string, string>> = {};
  if (hasV4 && classic.length > 0) attributes['classic'] = withdraw ? 'withdraw' : complete(verdict, undefined);
  if (mpRoutes.length > 0) attributes['mp'] = withdraw ? 'withdraw' : complete(verdict, hop);
  return { withdrawn: gone, announced: [...mpRoutes, ...(hasV4 ? classic : [])], attributes };
}

function behindLength(bytes: number[]): [number[], number[]] {
  const length = int(bytes.slice(0, 2));
  if (bytes.length < 2 + length || bytes.length < 2) throw new Reset();
  return [bytes.slice(2, 2 + length), bytes.slice(2 + length)];
}

/** RFC 7606 §4 */
function split(bytes: number[]): { attrs: Attr[]; overrun: boolean } {
  if (bytes.length === 0) return { attrs: [], overrun: false };
  const long = (bytes[0]! & 16) !== 0;
  const header = long ? 4 : 3;
  const length = int(long ? bytes.slice(2, 4) : bytes.slice(2, 3));
  if (bytes.length < header || bytes.length < header + length) {
    if (bytes[1] === 14 || bytes[1] === 15) throw new Reset();
    return { attrs: [], overrun: true };
  }
  const attr: Attr = {
    optional: (bytes[0]! & 128) !== 0,
    transitive: (bytes[0]! & 64) !== 0,
    partial: (bytes[0]! & 32) !== 0,
    code: bytes[1]!,
    value: bytes.slice(header, header + length),
  };
  const rest = split(bytes.slice(header + length));
  return { attrs: [attr, ...rest.attrs], overrun: rest.overrun };
}

function agreed(value: readonly number[], { families }: UpdateTerms): boolean {
  const head = value.slice(0, 3).join('.');
  return families.some((family) => head === (family === 'ipv4-unicast' ? '0.1.1' : '0.2.1'));
}

function mayBeNextHop(afi: number, length: number, { extendedNextHop }: UpdateTerms): boolean {
  if (afi === 2) return [16, 32].includes(length);
  return (extendedNextHop.includes('ipv4-unicast') ? [4, 16, 32] : [4]).includes(length);
}

/** "id/afi/bits/address in binary": host bits are cut off with the rest. */
function prefixes(bytes: readonly number[], afi: number, { addPathReceive }: UpdateTerms): string[] {
  if (bytes.length === 0) return [];
  const withId = addPathReceive.includes(afi === 1 ? 'ipv4-unicast' : 'ipv6-unicast');
  const [id, rest] = withId ? [bytes.slice(0, 4), bytes.slice(4)] : [[], bytes];
  const bits = rest[0];
  if (bits === undefined || bits > (afi === 1 ? 32 : 128)) throw new Reset();
  const size = Math.ceil(bits / 8);
  if (rest.length < 1 + size) throw new Reset();
  const binary = rest.slice(1, 1 + size).map((byte) => byte.toString(2).padStart(8, '0'));
  const prefix = `${withId ? int(id) : '-'}/${afi}/${bits}/${binary.join('').slice(0, bits)}`;
  return [prefix, ...prefixes(rest.slice(1 + size), afi, { addPathReceive } as UpdateTerms)];
}

const KNOWN = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 25, 32, 35];
const WELL_KNOWN = [1, 2, 3, 5, 6];
const TRANSITIVE = [1, 2, 3, 5, 6, 7, 8, 16, 17, 18, 25, 32, 35];

/** The attributes that stay, by code, or "withdraw". */
function judge(attrs: readonly Attr[], terms: UpdateTerms): Map<string, string> | 'withdraw' {
  const kept = new Map<string, string>();
  const seen = new Set<number>();
  let withdraw = false;
  for (const attr of attrs) {
    const { code, value } = attr;
    if (seen.has(code)) continue;
    seen.add(code);
    if (!KNOWN.includes(code)) {
      if (attr.transitive) kept.set(String(code), `partial ${hexOf(value)}`);
      continue;
    }
    if ([5, 9, 10].includes(code) && !terms.internal) continue;
    if ([17, 18].includes(code) && terms.fourOctetAs) continue;
    if (attr.optional === WELL_KNOWN.includes(code) || attr.transitive !== TRANSITIVE.includes(code)) {
      withdraw = true;
      continue;
    }
    const text = inWords(code, value, terms);
    if (text === undefined) withdraw ||= ![6, 7, 17, 18].includes(code);
    else kept.set(String(code), `${attr.partial && [7, 8, 16, 25, 32, 35].includes(code) ? 'partial ' : ''}${text}`);
  }
  if (withdraw) return 'withdraw';
  kept.set('seen', [...seen].join(','));
  return kept;
}

/** What the value says; undefined when it is malformed. */
function inWords(code: number, value: readonly number[], terms: UpdateTerms): string | undefined {
  const size = terms.fourOctetAs ? 4 : 2;
  const { length } = value;
  const many = (unit: number): boolean => length > 0 && length % unit === 0;
  const set = (unit: number): string => [...new Set(chunks(value, unit).map(hexOf))].toSorted().join(' ');
  switch (code) {
    case 1:
      return length === 1 && value[0]! < 3 ? String(value[0]) : undefined;
    case 2:
      return path(value, size, terms.internal);
    case 17:
      return length < 6 ? undefined : path(value, 4, true);
    case 7:
      return length === size + 4 ? aggregator(value, size) : undefined;
    case 18:
      return length === 8 ? aggregator(value, 4) : undefined;
    case 6:
      return length === 0 ? 'yes' : undefined;
    case 8:
      return many(4) ? set(4) : undefined;
    case 16:
      return many(8) ? set(8) : undefined;
    case 32:
      return many(12) ? set(12) : undefined;
    case 25:
      return many(20) ? hexOf(value) : undefined;
    case 10:
      return many(4) ? hexOf(value) : undefined;
    default:
      return length === 4 ? hexOf(value) : undefined;
  }
}

function aggregator(value: readonly number[], size: number): string | undefined {
  const asn = int(value.slice(0, size));
  return asn === 0 ? undefined : `${asn} ${hexOf(value.slice(size))}`;
}

/** "2:1,2 1:3": type and numbers of each segment. */
function path(value: readonly number[], size: number, confederation: boolean): string | undefined {
  if (value.length === 0) return '';
  const [type, count] = [value[0]!, value[1] ?? 0];
  const end = 2 + count * size;
  const asns = chunks(value.slice(2, end), size).map(int);
  const known = type === 1 || type === 2 || (confederation && (type === 3 || type === 4));
  if (!known || count === 0 || value.length < end || asns.includes(0)) return undefined;
  const rest = path(value.slice(end), size, confederation);
  return rest === undefined ? undefined : `${type}:${asns.join(',')} ${rest}`.trim();
}

/** The attributes of one way, once the mandatory ones are there and RFC 6793 §4.2.3 has been done. */
function complete(verdict: Map<string, string> | 'withdraw', hop: number[] | undefined) {
  if (verdict === 'withdraw') return 'withdraw';
  const kept = Object.fromEntries(verdict);
  const seen = kept['seen']!.split(',');
  delete kept['seen'];
  if (!seen.includes('1') || !seen.includes('2') || (hop === undefined && !seen.includes('3'))) return 'withdraw';
  merge(kept);
  kept['3'] = hop === undefined ? kept['3']! : nextHops(hop);
  return kept;
}

function nextHops(hop: readonly number[]): string {
  const [first, second] = [hexOf(hop.slice(0, 16)), hexOf(hop.slice(16))];
  if (!/^fe[89ab]/.test(second)) return first;
  return first === second || /^0*$/.test(first) ? second : `${first} ${second}`;
}

function merge(kept: Record<string, string>): void {
  const [agg, agg4, as4] = [kept['7'], kept['18'], kept['17']];
  delete kept['17'];
  delete kept['18'];
  if (agg4 !== undefined && agg !== undefined) {
    if (!agg.replace('partial ', '').startsWith('23456 ')) return;
    kept['7'] = `${agg.startsWith('partial') ? 'partial ' : ''}${agg4}`;
  }
  if (as4 === undefined) return;
  // Sequences one number a piece, sets and confederation segments whole: then counting is easy.
  const pieces = (text: string): string[] =>
    text
      .split(' ')
      .filter((segment) => segment !== '')
      .flatMap((s) =>
        s.startsWith('2:')
          ? s
              .slice(2)
              .split(',')
              .map((asn) => `2:${asn}`)
          : [s],
      );
  const counts = (piece: string): boolean => piece.startsWith('2:') || piece.startsWith('1:');
  const front = pieces(kept['2']!);
  const back = pieces(as4).filter(counts);
  let missing = front.filter(counts).length - back.length;
  if (missing < 0) return;
  const taken: string[] = [];
  for (const piece of front) {
    if (counts(piece) && missing-- === 0) break;
    taken.push(piece);
  }
  kept['2'] = [...taken, ...back].join(' ');
}
