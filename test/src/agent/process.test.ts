// manxd as a process: what it refuses, what it survives, and how it ends. Real agents, without FIB and CNI.
import { chmod, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PeerView, RoutesAnswer } from '../../../src/api/views.ts';
import { until } from '../../lab/until.ts';
import { type Pair, TestAgent, configuration, established, startPair } from '../api/pair.ts';

let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair[Symbol.asyncDispose]());

const learnedByTwo = '198.51.100.0/24';
const peerAtTwo = () => pair.two.api.get<PeerView>('/v1/bgp/peers/one');
const routeAtTwo = async () =>
  (await pair.two.api.get<RoutesAnswer>(`/v1/bgp/routes?prefix=${encodeURIComponent(learnedByTwo)}`)).routes[0];

describe('a second agent', () => {
  test('on the same folders is refused, and says who is there', async () => {
    const { code, stderr } = await pair.one.manxd(...pair.one.places, ...pair.one.flags);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^manxd: another manxd \(process \d+\) runs on .*one\/state: stop it, or give this one folders/,
    );
  });

  test('on a run folder alone is refused as well', async () => {
    const other = new TestAgent(pair.host, join(pair.one.folder, '../third'), 'one', ['--no-fib']);
    const places = other.places.with(other.places.indexOf('--run') + 1, join(pair.one.folder, 'run'));
    expect((await other.manxd(...places, ...other.flags)).code).toBe(1);
  });
});

describe('an agent that is stopped', () => {
  test('says nothing to its peer, which keeps the routes while it is away (RFC 4724)', async () => {
    await established(pair.one, pair.two);
    const { messages } = await peerAtTwo();
    expect(await pair.one.end('SIGTERM')).toEqual([0, null]);
    const kept = await until('the peer has noticed', async () => {
      const peer = await peerAtTwo();
      return peer.state !== 'Established' ? peer : undefined;
    });
    expect(kept.messages.received.notification).toBe(messages.received.notification);
    expect((await routeAtTwo())?.paths[0]).toMatchObject({ state: 'best', stale: true });
    await pair.one.start();
    await established(pair.one, pair.two);
    await until('the route is fresh again', async () => (await routeAtTwo())?.paths[0]?.stale === false);
  });

  test('comes back saying that it restarts and has been forwarding', async () => {
    const { capabilities } = await peerAtTwo();
    expect(capabilities.received.find(({ name }) => name === 'gracefulRestart')).toMatchObject({
      restarting: true,
      families: [{ afi: 1, safi: 1, forwarding: true }],
    });
  });
});

describe('an agent that is killed', () => {
  test('starts again on what it left, and its peer keeps the routes meanwhile', async () => {
    await established(pair.one, pair.two);
    expect(await pair.one.end('SIGKILL')).toEqual([null, 'SIGKILL']);
    expect((await routeAtTwo())?.paths[0]).toMatchObject({ state: 'best' });
    await pair.one.start();
    await established(pair.one, pair.two);
  });
});

describe('the configuration', () => {
  test('takes effect by itself when a file changes, without touching the session', async () => {
    const before = await peerAtTwo();
    await pair.one.write('all.yaml', configuration('one').replace('198.51.100.0/24', '198.51.100.0/25'));
    await until('the other announcement arrives', async () => {
      const { routes } = await pair.two.api.get<RoutesAnswer>('/v1/bgp/routes?peer=one');
      return routes.some(({ prefix }) => prefix === '198.51.100.0/25');
    });
    expect((await peerAtTwo()).flaps).toBe(before.flaps);
    await pair.one.write('all.yaml', configuration('one'));
    await until('the first one is back', routeAtTwo);
  });

  test('that is wrong stays out of force, and status says what is wrong and where', async () => {
    const before = await peerAtTwo();
    await pair.one.write(
      'wrong.yaml',
      'apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: x}\nspec: {peerIP: 10.250.1.300}\n',
    );
    const { store, health } = await until('the problem is seen', async () => {
      const status = await pair.one.status();
      return status.store.problems.length > 0 ? status : undefined;
    });
    expect(store.problems[0]).toMatchObject({
      file: 'wrong.yaml',
      line: 4,
      kind: 'BGPPeer',
      name: 'x',
      path: 'spec.peerIP',
    });
    expect(health.reasons[0]).toMatch(/^the configuration has \d+ problems?, the last good one stays in force$/);
    expect((await peerAtTwo()).flaps).toBe(before.flaps);
    await rm(join(pair.one.folder, 'config/wrong.yaml'));
    await until('the problem is gone', async () => (await pair.one.status()).store.problems.length === 0);
  });

  test('that asks for a password that cannot be had leaves no session, and says so', async () => {
    const password = 'password: {secretKeyRef: {name: bgp, key: two}}';
    await pair.one.write('all.yaml', configuration('one').replace('asNumber: 65001', `asNumber: 65001, ${password}`));
    const { bgp, troubles } = await until('the trouble is seen', async () => {
      const status = await pair.one.status();
      return status.troubles.length > 0 ? status : undefined;
    });
    await pair.one.write('all.yaml', configuration('one'));
    expect(bgp?.peers).toEqual([]);
    expect(troubles).toMatchObject([
      {
        kind: 'BGPPeer',
        name: 'two',
        path: 'spec.password',
        message: expect.stringMatching(
          /^no session with two until there is its password: Secret bgp, key two: .*PeerOptions passwordFile$/,
        ) as string,
      },
    ]);
    await established(pair.one, pair.two);
  });

  test('with a password file on both sides brings the session up under TCP MD5', async () => {
    for (const agent of [pair.one, pair.two]) {
      await agent.write('secret', 'correct horse\n');
      await chmod(join(agent.folder, 'config/secret'), 0o600);
      await agent.write(
        'all.yaml',
        configuration(agent.name as 'one' | 'two').replace(
          'connectRetryTime: 1s',
          'connectRetryTime: 1s, passwordFile: secret',
        ),
      );
    }
    await until(
      'both sessions have the password',
      async () => {
        const peers = await Promise.all([pair.one.api.get<PeerView>('/v1/bgp/peers/two'), peerAtTwo()]);
        return peers.every(({ state, wish }) => state === 'Established' && wish?.password === true);
      },
      20_000,
    );
  });

  test('with another password in that file, on both sides within moments, keeps the session', async () => {
    const before = await peerAtTwo();
    for (const agent of [pair.one, pair.two]) await agent.write('secret', 'battery staple\n');
    // What is said under the new key arrives: the route goes and comes back.
    for (const originates of [false, true]) {
      const configured = configuration('one').replace(
        'connectRetryTime: 1s',
        'connectRetryTime: 1s, passwordFile: secret',
      );
      await pair.one.write(
        'all.yaml',
        originates ? configured : configured.replace('198.51.100.0/24', '198.51.101.0/24'),
      );
      await until('it is heard', async () => ((await routeAtTwo())?.paths.length ?? 0) > 0 === originates, 30_000);
    }
    const { flaps } = await peerAtTwo();
    expect(flaps).toBe(before.flaps);
    // A new connection needs the new password on both sides.
    await pair.one.api.send('POST', '/v1/bgp/peers/two/reset');
    await until(
      'it comes up again',
      async () => {
        const { state, flaps: now } = await peerAtTwo();
        return state === 'Established' && now > flaps;
      },
      30_000,
    );
  });
});

describe('manxd --check', () => {
  test('accepts what the agents run with', async () => {
    const { code, stdout } = await pair.one.manxd('--check', join(pair.one.folder, 'config'));
    expect([code, stdout]).toEqual([0, `${pair.one.folder}/config: 4 resources, no problem\n`]);
  });

  test('says everything that is wrong and ends with 1', async () => {
    const folder = join(pair.one.folder, '../wrong');
    const wrong = new TestAgent(pair.host, folder, 'wrong', []);
    await wrong.write(
      'pools.yaml',
      'apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: b}\nspec: {cidr: 10.82.0.1/20, blocksize: 26}\n',
    );
    const { code, stderr } = await wrong.manxd('--check', join(folder, 'config'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/pools\.yaml:4 +IPPool b +spec\.cidr: /);
    expect(stderr).toMatch(/pools\.yaml:4 +IPPool b +spec\.blocksize: unknown field \(did you mean blockSize\?\)/);
  });

  test.for(['with-bird', 'route-server', 'announce-only', 'unnumbered', 'node', 'kubernetes'])(
    'accepts the example %s',
    async (name) => {
      const folder = new URL(`../../../deploy/examples/${name}`, import.meta.url).pathname;
      const { code, stderr } = await pair.one.manxd('--check', folder);
      expect([code, stderr]).toEqual([0, '']);
    },
  );
});

test('manxd with wrong flags ends with 2 and says all of what is wrong', async () => {
  const { code, stderr } = await pair.one.manxd('--listen-port', 'x', '--nod', 'y');
  expect(code).toBe(2);
  expect(stderr.split('\n')).toEqual([
    'manxd: 2 problems on the command line',
    '  --nod: unknown option (did you mean --node?)',
    '  --listen-port x: a port is a number from 0 to 65535',
    '  manxd --help lists what there is',
    '',
  ]);
});

test('the log is one JSON object a line, with level, time, node and a constant message', async () => {
  const lines = (await readFile(join(pair.one.folder, 'log'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(lines[0]).toMatchObject({ level: 'info', node: 'one', message: 'manxd starts' });
  expect(lines.filter((line) => !('message' in line && 'time' in line))).toEqual([]);
});
