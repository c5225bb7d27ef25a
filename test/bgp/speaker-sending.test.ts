// How routes go out: packed, in order, to slow peers and late ones: statements 77 to 80.
import type { Address, Prefix } from '#ip';
import { expect, test } from 'vitest';
import type { PathAttributes } from '../../bgp/index.ts';
import { Stage, attributes, ipv4, ipv6, ourAddress, ourAsn, path, peerWish, settle, v4, v6 } from './stage.ts';

const torA = peerWish('tor-a', '10.0.0.11', 65_001);
const torB = peerWish('tor-b', '10.0.0.12', 65_002);
const torC = peerWish('tor-c', '10.0.0.13', 65_003);
const second = 1000;

async function staged(...args: ConstructorParameters<typeof Stage>): Promise<Stage> {
  const stage = new Stage(...args);
  await settle();
  return stage;
}

/** 10.0.0.0/24, 10.0.1.0/24, … */
function prefixes(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => `10.${(from + i) >> 8}.${(from + i) & 255}.0/24`);
}

/** Sets that differ, one for each number. */
function set(number: number): PathAttributes {
  return attributes({ asPath: path(65_001, 1 + number) });
}

test('77: routes with one attribute set share messages, as many as fit (RFC 4271 §9.2)', async () => {
  const stage = await staged({ peers: [torA, torB] });
  const a = await stage.join('tor-a');
  const all = prefixes(2000);
  for (let i = 0; i < 2000; i += 500) await a.announce(all.slice(i, i + 500), set(1));
  const b = await stage.join('tor-b');
  expect(b.prefixes).toHaveLength(2000);
  // 4096 octets less header, lengths and 28 of attributes hold 1,011 prefixes of 4 octets, and the room of one more.
  expect(b.updates.map(({ length }) => length)).toEqual([4 + 28 + 4 * 1008, 4 + 28 + 4 * 992, 4]);
});

test('77: interleaved attribute sets are gathered before they are sent', async () => {
  const stage = await staged({ peers: [torA, torB] });
  const a = await stage.join('tor-a');
  for (const [i, prefix] of prefixes(60).entries()) await a.announce([prefix], set(i % 3));
  const b = await stage.join('tor-b');
  expect(b.updates).toHaveLength(3 + 1);
});

test('a change that does not leave the AS is not told to external peers (RFC 4360 §6)', async () => {
  const stage = await staged({ peers: [peerWish('node-a', '10.0.0.21', ourAsn), torB] });
  const a = await stage.join('node-a');
  const b = await stage.join('tor-b');
  const transitive = 0x0002_fde9_0000_0001n;
  const nonTransitive = 0x4300_0000_0000_0001n;
  const withCommunities = (extendedCommunities: readonly bigint[]): PathAttributes => ({
    ...set(1),
    extendedCommunities,
  });
  await a.announce(prefixes(1), withCommunities([transitive]));
  await a.announce(prefixes(1), withCommunities([transitive, nonTransitive]));
  await a.announce(prefixes(1), withCommunities([transitive, nonTransitive + 1n]));
  expect([b.prefixes, b.redundant]).toEqual([prefixes(1), []]);
});

test('77: no message both announces and withdraws (RFC 7606 §5.1)', async () => {
  const families = [v4, v6];
  const stage = await staged({ peers: [{ ...torA, families }], originated: prefixes(3).map(own) });
  await stage.apply({ originated: [...prefixes(3), 'fd01::/64'].map(own) });
  await stage.applyPeer('tor-a', { nextHopAddress: { [v6]: 'fd00::1' as Address } });
  const a = await stage.join('tor-a', [ipv4, ipv6]);
  await stage.apply({ originated: [...prefixes(3, 1), 'fd02::/64'].map(own) });
  const kinds = a.updates.map((body) => {
    const withdrawn = (body[0]! << 8) | body[1]!;
    const length = (body[2 + withdrawn]! << 8) | body[3 + withdrawn]!;
    const first = body[4 + withdrawn + 1];
    return [
      withdrawn > 0 || first === 15 ? 'unreach' : '',
      (length > 0 && first !== 15) || body.length > 4 + withdrawn + length ? 'reach' : '',
    ]
      .filter((kind) => kind !== '')
      .join('+');
  });
  expect(new Set(kinds.filter((kind) => kind !== ''))).toEqual(new Set(['reach', 'unreach']));
});

test('77: MP_REACH_NLRI and MP_UNREACH_NLRI stand first among the attributes (RFC 7606 §5.1)', async () => {
  const wish = { ...torA, families: [v6], nextHopAddress: { [v6]: 'fd00::1' as Address } };
  const stage = await staged({ peers: [wish], originated: [own('fd01::/64')] });
  const a = await stage.join('tor-a', [ipv6]);
  await stage.apply({ originated: [] });
  // Flags 90 (optional, two octets of length), then the code: 14, 15 for End-of-RIB, 15.
  expect(a.updates.map((body) => Buffer.from(body.subarray(0, 6)).toString('hex').slice(8))).toEqual([
    '900e',
    '800f',
    '900f',
  ]);
});

test('6: nothing longer than 4096 octets goes to a peer that did not ask for more (RFC 8654 §4)', async () => {
  const stage = await staged({ peers: [torA, torB, torC] });
  const long = await stage.join('tor-a', [ipv4, { name: 'extendedMessage' }]);
  await long.announce(prefixes(5000), set(1));
  // Who comes late is given thousands of routes at a time; others what a slice of work has brought, however little.
  const [b, c] = [await stage.join('tor-b', [ipv4, { name: 'extendedMessage' }]), await stage.join('tor-c')];
  expect([b.prefixes.length, c.prefixes.length]).toEqual([5000, 5000]);
  expect(Math.max(...b.updates.map(({ length }) => length))).toBeGreaterThan(4096);
  expect(Math.max(...c.updates.map(({ length }) => length))).toBeLessThanOrEqual(4096 - 19);
});

test('7: attributes too big for a peer lose what may be discarded, or the route is withdrawn (RFC 8654 §4)', async () => {
  const stage = await staged({ peers: [torA, torB] });
  const [a, b] = [await stage.join('tor-a', [ipv4, { name: 'extendedMessage' }]), await stage.join('tor-b')];
  const [P, Q] = ['10.1.0.0/24', '10.2.0.0/24'];
  await a.announce([P, Q]);
  const big = [{ code: 200, flags: 0xe0, value: new Uint8Array(5000) }];
  await a.announce([P], attributes({ unknown: big }));
  await a.announce([Q], attributes({ communities: Array.from({ length: 1100 }, (_, i) => 0xfde90000 + i) }));
  expect(b.prefixes).toEqual([P]);
  expect(b.known.get(P)!.unknown).toBeUndefined();
});

test('78: of several changes before a message is written the last one wins', async () => {
  const stage = await staged({ peers: [torA, torB] });
  const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
  b.news();
  const P = '10.1.0.0/24';
  await a.together(() => {
    void a.announce([P], set(1));
    void a.announce([P], set(2));
    void a.withdraw([P]);
    void a.announce([P], set(3));
  });
  expect(b.news()).toEqual([`+${P}`]);
  expect(b.known.get(P)!.asPath).toEqual(path(64_512, 65_001, 4));
});

test('78: a route that comes and goes before anything is written is never spoken of', async () => {
  const stage = await staged({ peers: [torA, torB] });
  const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
  b.news();
  await a.together(() => {
    void a.announce(['10.1.0.0/24'], set(1));
    void a.withdraw(['10.1.0.0/24']);
  });
  expect(b.news()).toEqual([]);
});

test('79: a peer that does not read holds nobody up, costs no more than its share, and gets the last state', async () => {
  const stage = await staged({ peers: [torA, torB, torC] }, { wire: { windowBytes: 4096 } });
  const [a, b, c] = [await stage.join('tor-a'), await stage.join('tor-b'), await stage.join('tor-c')];
  b.connection.stream.pause();
  const all = prefixes(6000);
  for (let round = 0; round < 20; round++) {
    await a.together(() => {
      for (let i = 0; i < 6000; i += 20) void a.announce(all.slice(i, i + 20), set(round * 10_000 + i));
    });
    await settle(60);
  }
  await a.withdraw(all.slice(0, 100));
  await settle(200);
  expect(c.prefixes).toHaveLength(5900);
  const untold = b.updates.length;
  b.connection.stream.resume();
  await settle(2000);
  expect(b.known).toEqual(c.known);
  // Not one message for each of the 20 rounds: what was queued when it stopped reading, and then the last state.
  expect(b.updates.length - untold).toBeLessThan(c.updates.length / 2);
});

test('79: the session of a peer that does not read is ours to end, and the others notice nothing (RFC 9687)', async () => {
  const stage = await staged({ peers: [torA, torB, torC] }, { wire: { windowBytes: 1024 } });
  const [a, b, c] = [await stage.join('tor-a'), await stage.join('tor-b'), await stage.join('tor-c')];
  b.connection.stream.pause();
  const all = prefixes(3000);
  for (let i = 0; i < 3000; i += 100) await a.announce(all.slice(i, i + 100), set(i));
  for (let minute = 0; minute < 9; minute++) {
    for (let half = 0; half < 2; half++) {
      for (const player of [a, b, c]) player.keepalive();
      await stage.clock.advance(30 * second);
    }
  }
  expect(stage.session('tor-b').errors[0]!.text).toContain('8/0');
  expect([c.prefixes.length, stage.session('tor-c').state]).toEqual([3000, 'Established']);
});

test('80: a peer that comes late to its group gets everything once, and the others nothing twice', async () => {
  const stage = await staged({ peers: [torA, torB, torC] });
  const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
  for (let i = 0; i < 1000; i += 50) await a.announce(prefixes(50, i), set(i));
  b.news();
  const c = await stage.join('tor-c');
  expect(c.news().toSorted()).toEqual([...prefixes(1000).map((prefix) => `+${prefix}`), `EoR ${v4}`].toSorted());
  expect(b.news()).toEqual([]);
});

test('80: what changes while a late peer is being told reaches it as it is in the end', async () => {
  const stage = await staged({ peers: [torA, torB, torC] }, { wire: { windowBytes: 2048 } });
  const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
  const all = prefixes(4000);
  for (let i = 0; i < 4000; i += 20) await a.announce(all.slice(i, i + 20), set(i));
  const joining = stage.join('tor-c');
  for (let i = 0; i < 4000; i += 200) {
    await a.announce(all.slice(i, i + 20), set(10_000 + i));
    await a.withdraw(all.slice(i + 20, i + 40));
  }
  const c = await joining;
  await settle(1000);
  expect(c.known).toEqual(b.known);
  expect(c.known.size).toBe(4000 - 400);
});

test('a peer in the group of the source is told of routes from others, and each only once', async () => {
  const stage = await staged({ peers: [torA, torB, torC] });
  const players = [await stage.join('tor-a'), await stage.join('tor-b'), await stage.join('tor-c')];
  for (const player of players) player.news();
  for (const [i, player] of players.entries()) {
    await player.announce([`10.${i}.0.0/24`], attributes({ asPath: path(65_001 + i) }));
  }
  expect(players.map((player) => player.news())).toEqual([
    ['+10.1.0.0/24', '+10.2.0.0/24'],
    ['+10.0.0.0/24', '+10.2.0.0/24'],
    ['+10.0.0.0/24', '+10.1.0.0/24'],
  ]);
});

test('when a route changes hands and looks the same, only the two hands are told', async () => {
  const twin = peerWish('tor-d', '10.0.0.10', 65_001);
  const stage = await staged({ peers: [torA, twin, torB] });
  const [a, d, b] = [await stage.join('tor-a'), await stage.join('tor-d'), await stage.join('tor-b')];
  const P = '10.1.0.0/24';
  await a.announce([P]);
  for (const player of [a, d, b]) player.news();
  await d.announce([P]);
  expect([a, d, b].map((player) => player.news())).toEqual([[`+${P}`], [`-${P}`], []]);
});

test('the next hop is our address on the session: peers on different addresses of ours are told different ones', async () => {
  const other = '10.0.0.99' as Address;
  const stage = await staged({
    listen: [ourAddress, other].map((address) => ({ address, port: 179 })),
    peers: [torA, torB],
    originated: [own('10.1.0.0/24')],
  });
  const a = await stage.join('tor-a');
  const connection = await stage.network.connect(torB.address, other);
  const { Player } = await import('./stage.ts');
  const b = new Player(connection, false, [ipv4]);
  await b.handshake({ asn: 65_002, routerId: 77, capabilities: [ipv4, { name: 'fourOctetAs', asn: 65_002 }] });
  await settle();
  expect([a, b].map(({ known }) => known.get('10.1.0.0/24')!.nextHop)).toEqual([ourAddress, other]);
});

function own(prefix: string): { prefix: Prefix } {
  return { prefix: prefix as Prefix };
}
