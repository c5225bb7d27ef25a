// The interop matrix for one daemon: sessions in every combination, then each feature that the other side has.
//
// The titles are the rows of the table in README (table.ts makes it from the report of a run): keep them short.
import { describe, expect, test } from 'vitest';
import type { Prefix } from '#ip';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import type { Daemon, Feature } from './daemons/daemon.ts';
import { type Pair, type PairOptions, established, ours, pair, pathsTo, theirs } from './pair.ts';

const plain: PairOptions = { family: 4, internal: false, dialer: 'us' };

/** Declares the tests of one daemon. */
export function matrix(daemon: Daemon, lane: number): void {
  const reason = lacking(...daemon.tools);
  describe.skipIf(reason)(`${daemon.name}${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
    for (const family of [4, 6] as const) {
      for (const internal of [false, true]) {
        for (const dialer of ['us', 'them'] as const) {
          const title = `IPv${family} ${internal ? 'iBGP' : 'eBGP'}, ${dialer === 'us' ? 'we dial' : 'they dial'}`;
          test(title, () => session(daemon, lane, { family, internal, dialer }));
        }
      }
    }
    test('communities, large communities and MED', () => communities(daemon, lane));
    feature('restartHelper', 'we restart and keep our routes there', () => ourRestart(daemon, lane));
    feature('password', 'TCP MD5', () => password(daemon, lane));
    feature('ttlSecurity', 'GTSM', () => gtsm(daemon, lane));
    feature('gracefulRestart', 'they restart and keep their routes here', () => theirRestart(daemon, lane));
    feature('addPath', 'ADD-PATH', () => addPath(daemon, lane));
    feature('reflectorClient', 'we are a client of their route reflector', () => reflected(daemon, lane));
    feature('extendedNextHop', 'IPv4 routes with IPv6 next hops', () => extendedNextHop(daemon, lane));
    feature('role', 'roles', () => roles(daemon, lane));
    test('administrative shutdown', () => shutdown(daemon, lane));
  });

  function feature(name: Feature, title: string, body: () => Promise<void>): void {
    if (daemon.supports.has(name)) test(title, body);
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

async function communities(daemon: Daemon, lane: number): Promise<void> {
  const originated = { communities: [(65_100 << 16) | 120, 0xffff0000 + 7].map((value) => value >>> 0), med: 77 };
  await using two = await pair(daemon, lane, {
    ...plain,
    originated: { ...originated, largeCommunities: [[65_100, 1, 2]] },
  });
  await established(two);
  await learnedBothWays(two, 4);
  const words = (await two.daemon.learned()).get(ours[4])!;
  expect(words).toMatch(/65100[:,]\D*120/);
  expect(words).toMatch(/65100[:,]\D*1[:,]\D*2/);
  expect(words).toMatch(/\b77\b/);
}

async function ourRestart(daemon: Daemon, lane: number): Promise<void> {
  await using two = await pair(daemon, lane, { ...plain, daemon: { gracefulRestart: true } });
  await established(two);
  await learnedBothWays(two, 4);
  await two.speaker.close('restart');
  // A helper keeps the route; one that does not help has deleted it by then.
  await until('they see the session down', async () => !(await two.daemon.established()));
  expect((await two.daemon.learned()).has(ours[4])).toBe(true);
}

async function password(daemon: Daemon, lane: number): Promise<void> {
  await using right = await pair(daemon, lane, {
    ...plain,
    peer: { password: 'kept-secret' },
    daemon: { password: 'kept-secret' },
  });
  await established(right);
  await using wrong = await pair(daemon, lane, {
    ...plain,
    peer: { password: 'guessed' },
    daemon: { password: 'kept-secret' },
  });
  await until(
    'it is said why there is no session',
    () => /timed out|no answer/i.test(wrong.status().reason ?? ''),
    20_000,
    50,
  );
  expect(wrong.status().state).not.toBe('Established');
}

async function gtsm(daemon: Daemon, lane: number): Promise<void> {
  await using two = await pair(daemon, lane, { ...plain, peer: { ttlSecurityHops: 1 }, daemon: { ttlSecurity: true } });
  await established(two);
  await learnedBothWays(two, 4);
}

async function theirRestart(daemon: Daemon, lane: number): Promise<void> {
  await using two = await pair(daemon, lane, { ...plain, daemon: { gracefulRestart: true } });
  await established(two);
  await learnedBothWays(two, 4);
  await two.daemon.stop('SIGKILL');
  await until('we see the session down', () => two.status().state !== 'Established');
  expect(pathsTo(two, theirs[4])?.paths[0]).toMatchObject({ stale: true, state: 'best' });
  const again = await two.restartDaemon();
  await established(two, again);
  await until('the path is fresh again', () => pathsTo(two, theirs[4])?.paths[0]?.stale === false);
  await again.stop();
}

async function addPath(daemon: Daemon, lane: number): Promise<void> {
  const peer = { addPath: { receive: true, send: 4 } };
  await using two = await pair(daemon, lane, { ...plain, peer, daemon: { addPath: true } });
  await established(two);
  await learnedBothWays(two, 4);
  expect(pathsTo(two, theirs[4])?.paths[0]?.pathId).toBeTypeOf('number');
}

async function reflected(daemon: Daemon, lane: number): Promise<void> {
  const options = { ...plain, internal: true, daemon: { reflectorClient: true } };
  await using two = await pair(daemon, lane, options);
  await established(two);
  await learnedBothWays(two, 4);
}

async function extendedNextHop(daemon: Daemon, lane: number): Promise<void> {
  const peer = { families: ['ipv4-unicast'] as const, extendedNextHop: true };
  const setting = { extendedNextHop: true, announce: [theirs[4]] };
  const originated = { prefix: ours[4] as Prefix };
  await using two = await pair(daemon, lane, {
    family: 6,
    internal: false,
    dialer: 'us',
    peer,
    daemon: setting,
    originated,
  });
  await established(two);
  await until('they learned our route', async () => (await two.daemon.learned()).has(ours[4]));
  expect((await two.daemon.learned()).get(ours[4])).toContain(two.localAddress);
}

async function roles(daemon: Daemon, lane: number): Promise<void> {
  await using right = await pair(daemon, lane, { ...plain, peer: { role: 'customer' }, daemon: { role: 'provider' } });
  await established(right);
  await using wrong = await pair(daemon, lane, { ...plain, peer: { role: 'customer' }, daemon: { role: 'customer' } });
  await until(
    'the mismatch is said',
    () => wrong.status().errors.some(({ code, subcode }) => code === 2 && subcode === 11),
    20_000,
    50,
  );
}

async function shutdown(daemon: Daemon, lane: number): Promise<void> {
  await using two = await pair(daemon, lane, plain);
  await established(two);
  const [peer] = two.wish.peers;
  two.speaker.apply({ ...two.wish, peers: [{ ...peer!, shutdown: 'rack 12 is being moved' }] });
  await until('they see the session down', async () => !(await two.daemon.established()));
  expect(two.status().state).toBe('Idle');
}
