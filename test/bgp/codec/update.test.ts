// UPDATE: where its routes are, and which faults end the session.
import { expect, test } from 'vitest';
import { type UpdateTerms, decodeUpdate, nlriPrefixes } from '../../../bgp/codec/index.ts';
import type { Fault, NlriField, ReachField } from '../../../bgp/message.ts';
import { attribute, hex, kindOf, notificationOf, toHex, updateBody } from './bytes.ts';
import { external, internal } from './terms.ts';

const origin = attribute('40', 1, '00');
const asPath = attribute('40', 2, '02 01 0000fde9');
const nextHop = attribute('40', 3, '0a000001');
const mandatory = `${origin} ${asPath} ${nextHop}`;
/** 10.0.0.0/8 */
const ten = '08 0a';
/** 2001:db8::1 */
const hop6 = '20010db8 00000000 00000000 00000001';
/** fd00::/64 */
const fd = '40 fd00000000000000';

const reachValue = (nlri: string, head = '0002 01', hop = hop6): string =>
  `${head} ${toHex(Uint8Array.of(hex(hop).length))} ${hop} 00 ${nlri}`;
const reach = (nlri = fd, head?: string, hop?: string): string => attribute('80', 14, reachValue(nlri, head, hop));
const unreach = (nlri = fd, head = '0002 01'): string => attribute('80', 15, `${head} ${nlri}`);

/** "10.0.0.0/8", "7 10.0.0.0/8" with its path identifier, "fd00::/64 via …" with its next hop. */
function routes(fields: readonly (NlriField | ReachField)[]): string[] {
  return fields.flatMap((field) =>
    [...nlriPrefixes(field)].map(({ prefix, pathId }) => {
      const hop = 'nextHop' in field && field.nextHop !== undefined ? ` via ${toHex(field.nextHop)}` : '';
      return `${pathId === undefined ? '' : `${pathId} `}${prefix}${hop}`;
    }),
  );
}

function decode(body: Uint8Array, terms: UpdateTerms = external) {
  const { withdrawn, announced, attributes, faults, endOfRib } = decodeUpdate(body, terms);
  return {
    withdrawn: routes(withdrawn),
    announced: routes(announced),
    attributes: toHex(attributes),
    faults: faults.map(({ action }: Fault) => action),
    endOfRib,
  };
}

const nothing = { withdrawn: [], announced: [], attributes: '', faults: [], endOfRib: undefined };
const toAttributes = (text: string): string => toHex(hex(text));

// -- what is where

test('an UPDATE is withdrawn routes, attributes and NLRI (RFC 4271 §4.3)', () => {
  const body = updateBody({ withdrawn: '18 c00002', attributes: mandatory, announced: `${ten} 20 0a010203 00` });
  expect(decode(body)).toEqual({
    ...nothing,
    withdrawn: ['192.0.2.0/24'],
    announced: ['10.0.0.0/8', '10.1.2.3/32', '0.0.0.0/0'],
    attributes: toAttributes(mandatory),
  });
});

test('IPv6 routes come in MP_REACH_NLRI and go in MP_UNREACH_NLRI (RFC 4760 §3, §4)', () => {
  const body = updateBody({
    attributes: `${reach(`${fd} 00`)} ${unreach('80 20010db8000000000000000000000001')} ${origin}`,
  });
  expect(decode(body)).toEqual({
    ...nothing,
    withdrawn: ['2001:db8::1/128'],
    announced: [`fd00::/64 via ${toHex(hex(hop6))}`, `::/0 via ${toHex(hex(hop6))}`],
    attributes: toAttributes(origin),
  });
});

test('the octet behind the next hop is ignored, whatever it says (RFC 4760 §3)', () => {
  const body = updateBody({ attributes: attribute('80', 14, `0002 01 10 ${hop6} ff ${fd}`) });
  expect(decode(body).announced).toEqual([`fd00::/64 via ${toHex(hex(hop6))}`]);
});

test('IPv4 routes may come in MP_REACH_NLRI too (RFC 4760)', () => {
  const body = updateBody({ attributes: reach(ten, '0001 01', '0a000001') });
  expect(decode(body).announced).toEqual(['10.0.0.0/8 via 0a 00 00 01']);
});

const positions: readonly [string, string][] = [
  ['first', `${reach()} ${unreach('00')} ${mandatory}`],
  ['last', `${mandatory} ${reach()} ${unreach('00')}`],
  ['between others', `${origin} ${reach()} ${asPath} ${unreach('00')} ${nextHop}`],
  ['around others', `${unreach('00')} ${mandatory} ${reach()}`],
];

test.each(positions)('MP attributes may stand %s, mixed with classic NLRI (RFC 7606 §5.1)', (_, attributes) => {
  expect(decode(updateBody({ withdrawn: '00', attributes, announced: ten }))).toEqual({
    ...nothing,
    withdrawn: ['0.0.0.0/0', '::/0'],
    announced: [`fd00::/64 via ${toHex(hex(hop6))}`, '10.0.0.0/8'],
    attributes: toAttributes(mandatory),
  });
});

test.each([
  ['without MP attributes', mandatory],
  ['behind MP attributes', `${reach()} ${mandatory}`],
  ['before MP attributes', `${mandatory} ${reach()} ${unreach('00')}`],
  ['between MP attributes', `${unreach('00')} ${mandatory} ${reach()}`],
])('attributes %s are a view on the message', (_, attributes) => {
  const body = updateBody({ attributes, announced: ten });
  expect(decodeUpdate(body, external).attributes.buffer).toBe(body.buffer);
});

test('prefixes and next hops are views on the message', () => {
  const body = updateBody({ withdrawn: '00', attributes: reach(), announced: ten });
  const { withdrawn, announced } = decodeUpdate(body, external);
  const buffers = [...withdrawn, ...announced].map(({ bytes }) => bytes.buffer);
  expect([...buffers, announced[0]!.nextHop?.buffer]).toEqual([body.buffer, body.buffer, body.buffer, body.buffer]);
});

test('a prefix both withdrawn and announced is reported in both: announced counts (RFC 4271 §4.3)', () => {
  const { withdrawn, announced } = decode(updateBody({ withdrawn: ten, attributes: mandatory, announced: ten }));
  expect([withdrawn, announced]).toEqual([['10.0.0.0/8'], ['10.0.0.0/8']]);
});

test.each([
  ['0c 0aff', '10.240.0.0/12'],
  ['01 ff', '128.0.0.0/1'],
  ['1f 0a0000ff', '10.0.0.254/31'],
])('host bits of %s are masked: their value is irrelevant (RFC 4271 §4.3)', (announced, prefix) => {
  expect(decode(updateBody({ attributes: mandatory, announced })).announced).toEqual([prefix]);
});

test('an attribute may have its length in two octets, however short it is (RFC 4271 §4.3)', () => {
  const attributes = `${attribute('90', 14, reachValue(fd))} ${attribute('50', 1, '00')}`;
  expect(decode(updateBody({ attributes }))).toMatchObject({ attributes: '50 01 00 01 00', faults: [] });
});

// -- End-of-RIB

test.each([
  ['an empty UPDATE', '', 'ipv4-unicast'],
  ['MP_UNREACH_NLRI alone and empty', unreach('', '0002 01'), 'ipv6-unicast'],
  ['MP_UNREACH_NLRI alone and empty', unreach('', '0001 01'), 'ipv4-unicast'],
] as const)('%s is the End-of-RIB marker (RFC 4724 §2): %s', (_, attributes, endOfRib) => {
  expect(decode(updateBody({ attributes }))).toEqual({ ...nothing, endOfRib });
});

test.each([
  ['withdrawn routes', updateBody({ withdrawn: ten, attributes: unreach('') })],
  ['withdrawn routes in the attribute', updateBody({ attributes: unreach() })],
  ['another attribute', updateBody({ attributes: `${unreach('')} ${origin}` })],
  ['NLRI', updateBody({ attributes: `${unreach('')} ${mandatory}`, announced: ten })],
  ['only withdrawn routes', updateBody({ withdrawn: ten })],
])('with %s it is none', (_, body) => {
  expect(decode(body).endOfRib).toBeUndefined();
});

test.each([
  ['an empty UPDATE', updateBody({}), 'ipv6-unicast'],
  ['an empty MP_UNREACH_NLRI', updateBody({ attributes: unreach('') }), 'ipv4-unicast'],
] as const)('%s of a family that was not agreed on is no End-of-RIB marker', (_, body, family) => {
  expect(decode(body, { ...external, families: [family] }).endOfRib).toBeUndefined();
});

// -- lengths

test.each([
  ['nothing', ''],
  ['half a length', '00'],
  ['no attribute length', '0000'],
  ['half an attribute length', '0000 00'],
  ['more withdrawn routes than octets', '0004 00 0000'],
  ['withdrawn routes that leave no attribute length', '0002 0000'],
  ['more attributes than octets', '0000 0004 400101'],
])('%s: lengths that exceed the message end the session with 3/1 (RFC 4271 §6.3)', (_, body) => {
  expect(kindOf(() => decode(hex(body)))).toBe('3/1');
});

test.each([
  ['an attribute that exceeds them', `${mandatory} 40 05 05 00000064`],
  ['an attribute that exceeds them, with a long length', `${mandatory} d0 63 0100 00`],
  ['one octet left', `${mandatory} 40`],
  ['two octets left', `${mandatory} 40 05`],
  ['three octets left with a long length', `${mandatory} d0 63 00`],
])('%s: attributes that do not fit their total length withdraw the routes (RFC 7606 §4)', (_, attributes) => {
  expect(decode(updateBody({ attributes, announced: ten }))).toMatchObject({
    announced: ['10.0.0.0/8'],
    faults: ['withdraw'],
    attributes: toAttributes(mandatory),
  });
});

test('an attribute overrun never reaches into the NLRI: its start is found by the total length (RFC 7606 §4)', () => {
  const body = updateBody({ attributes: `${mandatory} c0 08 08 00000001`, announced: '18 0a0102 18 0a0103' });
  expect(decode(body).announced).toEqual(['10.1.2.0/24', '10.1.3.0/24']);
});

test('routes of an MP_REACH_NLRI before the overrun are withdrawn too (RFC 7606 §4)', () => {
  expect(decode(updateBody({ attributes: `${reach()} ${origin} 40` }))).toMatchObject({
    announced: [`fd00::/64 via ${toHex(hex(hop6))}`],
    faults: ['withdraw'],
  });
});

test.each([
  ['MP_REACH_NLRI', '80 0e 30 0002 01'],
  ['MP_UNREACH_NLRI', '80 0f 30 0002 01'],
  ['MP_REACH_NLRI without a length', '80 0e'],
])('an overrun of %s itself ends the session with 3/1: its routes cannot be told (RFC 7606 §3.j)', (_, attributes) => {
  expect(kindOf(() => decode(updateBody({ attributes: `${mandatory} ${attributes}`, announced: ten })))).toBe('3/1');
});

// -- NLRI

test.each([
  ['longer than 32 bits', '21 0a00000000'],
  ['longer than 32 bits', 'ff 0a'],
  ['cut off', '18 0a00'],
  ['without any octet', `${ten} 08`],
])('a prefix %s (%s) in NLRI or withdrawn routes ends the session with 3/10 (RFC 7606 §5.3)', (_, prefix) => {
  const announced = kindOf(() => decode(updateBody({ attributes: mandatory, announced: prefix })));
  const withdrawn = kindOf(() => decode(updateBody({ withdrawn: prefix })));
  expect([announced, withdrawn]).toEqual(['3/10', '3/10']);
});

test.each([
  ['longer than 128 bits', '0002 01', '81 fd00000000000000 0000000000000000 00'],
  ['cut off', '0002 01', '40 fd000000000000'],
  ['longer than 32 bits', '0001 01', '21 0a00000000'],
])('a prefix %s in an MP attribute ends the session with 3/9 (RFC 7606 §5.3, RFC 4760 §7)', (_, head, nlri) => {
  const hop = head === '0002 01' ? hop6 : '0a000001';
  const announced = notificationOf(() => decode(updateBody({ attributes: reach(nlri, head, hop) })));
  const withdrawn = notificationOf(() => decode(updateBody({ attributes: unreach(nlri, head) })));
  expect([announced, withdrawn]).toMatchObject([
    { kind: '3/9', data: toHex(hex(reach(nlri, head, hop))) },
    { kind: '3/9', data: toHex(hex(unreach(nlri, head))) },
  ]);
});

// -- ADD-PATH

const addPath: UpdateTerms = { ...external, addPathReceive: ['ipv4-unicast', 'ipv6-unicast'] };

test('with ADD-PATH each prefix stands behind a path identifier (RFC 7911 §3)', () => {
  const body = updateBody({
    withdrawn: `00000007 ${ten}`,
    attributes: `${reach(`ffffffff ${fd}`)} ${unreach('00000000 00')}`,
    announced: `00000001 ${ten} 00000002 ${ten}`,
  });
  expect(decode(body, addPath)).toMatchObject({
    withdrawn: ['7 10.0.0.0/8', '0 ::/0'],
    announced: [`4294967295 fd00::/64 via ${toHex(hex(hop6))}`, '1 10.0.0.0/8', '2 10.0.0.0/8'],
  });
});

test('fields say whether they carry path identifiers, family by family (RFC 7911 §4)', () => {
  const body = updateBody({ attributes: reach(`00000001 ${fd}`), announced: ten });
  const { announced } = decodeUpdate(body, { ...external, addPathReceive: ['ipv6-unicast'] });
  expect(announced.map(({ family, addPath }) => [family, addPath])).toEqual([
    ['ipv6-unicast', true],
    ['ipv4-unicast', false],
  ]);
});

test.each(['00', '000000', '00000001', '00000001 18 0a00', '00000001 21 0a00000000'])(
  'a path identifier without its whole prefix (%s) ends the session with 3/10 (RFC 7606 §5.3)',
  (announced) => {
    expect(kindOf(() => decode(updateBody({ attributes: mandatory, announced }), addPath))).toBe('3/10');
  },
);

// -- MP attributes

test.each([
  ['MP_REACH_NLRI', `${reach()} ${mandatory} ${reach('00')}`],
  ['MP_UNREACH_NLRI', `${unreach()} ${unreach()}`],
  ['MP_REACH_NLRI of two families', `${reach()} ${reach(ten, '0001 01', '0a000001')}`],
])('%s twice ends the session with 3/1 (RFC 7606 §3.g)', (_, attributes) => {
  expect(kindOf(() => decode(updateBody({ attributes })))).toBe('3/1');
});

test.each(['c0', '40', '00'])('MP attributes with flags %s end the session with 3/9 (RFC 7606 §5.3)', (flags) => {
  const announced = kindOf(() => decode(updateBody({ attributes: attribute(flags, 14, reachValue(fd)) })));
  const withdrawn = kindOf(() => decode(updateBody({ attributes: attribute(flags, 15, `0002 01 ${fd}`) })));
  expect([announced, withdrawn]).toEqual(['3/9', '3/9']);
});

test('Partial and the low bits of an MP attribute mean nothing (RFC 7606 §3.c)', () => {
  expect(decode(updateBody({ attributes: attribute('af', 14, reachValue(fd)) })).faults).toEqual([]);
});

test.each([
  ['MP_REACH_NLRI', attribute('80', 14, '0002 01 00')],
  ['MP_UNREACH_NLRI', attribute('80', 15, '0002')],
  ['MP_REACH_NLRI of a family that was not agreed on', attribute('80', 14, '0019 46 00')],
])('%s that is too short for its fixed fields ends the session with 3/9 (RFC 7606 §5.3)', (_, attributes) => {
  expect(kindOf(() => decode(updateBody({ attributes })))).toBe('3/9');
});

const hop4 = '0a000001';
const mapped: UpdateTerms = { ...external, extendedNextHop: ['ipv4-unicast'] };

test.each([
  ['IPv6', '0002 01', fd, hop6, external],
  ['IPv6', '0002 01', fd, `${hop6} fe80000000000000 0000000000000001`, external],
  ['IPv4', '0001 01', ten, hop4, external],
  ['IPv4 (RFC 8950)', '0001 01', ten, hop6, mapped],
  ['IPv4 (RFC 8950)', '0001 01', ten, `${hop6} ${hop6}`, mapped],
  ['IPv4 (RFC 8950)', '0001 01', ten, hop4, mapped],
])('%s routes %s %s may have the next hop %s', (_, head, nlri, hop, terms) => {
  const { announced } = decodeUpdate(updateBody({ attributes: reach(nlri, head, hop) }), terms);
  expect(announced.map(({ nextHop }) => nextHop)).toEqual([hex(hop)]);
});

test.each([
  ['IPv6', '0002 01', fd, hop4, external],
  ['IPv6', '0002 01', fd, '', external],
  ['IPv6', '0002 01', fd, `${hop6} ${hop6} ${hop6}`, external],
  ['IPv6', '0002 01', fd, `${hop6} 0000000000000000`, external],
  ['IPv6', '0002 01', fd, hop4, mapped],
  ['IPv4', '0001 01', ten, hop6, external],
  ['IPv4', '0001 01', ten, `${hop4} ${hop4}`, mapped],
  ['IPv4', '0001 01', ten, hop6, { ...external, extendedNextHop: ['ipv6-unicast'] }],
] as const)('%s routes %s %s with the next hop "%s" end the session with 3/9 (RFC 7606 §7.11)', (...row) => {
  const [, head, nlri, hop, terms] = row;
  expect(kindOf(() => decode(updateBody({ attributes: reach(nlri, head, hop) }), terms))).toBe('3/9');
});

test.each(['0002 01 10 00 00', `0002 01 10 ${hop6}`])(
  'a next hop that exceeds MP_REACH_NLRI (%s) ends the session with 3/9 (RFC 7606 §7.11)',
  (value) => {
    expect(kindOf(() => decode(updateBody({ attributes: attribute('80', 14, value) })))).toBe('3/9');
  },
);

test('MP_REACH_NLRI without any prefix announces nothing', () => {
  expect(decode(updateBody({ attributes: `${reach('')} ${mandatory}` }))).toMatchObject({ announced: [], faults: [] });
});

// -- families

const v6only: UpdateTerms = { ...external, families: ['ipv6-unicast'] };

test.each([
  ['MP_REACH_NLRI of EVPN', external, reach('0121 ff', '0019 46', '0a000001')],
  ['MP_REACH_NLRI of IPv4 multicast', external, reach(ten, '0001 02', '0a000001')],
  ['MP_REACH_NLRI of a family without prefixes that we know how to read', external, reach('ff', '0019 46', '0a0001')],
  ['MP_REACH_NLRI of IPv4', v6only, reach(ten, '0001 01', '0a000001')],
  ['MP_UNREACH_NLRI of EVPN', external, unreach('ff', '0019 46')],
])('%s, not agreed on, is ignored (RFC 4760 §8)', (_, terms, attributes) => {
  expect(decode(updateBody({ attributes }), terms)).toEqual({ ...nothing, faults: ['discard'] });
});

test('classic routes are ignored when IPv4 was not agreed on (RFC 4760 §8)', () => {
  const body = updateBody({ withdrawn: ten, attributes: `${reach()} ${mandatory}`, announced: ten });
  expect(decode(body, v6only)).toMatchObject({
    withdrawn: [],
    announced: [`fd00::/64 via ${toHex(hex(hop6))}`],
    faults: ['discard', 'discard'],
  });
});

test('what is ignored is told, with its family and attribute', () => {
  const routes = updateBody({ withdrawn: ten, attributes: `${reach('ff', '0019 46')} ${unreach('ff', '4004 47')}` });
  const ignored = (afi: number, safi: number): string =>
    `routes of AFI ${afi} SAFI ${safi}, not agreed on, are ignored (RFC 4760 §8)`;
  expect(decodeUpdate(routes, v6only).faults).toEqual([
    { action: 'discard', reason: ignored(1, 1) },
    { action: 'discard', reason: ignored(16_388, 71), attribute: 15 },
    { action: 'discard', reason: ignored(25, 70), attribute: 14 },
  ]);
});

test.each([
  ['MP_REACH_NLRI is malformed: 4 octets are less than 5', attribute('80', 14, '0002 01 00')],
  ['MP_UNREACH_NLRI is malformed: its flags are wrong', attribute('c0', 15, `0002 01 ${fd}`)],
  ['MP_UNREACH_NLRI occurs twice (RFC 7606 §3.g)', `${unreach()} ${unreach()}`],
  ['MP_REACH_NLRI exceeds the path attributes (RFC 7606 §3.j)', '80 0e 05 0002'],
])('why the session ends is told: %s', (reason, attributes) => {
  expect(notificationOf(() => decode(updateBody({ attributes }))).reason).toBe(reason);
});

test.each([
  ['the last 1 octet', '40'],
  ['the last 2 octets', '40 05'],
])('how much does not fit is told: %s', (words, attributes) => {
  const { faults } = decodeUpdate(updateBody({ attributes: `${mandatory} ${attributes}`, announced: ten }), external);
  expect(faults.map(({ reason }) => reason)).toEqual([expect.stringContaining(words)]);
});

// -- attributes that end the session

test.each([0, 11, 99, 255])(
  'attribute %i, said to be well-known and unknown, ends the session with 3/2 and the attribute as data (RFC 4271 §6.3)',
  (code) => {
    const unknown = attribute('40', code, '0102');
    const body = updateBody({ attributes: `${mandatory} ${unknown}`, announced: ten });
    expect(notificationOf(() => decode(body))).toMatchObject({ kind: '3/2', data: toHex(hex(unknown)) });
  },
);

test('a known optional attribute that is said to be well-known does not end the session (RFC 7606 §3.c)', () => {
  const body = updateBody({ attributes: `${mandatory} ${attribute('40', 8, '00000001')}`, announced: ten });
  expect(decode(body).announced).toEqual(['10.0.0.0/8']);
});

// -- RFC 7606 §5.2

const badOrigin = attribute('40', 1, '03');

test.each([
  ['a bad ORIGIN', '3/6', `${badOrigin} ${asPath}`, badOrigin],
  ['a short MED', '3/5', attribute('80', 4, '00'), attribute('80', 4, '00')],
  ['a bad AS_PATH', '3/11', attribute('40', 2, '05 01 0000fde9'), attribute('40', 2, '05 01 0000fde9')],
  ['wrong flags', '3/4', attribute('c0', 1, '00'), attribute('c0', 1, '00')],
  ['a fault that is only to be withdrawn', '3/5', attribute('c0', 8, ''), attribute('c0', 8, '')],
  ['an overrun', '3/1', '40 01', ''],
])('%s without reachable NLRI ends the session with %s (RFC 7606 §5.2)', (_, kind, attributes, data) => {
  for (const routes of ['', unreach(), reach('')]) {
    const body = updateBody({ withdrawn: ten, attributes: `${routes} ${attributes}` });
    expect(notificationOf(() => decode(body))).toMatchObject({ kind, data: toHex(hex(data)) });
  }
});

test.each([
  ['no mandatory attribute', attribute('80', 4, '00000001')],
  ['attributes in order', mandatory],
  ['a fault that discards', `${mandatory} ${attribute('40', 6, '00')}`],
  ['an attribute that occurs twice', `${origin} ${origin}`],
  ['a LOCAL_PREF from outside, malformed as it is', attribute('40', 5, '00')],
])('%s without reachable NLRI is no reason to end the session (RFC 7606 §5.2)', (_, attributes) => {
  expect(decode(updateBody({ withdrawn: ten, attributes })).withdrawn).toEqual(['10.0.0.0/8']);
});

test('a malformed LOCAL_PREF from inside without reachable NLRI ends the session (RFC 7606 §5.2, §7.5)', () => {
  expect(kindOf(() => decode(updateBody({ withdrawn: ten, attributes: attribute('40', 5, '00') }), internal))).toBe(
    '3/5',
  );
});

test('a fault beside reachable NLRI of a family that was not agreed on does not end the session (RFC 7606 §5.2)', () => {
  const body = updateBody({ attributes: `${reach('0121 ff', '0019 46', '0a000001')} ${badOrigin}` });
  expect(decode(body)).toMatchObject({ announced: [], faults: ['discard'] });
});

test('the end of the session wins over a milder fault found before it (RFC 7606 §3.h)', () => {
  const body = updateBody({ attributes: `${badOrigin} ${reach()} ${reach()} 40`, announced: ten });
  expect(kindOf(() => decode(body))).toBe('3/1');
});

test('the data of the NOTIFICATION outlives the message', () => {
  const body = updateBody({ attributes: attribute('40', 99, '0102') });
  const { data } = notificationOf(() => {
    try {
      decode(body);
    } finally {
      body.fill(0);
    }
  });
  expect(data).toBe('40 63 02 01 02');
});
