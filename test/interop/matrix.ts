// The interop matrix for one daemon: sessions in every combination, then each feature that the other side has, in ways
// that between them cover both families, iBGP and eBGP, and either side dialling.
//
// The titles are the rows of the table in README (table.ts makes it from the report of a run): keep them short.
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { Prefix } from '#ip';
import { peerDefaults } from '../../bgp/index.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import type { Daemon, Feature } from './daemons/daemon.ts';
import { type Pair, type PairOptions, established, ours, pair, pathsTo, theirs } from './pair.ts';

type Way = Pick<PairOptions, 'family' | 'internal' | 'dialer'>;

/** Every combination. */
const sessions: readonly Way[] = ([4, 6] as const).flatMap((family) =>
  [false, true].flatMap((internal) => (['us', 'them'] as const).map((dialer) => ({ family, internal, dialer }))),
);

/** As few as have each value of one choice together with each value of every other. */
const ways: readonly Way[] = [
  { family: 4, internal: false, dialer: 'us' },
  { family: 4, internal: true, dialer: 'them' },
  { family: 6, internal: false, dialer: 'them' },
  { family: 6, internal: true, dialer: 'us' },
];

type Body = (daemon: Daemon, lane: number, way: Way) => Promise<void>;

/** Declares the tests of one daemon. */
export function matrix(daemon: Daemon, lane: number): void {
  const reason = lacking(...daemon.tools);
  describe.skipIf(reason)(`${daemon.name}${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
    for (const way of sessions) {
      const { family, internal, dialer } = way;
      const title = `IPv${family} ${internal ? 'iBGP' : 'eBGP'}, ${dialer === 'us' ? 'we dial' : 'they dial'}`;
      test(title, () => session(daemon, lane, way));
    }
    everyWay('communities, large communities and MED', communities);
    feature('refresh', 'we ask for their routes again', refreshed);
    feature('extendedMessage', 'extended messages', extendedMessages);
    feature('restartHelper', 'we restart and keep our routes there', ourRestart);
    feature('gracefulRestart', 'they restart and keep their routes here', theirRestart);
    feature('longLived', 'long-lived stale routes', longLived);
    feature('password', 'TCP MD5', password);
    feature('ttlSecurity', 'GTSM', gtsm, ({ internal }) => !internal || daemon.supports.has('internalTtlSecurity'));
    feature('addPath', 'ADD-PATH', addPath);
    feature('reflectorClient', 'we are a client of their route reflector', reflected, ({ internal }) => internal);
    feature('extendedNextHop', 'IPv4 routes with IPv6 next hops', extendedNextHop, ({ family }) => family === 6);
    feature('role', 'roles', roles, ({ internal }) => !internal);
    everyWay('GRACEFUL_SHUTDOWN', gracefulShutdown, ({ internal }) => !internal);
    everyWay('peers from a prefix', dynamicPeers, ({ dialer }) => dialer === 'them');
    everyWay('administrative shutdown', shutdown);
  });

  function feature(name: Feature, title: string, body: Body, fits?: (way: Way) => boolean): void {
    if (daemon.supports.has(name)) everyWay(title, body, fits);
  }

  /** Side by side: most of it is waiting. */
  function everyWay(title: string, body: Body, fits: (way: Way) => boolean = () => true): void {
    test(title, async () => {
      const results = await Promise.allSettled(ways.filter(fits).map((way) => body(daemon, lane, way)));
      const failures = results.flatMap((result, i) =>
        result.status === 'rejected' ? [{ way: ways.filter(fits)[i], cause: result.reason as unknown }] : [],
      );
      if (failures.length === 0) return;
      const [{ way, cause }] = failures as [(typeof failures)[number]];
      throw new Error(`${failures.length} ways fail; first ${JSON.stringify(way)}: ${String(cause)}`, { cause });
    });
  }
}

/** Up, a route each way, a withdrawal, and both sides agree on the paths. */
async function session(daemon: Daemon, lane: number, options: PairOptions): Promise<void> {
  await using two = await pair(daemon, lane, options);
  await established(two);
  await learnedBothWays(two, options.family);
  expect(two.status().remote?.openedBy).toBe(options.dialer === 'us' ? 'us' : 'peer');
  const [path] = pathsTo(two, theirs[options.family])!.paths;
  expect(path!.attributes.asPath.flatMap(({ asns }) => asns)).toEqual(options.internal ? [] : [65_100]);
  expect(path!.attributes.nextHop).toBe(two.peerAddress);

  two.speaker.apply({ ...two.wish, originated: [] });
  await until('our route is gone there', async () => !(await two.daemon.learned()).has(ours[options.family]));
  expect(two.status().state).toBe('Established');
}

async function learnedBothWays(two: Pair, family: 4 | 6, daemon = two.daemon): Promise<void> {
  await until('we learned their route', () => pathsTo(two, theirs[family])?.paths[0]?.state === 'best');
  await until('they learned our route', async () => (await daemon.learned()).has(ours[family]));
}

async function communities(daemon: Daemon, lane: number, way: Way): Promise<void> {
  const originated = { communities: [(65_100 << 16) | 120, 0xffff0000 + 7].map((value) => value >>> 0), med: 77 };
  await using two = await pair(daemon, lane, {
    ...way,
    originated: { ...originated, largeCommunities: [[65_100, 1, 2]] },
  });
  await established(two);
  await learnedBothWays(two, way.family);
  const words = (await two.daemon.learned()).get(ours[way.family])!;
  expect(words).toMatch(/65100[:,]\D*120/);
  expect(words).toMatch(/65100[:,]\D*1[:,]\D*2/);
  expect(words).toMatch(/\b77\b/);
}

/** What they have comes again when we ask; framed, where both sides have RFC 7313. */
async function refreshed(daemon: Daemon, lane: number, way: Way): Promise<void> {
  await using two = await pair(daemon, lane, way);
  await established(two);
  await learnedBothWays(two, way.family);
  const { received } = two.status().capabilities;
  expect(received.map(({ name }) => name)).toContain('routeRefresh');
  const before = two.status().messages.received;
  two.speaker.refresh(daemon.name);
  await until('they send it again', () => two.status().messages.received.update > before.update);
  if (received.some(({ name }) => name === 'enhancedRouteRefresh')) {
    const framed = (): boolean => two.status().messages.received.routeRefresh >= before.routeRefresh + 2;
    await until('beginning and end are said', framed);
  }
  expect(pathsTo(two, theirs[way.family])?.paths[0]?.state).toBe('best');
}

/** More routes of one attribute set than 4096 octets hold. */
async function extendedMessages(daemon: Daemon, lane: number, way: Way): Promise<void> {
  const prefix = (i: number): string =>
    way.family === 4 ? `10.${i >> 8}.${i & 255}.0/24` : `fd99:0:0:${i.toString(16)}::/64`;
  const originated = Array.from({ length: 1500 }, (_, i) => ({ prefix: prefix(i) as Prefix }));
  await using two = await pair(daemon, lane, { ...way, daemon: { extendedMessage: true }, speaker: { originated } });
  await established(two);
  expect(two.status().capabilities.received.map(({ name }) => name)).toContain('extendedMessage');
  await until('they learned all routes', async () => (await two.daemon.learned()).size === 1500, 20_000, 200);
  // One for the routes, one for End-of-RIB; 4096 octets would need two or three more.
  expect(two.status().messages.sent.update).toBe(2);
}

/** Beyond the restart time their routes stay, as the last resort. */
async function longLived(daemon: Daemon, lane: number, way: Way): Promise<void> {
  const peer = { gracefulRestart: { ...peerDefaults.gracefulRestart, longLivedSeconds: 600 } };
  await using two = await pair(daemon, lane, { ...way, peer, daemon: { gracefulRestart: true, longLived: true } });
  await established(two);
  await learnedBothWays(two, way.family);
  await two.daemon.stop('SIGKILL');
  await until('they are stale for long', () => {
    const [path] = pathsTo(two, theirs[way.family])?.paths ?? [];
    return path?.stale === true && path.attributes.communities?.includes(0xffff_0006);
  });
  const again = await two.restartDaemon();
  await established(two, again);
  await until('the path is fresh again', () => pathsTo(two, theirs[way.family])?.paths[0]?.stale === false);
  await again.stop();
}

/** What they mark as about to go is the last choice here (RFC 8326). */
async function gracefulShutdown(daemon: Daemon, lane: number, way: Way): Promise<void> {
  await using two = await pair(daemon, lane, { ...way, daemon: { gracefulShutdown: true } });
  await established(two);
  await learnedBothWays(two, way.family);
  expect(pathsTo(two, theirs[way.family])?.paths[0]?.attributes.localPref).toBe(0);
}

async function dynamicPeers(daemon: Daemon, lane: number, way: Way): Promise<void> {
  await using two = await pair(daemon, lane, { ...way, dynamic: true });
  await established(two);
  await learnedBothWays(two, way.family);
  expect(two.status().name).toContain(two.peerAddress);
}

async function ourRestart(daemon: Daemon, lane: number, way: Way): Promise<void> {
  await using two = await pair(daemon, lane, { ...way, daemon: { gracefulRestart: true } });
  await established(two);
  await learnedBothWays(two, way.family);
  await two.speaker.close('restart');
  // A helper keeps the route; one that does not help has deleted it by then.
  await until('they see the session down', async () => !(await two.daemon.established()));
  expect((await two.daemon.learned()).has(ours[way.family])).toBe(true);
}

async function password(daemon: Daemon, lane: number, way: Way): Promise<void> {
  const kept = { daemon: { password: 'kept-secret' } };
  await using right = await pair(daemon, lane, { ...way, ...kept, peer: { password: 'kept-secret' } });
  await established(right);
  await using wrong = await pair(daemon, lane, { ...way, ...kept, peer: { password: 'guessed' } });
  if (way.dialer === 'us') {
    const said = (): boolean => /timed out|no answer/i.test(wrong.status().reason ?? '');
    await until('it is said why there is no session', said, 20_000, 50);
  } else {
    const before = await refusedSegments();
    await until('the kernel refuses what they send', async () => (await refusedSegments()) > before, 20_000, 50);
  }
  expect(wrong.status().state).not.toBe('Established');
}

/** How many segments came with another signature than the one wanted, in the namespace of our speaker. */
async function refusedSegments(): Promise<number> {
  const lines = (await readFile('/proc/net/netstat', 'utf8')).split('\n').filter((line) => line.startsWith('TcpExt:'));
  const [names, values] = lines.map((line) => line.split(' ')) as [string[], string[]];
  return Number(values[names.indexOf('TCPMD5Failure')]);
}

async function gtsm(daemon: Daemon, lane: number, way: Way): Promise<void> {
  await using two = await pair(daemon, lane, { ...way, peer: { ttlSecurityHops: 1 }, daemon: { ttlSecurity: true } });
  await established(two);
  await learnedBothWays(two, way.family);
}

async function theirRestart(daemon: Daemon, lane: number, way: Way): Promise<void> {
  await using two = await pair(daemon, lane, { ...way, daemon: { gracefulRestart: true } });
  await established(two);
  await learnedBothWays(two, way.family);
  await two.daemon.stop('SIGKILL');
  await until('we see the session down', () => two.status().state !== 'Established');
  expect(pathsTo(two, theirs[way.family])?.paths[0]).toMatchObject({ stale: true, state: 'best' });
  const again = await two.restartDaemon();
  await established(two, again);
  await until('the path is fresh again', () => pathsTo(two, theirs[way.family])?.paths[0]?.stale === false);
  await again.stop();
}

async function addPath(daemon: Daemon, lane: number, way: Way): Promise<void> {
  const peer = { addPath: { receive: true, send: 4 } };
  await using two = await pair(daemon, lane, { ...way, peer, daemon: { addPath: true } });
  await established(two);
  await learnedBothWays(two, way.family);
  expect(pathsTo(two, theirs[way.family])?.paths[0]?.pathId).toBeTypeOf('number');
}

async function reflected(daemon: Daemon, lane: number, way: Way): Promise<void> {
  await using two = await pair(daemon, lane, { ...way, daemon: { reflectorClient: true } });
  await established(two);
  await learnedBothWays(two, way.family);
}

async function extendedNextHop(daemon: Daemon, lane: number, way: Way): Promise<void> {
  const peer = { families: ['ipv4-unicast'] as const, extendedNextHop: true };
  const setting = { extendedNextHop: true, announce: [theirs[4]] };
  const originated = { prefix: ours[4] as Prefix };
  await using two = await pair(daemon, lane, { ...way, peer, daemon: setting, originated });
  await established(two);
  await until('they learned our route', async () => (await two.daemon.learned()).has(ours[4]));
  expect((await two.daemon.learned()).get(ours[4])).toContain(two.localAddress);
}

async function roles(daemon: Daemon, lane: number, way: Way): Promise<void> {
  await using right = await pair(daemon, lane, { ...way, peer: { role: 'customer' }, daemon: { role: 'provider' } });
  await established(right);
  await using wrong = await pair(daemon, lane, { ...way, peer: { role: 'customer' }, daemon: { role: 'customer' } });
  await until(
    'the mismatch is said',
    () => wrong.status().errors.some(({ code, subcode }) => code === 2 && subcode === 11),
    20_000,
    50,
  );
}

async function shutdown(daemon: Daemon, lane: number, way: Way): Promise<void> {
  await using two = await pair(daemon, lane, way);
  await established(two);
  const [peer] = two.wish.peers;
  two.speaker.apply({ ...two.wish, peers: [{ ...peer!, shutdown: 'rack 12 is being moved' }] });
  await until('they see the session down', async () => !(await two.daemon.established()));
  expect(two.status().state).toBe('Idle');
}
