import { expect, test } from 'vitest';
import { parseAddress } from '#ip';
import { asPathLength, encodeAttributes, prependToAsPath } from '../../../bgp/codec/index.ts';
import type { AsPath } from '../../../bgp/message.ts';
import { hex, number } from './bytes.ts';

const seq = (...asns: number[]): AsPath => [{ type: 'sequence', asns }];
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

test.each<[AsPath, number]>([
  [[], 0],
  [seq(1, 2, 3), 3],
  [[{ type: 'set', asns: [1, 2, 3] }], 1],
  [[...seq(1), { type: 'set', asns: [2, 3] }, ...seq(4)], 3],
  [[{ type: 'confedSequence', asns: [1, 2] }, { type: 'confedSet', asns: [3] }, ...seq(4)], 1],
])('the length of %j is %i: a set counts 1, a confederation 0 (RFC 4271 §9.1.2.2, RFC 5065 §5.3)', (path, length) => {
  expect(asPathLength(path)).toBe(length);
});

test.each<[AsPath, number[], AsPath]>([
  [[], [1], seq(1)],
  [seq(2), [1, 1], seq(1, 1, 2)],
  [seq(2), [], seq(2)],
  [[{ type: 'set', asns: [2] }], [1], [...seq(1), { type: 'set', asns: [2] }]],
  [[{ type: 'confedSequence', asns: [2] }], [1], [...seq(1), { type: 'confedSequence', asns: [2] }]],
])('to %j is prepended %j (RFC 4271 §5.1.2)', (path, asns, longer) => {
  expect(prependToAsPath(path, asns)).toEqual(longer);
});

test('a sequence is filled up to 255 numbers, then another is opened (RFC 4271 §5.1.2)', () => {
  const path = prependToAsPath([...seq(...upTo(254)), { type: 'set', asns: [9] }], [7, 8]);
  expect(path).toEqual([...seq(7), ...seq(8, ...upTo(254)), { type: 'set', asns: [9] }]);
});

test('a sequence of more than 255 numbers is written as several (RFC 4271 §4.3)', () => {
  const attributes = { origin: 0, asPath: seq(...upTo(256)), nextHop: parseAddress('10.0.0.1') } as const;
  const rest = upTo(256)
    .slice(1)
    .map((asn) => number(asn, 2));
  expect(encodeAttributes(attributes, { internal: false, fourOctetAs: false })).toEqual(
    hex(`40 01 01 00 50 02 0204 02 01 0001 02 ff ${rest.join('')}`),
  );
});
