import { expect, test } from 'vitest';
import { parseAddress, parsePrefix } from '#ip';
import {
  encodeEndOfRib,
  encodeNextHop,
  encodePrefix,
  encodeReach,
  encodeUnreach,
  encodeUpdate,
} from '../../../bgp/codec/index.ts';
import { hex, message } from './bytes.ts';

test('an UPDATE is written from its parts (RFC 4271 §4.3)', () => {
  const parts = { withdrawn: hex('18 c00002'), attributes: hex('40 01 01 00'), announced: hex('08 0a') };
  expect(encodeUpdate(parts)).toEqual(message(2, '0004 18c00002 0004 40010100 080a'));
});

test('parts that are absent are empty', () => {
  expect(encodeUpdate({})).toEqual(message(2, '0000 0000'));
});

test('MP_REACH_NLRI is family, next hop, a zero and prefixes (RFC 4760 §3)', () => {
  const hop = encodeNextHop('ipv6-unicast', parseAddress('2001:db8::1'));
  expect(encodeReach('ipv6-unicast', hop, hex('08 fd'))).toEqual(
    hex('80 0e 17 0002 01 10 20010db8000000000000000000000001 00 08 fd'),
  );
});

test('MP_UNREACH_NLRI is family and prefixes (RFC 4760 §4)', () => {
  expect(encodeUnreach('ipv4-unicast', hex('08 0a'))).toEqual(hex('80 0f 05 0001 01 08 0a'));
});

test('long MP attributes have their length in two octets', () => {
  expect(encodeUnreach('ipv6-unicast', new Uint8Array(253)).subarray(0, 4)).toEqual(hex('90 0f 0100'));
});

test.each([
  ['ipv4-unicast', '0000 0000'],
  ['ipv6-unicast', '0000 0006 80 0f 03 0002 01'],
] as const)('the End-of-RIB marker of %s is %s (RFC 4724 §2)', (family, body) => {
  expect(encodeEndOfRib(family)).toEqual(message(2, body));
});

test.each([
  ['ipv4-unicast', '10.0.0.1', undefined, '0a000001'],
  ['ipv6-unicast', '2001:db8::1', undefined, '20010db8000000000000000000000001'],
  ['ipv6-unicast', '2001:db8::1', 'fe80::2', '20010db8000000000000000000000001 fe800000000000000000000000000002'],
  ['ipv4-unicast', 'fe80::2', undefined, 'fe800000000000000000000000000002'],
  ['ipv6-unicast', '10.0.0.1', undefined, '00000000000000000000ffff0a000001'],
] as const)(
  'for %s the next hop %s with %s is written as %s (RFC 2545 §3, RFC 8950 §3)',
  (family, hop, local, bytes) => {
    expect(encodeNextHop(family, parseAddress(hop), local && parseAddress(local))).toEqual(hex(bytes));
  },
);

test.each([
  ['0.0.0.0/0', undefined, '00'],
  ['10.0.0.0/8', undefined, '08 0a'],
  ['10.240.0.0/12', undefined, '0c 0af0'],
  ['10.1.2.3/32', 7, '00000007 20 0a010203'],
  ['fd00::/64', undefined, '40 fd00000000000000'],
])('prefix %s with path identifier %s is written as %s (RFC 4271 §4.3, RFC 7911 §3)', (prefix, pathId, bytes) => {
  expect(encodePrefix(parsePrefix(prefix), pathId)).toEqual(hex(bytes));
});
