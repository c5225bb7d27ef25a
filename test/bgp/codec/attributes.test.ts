// Path attributes as they are read: each one's bytes beside its value, and every row of the table in RFC 7606 §7.
import { describe, expect, test } from 'vitest';
import { parseAddress } from '#ip';
import { type Recipient, type UpdateTerms, decodeAttributes, encodeAttributes } from '../../../bgp/codec/index.ts';
import type { PathAttributes } from '../../../bgp/message.ts';
import { asPath, asPath2, base, decode, mandatory, mandatory2, nextHop, origin } from './attribute-bytes.ts';
import { attribute, hex } from './bytes.ts';
import { external, internal, twoOctet } from './terms.ts';

const v4 = parseAddress;

/** Attribute in hex, what it adds to the attributes, and under which terms; written it gives the same bytes. */
const values: readonly [string, Partial<PathAttributes>, UpdateTerms?][] = [
  [attribute('80', 4, 'ffffffff'), { med: 4_294_967_295 }],
  [attribute('40', 5, '00000064'), { localPref: 100 }, internal],
  [attribute('40', 6), { atomicAggregate: true }],
  [attribute('c0', 7, 'fa56ea00 0a000001'), { aggregator: { asn: 4_200_000_000, address: v4('10.0.0.1') } }],
  [attribute('c0', 8, 'fbf00078 ffffff01'), { communities: [0xfbf0_0078, 0xffff_ff01] }],
  [attribute('80', 9, 'f0000001'), { originatorId: v4('240.0.0.1') }, internal],
  [attribute('80', 10, '0a000002 0a000001'), { clusterList: [v4('10.0.0.2'), v4('10.0.0.1')] }, internal],
  [
    attribute('c0', 16, '0002fde900000064 4004fde9ffffffff'),
    { extendedCommunities: [0x0002_fde9_0000_0064n, 0x4004_fde9_ffff_ffffn] },
    internal,
  ],
  [attribute('c0', 32, 'fa56ea00 00000000 00000007'), { largeCommunities: [[4_200_000_000, 0, 7]] }],
  [attribute('c0', 35, '0000fde9'), { onlyToCustomer: 65_001 }],
  [attribute('e0', 99, 'abcd'), { unknown: [{ code: 99, flags: 0xe0, value: hex('abcd') }] }],
  [attribute('c0', 25, '00'.repeat(20)), { unknown: [{ code: 25, flags: 0xc0, value: new Uint8Array(20) }] }],
];

test('ORIGIN, AS_PATH and NEXT_HOP are enough (RFC 4271 §5)', () => {
  expect(decode(mandatory)).toEqual({ attributes: base });
});

test.each(values)('attribute %s is read as %o', (bytes, value, terms = external) => {
  expect(decode(`${mandatory} ${bytes}`, terms)).toEqual({ attributes: { ...base, ...value } });
});

test.each(values)('attribute %s is written from %o', (bytes, value, terms = external) => {
  const to: Recipient = { ...terms, nextHop: v4('10.0.0.1') };
  expect(encodeAttributes({ ...base, ...value }, to)).toEqual(hex(`${mandatory} ${bytes}`));
});

test.each([
  ['00', 0],
  ['01', 1],
  ['02', 2],
])('ORIGIN %s is %i (RFC 4271 §4.3)', (bytes, value) => {
  expect(decode(`${attribute('40', 1, bytes)} ${asPath} ${nextHop}`).attributes?.origin).toBe(value);
});

test.each([
  ['', []],
  ['02 01 0000fde9', [{ type: 'sequence', asns: [65_001] }]],
  [
    '02 01 0000fde9 01 02 00000001 00000002',
    [
      { type: 'sequence', asns: [65_001] },
      { type: 'set', asns: [1, 2] },
    ],
  ],
])('AS_PATH "%s" is %o (RFC 4271 §4.3, RFC 6793 §3)', (bytes, value) => {
  expect(decode(`${origin} ${attribute('40', 2, bytes)} ${nextHop}`).attributes?.asPath).toEqual(value);
});

test('an AS number takes two octets where four were not agreed on (RFC 6793 §4)', () => {
  expect(decode(mandatory2, twoOctet).attributes?.asPath).toEqual([{ type: 'sequence', asns: [65_001, 23_456] }]);
});

test('AGGREGATOR has six octets where four-octet AS numbers were not agreed on (RFC 7606 §7.7)', () => {
  const { attributes } = decode(`${mandatory2} ${attribute('c0', 7, 'fde9 0a000001')}`, twoOctet);
  expect(attributes?.aggregator).toEqual({ asn: 65_001, address: '10.0.0.1' });
});

test('confederation segments from an internal peer are read (RFC 5065 §3)', () => {
  const path = attribute('40', 2, '03 01 00000001 04 01 00000002');
  expect(decode(`${origin} ${path} ${nextHop}`, internal).attributes?.asPath).toEqual([
    { type: 'confedSequence', asns: [1] },
    { type: 'confedSet', asns: [2] },
  ]);
});

test.each([
  ['COMMUNITIES (RFC 1997)', attribute('c0', 8, '00000002 00000001 00000002'), { communities: [1, 2] }],
  [
    'EXTENDED COMMUNITIES (RFC 4360 §2)',
    attribute('c0', 16, 'ffffffffffffffff 0000000000000001 ffffffffffffffff'),
    { extendedCommunities: [1n, 0xffff_ffff_ffff_ffffn] },
  ],
  [
    'LARGE_COMMUNITY (RFC 8092 §4)',
    attribute('c0', 32, `${'00000002'.repeat(3)} 00000002 00000002 00000001 ${'00000002'.repeat(3)}`),
    {
      largeCommunities: [
        [2, 2, 1],
        [2, 2, 2],
      ],
    },
  ],
])('%s are a set: ascending, without doubles', (_, bytes, value) => {
  expect(decode(`${mandatory} ${bytes}`)).toEqual({ attributes: { ...base, ...value } });
});

test('what was decoded is no view on the message', () => {
  const raw = hex(`${mandatory} ${attribute('c0', 99, 'abcd')} ${attribute('c0', 25, '01'.repeat(20))}`);
  const { attributes } = decodeAttributes(raw, undefined, external);
  const before = structuredClone(attributes);
  raw.fill(0);
  expect(attributes).toEqual(before);
});

// -- the next hop of MP_REACH_NLRI

const global = '20010db8 00000000 00000000 00000001';
const linkLocal = 'fe800000 00000000 00000000 00000002';

test.each([
  ['0a000009', { nextHop: '10.0.0.9' }],
  [global, { nextHop: '2001:db8::1' }],
  [`${global} ${linkLocal}`, { nextHop: '2001:db8::1', linkLocalNextHop: 'fe80::2' }],
  [linkLocal, { nextHop: 'fe80::2' }],
  [`${linkLocal} ${linkLocal}`, { nextHop: 'fe80::2' }],
  [`${'00'.repeat(16)} ${linkLocal}`, { nextHop: 'fe80::2' }],
  [`${global} febf${'00'.repeat(13)}01`, { nextHop: '2001:db8::1', linkLocalNextHop: 'febf::1' }],
  [`${global} fec0${'00'.repeat(13)}01`, { nextHop: '2001:db8::1' }],
  [`${global} ${global}`, { nextHop: '2001:db8::1' }],
  [`${global} ${'00'.repeat(16)}`, { nextHop: '2001:db8::1' }],
])('a next hop of %s in MP_REACH_NLRI is %o (RFC 2545 §3)', (bytes, hops) => {
  const { origin: o, asPath: path } = base;
  expect(decode(`${origin} ${asPath}`, external, bytes)).toEqual({ attributes: { origin: o, asPath: path, ...hops } });
});

test('NEXT_HOP is ignored where MP_REACH_NLRI brings one (RFC 4760 §3)', () => {
  expect(decode(mandatory, external, global).attributes?.nextHop).toBe('2001:db8::1');
});

test.each(['', '0a0000', `${global} 00`])('octets "%s" are no next hop and withdraw the routes', (bytes) => {
  expect(decode(mandatory, external, bytes)).toEqual({ action: 'withdraw' });
});

// -- RFC 7606 §3

test.each([
  ['ORIGIN', `${asPath} ${nextHop}`],
  ['AS_PATH', `${origin} ${nextHop}`],
  ['NEXT_HOP', `${origin} ${asPath}`],
  ['everything', ''],
])('without %s the routes are withdrawn (RFC 7606 §3.d)', (_, attributes) => {
  expect(decode(attributes)).toEqual({ action: 'withdraw' });
});

test('NEXT_HOP may be missing where MP_REACH_NLRI brings one (RFC 7606 §3.d)', () => {
  expect(decode(`${origin} ${asPath}`, external, global).action).toBeUndefined();
});

test('LOCAL_PREF may be missing, even from an internal peer: it is required, not mandatory (RFC 4271 §5)', () => {
  expect(decode(mandatory, internal)).toEqual({ attributes: base });
});

test('of an attribute that occurs twice the first one counts (RFC 7606 §3.g)', () => {
  const twice = `${attribute('80', 4, '00000001')} ${mandatory} ${attribute('80', 4, '00000002')}`;
  expect(decode(twice)).toEqual({ attributes: { ...base, med: 1 }, action: 'discard' });
});

test('of an unknown attribute that occurs twice the first one counts (RFC 7606 §3.g)', () => {
  const { attributes } = decode(`${mandatory} ${attribute('c0', 99, '01')} ${attribute('c0', 99, '02')}`);
  expect(attributes?.unknown).toEqual([{ code: 99, flags: 0xe0, value: hex('01') }]);
});

test('a second occurrence does not make up for a malformed first one (RFC 7606 §3.g)', () => {
  expect(decode(`${mandatory} ${attribute('80', 4, '00')} ${attribute('80', 4, '00000002')}`)).toEqual({
    action: 'withdraw',
  });
  expect(decode(`${mandatory} ${attribute('40', 6, '00')} ${attribute('40', 6)}`)).toEqual({
    attributes: base,
    action: 'discard',
  });
});

test('a malformed second occurrence does no harm (RFC 7606 §3.g)', () => {
  expect(decode(`${mandatory} ${attribute('40', 1, '09')}`)).toEqual({ attributes: base, action: 'discard' });
});

/** Every attribute of the table, in order, with its flags. */
const rows: readonly [name: string, flags: string, code: number, value: string, terms?: UpdateTerms][] = [
  ['ORIGIN', '40', 1, '00'],
  ['AS_PATH', '40', 2, '02 01 0000fde9'],
  ['NEXT_HOP', '40', 3, '0a000001'],
  ['MULTI_EXIT_DISC', '80', 4, '00000000'],
  ['LOCAL_PREF', '40', 5, '00000064', internal],
  ['ATOMIC_AGGREGATE', '40', 6, ''],
  ['AGGREGATOR', 'c0', 7, '0000fde9 0a000001'],
  ['COMMUNITIES', 'c0', 8, '00000001'],
  ['ORIGINATOR_ID', '80', 9, '0a000001', internal],
  ['CLUSTER_LIST', '80', 10, '0a000001', internal],
  ['EXTENDED COMMUNITIES', 'c0', 16, '0000000000000001'],
  ['AS4_PATH', 'c0', 17, '02 01 0000fde9', twoOctet],
  ['AS4_AGGREGATOR', 'c0', 18, '0000fde9 0a000001', twoOctet],
  ['IPv6 EXTENDED COMMUNITIES', 'c0', 25, '00'.repeat(20)],
  ['LARGE_COMMUNITY', 'c0', 32, '00'.repeat(12)],
  ['OTC', 'c0', 35, '0000fde9'],
];

/** The mandatory attributes without this one, then this one. */
function withRow(code: number, bytes: string, terms: UpdateTerms): string {
  const path = terms.fourOctetAs ? asPath : asPath2;
  return [origin, path, nextHop]
    .filter((_, i) => i + 1 !== code)
    .concat(bytes)
    .join(' ');
}

describe.each(rows)('%s', (name, flags, code, value, terms = external) => {
  const others = ['00', '40', '80', 'c0'].filter((other) => other !== flags);

  test.each(others)(`with flags %s instead of ${flags} withdraws the routes (RFC 7606 §3.c)`, (other) => {
    expect(decode(withRow(code, attribute(other, code, value), terms), terms)).toEqual({ action: 'withdraw' });
  });

  test('may have Partial and the low bits set, which mean nothing (RFC 7606 §3.c)', () => {
    const odd = (Number.parseInt(flags, 16) | 0x2f).toString(16);
    expect(decode(withRow(code, attribute(odd, code, value), terms), terms).action ?? 'none').not.toBe('withdraw');
  });

  test('is named in the fault', () => {
    const { faults } = decodeAttributes(hex(withRow(code, attribute('00', code, value), terms)), undefined, terms);
    expect(faults).toContainEqual({ action: 'withdraw', attribute: code, reason: expect.stringContaining(name) });
  });
});

test.each([
  ['00', 8, 'COMMUNITIES is well-known non-transitive, not optional transitive (RFC 7606 §3.c)'],
  ['80', 5, 'LOCAL_PREF is optional non-transitive, not well-known transitive (RFC 7606 §3.c)'],
  ['c0', 4, 'MULTI_EXIT_DISC is optional transitive, not optional non-transitive (RFC 7606 §3.c)'],
])('flags %s of attribute %i are put into words: %s', (flags, code, reason) => {
  const { faults } = decodeAttributes(hex(`${mandatory} ${attribute(flags, code, '00000001')}`), undefined, internal);
  expect(faults).toEqual([{ action: 'withdraw', attribute: code, reason }]);
});

// -- RFC 7606 §7

/** Malformed values of each attribute, and what they lead to. */
const malformed: readonly [string, string, 'withdraw' | 'discard', UpdateTerms?][] = [
  ['ORIGIN without a value (RFC 7606 §7.1)', attribute('40', 1), 'withdraw'],
  ['ORIGIN of two octets (RFC 7606 §7.1)', attribute('40', 1, '0000'), 'withdraw'],
  ['ORIGIN 3 (RFC 7606 §7.1)', attribute('40', 1, '03'), 'withdraw'],
  ['AS_PATH with segment type 0 (RFC 7606 §7.2)', attribute('40', 2, '00 01 0000fde9'), 'withdraw'],
  ['AS_PATH with segment type 5 (RFC 7606 §7.2)', attribute('40', 2, '05 01 0000fde9'), 'withdraw'],
  ['AS_PATH with an empty segment (RFC 7606 §7.2)', attribute('40', 2, '02 01 0000fde9 02 00'), 'withdraw'],
  ['AS_PATH with a segment overrun (RFC 7606 §7.2)', attribute('40', 2, '02 02 0000fde9'), 'withdraw'],
  ['AS_PATH with a segment underrun (RFC 7606 §7.2)', attribute('40', 2, '02 01 0000fde9 02'), 'withdraw'],
  ['AS_PATH in two octets where four were agreed on (RFC 7606 §7.2)', attribute('40', 2, '02 01 fde9'), 'withdraw'],
  ['AS_PATH with AS 0 (RFC 7607 §2)', attribute('40', 2, '02 02 0000fde9 00000000'), 'withdraw'],
  ['AS_PATH with AS 0 in a set (RFC 7607 §2)', attribute('40', 2, '01 01 00000000'), 'withdraw'],
  ['AS_CONFED_SEQUENCE from outside (RFC 5065 §5)', attribute('40', 2, '03 01 0000fde9'), 'withdraw'],
  ['AS_CONFED_SET from outside (RFC 5065 §5)', attribute('40', 2, '02 01 0000fde9 04 01 0000fde9'), 'withdraw'],
  ['NEXT_HOP of three octets (RFC 7606 §7.3)', attribute('40', 3, '0a0000'), 'withdraw'],
  ['NEXT_HOP without a value (RFC 7606 §4)', attribute('40', 3), 'withdraw'],
  ['MULTI_EXIT_DISC of three octets (RFC 7606 §7.4)', attribute('80', 4, '000000'), 'withdraw'],
  ['MULTI_EXIT_DISC of five octets (RFC 7606 §7.4)', attribute('80', 4, '0000000000'), 'withdraw'],
  ['MULTI_EXIT_DISC without a value (RFC 7606 §4)', attribute('80', 4), 'withdraw'],
  ['a short LOCAL_PREF from an internal peer (RFC 7606 §7.5)', attribute('40', 5, '000064'), 'withdraw', internal],
  ['LOCAL_PREF from an external peer (RFC 7606 §7.5)', attribute('40', 5, '00000064'), 'discard'],
  ['a short LOCAL_PREF from an external peer (RFC 7606 §7.5)', attribute('40', 5, '00'), 'discard'],
  ['LOCAL_PREF with wrong flags from an external peer (RFC 7606 §7.5)', attribute('c0', 5, '00000064'), 'discard'],
  ['ATOMIC_AGGREGATE with a value (RFC 7606 §7.6)', attribute('40', 6, '00'), 'discard'],
  [
    'AGGREGATOR of six octets where four-octet AS numbers were agreed on (RFC 7606 §7.7)',
    attribute('c0', 7, 'fde9 0a000001'),
    'discard',
  ],
  [
    'AGGREGATOR of eight octets where they were not (RFC 7606 §7.7)',
    attribute('c0', 7, '0000fde9 0a000001'),
    'discard',
    twoOctet,
  ],
  ['AGGREGATOR without a value (RFC 7606 §7.7)', attribute('c0', 7), 'discard'],
  ['AGGREGATOR with AS 0 (RFC 7607 §2)', attribute('c0', 7, '00000000 0a000001'), 'discard'],
  ['COMMUNITIES of six octets (RFC 7606 §7.8)', attribute('c0', 8, '000000010000'), 'withdraw'],
  ['COMMUNITIES without a value (RFC 7606 §7.8)', attribute('c0', 8), 'withdraw'],
  ['a short ORIGINATOR_ID from an internal peer (RFC 7606 §7.9)', attribute('80', 9, '0a0000'), 'withdraw', internal],
  ['ORIGINATOR_ID from an external peer (RFC 7606 §7.9)', attribute('80', 9, '0a000001'), 'discard'],
  ['a short ORIGINATOR_ID from an external peer (RFC 7606 §7.9)', attribute('80', 9, '0a'), 'discard'],
  [
    'CLUSTER_LIST of six octets from an internal peer (RFC 7606 §7.10)',
    attribute('80', 10, '0a0000010a00'),
    'withdraw',
    internal,
  ],
  ['an empty CLUSTER_LIST from an internal peer (RFC 7606 §7.10)', attribute('80', 10), 'withdraw', internal],
  ['CLUSTER_LIST from an external peer (RFC 7606 §7.10)', attribute('80', 10, '0a000001'), 'discard'],
  ['EXTENDED COMMUNITIES of twelve octets (RFC 7606 §7.14)', attribute('c0', 16, '00'.repeat(12)), 'withdraw'],
  ['EXTENDED COMMUNITIES without a value (RFC 7606 §7.14)', attribute('c0', 16), 'withdraw'],
  ['IPv6 EXTENDED COMMUNITIES of 24 octets (RFC 7606 §7.15)', attribute('c0', 25, '00'.repeat(24)), 'withdraw'],
  ['IPv6 EXTENDED COMMUNITIES without a value (RFC 7606 §7.15)', attribute('c0', 25), 'withdraw'],
  ['LARGE_COMMUNITY of 16 octets (RFC 8092 §6)', attribute('c0', 32, '00'.repeat(16)), 'withdraw'],
  ['LARGE_COMMUNITY without a value (RFC 8092 §6)', attribute('c0', 32), 'withdraw'],
  ['OTC of two octets (RFC 9234 §5)', attribute('c0', 35, 'fde9'), 'withdraw'],
  ['AS4_PATH from a peer with four-octet AS numbers (RFC 6793 §6)', attribute('c0', 17, '02 01 0000fde9'), 'discard'],
  ['AS4_PATH with wrong flags from such a peer (RFC 6793 §6)', attribute('40', 17, '02 01 0000fde9'), 'discard'],
  ['AS4_AGGREGATOR from such a peer (RFC 6793 §6)', attribute('c0', 18, '0000fde9 0a000001'), 'discard'],
  ['AS4_PATH without a segment (RFC 6793 §6)', attribute('c0', 17), 'discard', twoOctet],
  ['AS4_PATH with an empty segment (RFC 6793 §6)', attribute('c0', 17, '02 01 0000fde9 02 00'), 'discard', twoOctet],
  ['AS4_PATH with a segment overrun (RFC 6793 §6)', attribute('c0', 17, '02 02 0000fde9'), 'discard', twoOctet],
  ['AS4_PATH with segment type 9 (RFC 6793 §6)', attribute('c0', 17, '09 01 0000fde9'), 'discard', twoOctet],
  ['AS4_PATH with AS 0 (RFC 7607 §2)', attribute('c0', 17, '02 01 00000000'), 'discard', twoOctet],
  ['AS4_AGGREGATOR of six octets (RFC 6793 §6)', attribute('c0', 18, 'fde9 0a000001'), 'discard', twoOctet],
  ['AS4_AGGREGATOR with AS 0 (RFC 7607 §2)', attribute('c0', 18, '00000000 0a000001'), 'discard', twoOctet],
];

test.each(malformed.filter(([, , action]) => action === 'withdraw'))(
  '%s withdraws the routes: %s',
  (_, bytes, action, terms = external) => {
    expect(decode(withRow(hex(bytes)[1]!, bytes, terms), terms)).toEqual({ action });
  },
);

test.each(malformed.filter(([, , action]) => action === 'discard'))(
  '%s is discarded, and nothing of it stays: %s',
  (_, bytes, action, terms = external) => {
    const code = hex(bytes)[1]!;
    const without = decode(withRow(code, '', terms), terms).attributes;
    expect(decode(withRow(code, bytes, terms), terms)).toEqual({ attributes: without, action });
  },
);

test('the stronger of two actions wins (RFC 7606 §3.h)', () => {
  const both = `${mandatory} ${attribute('40', 6, '00')} ${attribute('80', 4, '00')}`;
  expect(decode(both)).toEqual({ action: 'withdraw' });
});

test.each(['40', '40 08', 'd0 63 01', '40 05 04 000000'])(
  'attributes that end in %s do not fit and withdraw the routes (RFC 7606 §4)',
  (rest) => {
    expect(decode(`${mandatory} ${rest}`)).toEqual({ action: 'withdraw' });
  },
);

// -- unknown attributes

test('an unknown transitive attribute is kept, Partial set, whatever its low bits say (RFC 4271 §5)', () => {
  const { attributes, action } = decode(`${attribute('df', 200, 'aabb')} ${mandatory} ${attribute('c0', 30, '')}`);
  expect({ unknown: attributes?.unknown, action }).toEqual({
    unknown: [
      { code: 30, flags: 0xe0, value: new Uint8Array() },
      { code: 200, flags: 0xe0, value: hex('aabb') },
    ],
    action: undefined,
  });
});

test('an unknown non-transitive attribute is dropped without a fault (RFC 4271 §5)', () => {
  expect(decode(`${mandatory} ${attribute('80', 26, '01000b0000000000000001')}`)).toEqual({ attributes: base });
});

test('attributes that carry routes are not looked at here: decodeUpdate has taken them out', () => {
  expect(decode(`${attribute('40', 14)} ${mandatory} ${attribute('c0', 15, '00')}`)).toEqual({ attributes: base });
});

test('an unknown well-known attribute withdraws, where it has not ended the session before', () => {
  expect(decode(`${mandatory} ${attribute('40', 99, '')}`)).toEqual({ action: 'withdraw' });
});

test('a known attribute that came with Partial is passed on with Partial (RFC 4271 §5)', () => {
  const [aggregator, communities] = [attribute('e0', 7, '0000fde9 0a000001'), attribute('e0', 8, '00000001')];
  const { attributes } = decode(`${mandatory} ${communities} ${aggregator}`);
  expect(attributes?.partial).toEqual([7, 8]);
  const bytes = encodeAttributes(attributes!, { ...external, nextHop: v4('10.0.0.1') });
  expect(bytes).toEqual(hex(`${mandatory} ${aggregator} ${communities}`));
});

test('low bits of an attribute that is passed on are sent as zero (RFC 4271 §4.3)', () => {
  const { attributes } = decode(`${mandatory} ${attribute('ef', 25, '00'.repeat(20))}`);
  expect(attributes?.unknown?.map(({ flags }) => flags)).toEqual([0xe0]);
});

test('Partial is kept for transitive attributes only: elsewhere it has no meaning (RFC 4271 §4.3)', () => {
  expect(decode(`${mandatory} ${attribute('a0', 4, '00000001')}`).attributes?.partial).toBeUndefined();
});
