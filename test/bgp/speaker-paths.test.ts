// What becomes of a path on its way through the speaker: statements 56 to 66.
import type { Address, Prefix } from '#ip';
import { expect, test } from 'vitest';
import type { PathAttributes } from '../../bgp/index.ts';
import { Stage, attributes, ipv4, ipv6, ourAddress, path, peerWish, restarts, settle, v6 } from './stage.ts';

const P = '10.1.0.0/24';
const torA = peerWish('tor-a', '10.0.0.11', 65_001);
const torB = peerWish('tor-b', '10.0.0.12', 65_002);
const torC = peerWish('tor-c', '10.0.0.13', 65_003);
const nodeA = peerWish('node-a', '10.0.0.21', 64_512);
const nodeB = peerWish('node-b', '10.0.0.22', 64_512);

/** A stage with these peers up, in this order. */
async function among(...peers: (typeof torA)[]) {
  const stage = new Stage({ peers });
  await settle();
  const players = [];
  for (const peer of peers) players.push(await stage.join(peer.name));
  return { stage, players };
}

test('56: an AS_SET counts as one AS and confederation segments as none (RFC 4271 §9.1.2.2 a, RFC 5065 §5.3)', async () => {
  const { stage, players } = await among(nodeA, nodeB);
  await players[0]!.announce([P], attributes({ asPath: path(1, 2, 3), localPref: 100 }));
  await players[1]!.announce(
    [P],
    attributes({
      localPref: 100,
      asPath: [
        { type: 'sequence', asns: [1] },
        { type: 'set', asns: [7, 8, 9] },
      ],
    }),
  );
  expect(stage.why(P)).toEqual(['node-b: best: shorter AS path than node-a', 'node-a: longer AS path (3 against 2)']);
});

test('57: prepending past 255 opens another segment (RFC 4271 §5.1.2)', async () => {
  const { players } = await among(torA, torB);
  const full = Array.from({ length: 255 }, (_, i) => 1000 + i);
  await players[0]!.announce([P], attributes({ asPath: path(...full) }));
  expect(players[1]!.known.get(P)!.asPath.map(({ asns }) => asns.length)).toEqual([1, 255]);
});

test('58 and 59: to a two-octet peer a large AS is AS_TRANS, with the real path in AS4_PATH (RFC 6793 §4.2.2)', async () => {
  const stage = new Stage({ peers: [torA, torB] });
  await settle();
  const a = await stage.join('tor-a');
  const connection = await stage.network.connect(torB.address, ourAddress);
  const { RawPeer } = await import('../support/raw-peer.ts');
  const old = new RawPeer(connection);
  await old.handshake({ asn: 65_002, capabilities: [ipv4] });
  await settle();
  await a.announce([P], attributes({ asPath: path(65_001, 4_200_000_001) }));
  const body = old.heard.filter(({ type, body }) => type === 'update' && body.length > 4).at(-1)!.body;
  const hex = Buffer.from(body).toString('hex');
  // AS_PATH: 64512 65001 23456; AS4_PATH: 64512 65001 4200000001.
  expect(hex).toContain('4002080203fc00fde95ba0');
  expect(hex).toContain('c0110e02030000fc000000fde9fa56ea01');
});

test("60: our own AS in the path excludes it and withdraws the peer's previous path (RFC 4271 §9.1.2)", async () => {
  const { stage, players } = await among(torA, torB);
  await players[0]!.announce([P]);
  await players[0]!.announce([P], attributes({ asPath: path(65_001, 64_512) }));
  expect(stage.why(P)).toEqual(['tor-a: rejected: own AS 64512 in the path']);
  expect(stage.forwarding()).toEqual([]);
  expect(players[1]!.prefixes).toEqual([]);
});

test('60: our own AS may stand in the path as often as the peer is allowed', async () => {
  const stage = new Stage({ peers: [{ ...torA, allowOwnAs: 1 }] });
  await settle();
  const a = await stage.join('tor-a');
  await a.announce([P], attributes({ asPath: path(65_001, 64_512) }));
  await a.announce(['10.2.0.0/24'], attributes({ asPath: path(65_001, 64_512, 64_512) }));
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
});

test.each<[string, Partial<PathAttributes>, string]>([
  ['ORIGINATOR_ID', { originatorId: ourAddress }, 'own router ID 10.0.0.1 is its originator'],
  ['CLUSTER_LIST', { clusterList: ['9.9.9.9' as Address] }, 'own cluster ID 9.9.9.9 in the cluster list'],
])(
  "61: ourselves in %s excludes a path and withdraws the peer's previous one (RFC 4456 §8)",
  async (_, extra, reason) => {
    const { stage, players } = await among(nodeA);
    await stage.apply({ clusterId: '9.9.9.9' as Address });
    const set = attributes({ localPref: 100 });
    await players[0]!.announce([P], set);
    await players[0]!.announce([P], { ...set, ...extra });
    expect(stage.why(P)).toEqual([`node-a: rejected: ${reason}`]);
    expect(stage.forwarding()).toEqual([]);
  },
);

test.each([
  [ourAddress, 'this node itself'],
  ['0.1.2.3', 'in 0.0.0.0/8'],
  ['127.0.0.1', 'in 127.0.0.0/8'],
  ['224.0.0.5', 'a multicast address'],
  ['255.255.255.255', 'in 240.0.0.0/4'],
])('62: the next hop %s makes a path ineligible and never resets the session (RFC 4271 §6.3)', async (hop, kind) => {
  const { stage, players } = await among(torA);
  await players[0]!.announce([P], attributes({ nextHop: hop as Address }));
  expect(stage.why(P)).toEqual([`tor-a: rejected: the next hop ${hop} is ${kind}`]);
  expect(stage.session('tor-a').state).toBe('Established');
});

test('62: an unresolved next hop makes a path ineligible until it resolves (RFC 4271 §9.1.2)', async () => {
  let reachable = false;
  const stage = new Stage({ peers: [torA] }, { resolve: () => ({ reachable, interface: 'eth0' }) });
  await settle();
  const a = await stage.join('tor-a');
  await a.announce([P]);
  expect(stage.why(P)).toEqual(['tor-a: rejected: next hop 192.0.2.1 is unreachable']);
  reachable = true;
  stage.speaker.nextHopsChanged();
  await settle();
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
});

test('63: the next hop is ourselves to an external peer and unchanged to an internal one (RFC 4271 §5.1.3)', async () => {
  const { players } = await among(torA, torB, nodeA);
  await players[0]!.announce([P]);
  expect(players.slice(1).map((player) => player.known.get(P)!.nextHop)).toEqual([ourAddress, '192.0.2.1']);
});

test('63: an external peer on the network of the next hop is sent there directly (RFC 4271 §5.1.3)', async () => {
  const onLan = (address: Address) => address.startsWith('10.0.0.') || address.startsWith('192.0.2.');
  const resolve = (address: Address) => ({ reachable: true, ...(onLan(address) && { interface: 'eth0' }) });
  const stage = new Stage({ peers: [torA, torB, { ...torC, nextHop: 'self' }] }, { resolve });
  await settle();
  const [a, b, c] = [await stage.join('tor-a'), await stage.join('tor-b'), await stage.join('tor-c')];
  await a.announce([P]);
  await a.announce(['10.2.0.0/24'], attributes({ nextHop: '198.51.100.1' as Address }));
  expect(b.known.get(P)!.nextHop).toBe('192.0.2.1');
  expect(b.known.get('10.2.0.0/24')!.nextHop).toBe(ourAddress);
  expect(c.known.get(P)!.nextHop).toBe(ourAddress);
});

test('63: a peer can be wished to get our own address, or every next hop as it is', async () => {
  const { stage, players } = await among(torA, nodeA, torB);
  await stage.applyPeer('node-a', { nextHop: 'self' });
  await stage.applyPeer('tor-b', { nextHop: 'keep' });
  await players[0]!.announce([P]);
  expect(players.slice(1).map((player) => player.known.get(P)!.nextHop)).toEqual([ourAddress, '192.0.2.1']);
});

test('63: an IPv6 route over an IPv4 session gets the wished next hop, and without one does not go out', async () => {
  const both = [ipv4, ipv6];
  const families = ['ipv4-unicast', v6] as const;
  const stage = new Stage({
    peers: [
      { ...torA, families },
      { ...torB, families, nextHopAddress: { [v6]: 'fd00::1' as Address } },
    ],
    originated: [{ prefix: 'fd01::/64' as Prefix }],
  });
  await settle();
  const [a, b] = [await stage.join('tor-a', both), await stage.join('tor-b', both)];
  expect(a.prefixes).toEqual([]);
  expect(b.known.get('fd01::/64')!.nextHop).toBe('fd00::1');
});

test("64: a neighbour AS's MED goes to internal peers, not to a third AS (RFC 4271 §5.1.4)", async () => {
  const { players } = await among(torA, torB, nodeA);
  await players[0]!.announce([P], attributes({ med: 77 }));
  expect(players.slice(1).map((player) => player.known.get(P)!.med)).toEqual([undefined, 77]);
});

test('64: a MED of our own, or one that policy sets, does go to an external peer', async () => {
  const exportPolicy = {
    ...{ name: 'meds', otherwise: 'accept' as const },
    rules: [{ name: '1', match: { source: 'RemotePeers' as const }, action: 'accept' as const, operations: [med(5)] }],
  };
  const stage = new Stage({
    peers: [torA, { ...torB, exportPolicy }],
    originated: [{ prefix: '10.9.0.0/24' as Prefix, med: 9 }],
  });
  await settle();
  const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
  await a.announce([P], attributes({ med: 77 }));
  expect([b.known.get(P)!.med, b.known.get('10.9.0.0/24')!.med]).toEqual([5, 9]);
});

function med(value: number) {
  return { do: 'setMed' as const, value };
}

test.each([
  ['NO_EXPORT', 0xffff_ff01, [[], [P]]],
  ['NO_EXPORT_SUBCONFED', 0xffff_ff03, [[], [P]]],
  ['NO_ADVERTISE', 0xffff_ff02, [[], []]],
  ['no well-known community', 0xfde9_0001, [[P], [P]]],
])('65: a route with %s reaches only whom it may (RFC 1997)', async (_, community, reached) => {
  const { players } = await among(torA, torB, nodeA);
  await players[0]!.announce([P], attributes({ communities: [community] }));
  expect(players.slice(1).map(({ prefixes }) => prefixes)).toEqual(reached);
});

test('65: NO_EXPORT on a route of our own is for the neighbour to obey: the route goes out with it', async () => {
  const stage = new Stage({
    peers: [torA],
    originated: [{ prefix: P as Prefix, communities: [0xffff_ff01] }],
  });
  await settle();
  const a = await stage.join('tor-a');
  expect(a.known.get(P)!.communities).toEqual([0xffff_ff01]);
});

test('65: a long-lived stale route goes only to peers that know the mark, and loses against any other (RFC 9494 §4.3)', async () => {
  const longLived = {
    name: 'longLivedGracefulRestart' as const,
    families: [{ afi: 1, safi: 1, forwarding: false, staleSeconds: 3600 }],
  };
  const keeps = { gracefulRestart: { ...torA.gracefulRestart, longLivedSeconds: 3600 } };
  const stage = new Stage({ peers: [torA, torB, { ...torC, ...keeps }] });
  await settle();
  const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
  const c = await stage.join('tor-c', [ipv4, restarts(), longLived]);
  await a.announce([P], attributes({ communities: [0xffff_0006] }));
  expect([b.prefixes, c.prefixes]).toEqual([[], [P]]);
  await b.announce([P], attributes({ asPath: path(65_002, 1, 2, 3, 4, 5) }));
  expect(stage.why(P)).toEqual(['tor-b: best: not long-lived stale, rather than tor-a', 'tor-a: long-lived stale']);
});

test('66: what an internal peer says is not passed on to another internal peer (RFC 4271 §9.2)', async () => {
  const { players } = await among(nodeA, nodeB, torA);
  await players[0]!.announce([P], attributes({ localPref: 100, asPath: [] }));
  expect(players.map(({ prefixes }) => prefixes)).toEqual([[], [], [P]]);
});

test('66: a route never goes back to where it came from, also when the best path changes hands', async () => {
  const { players } = await among(torA, torB);
  const [a, b] = [players[0]!, players[1]!];
  await a.announce([P], attributes({ asPath: path(65_001, 1) }));
  expect([a.prefixes, b.prefixes]).toEqual([[], [P]]);
  await b.announce([P], attributes({ asPath: path(65_002) }));
  expect([a.prefixes, b.prefixes]).toEqual([[P], []]);
  expect(b.news()).toEqual(['EoR ipv4-unicast', `+${P}`, `-${P}`]);
});
