// What becomes of routes when an UPDATE is not as it should be, from the bytes of one neighbour to the bytes for
// another: statements 31 and 39 to 55, and every row of the table in RFC 7606 §7.
import { describe, expect, test } from 'vitest';
import type { Prefix } from '#ip';
import type { PathAttributes } from '../../bgp/index.ts';
import type { RawPeer } from '../support/raw-peer.ts';
import { attribute, hex, message, toHex, updateBody } from './codec/bytes.ts';
import { type Player, type Stage, ipv4, ourAsn, settle, v6 } from './stage.ts';
import {
  as4Hex,
  call,
  ipv4Hex,
  ipv6Hex,
  keepaliveHex,
  lastWords,
  nodeA,
  openBody,
  speakerWith,
  torA,
  torB,
} from './wire.ts';

/** 10.1.0.0/24, 10.2.0.0/24, and 2001:db8::/32. */
const [P, Q, S] = ['10.1.0.0/24', '10.2.0.0/24', '2001:db8::/32'];
const [p, q, s] = ['18 0a0100', '18 0a0200', '20 20010db8'];

const origin = attribute('40', 1, '00');
const asPath = attribute('40', 2, '02 01 0000fde9');
const asPath2 = attribute('40', 2, '02 01 fde9');
const emptyPath = attribute('40', 2, '');
const nextHop = attribute('40', 3, 'c0000201');
const sound = `${origin} ${asPath} ${nextHop}`;
const hop6 = '20010db8 00000000 00000000 000000ff';
const reach6 = (nlri = s, hop = `10 ${hop6}`): string => attribute('80', 14, `0002 01 ${hop} 00 ${nlri}`);
const unreach6 = (nlri = s): string => attribute('80', 15, `0002 01 ${nlri}`);

const update = (parts: Parameters<typeof updateBody>[0]): Uint8Array => message(2, toHex(updateBody(parts)));

/** Who speaks, and under which terms. */
type Speaking = 'external' | 'internal' | 'two-octet';

interface Scene {
  readonly stage: Stage;
  /** Whose bytes are written by hand. */
  readonly raw: RawPeer;
  /** Another AS that the routes are passed on to. */
  readonly observer: Player;
  readonly name: string;
  readonly say: (...messages: Uint8Array[]) => Promise<void>;
}

/** A neighbour that is up for both families, and has announced 10.1.0.0/24 and 10.2.0.0/24. */
async function heard(speaking: Speaking = 'external'): Promise<Scene> {
  const families = ['ipv4-unicast', v6] as const;
  const wish = { ...(speaking === 'internal' ? nodeA : torA), families };
  const stage = await speakerWith(wish, torB);
  const observer = await stage.join('tor-b', [ipv4]);
  const asn = speaking === 'internal' ? ourAsn : 65_001;
  const capabilities = [ipv4Hex, ipv6Hex, ...(speaking === 'two-octet' ? [] : [as4Hex(asn)])];
  const raw = await call(stage, wish.address, message(1, openBody(asn, '0a00000b', ...capabilities)), keepaliveHex);
  const say = async (...messages: Uint8Array[]): Promise<void> => {
    for (const each of messages) raw.write(each);
    await settle();
  };
  await say(update({ attributes: soundFor(speaking), announced: `${p} ${q}` }));
  expect([stage.forwarding().length, observer.prefixes]).toEqual([2, [P, Q]]);
  return { stage, raw, observer, name: wish.name, say };
}

function soundFor(speaking: Speaking): string {
  return {
    external: sound,
    internal: `${origin} ${emptyPath} ${nextHop}`,
    'two-octet': `${origin} ${asPath2} ${nextHop}`,
  }[speaking];
}

/** The sound attributes, the one with this code replaced by these bytes, or these bytes added. */
function withAttribute(speaking: Speaking, bytes: string): string {
  const path = speaking === 'internal' ? emptyPath : speaking === 'two-octet' ? asPath2 : asPath;
  const code = hex(bytes)[1];
  return (
    [origin, path, nextHop].map((own) => (hex(own)[1] === code ? bytes : own)).join(' ') +
    (code! > 3 ? ` ${bytes}` : '')
  );
}

function attributesOf({ stage }: Scene, prefix: string): PathAttributes | undefined {
  return [...stage.speaker.routes({ prefix: prefix as Prefix })][0]?.paths[0]?.attributes;
}

/** What is left of the routes: forwarded by us, known to the other neighbour, and how the session is. */
function outcome({ stage, observer, name, raw }: Scene) {
  return {
    forwarded: stage.forwarding().map((route) => route.split(' ')[0]),
    passedOn: observer.prefixes,
    state: stage.session(name).state,
    said: lastWords(raw),
  };
}

const withdrawn = { forwarded: [Q], passedOn: [Q], state: 'Established', said: undefined };
const kept = { forwarded: [P, Q], passedOn: [P, Q], state: 'Established', said: undefined };

/** The rows of RFC 7606 §7: attribute, what is wrong with it, its bytes, and who says it. */
type Row = [name: string, bytes: string, speaking?: Speaking];

const treatedAsWithdrawn: Row[] = [
  ['ORIGIN of no octet (RFC 7606 §7.1)', attribute('40', 1)],
  ['ORIGIN of two octets (RFC 7606 §7.1)', attribute('40', 1, '0000')],
  ['ORIGIN 3 (RFC 7606 §7.1)', attribute('40', 1, '03')],
  ['AS_PATH with a segment of type 5 (RFC 7606 §7.2)', attribute('40', 2, '05 01 0000fde9')],
  ['AS_PATH with a segment of type 0 (RFC 7606 §7.2)', attribute('40', 2, '00 01 0000fde9')],
  ['AS_PATH with a segment without an AS (RFC 7606 §7.2)', attribute('40', 2, '02 00')],
  ['AS_PATH whose segment overruns (RFC 7606 §7.2)', attribute('40', 2, '02 02 0000fde9')],
  ['AS_PATH with an octet left over (RFC 7606 §7.2)', attribute('40', 2, '02 01 0000fde9 02')],
  ['AS_PATH with confederation segments from a non-member (RFC 5065 §5)', attribute('40', 2, '03 01 0000fde9')],
  ['AS_PATH with AS 0 (RFC 7607 §2)', attribute('40', 2, '02 02 0000fde9 00000000')],
  ['AS_PATH of a two-octet peer with AS 0 (RFC 7607 §2)', attribute('40', 2, '02 02 fde9 0000'), 'two-octet'],
  ['NEXT_HOP of no octet (RFC 7606 §7.3)', attribute('40', 3)],
  ['NEXT_HOP of 16 octets (RFC 7606 §7.3)', attribute('40', 3, hop6)],
  ['MULTI_EXIT_DISC of three octets (RFC 7606 §7.4)', attribute('80', 4, '000001')],
  ['MULTI_EXIT_DISC of five octets (RFC 7606 §7.4)', attribute('80', 4, '0000000001')],
  ['LOCAL_PREF of three octets inside (RFC 7606 §7.5)', attribute('40', 5, '000064'), 'internal'],
  ['LOCAL_PREF of no octet inside (RFC 7606 §7.5)', attribute('40', 5), 'internal'],
  ['COMMUNITIES of no octet (RFC 7606 §7.8)', attribute('c0', 8)],
  ['COMMUNITIES of five octets (RFC 7606 §7.8)', attribute('c0', 8, '0000000100')],
  ['ORIGINATOR_ID of five octets inside (RFC 7606 §7.9)', attribute('80', 9, '0a00000200'), 'internal'],
  ['CLUSTER_LIST of no octet inside (RFC 7606 §7.10)', attribute('80', 10), 'internal'],
  ['CLUSTER_LIST of six octets inside (RFC 7606 §7.10)', attribute('80', 10, '0a0000020a00'), 'internal'],
  ['EXTENDED COMMUNITIES of no octet (RFC 7606 §7.14)', attribute('c0', 16)],
  ['EXTENDED COMMUNITIES of twelve octets (RFC 7606 §7.14)', attribute('c0', 16, '00'.repeat(12))],
  ['IPv6 EXTENDED COMMUNITIES of no octet (RFC 7606 §7.15)', attribute('c0', 25)],
  ['IPv6 EXTENDED COMMUNITIES of 19 octets (RFC 7606 §7.15)', attribute('c0', 25, '00'.repeat(19))],
  ['LARGE_COMMUNITY of no octet (RFC 8092 §6)', attribute('c0', 32)],
  ['LARGE_COMMUNITY of 13 octets (RFC 8092 §6)', attribute('c0', 32, '00'.repeat(13))],
];

const discarded: Row[] = [
  ['LOCAL_PREF from outside (RFC 7606 §7.5)', attribute('40', 5, '000000c8')],
  ['LOCAL_PREF of one octet from outside (RFC 7606 §7.5)', attribute('40', 5, 'c8')],
  ['ORIGINATOR_ID from outside (RFC 7606 §7.9)', attribute('80', 9, '0a000001')],
  ['CLUSTER_LIST from outside (RFC 7606 §7.10)', attribute('80', 10, '0a000001')],
  ['CLUSTER_LIST of five octets from outside (RFC 7606 §7.10)', attribute('80', 10, '0a00000100')],
  ['ATOMIC_AGGREGATE of one octet (RFC 7606 §7.6)', attribute('40', 6, '00')],
  ['AGGREGATOR of six octets from a four-octet peer (RFC 7606 §7.7)', attribute('c0', 7, 'fde9 0a000001')],
  [
    'AGGREGATOR of eight octets from a two-octet peer (RFC 7606 §7.7)',
    attribute('c0', 7, '0000fde9 0a000001'),
    'two-octet',
  ],
  ['AGGREGATOR with AS 0 (RFC 7607 §2)', attribute('c0', 7, '00000000 0a000001')],
  ['AS4_PATH from a four-octet peer (RFC 6793 §6)', attribute('c0', 17, '02 01 fa56ea00')],
  ['AS4_PATH with a segment of type 9 (RFC 6793 §6)', attribute('c0', 17, '09 01 fa56ea00'), 'two-octet'],
  ['AS4_PATH of seven octets (RFC 6793 §6)', attribute('c0', 17, '02 01 fa56ea00 00'), 'two-octet'],
  ['AS4_AGGREGATOR from a four-octet peer (RFC 6793 §6)', attribute('c0', 18, 'fa56ea00 0a000001')],
  ['AS4_AGGREGATOR of six octets (RFC 6793 §6)', attribute('c0', 18, 'ea00 0a000001'), 'two-octet'],
];

describe('attributes', () => {
  test.each<Row>(treatedAsWithdrawn)(
    "%s: the routes are treated as withdrawn, the peer's previous path goes from every neighbour, the session stays",
    async (_, bytes, speaking) => {
      const scene = await heard(speaking);
      const faulty = update({ attributes: withAttribute(speaking ?? 'external', bytes), announced: p });
      await scene.say(faulty);
      expect(outcome(scene)).toEqual(withdrawn);
      expect(scene.stage.session(scene.name).errors[0]!.message).toBe(toHex(faulty).replaceAll(' ', ''));
    },
  );

  test.each<Row>(discarded)(
    '%s: the attribute is ignored, the route and the session stay',
    async (_, bytes, speaking) => {
      const scene = await heard(speaking);
      const before = attributesOf(scene, P);
      const faulty = update({ attributes: withAttribute(speaking ?? 'external', bytes), announced: p });
      await scene.say(faulty);
      expect(outcome(scene)).toEqual(kept);
      expect(attributesOf(scene, P)).toEqual(before);
      expect(scene.stage.session(scene.name).errors[0]!.message).toBe(toHex(faulty).replaceAll(' ', ''));
    },
  );

  test.each([
    ['MP_REACH_NLRI with a next hop of 15 octets (RFC 7606 §7.11)', reach6(s, `0f ${hop6.slice(2)}`)],
    ['MP_REACH_NLRI with a prefix of 129 bits (RFC 7606 §5.3)', reach6(`81 ${'20'.repeat(17)}`)],
    ['MP_REACH_NLRI of four octets (RFC 7606 §7.11)', attribute('80', 14, '0002 01 00')],
    ['MP_REACH_NLRI that is transitive (RFC 7606 §5.3)', `c0 ${reach6().slice(2)}`],
    ['MP_UNREACH_NLRI with a prefix cut off (RFC 7606 §5.3, §7.12)', unreach6('20 20010d')],
    ['MP_UNREACH_NLRI of two octets (RFC 7606 §7.12)', attribute('80', 15, '0002')],
  ])('%s: the session ends with 3/9 and the attribute as data', async (_, bytes) => {
    const scene = await heard();
    await scene.say(update({ attributes: bytes.includes(' 0e ') ? `${bytes} ${origin} ${asPath}` : bytes }));
    expect(lastWords(scene.raw)).toBe(`03 09 ${toHex(hex(bytes))}`);
    expect(scene.stage.forwarding()).toEqual([]);
  });
});

describe('the parts of an UPDATE', () => {
  test.each(['', '00', '0000', '0000 00', 'ffff 0000', '0000 0001', '0003 18 0a01'])(
    '39: lengths that exceed the message (%s) end the session with 3/1 (RFC 4271 §6.3)',
    async (body) => {
      const scene = await heard();
      // Shorter than 23 octets it is a bad length of the message already: 1/2.
      await scene.say(message(2, body));
      expect(lastWords(scene.raw)?.slice(0, 5)).toBe(hex(body).length < 4 ? '01 02' : '03 01');
    },
  );

  test.each([
    ['an attribute that reaches into the NLRI', `${sound} c0 08 08 00000001`],
    ['one octet', `${sound} 40`],
    ['two octets', `${sound} c0 08`],
    ['three octets, one of them of a long length', `${sound} d0 08 00`],
  ])(
    '40: behind the attributes %s is too much: the routes, found by the total length, are withdrawn (RFC 7606 §4)',
    async (_, attributes) => {
      const scene = await heard();
      await scene.say(update({ attributes, announced: p }));
      expect(outcome(scene)).toEqual(withdrawn);
    },
  );

  test.each([
    ['ORIGIN', attribute('c0', 1, '00')],
    ['AS_PATH', attribute('80', 2, '02 01 0000fde9')],
    ['MULTI_EXIT_DISC', attribute('c0', 4, '00000001')],
    ['COMMUNITIES', attribute('80', 8, '00000001')],
    ['ATOMIC_AGGREGATE', attribute('c0', 6)],
  ])('41: a conflict of the flags of %s treats the routes as withdrawn (RFC 7606 §3.c)', async (_, bytes) => {
    const scene = await heard();
    await scene.say(update({ attributes: withAttribute('external', bytes), announced: p }));
    expect(outcome(scene)).toEqual(withdrawn);
  });

  test('41: Partial and the low bits of the flags are no conflict, and the low bits go no further (RFC 7606 §3.c)', async () => {
    const scene = await heard();
    const odd = `${attribute('6f', 1, '00')} ${attribute('4f', 2, '02 01 0000fde9')} ${nextHop}`;
    await scene.say(update({ attributes: `${odd} ${attribute('ef', 8, '00010002')}`, announced: p }));
    expect([outcome(scene), scene.stage.session('tor-a').errors]).toEqual([kept, []]);
    const told = toHex(scene.observer.updates.at(-1)!);
    expect([told.includes('40 01 01 00'), told.includes('e0 08 04 00 01 00 02')]).toEqual([true, true]);
  });

  test.each([
    ['ORIGIN', `${asPath} ${nextHop}`],
    ['AS_PATH', `${origin} ${nextHop}`],
    ['NEXT_HOP', `${origin} ${asPath}`],
    ['all attributes', ''],
  ])('42: without %s the routes are treated as withdrawn (RFC 7606 §3.d)', async (_, attributes) => {
    const scene = await heard();
    await scene.say(update({ attributes, announced: p }));
    expect(outcome(scene)).toEqual(withdrawn);
  });

  test('43: of an attribute that occurs twice the first one counts, MP attributes twice end the session with 3/1 (RFC 7606 §3.g)', async () => {
    const scene = await heard();
    const [first, second] = [attribute('80', 4, '00000007'), attribute('80', 4, '00000008')];
    await scene.say(update({ attributes: `${sound} ${first} ${second}`, announced: p }));
    expect([outcome(scene), attributesOf(scene, P)!.med]).toEqual([kept, 7]);
    await scene.say(update({ attributes: `${reach6()} ${reach6('20 20010db9')} ${origin} ${asPath}` }));
    expect(lastWords(scene.raw)).toBe('03 01');
  });

  test.each([
    ['ignored and treated as withdrawn', `${attribute('40', 6, '00')} ${attribute('80', 4, '00')}`, withdrawn],
    ['treated as withdrawn and ignored', `${attribute('80', 4, '00')} ${attribute('40', 6, '00')}`, withdrawn],
  ])('44: of what is to be %s the stronger one is done (RFC 7606 §3.h)', async (_, faults, expected) => {
    const scene = await heard();
    await scene.say(update({ attributes: `${sound} ${faults}`, announced: p }));
    expect(outcome(scene)).toEqual(expected);
  });

  test('44: the end of the session is stronger than both (RFC 7606 §3.h)', async () => {
    const scene = await heard();
    const faults = `${attribute('40', 6, '00')} ${attribute('80', 4, '00')} ${reach6()} ${reach6()}`;
    await scene.say(update({ attributes: `${sound} ${faults}`, announced: p }));
    expect(lastWords(scene.raw)).toBe('03 01');
  });

  test.each([
    ['a bad ORIGIN', attribute('40', 1, '07'), '03 06 40 01 01 07'],
    ['a short MULTI_EXIT_DISC', attribute('80', 4, '00'), '03 05 80 04 01 00'],
    ['wrong flags', attribute('80', 8, '00000001'), '03 04 80 08 04 00 00 00 01'],
    ['attributes that do not fit', '40', '03 01'],
  ])('45: %s in an UPDATE without reachable NLRI ends the session (RFC 7606 §5.2)', async (_, bytes, words) => {
    const scene = await heard();
    await scene.say(update({ withdrawn: p, attributes: bytes }));
    expect(lastWords(scene.raw)).toBe(words);
  });

  test('45: what is only to be ignored does not end the session there either (RFC 7606 §5.2)', async () => {
    const scene = await heard();
    await scene.say(update({ withdrawn: p, attributes: attribute('40', 6, '00') }));
    expect(outcome(scene)).toEqual(withdrawn);
  });

  test.each([
    ['NLRI', { attributes: sound, announced: '21 0a01000000' }],
    ['NLRI', { attributes: sound, announced: '18 0a01' }],
    ['withdrawn routes', { withdrawn: '21 0a01000000' }],
    ['withdrawn routes', { withdrawn: '08' }],
  ])(
    '46: a prefix in %s that is longer than 32 bits or cut off ends the session with 3/10 (RFC 7606 §5.3)',
    async (...row) => {
      const scene = await heard();
      await scene.say(update(row[1]));
      expect([lastWords(scene.raw), scene.stage.forwarding()]).toEqual(['03 0a', []]);
    },
  );

  test.each([
    ['first', `${reach6()} ${unreach6('20 20010dba')} ${sound}`],
    ['last', `${sound} ${unreach6('20 20010dba')} ${reach6()}`],
    ['between others', `${origin} ${reach6()} ${asPath} ${unreach6('20 20010dba')} ${nextHop}`],
  ])('47: MP attributes may stand %s, and beside withdrawn routes and NLRI (RFC 7606 §5.1)', async (_, attributes) => {
    const scene = await heard();
    await scene.say(update({ attributes: `${reach6('20 20010dba')} ${origin} ${asPath}` }));
    await scene.say(update({ withdrawn: q, attributes, announced: '18 0a0300' }));
    expect([scene.stage.forwarding().toSorted(), scene.stage.session('tor-a').errors]).toEqual([
      ['10.1.0.0/24 via 192.0.2.1', '10.3.0.0/24 via 192.0.2.1', `${S} via 2001:db8::ff`],
      [],
    ]);
  });

  test.each([
    ['announces', attribute('80', 14, `0019 46 04 c0000201 00 aabb`)],
    ['withdraws', attribute('80', 15, '0019 46 aabb')],
    ['announces IPv4 multicast', attribute('80', 14, `0001 02 04 c0000201 00 ${p}`)],
    ['withdraws IPv4 multicast', attribute('80', 15, `0001 02 ${p}`)],
  ])('48: what %s of a family that was not agreed on is ignored, the rest counts (RFC 4760 §8)', async (_, bytes) => {
    const scene = await heard();
    await scene.say(update({ attributes: `${bytes} ${sound}`, announced: '18 0a0300' }));
    expect(outcome(scene)).toEqual({ ...kept, forwarded: [P, Q, '10.3.0.0/24'], passedOn: [P, Q, '10.3.0.0/24'] });
  });

  test('48: IPv4 routes are ignored where only IPv6 was agreed on (RFC 4760 §8)', async () => {
    const stage = await speakerWith({ ...torA, families: [v6] });
    const open = message(1, openBody(65_001, '0a00000b', ipv6Hex, as4Hex(65_001)));
    const body = update({ withdrawn: q, attributes: `${reach6()} ${sound}`, announced: p });
    await call(stage, torA.address, open, keepaliveHex, body);
    expect([stage.forwarding(), stage.session('tor-a').state]).toEqual([[`${S} via 2001:db8::ff`], 'Established']);
  });

  test.each([
    [`10 ${hop6}`, '2001:db8::ff'],
    [`20 ${hop6} fe80000000000000 0000000000000001`, '2001:db8::ff'],
  ])('49: the next hop of IPv6 routes has 16 or 32 octets: %s (RFC 2545 §3)', async (hop, address) => {
    const scene = await heard();
    await scene.say(update({ attributes: `${reach6(s, hop)} ${origin} ${asPath}` }));
    expect(scene.stage.forwarding()).toContain(`${S} via ${address}`);
  });

  test.each([
    '00',
    '04 c0000201',
    `08 ${hop6.slice(0, 17)}`,
    `18 ${hop6} fe80000000000000`,
    `30 ${hop6} ${hop6} ${hop6}`,
  ])('49: a next hop of another length (%s) ends the session with 3/9 (RFC 7606 §7.11)', async (hop) => {
    const scene = await heard();
    await scene.say(update({ attributes: `${reach6(s, hop)} ${origin} ${asPath}` }));
    expect(lastWords(scene.raw)?.slice(0, 5)).toBe('03 09');
  });

  test.each([
    ['04 c0000209', undefined, '192.0.2.9'],
    [`10 ${hop6}`, '05 06 0001 0001 0002', '2001:db8::ff'],
    [`10 ${hop6}`, undefined, '3/9'],
  ])(
    '49: IPv4 routes in MP_REACH_NLRI: the next hop %s with the capability %s is %s (RFC 8950 §3, §4)',
    async (...row) => {
      const [hop, capability, expected] = row;
      const stage = await speakerWith({ ...torA, extendedNextHop: true });
      const body = openBody(65_001, '0a00000b', ipv4Hex, as4Hex(65_001), ...(capability ? [capability] : []));
      const reach = attribute('80', 14, `0001 01 ${hop} 00 ${p}`);
      const routes = update({ attributes: `${reach} ${origin} ${asPath}` });
      const raw = await call(stage, torA.address, message(1, body), keepaliveHex, routes);
      expect(lastWords(raw) === undefined ? stage.forwarding() : lastWords(raw)!.slice(0, 5)).toEqual(
        expected === '3/9' ? '03 09' : [`${P} via ${expected}`],
      );
    },
  );

  test.each([
    ['IPv4', { withdrawn: p, attributes: sound, announced: p }, P],
    ['IPv6', { attributes: `${reach6()} ${unreach6()} ${origin} ${asPath}` }, S],
    ['IPv6, the other way round', { attributes: `${unreach6()} ${origin} ${asPath} ${reach6()}` }, S],
  ])('50: a prefix both withdrawn and announced is announced: %s (RFC 4271 §4.3)', async (_, parts, prefix) => {
    const scene = await heard();
    await scene.say(update(parts), update(parts));
    expect(scene.stage.forwarding().map((route) => route.split(' ')[0])).toContain(prefix);
  });

  test('51: host bits mean nothing: two spellings are one prefix, in announcements and in withdrawals (RFC 4271 §4.3)', async () => {
    const scene = await heard();
    await scene.say(update({ withdrawn: `${p} ${q}`, attributes: sound, announced: '16 0a03ff 0c 0a1f' }));
    expect(scene.observer.prefixes).toEqual(['10.16.0.0/12', '10.3.252.0/22']);
    await scene.say(update({ attributes: sound, announced: '16 0a03fd' }));
    expect(scene.stage.family('tor-a').received).toBe(2);
    // What goes out has them cleared.
    expect(scene.observer.updates.some((body) => toHex(body).endsWith('16 0a 03 fc 0c 0a 10'))).toBe(true);
    await scene.say(update({ withdrawn: '16 0a03fe 0c 0a11' }));
    expect([scene.stage.forwarding(), scene.observer.prefixes]).toEqual([[], []]);
  });

  test.each([
    ['21 20010db8 ff', '21 20010db8 80', '2001:db8:8000::/33'],
    ['01 ff', '01 80', '8000::/1'],
  ])('51: host bits of IPv6 prefixes mean nothing either: %s is %s (RFC 4760 §5)', async (announced, gone, prefix) => {
    const scene = await heard();
    await scene.say(update({ attributes: `${reach6(announced)} ${origin} ${asPath}` }));
    expect(scene.stage.forwarding()).toContain(`${prefix} via 2001:db8::ff`);
    await scene.say(update({ attributes: unreach6(gone) }));
    expect(scene.stage.forwarding()).toHaveLength(2);
  });

  test.each([0, 11, 60, 255])(
    '52: attribute %i, well-known by its flags and unknown, ends the session with 3/2 and itself as data (RFC 4271 §6.3)',
    async (code) => {
      const scene = await heard();
      const unknown = attribute('40', code, 'abcd');
      await scene.say(update({ attributes: `${sound} ${unknown}`, announced: p }));
      expect(lastWords(scene.raw)).toBe(`03 02 ${toHex(hex(unknown))}`);
    },
  );

  test('53: of unknown attributes the transitive ones go on with Partial, the others end here, neither disturbs (RFC 4271 §5)', async () => {
    const scene = await heard();
    const unknown = `${attribute('c0', 200, 'cafe')} ${attribute('80', 201, 'dead')} ${attribute('e0', 202, '')}`;
    await scene.say(update({ attributes: `${sound} ${unknown}`, announced: p }));
    expect([outcome(scene), scene.stage.session('tor-a').errors]).toEqual([kept, []]);
    const told = toHex(scene.observer.updates.at(-1)!);
    expect([told.includes('e0 c8 02 ca fe'), told.includes('de ad'), told.includes('e0 ca 00')]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test.each([1, 3, 4, 7, 8, 9, 10, 16, 17, 18, 25, 32, 35])(
    '54: attribute %i must not be empty (RFC 7606 §4)',
    async (code) => {
      const flags: Record<number, string> = { 1: '40', 3: '40', 4: '80', 9: '80', 10: '80' };
      const speaking = code === 9 || code === 10 ? 'internal' : code === 17 || code === 18 ? 'two-octet' : 'external';
      const scene = await heard(speaking);
      const bytes = attribute(flags[code] ?? 'c0', code);
      await scene.say(update({ attributes: withAttribute(speaking, bytes), announced: p }));
      const mild = code === 7 || code === 17 || code === 18;
      expect(outcome(scene)).toEqual(mild ? kept : withdrawn);
      expect(scene.stage.session(scene.name).errors).toHaveLength(1);
    },
  );

  test('54: AS_PATH and ATOMIC_AGGREGATE may be empty (RFC 7606 §4)', async () => {
    const scene = await heard('internal');
    const attributes = `${origin} ${emptyPath} ${nextHop} ${attribute('40', 6)}`;
    await scene.say(update({ attributes, announced: p }));
    expect([outcome(scene), attributesOf(scene, P)!.atomicAggregate]).toEqual([kept, true]);
    expect(scene.stage.session('node-a').errors).toEqual([]);
  });

  test('55: with ADD-PATH a path is known by prefix and identifier together (RFC 7911 §2, §3)', async () => {
    const stage = await speakerWith(torA);
    const body = openBody(65_001, '0a00000b', ipv4Hex, as4Hex(65_001), '45 04 0001 01 02');
    const raw = await call(stage, torA.address, message(1, body), keepaliveHex);
    const paths = (): number[] =>
      [...stage.speaker.routes({ prefix: P as Prefix })].flatMap(({ paths }) => paths.map(({ pathId = 0 }) => pathId));
    const steps = [
      { attributes: sound, announced: `00000001 ${p} ffffffff ${p} 00000000 ${p}` },
      { attributes: sound, announced: `00000001 ${p}` },
      { withdrawn: `00000007 ${p} 00000001 ${q}` },
      { withdrawn: `ffffffff ${p}` },
      { withdrawn: `00000000 ${p} 00000001 ${p}` },
    ];
    const seen: number[][] = [];
    for (const parts of steps) {
      raw.write(update(parts));
      await settle();
      seen.push(paths().toSorted((a, b) => a - b));
    }
    const all = [0, 1, 4_294_967_295];
    expect(seen).toEqual([all, all, all, [0, 1], []]);
  });
});

test('31: an UPDATE whose routes are treated as withdrawn restarts the hold timer as any other (RFC 4271 §8.2.2)', async () => {
  const scene = await heard();
  for (let n = 0; n < 5; n++) {
    await scene.stage.clock.advance(60_000);
    scene.observer.keepalive();
    await scene.say(update({ attributes: attribute('40', 1, '09'), announced: p }));
  }
  expect(outcome(scene)).toEqual(withdrawn);
  expect(scene.stage.session('tor-a').timers.hold).toEqual({ leftSeconds: 90, totalSeconds: 90 });
});
