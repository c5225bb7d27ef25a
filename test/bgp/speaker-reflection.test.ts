// Route reflection (RFC 4456), several paths per prefix (RFC 7911), IPv4 over IPv6 next hops (RFC 8950), multipath.
import type { Address, Prefix } from '#ip';
import { expect, test } from 'vitest';
import { Stage, addPath, attributes, ipv4, ourAddress, path, peerWish, settle, v4 } from './stage.ts';

const [P, Q] = ['10.1.0.0/24', '10.2.0.0/24'];
const torA = peerWish('tor-a', '10.0.0.11', 65_001);
const torB = peerWish('tor-b', '10.0.0.12', 65_002);
const nodeA = peerWish('node-a', '10.0.0.21', 64_512);
const nodeB = peerWish('node-b', '10.0.0.22', 64_512);
const client = peerWish('client', '10.0.0.31', 64_512, { routeReflectorClient: true });
const other = peerWish('other', '10.0.0.32', 64_512, { routeReflectorClient: true });

async function staged(...args: ConstructorParameters<typeof Stage>): Promise<Stage> {
  const stage = new Stage(...args);
  await settle();
  return stage;
}

test('a reflector passes on from clients to everybody and from the others to clients (RFC 4456 §6)', async () => {
  const stage = await staged({ peers: [client, other, nodeA, nodeB], clusterId: '9.9.9.9' as Address });
  const players = [];
  for (const name of ['client', 'other', 'node-a', 'node-b']) players.push(await stage.join(name));
  await players[0]!.announce([P], attributes({ asPath: [], localPref: 100 }));
  await players[2]!.announce([Q], attributes({ asPath: [], localPref: 100 }));
  expect(players.map(({ prefixes }) => prefixes)).toEqual([[Q], [P, Q], [P], [P]]);
});

test('a reflected route says who brought it and through which clusters it came, and is else unchanged (RFC 4456 §8)', async () => {
  const stage = await staged({ peers: [client, other], clusterId: '9.9.9.9' as Address });
  const [a, b] = [await stage.join('client'), await stage.join('other')];
  const set = attributes({ asPath: path(7), localPref: 50, med: 3, communities: [1] });
  await a.announce([P], set);
  await a.announce([Q], { ...set, originatorId: '10.0.0.77' as Address, clusterList: ['8.8.8.8' as Address] });
  expect(b.known.get(P)).toEqual({ ...set, originatorId: '10.0.0.31', clusterList: ['9.9.9.9'] });
  expect(b.known.get(Q)).toEqual({ ...set, originatorId: '10.0.0.77', clusterList: ['9.9.9.9', '8.8.8.8'] });
});

test('two clients that say the same are reflected each in its own name', async () => {
  const stage = await staged({ peers: [client, other, nodeA] });
  const [a, b, node] = [await stage.join('client'), await stage.join('other'), await stage.join('node-a')];
  const set = attributes({ asPath: path(7), localPref: 50 });
  await a.announce([P], set);
  await b.announce([Q], set);
  expect([node.known.get(P)!.originatorId, node.known.get(Q)!.originatorId]).toEqual(['10.0.0.31', '10.0.0.32']);
});

test('a peer that becomes a client is told what clients are told, without a reset', async () => {
  const stage = await staged({ peers: [nodeA, nodeB] });
  const [a, b] = [await stage.join('node-a'), await stage.join('node-b')];
  await a.announce([P], attributes({ asPath: [], localPref: 100 }));
  b.news();
  await stage.applyPeer('node-b', { routeReflectorClient: true });
  expect([b.news(), stage.session('node-b').flaps]).toEqual([[`+${P}`], 0]);
});

test('55: paths of one peer for one prefix are told apart by their identifier (RFC 7911 §3)', async () => {
  const stage = await staged({ peers: [torA], multipath: 4 });
  const a = await stage.join('tor-a', [ipv4, addPath]);
  await a.announce([P, P], attributes(), [1, 2]);
  await a.announce([P], attributes({ nextHop: '192.0.2.2' as Address }), [2]);
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1, 192.0.2.2`]);
  await a.withdraw([P], [1]);
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.2`]);
});

test('to a peer with ADD-PATH go as many paths as wished, the best ones, each under an identifier of its own (RFC 7911 §3)', async () => {
  const wish = { ...nodeA, addPath: { receive: true, send: 2 } };
  const stage = await staged({ peers: [torA, torB, peerWish('tor-c', '10.0.0.13', 65_003), wish] });
  const players = [await stage.join('tor-a'), await stage.join('tor-b'), await stage.join('tor-c')];
  const node = await stage.join('node-a', [ipv4, addPath]);
  for (const [i, player] of players.entries()) {
    await player.announce([P], attributes({ asPath: path(65_001 + i, ...Array.from({ length: i }, () => 7)) }));
  }
  const firsts = (): number[] => [...node.known.values()].map(({ asPath }) => asPath[0]!.asns[0]!);
  expect(firsts().toSorted((a, b) => a - b)).toEqual([65_001, 65_002]);
  const known = node.prefixes;
  expect(new Set(known).size).toBe(2);
  await players[0]!.withdraw([P]);
  expect(firsts().toSorted((a, b) => a - b)).toEqual([65_002, 65_003]);
  await players[1]!.withdraw([P]);
  await players[2]!.withdraw([P]);
  expect([node.prefixes, node.redundant]).toEqual([[], []]);
});

test('with ADD-PATH, too, no path goes back to where it came from', async () => {
  const sends = { addPath: { receive: true, send: 4 } };
  const stage = await staged({
    peers: [
      { ...torA, ...sends },
      { ...torB, ...sends },
    ],
  });
  const [a, b] = [await stage.join('tor-a', [ipv4, addPath]), await stage.join('tor-b', [ipv4, addPath])];
  await a.announce([P], attributes({ asPath: path(65_001) }), [5]);
  await b.announce([P], attributes({ asPath: path(65_002) }), [5]);
  const firsts = [a, b].map(({ known }) => [...known.values()].map(({ asPath }) => asPath[0]!.asns[1]));
  expect(firsts).toEqual([[65_002], [65_001]]);
});

test('equally good paths are used together up to the wished number; two over one next hop count once', async () => {
  const stage = await staged({ peers: [torA, torB, peerWish('tor-c', '10.0.0.13', 65_003)], multipath: 8 });
  const players = [await stage.join('tor-a'), await stage.join('tor-b'), await stage.join('tor-c')];
  for (const [i, player] of players.entries()) {
    const nextHop = `192.0.2.${i === 2 ? 1 : i + 1}` as Address;
    await player.announce([P], attributes({ asPath: path(65_001 + i), nextHop }));
  }
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1, 192.0.2.2`]);
  expect(stage.why(P)).toEqual([
    'tor-a: best: lower router ID than tor-b',
    'tor-b: as good as tor-a up to the cost of the next hop',
    'tor-c: as good as tor-a up to the cost of the next hop',
  ]);
  await stage.apply({ multipath: 1 });
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
});

test('a path that joins or leaves those in use is told, even if the best one stays', async () => {
  const stage = await staged({ peers: [torA, torB], multipath: 2 });
  const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
  await a.announce([P]);
  await b.announce([P], attributes({ asPath: path(65_002), nextHop: '192.0.2.2' as Address }));
  await b.announce([P], attributes({ asPath: path(65_002), nextHop: '192.0.2.3' as Address }));
  await b.withdraw([P]);
  await a.withdraw([P]);
  expect(stage.changes.map(({ paths }) => paths.map(({ nextHop }) => nextHop).join(' '))).toEqual([
    '192.0.2.1',
    '192.0.2.1 192.0.2.2',
    '192.0.2.1 192.0.2.3',
    '192.0.2.1',
    '',
  ]);
});

const hops = {
  name: 'extendedNextHop' as const,
  families: [{ afi: 1, safi: 1, nextHopAfi: 2 }],
};

test('IPv4 routes go over an IPv6 session with an IPv6 next hop where both sides can (RFC 8950 §4)', async () => {
  const ours = 'fd00::1' as Address;
  const wish = { ...peerWish('tor-6', 'fd00::2', 65_006), extendedNextHop: true };
  const stage = await staged({
    listen: [{ address: ours, port: 179 }],
    peers: [wish],
    originated: [{ prefix: P as Prefix }],
  });
  const { Player } = await import('./stage.ts');
  const capabilities = [ipv4, hops];
  const player = new Player(await stage.network.connect('fd00::2', ours), false, capabilities);
  await player.handshake({
    ...{ asn: 65_006, routerId: 6 },
    capabilities: [{ name: 'fourOctetAs', asn: 65_006 }, ...capabilities],
  });
  await settle();
  expect(player.known.get(P)!.nextHop).toBe(ours);
  await player.announce([Q], attributes({ asPath: path(65_006), nextHop: 'fd00::2' as Address }));
  expect(stage.forwarding()).toEqual([`${Q} via fd00::2`]);
});

test('an IPv4 route over an IPv6 next hop is told to others with our own address, if they cannot take the real one', async () => {
  const ours = 'fd00::1' as Address;
  const wish = { ...peerWish('tor-6', 'fd00::2', 65_006), extendedNextHop: true };
  const stage = await staged({
    listen: [
      { address: ours, port: 179 },
      { address: ourAddress, port: 179 },
    ],
    peers: [wish, nodeA],
  });
  const { Player } = await import('./stage.ts');
  const capabilities = [ipv4, hops];
  const player = new Player(await stage.network.connect('fd00::2', ours), false, capabilities);
  await player.handshake({
    ...{ asn: 65_006, routerId: 6 },
    capabilities: [{ name: 'fourOctetAs', asn: 65_006 }, ...capabilities],
  });
  const node = await stage.join('node-a');
  await player.announce([Q], attributes({ asPath: path(65_006), nextHop: 'fd00::2' as Address }));
  expect(node.known.get(Q)!.nextHop).toBe(ourAddress);
  expect(stage.family('node-a', v4).advertised).toBe(1);
});
