// Reflections and requests against a server that does everything that servers do to one.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient } from '../../../src/kube/client.ts';
import { type Connection, openConnection } from '../../../src/kube/connection.ts';
import type { KubeClient, KubeObject, Reflect, Reflection } from '../../../src/kube/index.ts';
import { createReflect } from '../../../src/kube/reflector.ts';
import { createTransport } from '../../../src/kube/transport.ts';
import { until } from '../../lab/until.ts';
import { type FakeKube, type FakeRequest, startFakeKube } from '../../support/fake-kube.ts';

const things = { group: 'example.org', version: 'v1', plural: 'things' };
const collection = '/apis/example.org/v1/things';
const thing = (name: string, value: unknown = 1): KubeObject => ({
  apiVersion: 'example.org/v1',
  kind: 'Thing',
  metadata: { name },
  spec: { value },
});
const isList = ({ query, method }: FakeRequest): boolean => method === 'GET' && !query.has('watch');
const isWatch = ({ query }: FakeRequest): boolean => query.has('watch');

let fake: FakeKube;
let folder: string;
let connection: Connection;
let client: KubeClient;
let reflect: Reflect;
const open: AsyncDisposable[] = [];

beforeEach(async () => {
  fake = await startFakeKube();
  folder = await mkdtemp(join(tmpdir(), 'manx-kube-'));
  const kubeconfig = await fake.kubeconfig(join(folder, 'config'));
  connection = await openConnection({ kubeconfig, rereadMs: 0 });
  const watching = createClient(createTransport(connection));
  client = watching;
  // Faults follow each other quickly here; how long is waited is following.test.ts's.
  reflect = createReflect(watching, { wait: () => pause(1), silenceMs: 500 });
});
afterEach(async () => {
  for (const one of open.splice(0)) await one[Symbol.asyncDispose]();
  await connection[Symbol.asyncDispose]();
  await fake[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function followed(options: Parameters<Reflect>[1] = {}): Promise<Reflection<KubeObject>> {
  const reflection = reflect(things, options);
  open.push(reflection);
  await reflection.ready;
  await until('the watch is open', () => fake.watching(collection) === 1);
  return reflection;
}

const namesIn = (reflection: Reflection<KubeObject>): string[] => reflection.all().map(({ metadata }) => metadata.name);

const valueOf = (reflection: Reflection<KubeObject>, name: string): unknown =>
  (reflection.get(name)?.['spec'] as { value?: unknown } | undefined)?.value;

async function sees(reflection: Reflection<KubeObject>, names: readonly string[]): Promise<void> {
  await until(`it holds ${names.join()}`, () => namesIn(reflection).join() === names.join());
}

test('what is there is held when it is ready, and what comes and goes is followed', async () => {
  fake.put(collection, thing('b'));
  const reflection = await followed();
  expect(namesIn(reflection)).toEqual(['b']);
  fake.put(collection, thing('a'));
  await sees(reflection, ['a', 'b']);
  fake.remove(collection, 'b');
  await sees(reflection, ['a']);
  expect(reflection.get('a')?.['spec']).toEqual({ value: 1 });
  expect(reflection.status().inStepSince).toBeGreaterThan(0);
});

test('64-bit numbers come through lists, watches and writes with every digit', async () => {
  fake.put(collection, thing('a', 1_795_233_500_172_326_601n));
  const reflection = await followed();
  expect(reflection.get('a')?.['spec']).toEqual({ value: 1_795_233_500_172_326_601n });
  const read = (await client.get(things, 'a'))!;
  await client.replace(things, { ...read, spec: { value: 1_795_233_500_172_326_602n } });
  await until('the watch brings it', () => valueOf(reflection, 'a') === 1_795_233_500_172_326_602n);
});

const faults: readonly [string, (server: FakeKube) => void | Promise<void>][] = [
  ['the server ends the watch', (server) => server.endWatches('end')],
  ['the connection is reset', (server) => server.endWatches('reset')],
  ['an event is cut off in the middle', (server) => server.endWatches({ write: '{"type":"ADDED","obj' })],
  ['the watch brings garbage', (server) => server.endWatches({ write: '<html>\n' })],
  ['the watch brings bytes that are no text', (server) => server.endWatches({ write: Uint8Array.of(0xff, 0x0a) })],
  [
    'the watch expires (410)',
    (server) => {
      server.compact();
      server.endWatches({ write: '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n' });
    },
  ],
  [
    'the watch fails inside (500)',
    (server) => server.endWatches({ write: '{"type":"ERROR","object":{"kind":"Status","code":500}}\n' }),
  ],
  [
    'what we have is too old to be continued',
    (server) => {
      server.put(collection, thing('a', 2));
      server.endWatches('reset');
      server.put(collection, thing('a', 3));
      server.compact();
    },
  ],
  [
    'the server is overloaded for a while (503, 429)',
    (server) => {
      server.fail(isWatch, { status: 503 }, 3);
      server.fail(isWatch, { status: 429, headers: { 'retry-after': '0' } }, 2);
      server.endWatches('reset');
    },
  ],
  [
    'the server forgets what we may do for a while (403)',
    (server) => {
      server.fail(isWatch, { status: 403, reason: 'Forbidden' }, 3);
      server.endWatches('end');
    },
  ],
  [
    'the list after it breaks off, expires in the middle and fails',
    (server) => {
      server.fail(isList, 'reset');
      server.fail(isList, { raw: (response) => response.writeHead(200).end('{"kind":"ThingList","items":[') });
      server.fail(({ query }) => query.has('continue'), { status: 410, reason: 'Expired' });
      server.compact();
      server.endWatches('reset');
    },
  ],
  [
    'the server restarts',
    async (server) => {
      await server.die();
      await server.listen();
    },
  ],
];

test.each(faults)('nothing is lost when %s', async (_, suffer) => {
  for (let i = 0; i < 600; i++) fake.put(collection, thing(`n${i}`));
  fake.put(collection, thing('gone-meanwhile'));
  const reflection = await followed();
  await suffer(fake);
  fake.remove(collection, 'gone-meanwhile');
  fake.put(collection, thing('a', 'after'));
  await until('it holds what is there now', () => {
    return valueOf(reflection, 'a') === 'after' && reflection.get('gone-meanwhile') === undefined;
  });
  expect(reflection.all()).toHaveLength(601);
  await until('it is in step again', () => reflection.status().inStepSince !== undefined);
});

test('while the server is away the last content serves, and the status says why', async () => {
  fake.put(collection, thing('a'));
  const reflection = await followed();
  await fake.die();
  await until('it is out of step', () => reflection.status().inStepSince === undefined);
  expect(namesIn(reflection)).toEqual(['a']);
  expect(reflection.status().error).toMatch(
    /things\.example\.org: the API server .* cannot be reached: .*ECONNREFUSED/,
  );
  await fake.listen();
  fake.put(collection, thing('b'));
  await sees(reflection, ['a', 'b']);
});

test('a watch on which the server is silent is taken for dead, and opened anew', async () => {
  const reflection = await followed();
  fake.fail(isWatch, { raw: (response) => response.writeHead(200).flushHeaders() });
  fake.endWatches('reset');
  await until('the silent watch is asked for', () => fake.requests.filter(isWatch).length === 2);
  fake.put(collection, thing('a'));
  await sees(reflection, ['a']);
});

test('bookmarks keep a quiet watch alive, and it resumes from them', async () => {
  await followed();
  for (let i = 0; i < 4; i++) {
    await pause(200);
    fake.bookmark();
  }
  expect(fake.requests.filter(isWatch)).toHaveLength(1);
  fake.put('/apis/example.org/v1/others', thing('x'));
  fake.bookmark();
  fake.endWatches('end');
  await until('it watches again', () => fake.requests.filter(isWatch).length > 1);
  expect(fake.requests.findLast(isWatch)?.query.get('resourceVersion')).toBe('101');
});

test('who looks is called once for what comes together, and not for what is the same', async () => {
  fake.put(collection, thing('a'));
  const reflection = await followed({ keep: (object) => ({ ...object, status: undefined }) });
  let looks = 0;
  reflection.watch(() => looks++);
  fake.put(collection, { ...thing('a'), status: { heartbeat: 1 } });
  fake.endWatches('end');
  await until('it watches again', () => fake.watching() === 1);
  fake.put(collection, thing('b'));
  await sees(reflection, ['a', 'b']);
  await new Promise(setImmediate);
  expect(looks).toBe(1);
  expect(reflection.get('a')?.metadata.resourceVersion).toBe('102');
});

test('it ends at any moment, and leaves no connection behind', async () => {
  fake.fail(isList, 'hang');
  for (const moment of ['listing', 'opening', 'watching', 'waiting'] as const) {
    const reflection = createReflect(createClient(createTransport(connection)), { silenceMs: 60_000 })(things);
    if (moment !== 'listing') await reflection.ready;
    if (moment === 'waiting') {
      await until('it watches', () => fake.watching() === 1);
      fake.fail(isWatch, { status: 503 }, 100);
      fake.endWatches('reset');
      await until('it has failed', () => fake.requests.filter(isWatch).length > 2);
    }
    if (moment === 'watching') await until('it watches', () => fake.watching() === 1);
    if (moment === 'listing') await until('it lists', () => fake.requests.length === 1);
    await reflection[Symbol.asyncDispose]();
    await until(`nobody watches after ${moment}`, () => fake.watching() === 0);
  }
});

test('a list by pages holds every object once', async () => {
  for (let i = 0; i < 1203; i++) fake.put(collection, thing(`n${i}`));
  const list = await client.list(things);
  expect(new Set(list.map(({ metadata }) => metadata.name)).size).toBe(1203);
  expect(list).toHaveLength(1203);
  expect(fake.requests).toHaveLength(3);
});

test('pages that expire while they are read are read in one piece', async () => {
  for (let i = 0; i < 1203; i++) fake.put(collection, thing(`n${i}`));
  fake.fail(({ query }) => query.has('continue'), { status: 410, reason: 'Expired' });
  expect(await client.list(things)).toHaveLength(1203);
});

test.each([
  [404, 'NotFound', 'notFound'],
  [409, 'Conflict', 'conflict'],
  [409, 'AlreadyExists', 'exists'],
  [410, 'Expired', 'gone'],
  [422, 'Invalid', 'invalid'],
  [403, 'Forbidden', 'forbidden'],
  [500, 'InternalError', 'unavailable'],
  [504, 'Timeout', 'unavailable'],
] as const)('%i %s is %s', async (status, reason, code) => {
  fake.fail(() => true, { status, reason });
  await expect(client.create(things, thing('a'))).rejects.toMatchObject({ name: 'KubeError', code, status });
});

test('429 is asked again after the time that the server names, and has done nothing', async () => {
  fake.fail(() => true, { status: 429, headers: { 'retry-after': '0' } }, 2);
  await client.create(things, thing('a'));
  expect(fake.requests.map(({ method }) => method)).toEqual(['POST', 'POST', 'POST']);
});

test('a write whose answer is cut off is unavailable, and is not repeated', async () => {
  fake.fail(() => true, 'reset');
  await expect(client.create(things, thing('a'))).rejects.toMatchObject({ code: 'unavailable' });
  expect(fake.requests).toHaveLength(1);
});

test('what is deleted is exactly what was meant', async () => {
  const { metadata } = fake.put(collection, thing('a'));
  await expect(client.delete(things, 'a', { resourceVersion: '1' })).rejects.toMatchObject({ code: 'conflict' });
  await client.delete(things, 'a', { uid: metadata.uid!, resourceVersion: metadata.resourceVersion! });
  expect(await client.get(things, 'a')).toBeUndefined();
});

test('a token that is rotated on disk is used without a restart, and at once when the old one is refused', async () => {
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, 'first\n');
  const kubeconfig = await fake.kubeconfig(join(folder, 'rotating'), { tokenFile });
  await using rotating = await openConnection({ kubeconfig, rereadMs: 60_000 });
  const own = createClient(createTransport(rotating));
  await own.read('/version');
  await writeFile(tokenFile, 'second\n');
  fake.fail(({ headers }) => headers.authorization === 'Bearer first', { status: 401, reason: 'Unauthorized' }, 9);
  await own.read('/version');
  expect(fake.requests.map(({ headers }) => headers.authorization)).toEqual([
    'Bearer first',
    'Bearer first',
    'Bearer second',
  ]);
});

test('a kubeconfig that is replaced counts from then on; one that is half written does not', async () => {
  await using other = await startFakeKube();
  await writeFile(join(folder, 'config'), 'clusters: [');
  await client.read('/version');
  expect(fake.requests).toHaveLength(1);
  await other.kubeconfig(join(folder, 'config'));
  await client.read('/version');
  expect(fake.requests).toHaveLength(1);
  expect(other.requests).toHaveLength(1);
});

test('a kubeconfig that says nothing usable is an error at once', async () => {
  await writeFile(join(folder, 'empty'), '{}');
  await expect(openConnection({ kubeconfig: join(folder, 'empty') })).rejects.toThrow(/current-context/);
  await expect(openConnection({ kubeconfig: join(folder, 'none') })).rejects.toThrow(/ENOENT/);
});
