// Path attributes as they are written: in order, and only what is for this neighbour.
import { expect, test } from 'vitest';
import { parseAddress } from '#ip';
import { type Recipient, encodeAttributes } from '../../../bgp/codec/index.ts';
import { as4Path, asPath, asPath2, base, origin, seq } from './attribute-bytes.ts';
import { attribute, hex, toHex } from './bytes.ts';

const v4 = parseAddress;
const toExternal: Recipient = { internal: false, fourOctetAs: true };
const toInternal: Recipient = { internal: true, fourOctetAs: true };
const toTwoOctet: Recipient = { internal: false, fourOctetAs: false };

test('attributes are written in ascending order, unknown ones in their place, without NEXT_HOP (RFC 4271 §5)', () => {
  const unknown = [{ code: 12, flags: 0xe0, value: hex('00') }];
  const bytes = encodeAttributes({ ...base, med: 1, communities: [1], onlyToCustomer: 2, unknown }, toExternal);
  expect(toHex(bytes)).toBe(
    toHex(hex(`${origin} ${asPath} 80 04 04 00000001 c0 08 04 00000001 e0 0c 01 00 c0 23 04 00000002`)),
  );
});

test('LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST are for internal peers only (RFC 4271 §5.1.5, RFC 4456 §8)', () => {
  const inside = { ...base, localPref: 200, originatorId: v4('10.0.0.1'), clusterList: [v4('10.0.0.2')] };
  const only = '40 05 04 000000c8 80 09 04 0a000001 80 0a 04 0a000002';
  expect(encodeAttributes(inside, toExternal)).toEqual(hex(`${origin} ${asPath}`));
  expect(encodeAttributes(inside, toInternal)).toEqual(hex(`${origin} ${asPath} ${only}`));
});

test('non-transitive extended communities end at the AS border (RFC 4360 §6)', () => {
  const attributes = { ...base, extendedCommunities: [0x0002_fde9_0000_0064n, 0x4004_fde9_ffff_ffffn] };
  expect(encodeAttributes(attributes, toExternal)).toEqual(hex(`${origin} ${asPath} c0 10 08 0002fde900000064`));
});

test.each(['communities', 'extendedCommunities', 'largeCommunities', 'clusterList'] as const)(
  'an empty list of %s is left out, since it has no encoding (RFC 7606 §4)',
  (key) => {
    expect(encodeAttributes({ ...base, [key]: [] }, toInternal)).toEqual(hex(`${origin} ${asPath}`));
  },
);

test('extended communities that are all non-transitive are left out for an external peer', () => {
  expect(encodeAttributes({ ...base, extendedCommunities: [0x4004_fde9_ffff_ffffn] }, toExternal)).toEqual(
    hex(`${origin} ${asPath}`),
  );
});

test('confederation segments end at the AS border (RFC 5065 §4)', () => {
  const confederation = [{ type: 'confedSequence', asns: [7] } as const, { type: 'confedSet', asns: [8] } as const];
  const path = [...confederation, ...base.asPath];
  expect(encodeAttributes({ ...base, asPath: path }, toExternal)).toEqual(hex(`${origin} ${asPath}`));
  expect(encodeAttributes({ ...base, asPath: path }, toInternal)).toEqual(
    hex(`${origin} ${attribute('40', 2, '03 01 00000007 04 01 00000008 02 02 0000fde9 fa56ea00')}`),
  );
});

test('a two-octet peer gets AS_TRANS and AS4_PATH (RFC 6793 §4.2.2)', () => {
  expect(encodeAttributes(base, toTwoOctet)).toEqual(hex(`${origin} ${asPath2} ${as4Path}`));
});

test('AS4_PATH never carries confederation segments (RFC 6793 §4.2.2)', () => {
  const path = [{ type: 'confedSequence', asns: [4_200_000_001] } as const, ...base.asPath];
  expect(encodeAttributes({ ...base, asPath: path }, { internal: true, fourOctetAs: false })).toEqual(
    hex(`${origin} ${attribute('40', 2, '03 01 5ba0 02 02 fde9 5ba0')} ${as4Path}`),
  );
});

test('AS4_PATH is not sent where two octets are enough (RFC 6793 §4.2.2)', () => {
  expect(encodeAttributes({ ...base, asPath: seq(1, 65_535) }, toTwoOctet)).toEqual(
    hex(`${origin} ${attribute('40', 2, '02 02 0001 ffff')}`),
  );
});

test.each([
  [4_200_000_000, 'c0 07 06 5ba0 0a000002', 'c0 12 08 fa56ea00 0a000002'],
  [65_535, 'c0 07 06 ffff 0a000002', ''],
  [65_536, 'c0 07 06 5ba0 0a000002', 'c0 12 08 00010000 0a000002'],
])('AGGREGATOR of AS %i for a two-octet peer (RFC 6793 §4.2.2)', (asn, aggregator, aggregator4) => {
  const attributes = { ...base, asPath: [], aggregator: { asn, address: v4('10.0.0.2') } };
  expect(encodeAttributes(attributes, toTwoOctet)).toEqual(hex(`${origin} 40 02 00 ${aggregator} ${aggregator4}`));
});

test('a value of more than 255 octets has its length in two (RFC 4271 §4.3)', () => {
  const communities = Array.from({ length: 64 }, (_, i) => i);
  const value = communities.map((c) => c.toString(16).padStart(8, '0')).join('');
  expect(encodeAttributes({ ...base, communities }, toExternal)).toEqual(
    hex(`${origin} ${asPath} d0 08 0100 ${value}`),
  );
});

test('a number that does not fit is a fault of ours, never another number on the wire', () => {
  expect(() => encodeAttributes({ ...base, med: 2 ** 32 }, toExternal)).toThrow(RangeError);
  expect(() => encodeAttributes({ ...base, med: -1 }, toExternal)).toThrow(RangeError);
  expect(() => encodeAttributes(base, { ...toExternal, nextHop: v4('2001:db8::1') })).toThrow(RangeError);
});
