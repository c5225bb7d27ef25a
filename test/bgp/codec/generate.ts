// Bodies of UPDATEs for properties: mostly right, so that decoders get far, and wrong in every way now and then.
import * as fc from 'fast-check';
import type { UpdateTerms } from '../../../bgp/codec/index.ts';
import { attribute, hex, number, toHex, updateBody } from './bytes.ts';

const u8 = fc.integer({ min: 0, max: 255 });

export function bytes(max: number, min = 0): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: min, maxLength: max });
}

const hexBytes = (max: number, min = 0): fc.Arbitrary<string> => bytes(max, min).map(toHex);
const concat = (parts: readonly string[]): string => parts.join(' ');

/** One time in sixteen the wrong one. */
function mostly<A, B>(right: fc.Arbitrary<A>, wrong: fc.Arbitrary<B>): fc.Arbitrary<A | B> {
  return fc.oneof({ weight: 15, arbitrary: right }, { weight: 1, arbitrary: wrong });
}

const families = fc.subarray(['ipv4-unicast', 'ipv6-unicast'] as const);

export const terms: fc.Arbitrary<UpdateTerms> = fc.record({
  families: mostly(fc.constant(['ipv4-unicast', 'ipv6-unicast'] as const), families),
  addPathReceive: mostly(fc.constant([]), families),
  extendedNextHop: families,
  internal: fc.boolean(),
  fourOctetAs: fc.boolean(),
});

// -- attributes

const flagsOf: Readonly<Record<number, number>> = {
  ...{ 1: 0x40, 2: 0x40, 3: 0x40, 4: 0x80, 5: 0x40, 6: 0x40, 7: 0xc0, 8: 0xc0, 9: 0x80, 10: 0x80, 14: 0x80, 15: 0x80 },
  ...{ 16: 0xc0, 17: 0xc0, 18: 0xc0, 25: 0xc0, 26: 0x80, 32: 0xc0, 35: 0xc0, 99: 0xc0, 200: 0xc0 },
};
const unitOf: Readonly<Record<number, number>> = { 8: 4, 10: 4, 16: 8, 25: 20, 32: 12 };

/** What a flag octet is changed by: length, Partial and low bits do no harm, the others do. */
const flips = mostly(fc.constantFrom(0, 0, 0, 0x10, 0x20, 0x30, 0x0f), fc.constantFrom(0x40, 0x80, 0xc0));

function attributeOf(code: number, value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(flips, value).map(([flip, text]) => attribute(number(flagsOf[code]! ^ flip, 1), code, text));
}

const asns = fc.array(fc.constantFrom(1, 2, 23_456, 65_001, 4_200_000_000), { minLength: 1, maxLength: 3 });

/** Segments with numbers of so many octets. */
function pathOf(size: number): fc.Arbitrary<string> {
  const type = mostly(fc.constantFrom(2, 2, 1), fc.constantFrom(0, 3, 4, 5));
  const some = mostly(asns, fc.constantFrom([], [0]));
  const segment = fc.tuple(type, some).map(([type, numbers]) => {
    const words = numbers.map((asn) => number(size === 2 ? asn & 0xffff : asn, size));
    return concat([number(type, 1), number(numbers.length, 1), ...words]);
  });
  return fc.array(segment, { maxLength: 3 }).map(concat);
}

function aggregatorOf(size: number): fc.Arbitrary<string> {
  const asn = mostly(fc.constantFrom(23_456, 65_001), fc.constant(0));
  return asn.map((it) => concat([number(it, size), '0a000001']));
}

function valueOf(code: number, size: number): fc.Arbitrary<string> {
  const other = 6 - size;
  const unit = unitOf[code];
  if (code === 1) return mostly(fc.constantFrom('00', '01', '02'), fc.constantFrom('03', '', '0000'));
  if (code === 2) return mostly(pathOf(size), pathOf(other));
  if (code === 17) return pathOf(4);
  if (code === 6) return mostly(fc.constant(''), fc.constant('00'));
  if (code === 7) return mostly(aggregatorOf(size), aggregatorOf(other));
  if (code === 18) return mostly(aggregatorOf(4), aggregatorOf(2));
  if (unit === undefined) return mostly(hexBytes(4, 4), hexBytes(6));
  const whole = fc.integer({ min: 1, max: 4 }).chain((count) => hexBytes(count * unit, count * unit));
  return mostly(whole, hexBytes(30));
}

const otherCodes = Object.keys(flagsOf)
  .map(Number)
  .filter((code) => code > 3 && code !== 14 && code !== 15);

/** All attributes but the two that carry routes, as for a peer with AS numbers of so many octets. */
export function attributeBlock(size: number): fc.Arbitrary<string[]> {
  const one = (code: number): fc.Arbitrary<string> => attributeOf(code, valueOf(code, size));
  const mandatory = mostly(
    fc.tuple(one(1), one(2), one(3)),
    fc.subarray([1, 2, 3]).chain((codes) => fc.tuple(...codes.map(one))),
  );
  const others = fc.array(mostly(fc.oneof(...otherCodes.map(one)), fc.oneof(one(1), one(2), one(3))), { maxLength: 4 });
  return fc.tuple(mandatory, others).chain(([a, b]) => shuffled([...a, ...b]));
}

function shuffled(parts: readonly string[]): fc.Arbitrary<string[]> {
  return fc.shuffledSubarray([...parts], { minLength: parts.length });
}

// -- prefixes

function nlriOf(bits: number, addPath: boolean): fc.Arbitrary<string> {
  const length = mostly(fc.integer({ min: 0, max: bits }), fc.constantFrom(bits + 1, 255));
  const prefix = length.chain((it) => {
    const size = Math.ceil(it / 8);
    return fc.tuple(fc.constant(it), hexBytes(size, size));
  });
  const withId = fc.tuple(fc.constantFrom(0, 1, 0xffff_ffff), prefix).map(([id, [length, address]]) => {
    return concat([addPath ? number(id, 4) : '', number(length, 1), address]);
  });
  return fc.array(withId, { maxLength: 3 }).map(concat);
}

const familyHeads = { 'ipv4-unicast': '0001 01', 'ipv6-unicast': '0002 01' } as const;

function mpOf(reach: boolean, to: UpdateTerms): fc.Arbitrary<string> {
  const known = fc.constantFrom('ipv4-unicast' as const, 'ipv6-unicast' as const).chain((family) => {
    const isV4 = family === 'ipv4-unicast';
    const bits = isV4 ? 32 : 128;
    const nlri = nlriOf(bits, to.addPathReceive.includes(family));
    const hop = isV4 && !to.extendedNextHop.includes(family) ? hexBytes(4, 4) : hop6;
    return fc.tuple(fc.constant(familyHeads[family]), mostly(hop, hexBytes(17)), nlri);
  });
  const foreign = fc.tuple(fc.constantFrom('0001 02', '0019 46'), hexBytes(8), hexBytes(10));
  const value = mostly(known, foreign).map(([head, hop, nlri]) =>
    reach ? concat([head, number(hex(hop).length, 1), hop, '00', nlri]) : concat([head, nlri]),
  );
  return attributeOf(reach ? 14 : 15, mostly(value, hexBytes(6)));
}

const linkLocal = `fe80${'00'.repeat(13)}01`;
const hop6 = fc.oneof(
  hexBytes(16, 16),
  hexBytes(16, 16).map((global) => concat([global, linkLocal])),
  hexBytes(32, 32),
  fc.constantFrom(`${'00'.repeat(16)} ${linkLocal}`, `${linkLocal} ${linkLocal}`, linkLocal),
);

// -- bodies

/** An UPDATE for these terms. */
function bodyFor(to: UpdateTerms): fc.Arbitrary<Uint8Array> {
  const classic = fc.option(nlriOf(32, to.addPathReceive.includes('ipv4-unicast')), { nil: '' });
  const mp = (reach: boolean): fc.Arbitrary<string[]> => fc.array(mpOf(reach, to), { maxLength: 1 });
  const again = mostly(fc.constant([]), fc.tuple(fc.boolean().chain((reach) => mpOf(reach, to))));
  const block = fc.oneof({ weight: 3, arbitrary: attributeBlock(to.fourOctetAs ? 4 : 2) }, fc.constant([]));
  const tail = mostly(fc.constant(''), fc.constantFrom('40', '4005', 'd06301', 'c0080400', '800f', '800e20'));
  const attributes = fc.tuple(mp(true), mp(false), again, block).chain((parts) => shuffled(parts.flat()));
  return fc
    .tuple(classic, attributes, tail, classic)
    .map(([withdrawn, attributes, tail, announced]) =>
      updateBody({ withdrawn, attributes: concat([...attributes, tail]), announced }),
    );
}

/** A few octets changed, cut off or added. */
function damaged(body: Uint8Array): fc.Arbitrary<Uint8Array> {
  const changes = fc.array(fc.tuple(fc.nat(Math.max(0, body.length - 1)), u8), { maxLength: 2 });
  return fc.tuple(changes, fc.integer({ min: -2, max: 1 })).map(([octets, more]) => {
    const copy = new Uint8Array(Math.max(0, body.length + more));
    copy.set(body.subarray(0, copy.length));
    for (const [at, value] of octets) if (at < copy.length) copy[at] = value;
    return copy;
  });
}

/** An UPDATE and the terms to read it under. */
export const updates: fc.Arbitrary<[Uint8Array, UpdateTerms]> = terms.chain((to) => {
  const whole = bodyFor(to);
  const body = fc.oneof({ weight: 5, arbitrary: whole }, { weight: 1, arbitrary: whole.chain(damaged) });
  return fc.tuple(body, fc.constant(to));
});
