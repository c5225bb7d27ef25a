// The speaker's face: wishes, peers that come and go, listening, status; and two speakers with each other.
import { type Address, type Prefix, parseAddress } from '#ip';
import { expect, test } from 'vitest';
import { type Speaker, type SpeakerWish, createSpeaker, peerDefaults } from '../../bgp/index.ts';
import { TransportError, listen } from '../../bgp/session/index.ts';
import { run } from '../lab/host.ts';
import { until } from '../lab/until.ts';
import {
  Player,
  Stage,
  attributes,
  ipv4,
  ourAddress,
  ourAsn,
  path,
  peerWish,
  restarts,
  settle,
  v4,
  v6,
} from './stage.ts';

const [P, Q] = ['10.1.0.0/24', '10.2.0.0/24'];
const torA = peerWish('tor-a', '10.0.0.11', 65_001);
const torB = peerWish('tor-b', '10.0.0.12', 65_002);
const second = 1000;

async function staged(...args: ConstructorParameters<typeof Stage>): Promise<Stage> {
  const stage = new Stage(...args);
  await settle();
  return stage;
}

test('a peer that is not wished any more is told so, its paths go, and it is gone from status', async () => {
  const stage = await staged({ peers: [torA, torB] });
  const [a] = [await stage.join('tor-a'), await stage.join('tor-b')];
  await a.announce([P]);
  await stage.apply({ peers: [torB] });
  const { code, subcode } = await a.nextUntilNotification();
  expect([code, subcode]).toEqual([6, 3]);
  expect([stage.forwarding(), stage.speaker.status().peers.map(({ name }) => name)]).toEqual([[], ['tor-b']]);
  expect(stage.speaker.status().tables[v4]).toEqual({ prefixes: 0, paths: 0 });
});

test('a wish that comes again disturbs nobody and tells nobody anything', async () => {
  const stage = await staged({ peers: [torA], originated: [{ prefix: P as Prefix }] });
  const a = await stage.join('tor-a');
  a.news();
  await stage.apply({ peers: structuredClone(stage.wish.peers) });
  expect([a.news(), stage.session('tor-a').state, stage.session('tor-a').flaps]).toEqual([[], 'Established', 0]);
});

test('a connection from an address that is no peer is closed without a word', async () => {
  const stage = await staged({ peers: [torA] });
  const stranger = new Player(await stage.network.connect('10.0.0.99', ourAddress), false, []);
  stranger.open();
  await settle();
  expect([stranger.heard, stranger.ended]).toEqual([[], true]);
  expect(stage.notes).toEqual(['refused a connection from an address that is no peer']);
});

const { address: _address, port: _port, passive: _passive, name: _name, ...rest } = torA;
const dynamic = { ...rest, name: 'nodes', prefix: '10.0.0.0/28' as Prefix, maxPeers: 2 };

/** A neighbour that nobody has named connects. */
async function dialIn(stage: Stage, address: string, ...capabilities: (typeof ipv4)[]): Promise<Player> {
  const player = new Player(await stage.network.connect(address, ourAddress), false, [ipv4, ...capabilities]);
  const said = [{ name: 'fourOctetAs' as const, asn: 65_001 }, ipv4, ...capabilities];
  player.open({ asn: 65_001, routerId: Number(address.split('.')[3]), capabilities: said });
  player.keepalive();
  await settle();
  return player;
}

test('peers from a prefix come up by themselves, each under its own name, as many as allowed, and go with their session', async () => {
  const stage = await staged({ dynamicPeers: [dynamic], originated: [{ prefix: P as Prefix }] });
  const [a, b, c] = [await dialIn(stage, '10.0.0.2'), await dialIn(stage, '10.0.0.3'), await dialIn(stage, '10.0.0.4')];
  await dialIn(stage, '10.0.0.16');
  expect(stage.speaker.status().peers.map(({ name, state }) => [name, state])).toEqual([
    ['nodes 10.0.0.2', 'Established'],
    ['nodes 10.0.0.3', 'Established'],
  ]);
  expect([a.prefixes, b.prefixes, c.ended]).toEqual([[P], [P], true]);
  await a.vanish();
  expect(stage.speaker.status().peers.map(({ name }) => name)).toEqual(['nodes 10.0.0.3']);
  await dialIn(stage, '10.0.0.4');
  expect(stage.speaker.status().peers).toHaveLength(2);
});

test('a dynamic peer that restarts gracefully is kept until its time is over', async () => {
  const stage = await staged({ dynamicPeers: [dynamic] });
  const a = await dialIn(stage, '10.0.0.2', restarts({ restartSeconds: 30 }));
  await a.announce([P]);
  await a.vanish();
  expect([stage.forwarding(), stage.speaker.status().peers.length]).toEqual([[`${P} via 192.0.2.1`], 1]);
  await stage.clock.advance(31 * second);
  expect([stage.forwarding(), stage.speaker.status().peers.length]).toEqual([[], 0]);
});

test('dynamic peers follow their wish: a changed policy applies, and without a wish they are turned away', async () => {
  const stage = await staged({ dynamicPeers: [dynamic] });
  const a = await dialIn(stage, '10.0.0.2');
  await a.announce([P]);
  const importPolicy = { name: 'nothing', otherwise: 'reject' as const, rules: [] };
  await stage.apply({ dynamicPeers: [{ ...dynamic, importPolicy }] });
  expect([stage.forwarding(), stage.speaker.status().peers[0]!.flaps]).toEqual([[], 0]);
  await stage.apply({ dynamicPeers: [] });
  expect([a.inShort.split(', ').at(-1), stage.speaker.status().peers]).toEqual(['6/3', []]);
});

test('routes are asked for by prefix, by family and by peer, and come in order', async () => {
  const stage = await staged({ peers: [torA, torB], originated: [{ prefix: 'fd01::/64' as Prefix }] });
  const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
  await a.announce(['10.10.0.0/24', '10.9.0.0/24', '10.9.0.0/16']);
  await b.announce([P], attributes({ asPath: path(65_002) }));
  const ask = (...[query]: Parameters<Speaker['routes']>): string[] =>
    [...stage.speaker.routes(query)].map(({ prefix }) => prefix);
  expect(ask()).toEqual([P, '10.9.0.0/16', '10.9.0.0/24', '10.10.0.0/24', 'fd01::/64']);
  expect(ask({ family: v6 })).toEqual(['fd01::/64']);
  expect(ask({ peer: 'tor-b' })).toEqual([P]);
  expect(ask({ prefix: '10.9.0.0/24' as Prefix })).toEqual(['10.9.0.0/24']);
  expect(ask({ prefix: '10.99.0.0/24' as Prefix })).toEqual([]);
  expect(ask({ peer: 'nobody' })).toEqual([]);
  expect(ask({ limit: 2 })).toHaveLength(2);
  expect([...stage.speaker.routes({ prefix: P as Prefix })][0]!.announcedTo).toEqual(['tor-a']);
});

test('status tells what was received, accepted and advertised, and that the counters come down again', async () => {
  const stage = await staged({ peers: [torA, torB], originated: [{ prefix: Q as Prefix }] });
  const [a] = [await stage.join('tor-a'), await stage.join('tor-b')];
  await a.announce([P]);
  await a.announce(['10.3.0.0/24'], attributes({ asPath: path(65_001, ourAsn) }));
  await a.endOfRib();
  expect(stage.family('tor-a')).toEqual({
    ...{ family: v4, negotiated: true, received: 2, accepted: 1, advertised: 1, stale: 0 },
    endOfRib: { sent: true, received: true },
  });
  expect(stage.family('tor-b').advertised).toBe(2);
  await a.vanish();
  expect(stage.family('tor-a')).toMatchObject({ negotiated: false, received: 0, accepted: 0, advertised: 0 });
  expect(stage.family('tor-b').advertised).toBe(1);
});

test('an address that cannot be listened on is told in status, with what to do, and does not stop the rest', async () => {
  const refusing: typeof listen = (endpoint) =>
    Promise.reject(new TransportError('addressInUse', `${endpoint.address}:179 is in use`));
  const stage = await staged({ peers: [torA] }, { listen: refusing });
  expect(stage.speaker.status().listening).toEqual([
    { address: ourAddress, port: 179, error: '10.0.0.1:179 is in use' },
  ]);
});

test('a reset asked for by an operator says Cease 4 and comes back', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a');
  stage.speaker.reset('tor-a');
  const { code, subcode } = await a.nextUntilNotification();
  expect([code, subcode, stage.session('tor-a').flaps]).toEqual([6, 4, 1]);
});

/** The wish of a speaker among others that listen on the same port. */
function wishOf(
  name: string,
  address: string,
  asn: number,
  others: Record<string, readonly [string, number]>,
  ...prefixes: string[]
): SpeakerWish {
  return {
    ...{ asn, routerId: parseAddress(address), multipath: 1 },
    listen: [{ address: parseAddress(address), port: 1790 }],
    originated: prefixes.map((prefix) => ({ prefix: prefix as Prefix })),
    peers: Object.entries(others)
      .filter(([other]) => other !== name)
      .map(([other, [at, theirs]]) => ({
        ...peerDefaults,
        ...{ name: other, address: parseAddress(at), asn: theirs, kind: 'test', families: [v4], port: 1790 },
        localAddress: parseAddress(address),
      })),
  };
}

const three = { a: ['10.0.0.1', 65_001], b: ['10.0.0.2', 65_002], c: ['10.0.0.3', 65_003] } as const;

test('three speakers that dial each other at the same time converge, and again when one of them leaves', async () => {
  const stage = new Stage();
  const speakers = Object.entries(three).map(([name, [address, asn]], i) => {
    const speaker = createSpeaker({
      clock: stage.clock,
      dialer: stage.network.dialer(address),
      listen: async (endpoint, onConnection) => {
        stage.network.listen(endpoint.address, onConnection, endpoint.port);
        const nothing = (): void => undefined;
        const close = async (): Promise<void> => undefined;
        return { ...endpoint, trouble: undefined, setPassword: nothing, setTtlSecurity: nothing, close };
      },
    });
    speaker.apply(wishOf(name, address, asn, three, `10.${i}.0.0/16`));
    return speaker;
  });
  await stage.clock.advance(20 * second);
  const seen = (speaker: Speaker): string[] =>
    [...speaker.best()].map(({ prefix, paths }) => `${prefix} ${paths[0]!.peer}`);
  expect(speakers.map(seen)).toEqual([
    ['10.1.0.0/16 b', '10.2.0.0/16 c'],
    ['10.0.0.0/16 a', '10.2.0.0/16 c'],
    ['10.0.0.0/16 a', '10.1.0.0/16 b'],
  ]);
  await Promise.all([speakers[2]!.close('shutdown'), stage.clock.advance(5 * second)]);
  expect(speakers.slice(0, 2).map(seen)).toEqual([['10.1.0.0/16 b'], ['10.0.0.0/16 a']]);
});

test('two speakers over real TCP converge, and a restart of one of them leaves the routes of the other alone', async () => {
  const addresses = ['10.77.0.1', '10.77.0.2'];
  for (const address of addresses) await run('ip', ['addr', 'add', `${address}/32`, 'dev', 'lo']);
  const two = { a: [addresses[0]!, 65_001], b: [addresses[1]!, 65_002] } as const;
  const [toA, toB] = [wishOf('a', ...two.a, two, P), wishOf('b', ...two.b, two, Q)];
  const changes: string[] = [];
  const b = createSpeaker({
    events: { best: (all) => changes.push(...all.map(({ prefix, paths }) => `${prefix} ${paths.length}`)) },
  });
  b.apply(toB);
  const first = createSpeaker();
  first.apply(toA);
  const known = (speaker: Speaker): string =>
    [...speaker.best()].map(({ prefix, paths }) => `${prefix} ${paths[0]!.nextHop}`).join();
  await until('b knows', () => known(b) === `${P} ${addresses[0]}`);
  await until('a knows', () => known(first) === `${Q} ${addresses[1]}`);
  await first.close('restart');
  await until('b keeps it', () => b.status().peers[0]!.families[0]!.stale === 1);
  const again = createSpeaker({ restart: { restarting: true, forwarding: [v4], deferralSeconds: 60 } });
  again.apply(toA);
  await until('it is fresh again', () => {
    const { stale, endOfRib } = b.status().peers[0]!.families[0]!;
    return stale === 0 && endOfRib.received;
  });
  expect(changes).toEqual([`${P} 1`]);
  await Promise.all([again.close('shutdown'), b.close('shutdown')]);
});

test('an address that we turn out to have is never taken as a next hop', async () => {
  const own = '10.0.0.98' as Address;
  const listening = [ourAddress, own].map((address) => ({ address, port: 179 }));
  const stage = await staged({ listen: listening.slice(0, 1), peers: [torA, torB] });
  const a = await stage.join('tor-a');
  await a.announce([P], attributes({ nextHop: own }));
  expect(stage.forwarding()).toEqual([`${P} via ${own}`]);
  await stage.apply({ listen: listening });
  expect(stage.why(P)).toEqual([`tor-a: rejected: the next hop ${own} is this node itself`]);
});
