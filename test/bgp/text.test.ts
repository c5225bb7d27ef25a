import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AsPath, LargeCommunity } from '../../bgp/message.ts';
import {
  TextError,
  formatAsPath,
  formatCommunity,
  formatExtendedCommunity,
  formatOrigin,
  parseAsPath,
  parseAsn,
  parseCommunity,
  parseExtendedCommunity,
  parseOrigin,
} from '../../bgp/text.ts';

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const asns = fc.array(fc.integer({ min: 1, max: 0xffff_ffff }), { minLength: 1, maxLength: 5 });

test.each([
  [0, 'i'],
  [1, 'e'],
  [2, '?'],
] as const)('origin %s reads and prints as %s', (origin, text) => {
  expect([formatOrigin(origin), parseOrigin(text)]).toEqual([text, origin]);
});

test.each(['IGP', 'egp', 'incomplete'])('an origin may be spelled out: %s', (text) => {
  expect(formatOrigin(parseOrigin(text))).toBe({ IGP: 'i', egp: 'e', incomplete: '?' }[text]);
});

test.each([
  ['1', 1],
  ['23456', 23_456],
  ['4294967295', 4_294_967_295],
  ['1.0', 65_536],
  ['65535.65535', 4_294_967_295],
  ['0.5', 5],
])('AS number %s is %s (RFC 5396: asplain and asdot)', (text, asn) => {
  expect(parseAsn(text)).toBe(asn);
});

test.each(['', '0', '0.0', '-1', '01', '4294967296', '65536.1', '1.65536', '1.2.3', '1e3', 'AS1', ' 1'])(
  '%j is not an AS number, and the error quotes it',
  (text) => {
    expect(() => parseAsn(text)).toThrow(
      new TextError(`${JSON.stringify(text)} is not an AS number (1 to 4294967295)`),
    );
  },
);

const paths: readonly [text: string, path: AsPath][] = [
  ['', []],
  ['65001', [{ type: 'sequence', asns: [65_001] }]],
  ['65001 4200000000', [{ type: 'sequence', asns: [65_001, 4_200_000_000] }]],
  [
    '65001 {65020 65021}',
    [
      { type: 'sequence', asns: [65_001] },
      { type: 'set', asns: [65_020, 65_021] },
    ],
  ],
  [
    '(1 2) [3 4] 5',
    [
      { type: 'confedSequence', asns: [1, 2] },
      { type: 'confedSet', asns: [3, 4] },
      { type: 'sequence', asns: [5] },
    ],
  ],
];

test.each(paths)('the path "%s" reads and prints as its segments', (text, path) => {
  expect([formatAsPath(path), parseAsPath(text)]).toEqual([text, path]);
});

test('commas may stand between the numbers of a set', () => {
  expect(parseAsPath('1 {2,3, 4}')).toEqual(parseAsPath('1 {2 3 4}'));
});

test.each(['{', '{}', '1 { 2', '1 } 2', '{1 (2)}', '( )', '1,2', '1 x', '1 {0}'])('%j is not an AS path', (text) => {
  expect(() => parseAsPath(text)).toThrow(TextError);
});

const anySegment = fc.oneof(
  fc.record({ type: fc.constantFrom('set' as const, 'confedSequence' as const, 'confedSet' as const), asns }),
  fc.record({ type: fc.constant('sequence' as const), asns }),
);
// Two sequences side by side print like one, so there are none.
const anyPath = fc
  .array(anySegment, { maxLength: 5 })
  .map((path) => path.filter(({ type }, i) => type !== 'sequence' || path[i - 1]?.type !== 'sequence'));

test('every AS path reads back as it was printed', () => {
  fc.assert(
    fc.property(anyPath, (path) => {
      expect(parseAsPath(formatAsPath(path))).toEqual(path);
    }),
  );
});

test.each([
  ['64512:120', 64_512 * 65_536 + 120],
  ['0:0', 0],
  ['no-export', 0xffff_ff01],
  ['no-advertise', 0xffff_ff02],
  ['no-export-subconfed', 0xffff_ff03],
  ['no-peer', 0xffff_ff04],
  ['graceful-shutdown', 0xffff_0000],
  ['blackhole', 0xffff_029a],
  ['llgr-stale', 0xffff_0006],
  ['no-llgr', 0xffff_0007],
  ['accept-own', 0xffff_0001],
  ['65535:5', 0xffff_0005],
])('community %s is %s', (text, community) => {
  expect([formatCommunity(community), parseCommunity(text)]).toEqual([text, community]);
});

test('a well-known community may be written as numbers or in capitals', () => {
  expect([parseCommunity('65535:65281'), parseCommunity('NO-EXPORT')]).toEqual([0xffff_ff01, 0xffff_ff01]);
});

test('three numbers are a large community (RFC 8092 §4: canonical representation)', () => {
  const large: LargeCommunity = [4_200_000_000, 0, 7];
  expect([formatCommunity(large), parseCommunity('4200000000:0:7')]).toEqual(['4200000000:0:7', large]);
});

test.each([
  '',
  '1',
  '65536:1',
  '1:65536',
  '1:2:4294967296',
  '1:2:3:4',
  '1:',
  ':1',
  '01:1',
  'constructor',
  '1 :2',
  '-1:2',
])('%j is not a community', (text) => {
  expect(() => parseCommunity(text)).toThrow(TextError);
});

test('every community reads back as it was printed', () => {
  const any = fc.oneof(
    u32,
    fc.tuple(u32, u32, u32),
    fc.tuple(fc.constant(0xffff), u16).map(([a, b]) => a * 65_536 + b),
  );
  fc.assert(
    fc.property(any, (community) => {
      expect(parseCommunity(formatCommunity(community))).toEqual(community);
    }),
  );
});

test.each([
  ['rt:65001:100', 0x0002_fde9_0000_0064n],
  ['rt:4200000000L:100', 0x0202_fa56_ea00_0064n],
  ['rt:1L:100', 0x0202_0000_0001_0064n],
  ['ro:10.0.0.1:7', 0x0103_0a00_0001_0007n],
  ['0x4004fde900000000', 0x4004_fde9_0000_0000n],
  ['0x0000000000000000', 0n],
])('extended community %s is %s', (text, community) => {
  expect([formatExtendedCommunity(community), parseExtendedCommunity(text)]).toEqual([text, community]);
});

test('an AS number that needs four octets needs no L', () => {
  expect(parseExtendedCommunity('rt:4200000000:100')).toBe(parseExtendedCommunity('rt:4200000000L:100'));
});

test.each([
  '',
  'rt',
  'rt:1',
  'rt:1:2:3',
  'xx:1:2',
  'rt:65536:65536',
  'rt:1L:65536',
  'rt:10.0.0.1:65536',
  '0x12',
  'rt::1',
])('%j is not an extended community', (text) => {
  expect(() => parseExtendedCommunity(text)).toThrow(TextError);
});

test('every extended community reads back as it was printed', () => {
  const any = fc.oneof(
    fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
    // Types and subtypes that have words of their own.
    fc
      .tuple(fc.constantFrom(0n, 1n, 2n), fc.constantFrom(2n, 3n), fc.bigInt({ min: 0n, max: 0xffff_ffff_ffffn }))
      .map(([type, subtype, value]) => (type << 56n) | (subtype << 48n) | value),
  );
  fc.assert(
    fc.property(any, (value) => {
      expect(parseExtendedCommunity(formatExtendedCommunity(value))).toBe(value);
    }),
  );
});
