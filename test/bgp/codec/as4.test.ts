// Four-octet AS numbers across a neighbour that has two (RFC 6793 §4.2.3): AS4_PATH and AS4_AGGREGATOR are merged.
import { expect, test } from 'vitest';
import { decodeAttributes } from '../../../bgp/codec/index.ts';
import type { PathAttributes } from '../../../bgp/message.ts';
import { as4Path, base, decode, mandatory2, nextHop, origin, seq } from './attribute-bytes.ts';
import { attribute, hex } from './bytes.ts';
import { twoOctet } from './terms.ts';

/** AS_PATH and AS4_PATH in hex from a two-octet peer, and the path that they tell together. */
const merges: readonly [string, string, string, PathAttributes['asPath']][] = [
  ['AS4_PATH as long as AS_PATH replaces it', '02 02 0001 5ba0', '02 02 00000001 fa56ea00', seq(1, 4_200_000_000)],
  ['a shorter one replaces its end', '02 03 0003 0001 5ba0', '02 02 00000001 fa56ea00', seq(3, 1, 4_200_000_000)],
  ['a longer one is ignored', '02 01 5ba0', '02 02 00000001 fa56ea00', seq(23_456)],
  [
    'segments in front are taken whole',
    '02 01 0003 02 02 0001 5ba0',
    '02 02 00000001 fa56ea00',
    seq(3, 1, 4_200_000_000),
  ],
  [
    'a sequence may be cut in the middle, and nothing behind the cut is taken',
    '02 03 0003 0001 0002 01 02 0001 5ba0',
    '02 02 00000001 fa56ea00',
    seq(3, 1, 1, 4_200_000_000),
  ],
  [
    'a set counts one on either side',
    '02 01 0003 01 03 0004 0005 5ba0',
    '01 03 00000004 00000005 fa56ea00',
    [...seq(3), { type: 'set', asns: [4, 5, 4_200_000_000] }],
  ],
  [
    'a set in front is taken whole',
    '01 02 0008 0009 02 01 5ba0',
    '02 01 fa56ea00',
    [{ type: 'set', asns: [8, 9] }, ...seq(4_200_000_000)],
  ],
  [
    'confederation segments have no place in AS4_PATH',
    '02 01 5ba0',
    '03 01 00000007 02 01 fa56ea00',
    seq(4_200_000_000),
  ],
];

test.each(merges)('AS4_PATH is merged by counts: %s (RFC 6793 §4.2.3)', (_, path, path4, merged) => {
  const bytes = `${origin} ${attribute('40', 2, path)} ${nextHop} ${attribute('c0', 17, path4)}`;
  expect(decode(bytes, twoOctet).attributes).toEqual({ ...base, asPath: merged });
});

test('confederation segments that lead or are adjacent are kept (RFC 6793 §4.2.3)', () => {
  const path = attribute('40', 2, '03 01 0007 02 01 0003 03 01 0008 02 01 5ba0');
  const bytes = `${origin} ${path} ${nextHop} ${attribute('c0', 17, '02 01 fa56ea00')}`;
  expect(decode(bytes, { ...twoOctet, internal: true }).attributes?.asPath).toEqual([
    { type: 'confedSequence', asns: [7] },
    { type: 'sequence', asns: [3] },
    { type: 'confedSequence', asns: [8] },
    { type: 'sequence', asns: [4_200_000_000] },
  ]);
});

const as4Aggregator = attribute('c0', 18, 'fa56ea00 0a000002');
const trans = [{ type: 'sequence', asns: [65_001, 23_456] }];

test.each([
  ['AGGREGATOR with AS_TRANS gives way to AS4_AGGREGATOR', '5ba0 0a000002', base.asPath, 4_200_000_000, undefined],
  ['AGGREGATOR with another AS: both AS4 attributes are ignored', 'fde9 0a000002', trans, 65_001, 'discard'],
])('%s (RFC 6793 §4.2.3)', (_, aggregator, path, asn, action) => {
  const bytes = `${mandatory2} ${attribute('c0', 7, aggregator)} ${as4Path} ${as4Aggregator}`;
  const outcome = decode(bytes, twoOctet);
  expect({ action: undefined, ...outcome }).toEqual({
    attributes: { ...base, asPath: path, aggregator: { asn, address: '10.0.0.2' } },
    action,
  });
});

test('both AS4 attributes are named where both are ignored', () => {
  const raw = hex(`${mandatory2} ${attribute('c0', 7, 'fde9 0a000002')} ${as4Path} ${as4Aggregator}`);
  const { faults } = decodeAttributes(raw, undefined, twoOctet);
  expect(faults.map(({ attribute }) => attribute)).toEqual([18, 17]);
});

test('AS4_AGGREGATOR without AGGREGATOR is ignored, AS4_PATH is not (RFC 6793 §4.2.3)', () => {
  expect(decode(`${mandatory2} ${as4Path} ${as4Aggregator}`, twoOctet)).toEqual({
    attributes: base,
    action: 'discard',
  });
});

test('AGGREGATOR with AS_TRANS and no AS4_AGGREGATOR stays as it is (RFC 6793 §4.2.3)', () => {
  const { attributes } = decode(`${mandatory2} ${attribute('c0', 7, '5ba0 0a000002')}`, twoOctet);
  expect(attributes?.aggregator).toEqual({ asn: 23_456, address: '10.0.0.2' });
});

test('Partial on AS4_PATH, which every two-octet speaker sets in passing, is not kept', () => {
  const bytes = `${mandatory2} ${attribute('e0', 17, '02 02 0000fde9 fa56ea00')}`;
  expect(decode(bytes, twoOctet)).toEqual({ attributes: base });
});
