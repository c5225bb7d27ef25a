// When a kubelet is told that the agent is not ready, and when that a restart would help.
import { afterEach, describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/ip/index.ts';
import { Liveness, NO_KERNEL_MS, type Progress, STUCK_MS, probeText, readiness } from '../../../src/status/probes.ts';
import { serveProbes } from '../../../src/status/serve-probes.ts';

const ready: Progress = {
  storeReached: true,
  storeSays: 'no answer so far',
  speakerRuns: true,
  routes: 'synced',
  cni: 'serving',
  hindrances: [],
  deaf: [],
};
const badOf = (progress: Progress) => readiness(progress).filter(({ good }) => !good);

describe('an agent is ready', () => {
  test('when it has read the store, speaks, and has its routes in the kernel and its socket open', () => {
    expect(badOf(ready)).toEqual([]);
  });

  test('also where routes and pods are left to others', () => {
    expect(badOf({ ...ready, routes: 'leftOut', cni: 'leftOut' })).toEqual([]);
  });

  test.each([
    [
      'the store was never reached',
      { storeReached: false, storeSays: 'connection refused' },
      'store: not read yet: connection refused',
    ],
    [
      'nobody said who the node is',
      { speakerRuns: false },
      'speaker: waits for a configuration that says who this node is',
    ],
    ['routes are not in yet', { routes: 'waiting' }, 'routes: not in the kernel yet'],
    ['the host was not looked at', { hindrances: undefined }, 'host: not looked at yet'],
    [
      'the host denies what the work takes',
      { hindrances: ['no CAP_NET_ADMIN', 'read-only'] },
      'host: no CAP_NET_ADMIN; read-only',
    ],
    ['nobody can dial it', { deaf: ['port 179: EACCES'] }, 'listening: port 179: EACCES'],
    ['the CNI socket is not open', { cni: 'waiting' }, 'cni: does not answer yet'],
  ] as const)('not while %s', (_what, part, says) => {
    expect(badOf({ ...ready, ...part }).map((check) => `${check.name}: ${check.says}`)).toEqual([says]);
  });
});

describe('a restart would help', () => {
  test('when work has not ended for ten minutes', () => {
    const work = [{ doing: 'following the configuration', busySince: 1000 }];
    const at = (now: number) => new Liveness().check(now, work, undefined).at(-1);
    expect(at(1000 + STUCK_MS - 1)).toMatchObject({ good: true });
    expect(at(1000 + STUCK_MS)).toEqual({
      name: 'following the configuration',
      good: false,
      says: 'has not ended for 10 m',
    });
  });

  test('when ip has not run for five minutes', () => {
    const liveness = new Liveness();
    liveness.check(0, [], 'spawn ip EMFILE');
    expect(liveness.check(NO_KERNEL_MS, [], 'spawn ip EMFILE')).toEqual([
      { name: 'kernel', good: false, says: 'cannot for 5 m: spawn ip EMFILE' },
    ]);
  });

  test('but not when it has run in between', () => {
    const liveness = new Liveness();
    liveness.check(0, [], 'spawn ip EMFILE');
    liveness.check(1, [], undefined);
    expect(liveness.check(NO_KERNEL_MS, [], 'spawn ip EMFILE')[0]).toMatchObject({ good: true });
  });

  test('not when work fails and is tried again, which is only said', () => {
    const failures = [{ doing: 'reading the store', since: 0, error: 'EIO' }];
    expect(probeText(new Liveness().check(0, [], undefined), failures)).toBe(
      'good  kernel: can be asked and told\nnote  reading the store fails at present: EIO\n',
    );
  });
});

describe('over HTTP', () => {
  const stack: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const each of stack.splice(0)) await each[Symbol.asyncDispose]();
  });

  async function serving(progress: Progress): Promise<(path: string, method?: string) => Promise<[number, string]>> {
    const source = {
      readiness: () => readiness(progress),
      liveness: () => new Liveness().check(0, [], undefined),
      failures: () => [],
    };
    const server = await serveProbes({ address: parseAddress('127.0.0.1'), port: 0 }, source);
    stack.push(server);
    return async (path, method = 'GET') => {
      const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
      return [answer.status, await answer.text()];
    };
  }

  test('200 and a line for each check when all is well', async () => {
    const ask = await serving(ready);
    expect(await ask('/readyz')).toEqual([
      200,
      [
        'good  host: lets us work',
        'good  store: has been read',
        'good  speaker: runs',
        'good  listening: nothing stands against it',
        'good  routes: have been put into the kernel',
        'good  cni: answers',
        '',
      ].join('\n'),
    ]);
  });

  test('503 and which check it was when not, of readiness alone', async () => {
    const ask = await serving({ ...ready, routes: 'waiting' });
    expect(await ask('/readyz')).toEqual([503, expect.stringContaining('bad   routes: not in the kernel yet\n')]);
    expect(await ask('/livez')).toEqual([200, 'good  kernel: can be asked and told\n']);
  });

  test('404 for anything else', async () => {
    const ask = await serving(ready);
    expect(await ask('/metrics')).toEqual([404, 'GET /readyz or /livez\n']);
    expect(await ask('/livez', 'POST')).toEqual([404, 'GET /readyz or /livez\n']);
  });
});
