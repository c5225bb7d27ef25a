// The executable, run as a container runtime runs it, as the bundle that is shipped. No kernel is touched.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type PluginAnswer, type PluginRequest, replayTombstones, serve } from '../../cni/index.ts';
import { bundlePlugin } from './support/bundle.ts';

let bundles: string;
let plugin: string;
beforeAll(async () => {
  bundles = await mkdtemp(join(tmpdir(), 'manx-plugin-'));
  plugin = await bundlePlugin(bundles);
});
afterAll(() => rm(bundles, { recursive: true }));

let folder: string;
let config: Record<string, unknown>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'manx-plugin-'));
  config = {
    cniVersion: '1.1.0',
    name: 'pods',
    type: 'manx',
    socket: join(folder, 's'),
    stateDir: join(folder, 'state'),
  };
});
afterEach(() => rm(folder, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout, which must be nothing or one JSON object. */
  readonly json: Record<string, unknown> | undefined;
}

const attachment = { CNI_CONTAINERID: 'c0ffee', CNI_NETNS: '/run/netns/nobody', CNI_IFNAME: 'eth0' };

function start(variables: NodeJS.ProcessEnv, input: string): ChildProcess {
  const child = spawn(process.execPath, [plugin], { env: variables, stdio: 'pipe' });
  child.stdin.on('error', () => undefined); // it may end before it has read everything
  child.stdin.end(input);
  return child;
}

async function execute(variables: NodeJS.ProcessEnv, input: unknown = config): Promise<Ended> {
  const child = start(variables, typeof input === 'string' ? input : JSON.stringify(input));
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  const json = stdout === '' ? undefined : (JSON.parse(stdout) as Record<string, unknown>);
  return { code, stdout, stderr, json };
}

const del = { CNI_COMMAND: 'DEL', ...attachment };
const add = { CNI_COMMAND: 'ADD', ...attachment };

async function listening(handle: (request: PluginRequest) => Promise<PluginAnswer>): Promise<AsyncDisposable> {
  return serve(join(folder, 's'), { handle });
}

describe('with an agent', () => {
  test('hands it the CNI variables and the configuration, nothing else, and prints the answer', async () => {
    const asked: PluginRequest[] = [];
    await using _agent = await listening(async (request) => {
      asked.push(request);
      return { exit: 0, print: { cniVersion: '1.1.0', ips: [] } };
    });
    const { code, stdout, stderr } = await execute({ ...add, SECRET: 'x', CNI_ARGS: 'a=b', CNI_PATH: '/opt/cni/bin' });
    expect([code, stdout, stderr]).toEqual([0, '{"cniVersion":"1.1.0","ips":[]}\n', '']);
    expect(asked).toEqual([{ env: { ...add, CNI_ARGS: 'a=b', CNI_PATH: '/opt/cni/bin' }, config }]);
  });

  test('prints nothing where there is nothing to say', async () => {
    await using _agent = await listening(async () => ({ exit: 0 }));
    expect(await execute(del)).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  test("prints the agent's error on standard output and exits with 1", async () => {
    const error = { cniVersion: '1.1.0', code: 102, msg: 'the kernel refused', details: 'ip link add' };
    await using _agent = await listening(async () => ({ exit: 1, print: error }));
    expect(await execute(add)).toMatchObject({ code: 1, json: error, stderr: '' });
  });

  test("a failed DEL is the agent's to report, not a tombstone", async () => {
    await using _agent = await listening(async () => ({ exit: 1, print: { code: 11 } }));
    expect(await execute(del)).toMatchObject({ code: 1, json: { code: 11 } });
    expect(await readdir(folder)).not.toContain('state');
  });

  test('passes on a configuration of many lines', async () => {
    await using _agent = await listening(async ({ config: seen }) => ({ exit: 0, print: seen as object }));
    expect((await execute(add, JSON.stringify(config, null, 2))).json).toEqual(config);
  });
});

describe('before any agent is asked', () => {
  test.each([
    ['missing variables', { CNI_COMMAND: 'ADD' }, undefined, 4, /CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME/],
    ['no command', {}, undefined, 4, /CNI_COMMAND/],
    ['an unknown command', { ...add, CNI_COMMAND: 'FLY' }, undefined, 4, /"FLY"/],
    ['empty input', add, '', 6, /empty/],
    ['broken input', add, '{', 6, /not JSON/],
    ['no name', add, { cniVersion: '1.0.0' }, 7, /name is missing/],
    ['a bad name', add, { cniVersion: '1.0.0', name: 'a/b' }, 7, /"a\/b"/],
    ['a version that is not spoken', add, { cniVersion: '0.2.0', name: 'a' }, 1, /"0\.2\.0"/],
    ['no version', add, { name: 'a' }, 1, /no cniVersion/],
    ['CHECK before 0.4.0', { ...add, CNI_COMMAND: 'CHECK' }, { cniVersion: '0.3.1', name: 'a' }, 1, /CHECK needs/],
    ["the host's own namespace", { ...add, CNI_NETNS: '/proc/self/ns/net' }, undefined, 8, /own network namespace/],
  ])('%s fails with its code, as one JSON object on standard output', async (_, variables, input, errorCode, msg) => {
    const { code, json } = await execute(variables, input ?? config);
    expect([code, json]).toEqual([
      1,
      { cniVersion: expect.any(String), code: errorCode, msg: expect.stringMatching(msg) },
    ]);
  });

  test('errors are in the version that was asked for', async () => {
    expect((await execute(add, { ...config, cniVersion: '0.4.0' })).json).toMatchObject({
      cniVersion: '0.4.0',
      code: 11,
    });
    expect((await execute(add, { ...config, cniVersion: '9.9.9' })).json).toMatchObject({
      cniVersion: '9.9.9',
      code: 1,
    });
  });

  test.each([
    ['{"cniVersion":"1.0.0"}', '1.0.0'],
    ['{"cniVersion":"0.4.0","name":"x"}', '0.4.0'],
    ['', '1.1.0'],
  ])('VERSION with %j is answered locally', async (input, cniVersion) => {
    const { code, json } = await execute({ CNI_COMMAND: 'VERSION' }, input);
    expect([code, json]).toEqual([0, { cniVersion, supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] }]);
  });
});

describe('without an agent', () => {
  test.each([
    ['ADD', 11],
    ['CHECK', 11],
    ['STATUS', 50],
  ])('%s fails at once with code %i and says where to look', async (command, errorCode) => {
    const { code, json } = await execute({ ...add, CNI_COMMAND: command });
    expect([code, json]).toEqual([
      1,
      { cniVersion: '1.1.0', code: errorCode, msg: expect.stringMatching(/no Manx agent answers on .*manxd/) },
    ]);
    expect(await readdir(folder)).toEqual([]);
  });

  test('DEL is kept in a tombstone and succeeds', async () => {
    const { code, stdout, stderr } = await execute(del);
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr).toContain('is kept for the agent');
    const asked: PluginRequest[] = [];
    const handle = async (request: PluginRequest): Promise<PluginAnswer> => (asked.push(request), { exit: 0 });
    expect(await replayTombstones(join(folder, 'state', 'tombstones'), { handle })).toBe(1);
    expect(asked).toEqual([{ env: del, config, at: expect.any(Number) }]);
  });

  test('a tombstone is closed to others', async () => {
    await execute(del);
    const tombstones = join(folder, 'state', 'tombstones');
    const [name] = await readdir(tombstones);
    expect((await stat(join(tombstones, name!))).mode & 0o777).toBe(0o600);
  });

  test('GC is kept as well', async () => {
    expect((await execute({ CNI_COMMAND: 'GC' }, { ...config, 'cni.dev/valid-attachments': [] })).code).toBe(0);
    expect(await readdir(join(folder, 'state', 'tombstones'))).toHaveLength(1);
  });

  test('DEL that cannot be kept fails: it must be asked for again', async () => {
    await writeFile(join(folder, 'state'), 'a file in the way');
    expect(await execute(del)).toMatchObject({
      code: 1,
      json: { code: 5, msg: expect.stringContaining('tombstones') },
    });
  });

  test('an agent that goes away in the middle of a DEL leaves a tombstone', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.destroy()));
    server.listen(join(folder, 's'));
    await once(server, 'listening');
    expect((await execute(del)).code).toBe(0);
    server.close();
    expect(await readdir(join(folder, 'state', 'tombstones'))).toHaveLength(1);
  });

  test('an agent that comes while the tombstone is written carries it out, and takes it away', async () => {
    let calls = 0;
    // Silent at the first call, as while it starts; there at the second.
    const server = createServer((socket) => {
      if (++calls === 1) socket.once('data', () => socket.destroy());
      else socket.once('data', () => socket.end('{"exit":0}\n'));
    });
    server.listen(join(folder, 's'));
    await once(server, 'listening');
    expect((await execute(del)).code).toBe(0);
    server.close();
    expect([calls, await readdir(join(folder, 'state', 'tombstones'))]).toEqual([2, []]);
  });

  test('a socket that cannot be used at all is not taken for an agent that is away', async () => {
    const socket = `/${'x'.repeat(200)}`; // longer than the kernel allows
    expect(await execute(del, { ...config, socket })).toMatchObject({ code: 1, json: { code: 5 } });
    expect(await readdir(folder)).toEqual([]);
  });

  test('SIGKILL at any moment of a DEL leaves a whole tombstone or none', async () => {
    const tombstones = join(folder, 'state', 'tombstones');
    await mkdir(tombstones, { recursive: true });
    for (let ms = 10; ms < 70; ms += 5) {
      const child = start({ ...del, CNI_CONTAINERID: `c${ms}` }, JSON.stringify(config));
      const end = once(child, 'exit');
      setTimeout(() => child.kill('SIGKILL'), ms);
      await end;
    }
    const asked: PluginRequest[] = [];
    const facts: object[] = [];
    const handle = async (request: PluginRequest): Promise<PluginAnswer> => (asked.push(request), { exit: 0 });
    await replayTombstones(tombstones, { handle }, (fact) => facts.push(fact));
    expect(facts).toEqual([]);
    for (const request of asked) expect(request).toMatchObject({ env: { CNI_COMMAND: 'DEL' }, config });
  });
});
