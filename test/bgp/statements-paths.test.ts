// Paths through a whole speaker, with bytes written by hand where the wire matters: what statements 56 to 63 say and
// tests of parts alone would not show.
import type { Address, Prefix } from '#ip';
import { expect, test } from 'vitest';
import { attribute, message, toHex, updateBody } from './codec/bytes.ts';
import { Stage, attributes, ipv4, ipv6, ourAddress, path, peerWish, settle, v6 } from './stage.ts';
import {
  as4Hex,
  call,
  ipv4Hex,
  keepaliveHex,
  lastWords,
  nodeA,
  openBody,
  speakerWith,
  torA,
  torB,
  updatesTo,
} from './wire.ts';

const P = '10.1.0.0/24';
const p = '18 0a0100';
const origin = attribute('40', 1, '00');
const nextHop = attribute('40', 3, 'c0000201');
const nodeB = peerWish('node-b', '10.0.0.22', 64_512);

const update = (parts: Parameters<typeof updateBody>[0]): Uint8Array => message(2, toHex(updateBody(parts)));

/** The OPEN of AS 65001 or 64512 without four-octet AS numbers. */
const oldOpen = (asn: number): Uint8Array => message(1, openBody(asn, '0a00000b', ipv4Hex));

function asPathOf(stage: Stage): unknown {
  const [route] = [...stage.speaker.routes({ prefix: P as Prefix })];
  return route?.paths[0]?.attributes.asPath.map(({ type, asns }) => `${type} ${asns.join(' ')}`);
}

test('56: confederation segments from inside count nothing against any other path (RFC 5065 §5.3)', async () => {
  const stage = await speakerWith(nodeA, nodeB);
  const open = message(1, openBody(64_512, '0a000015', ipv4Hex, as4Hex(64_512)));
  const long = attribute('40', 2, '03 03 0000ff01 0000ff02 0000ff03 04 02 0000ff04 0000ff05 02 01 00000007');
  const said = update({ attributes: `${origin} ${long} ${nextHop} ${attribute('40', 5, '00000064')}`, announced: p });
  await call(stage, nodeA.address, open, keepaliveHex, said);
  const b = await stage.join('node-b');
  await b.announce([P], attributes({ asPath: path(7, 8), localPref: 100 }));
  expect(stage.why(P)).toEqual(['node-a: best: shorter AS path than node-b', 'node-b: longer AS path (2 against 1)']);
});

test('57: in a path that is full the next AS opens a segment, on the wire (RFC 4271 §5.1.2)', async () => {
  const stage = await speakerWith(torA, torB);
  const a = await stage.join('tor-a');
  const open = message(1, openBody(65_002, '0a00000c', ipv4Hex, as4Hex(65_002)));
  const b = await call(stage, torB.address, open, keepaliveHex);
  const full = Array.from({ length: 255 }, (_, i) => 1000 + i);
  await a.announce([P], attributes({ asPath: path(...full) }));
  // Flags 50: the length takes two octets; one segment of AS 64512, and one of 255 that begins with AS 1000.
  expect(updatesTo(b)[0]).toContain('50 02 04 04 02 01 00 00 fc 00 02 ff 00 00 03 e8');
});

/** AS_PATH, AS4_PATH and what else a two-octet neighbour says, and the path that it comes to. */
const merges: readonly [string, string, string, string, string[]][] = [
  ['as long as AS_PATH', '02 02 fde9 5ba0', '02 02 0000fde9 fa56ea01', '', ['sequence 65001 4200000001']],
  ['shorter', '02 03 fde9 0007 5ba0', '02 01 fa56ea01', '', ['sequence 65001 7 4200000001']],
  ['longer, so ignored', '02 01 fde9', '02 02 0000fde9 fa56ea01', '', ['sequence 65001']],
  [
    'with a set that counts one',
    '02 01 fde9 01 02 0007 5ba0',
    '01 02 00000007 fa56ea01',
    '',
    ['sequence 65001', 'set 7 4200000001'],
  ],
  [
    'beside an AGGREGATOR that is not AS_TRANS, so ignored',
    '02 02 fde9 5ba0',
    '02 02 0000fde9 fa56ea01',
    `${attribute('c0', 7, '0007 0a000001')} ${attribute('c0', 18, 'fa56ea01 0a000001')}`,
    ['sequence 65001 23456'],
  ],
  [
    'beside an AGGREGATOR with AS_TRANS',
    '02 02 fde9 5ba0',
    '02 02 0000fde9 fa56ea01',
    `${attribute('c0', 7, '5ba0 0a000001')} ${attribute('c0', 18, 'fa56ea01 0a000001')}`,
    ['sequence 65001 4200000001'],
  ],
];

test.each(merges)('58: an AS4_PATH %s is merged by counts (RFC 6793 §4.2.3)', async (...row) => {
  const [, path2, path4, more, expected] = row;
  const stage = await speakerWith(torA);
  const set = `${origin} ${attribute('40', 2, path2)} ${nextHop} ${more} ${attribute('c0', 17, path4)}`;
  await call(stage, torA.address, oldOpen(65_001), keepaliveHex, update({ attributes: set, announced: p }));
  expect([asPathOf(stage), stage.session('tor-a').state]).toEqual([expected, 'Established']);
});

test('58: the AGGREGATOR that a four-octet neighbour is told of is the merged one (RFC 6793 §4.2.3)', async () => {
  const stage = await speakerWith(torA, torB);
  const open = message(1, openBody(65_002, '0a00000c', ipv4Hex, as4Hex(65_002)));
  const b = await call(stage, torB.address, open, keepaliveHex);
  const aggregators = `${attribute('c0', 7, '5ba0 0a000001')} ${attribute('c0', 18, 'fa56ea01 0a000001')}`;
  const set = `${origin} ${attribute('40', 2, '02 01 fde9')} ${nextHop} ${aggregators}`;
  await call(stage, torA.address, oldOpen(65_001), keepaliveHex, update({ attributes: set, announced: p }));
  const told = updatesTo(b)[0]!;
  expect([told.includes('c0 07 08 fa 56 ea 01 0a 00 00 01'), told.includes('c0 12')]).toEqual([true, false]);
});

test('59: a two-octet neighbour gets AS_TRANS and AS4_PATH, without confederation segments (RFC 6793 §4.2.2)', async () => {
  const stage = await speakerWith(nodeA, torB);
  const b = await call(stage, torB.address, oldOpen(65_002), keepaliveHex);
  const open = message(1, openBody(64_512, '0a000015', ipv4Hex, as4Hex(64_512)));
  const inside = attribute('40', 2, '03 01 fa56ea09 02 02 00000007 fa56ea01');
  await call(
    stage,
    nodeA.address,
    ...[open, keepaliveHex, update({ attributes: `${origin} ${inside} ${nextHop}`, announced: p })],
  );
  expect(updatesTo(b)).toEqual([
    toHex(
      updateBody({
        attributes: `${origin} ${attribute('40', 2, '02 03 fc00 0007 5ba0')} ${attribute('40', 3, '0a000001')}
          ${attribute('c0', 17, '02 03 0000fc00 00000007 fa56ea01')}`,
        announced: p,
      }),
    ),
  ]);
});

test('59: where every AS number fits, a two-octet neighbour gets no AS4_PATH (RFC 6793 §4.2.2)', async () => {
  const stage = await speakerWith(torA, torB);
  const [a, b] = [await stage.join('tor-a'), await call(stage, torB.address, oldOpen(65_002), keepaliveHex)];
  await a.announce([P]);
  const [told] = updatesTo(b);
  expect([told!.includes('40 02 06 02 02 fc 00 fd e9'), told!.includes('c0 11')]).toEqual([true, false]);
});

test('60: a path with our own AS in it leaves room to the next best, for us and for everybody (RFC 4271 §9.1.2)', async () => {
  const torC = peerWish('tor-c', '10.0.0.13', 65_003);
  const stage = await speakerWith(torA, torB, torC);
  const [a, b, c] = [await stage.join('tor-a'), await stage.join('tor-b'), await stage.join('tor-c')];
  await a.announce([P], attributes({ asPath: path(65_001) }));
  await b.announce([P], attributes({ asPath: path(65_002, 7, 8), nextHop: '192.0.2.2' as Address }));
  expect([stage.forwarding(), c.known.get(P)!.asPath]).toEqual([[`${P} via 192.0.2.1`], path(64_512, 65_001)]);
  await a.announce([P], attributes({ asPath: path(65_001, 64_512) }));
  expect([stage.forwarding(), c.known.get(P)!.asPath]).toEqual([[`${P} via 192.0.2.2`], path(64_512, 65_002, 7, 8)]);
});

test.each([
  ['ORIGINATOR_ID', { originatorId: ourAddress }],
  ['CLUSTER_LIST', { clusterList: ['8.8.8.8' as Address, ourAddress] }],
])('61: ourselves in %s withdraws the previous path from everybody that had it (RFC 4456 §8)', async (_, extra) => {
  const stage = await speakerWith(nodeA, torB);
  const [a, b] = [await stage.join('node-a'), await stage.join('tor-b')];
  const set = attributes({ localPref: 100, asPath: [] });
  await a.announce([P], set);
  expect(b.prefixes).toEqual([P]);
  await a.announce([P], { ...set, ...extra });
  expect([stage.forwarding(), b.prefixes, stage.session('node-a').state]).toEqual([[], [], 'Established']);
});

test.each(['10.0.0.1', '0.0.0.0', '0.255.0.1', '127.0.0.53', '224.0.0.5', '239.1.2.3'])(
  '62: a next hop of %s takes the previous path away, and never the session (RFC 4271 §5.1.3, §6.3)',
  async (hop) => {
    const stage = await speakerWith(torA, torB);
    const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
    await a.announce([P, '10.2.0.0/24']);
    await a.announce([P], attributes({ nextHop: hop as Address }));
    expect([stage.forwarding(), b.prefixes, stage.session('tor-a').flaps]).toEqual([
      ['10.2.0.0/24 via 192.0.2.1'],
      ['10.2.0.0/24'],
      0,
    ]);
  },
);

test.each(['fd00::1', '::', '::1', 'ff02::1', 'fe80::1'])(
  '62: an IPv6 next hop of %s, ours or nobody’s, makes a path ineligible as well (RFC 4271 §6.3, RFC 4291 §2.5)',
  async (hop) => {
    const families = ['ipv4-unicast', v6] as const;
    const listen = [ourAddress, 'fd00::1' as Address].map((address) => ({ address, port: 179 }));
    const stage = new Stage({ listen, peers: [{ ...torA, families }] });
    await settle();
    const a = await stage.join('tor-a', [ipv4, ipv6]);
    const set = attributes({ nextHop: 'fd00::9' as Address });
    await a.announce(['fd01::/64'], set);
    expect(stage.forwarding()).toEqual(['fd01::/64 via fd00::9']);
    await a.announce(['fd01::/64'], { ...set, nextHop: hop as Address });
    expect([stage.forwarding(), stage.session('tor-a').state]).toEqual([[], 'Established']);
    expect(stage.why('fd01::/64')[0]).toContain(`the next hop ${hop} is`);
  },
);

test('63: a reflected route keeps its next hop, one from outside keeps it inside (RFC 4456 §8, RFC 4271 §5.1.3)', async () => {
  const client = { ...nodeA, routeReflectorClient: true };
  const stage = await speakerWith(client, nodeB, torA);
  const [a, b, outside] = [await stage.join('node-a'), await stage.join('node-b'), await stage.join('tor-a')];
  await a.announce([P], attributes({ asPath: [], localPref: 100, nextHop: '192.0.2.7' as Address }));
  await outside.announce(['10.2.0.0/24']);
  expect([b.known.get(P)!.nextHop, b.known.get('10.2.0.0/24')!.nextHop, outside.known.get(P)!.nextHop]).toEqual([
    '192.0.2.7',
    '192.0.2.1',
    ourAddress,
  ]);
});

test('a path that we cannot use is no reason to say anything to its neighbour', async () => {
  const stage = await speakerWith(torA);
  const open = message(1, openBody(65_001, '0a00000b', ipv4Hex, as4Hex(65_001)));
  const ours = update({
    attributes: `${origin} ${attribute('40', 2, '02 02 0000fde9 0000fc00')} ${attribute('40', 3, '7f000001')}`,
    announced: p,
  });
  const raw = await call(stage, torA.address, open, keepaliveHex, ours);
  expect([lastWords(raw), updatesTo(raw)]).toEqual([undefined, []]);
});
