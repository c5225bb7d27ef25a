// Passwords in Secrets: what comes of each of them, and who is followed how long.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secrets } from '../../../src/agent/secrets.ts';
import { type Kube, type KubeObject, openKube } from '../../../src/kube/index.ts';
import { until } from '../../lab/until.ts';
import { type FakeKube, startFakeKube } from '../../support/fake-kube.ts';

let fake: FakeKube;
let folder: string;
let kube: Kube;
let secrets: Secrets;
let looks = 0;

beforeEach(async () => {
  fake = await startFakeKube();
  folder = await mkdtemp(join(tmpdir(), 'manx-secrets-'));
  kube = await openKube({ kubeconfig: await fake.kubeconfig(join(folder, 'config')) });
  looks = 0;
  secrets = new Secrets({ ...kube, onChange: () => looks++ });
});
afterEach(async () => {
  await secrets[Symbol.asyncDispose]();
  await kube[Symbol.asyncDispose]();
  await fake[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const secret = (name: string, data: Record<string, string>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: 'manx-system' },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
});
const put = (name: string, data: Record<string, string>): unknown => fake.put('/api/v1/secrets', secret(name, data));
const read = (name: string, key: string) => secrets.read({ secretKeyRef: { name, key } });
async function becomes(name: string, key: string, expected: unknown): Promise<void> {
  await until(`${name} ${key} is ${JSON.stringify(expected)}`, () => {
    expect(read(name, key)).toEqual(expected);
    return true;
  });
}

test('a password is known as soon as its Secret is, without the line break that a file has', async () => {
  put('bgp', { tor: 'geheim\n' });
  expect(read('bgp', 'tor')).toEqual({ problem: expect.stringContaining('cannot be read: ') });
  await becomes('bgp', 'tor', { password: 'geheim' });
  expect(looks).toBeGreaterThan(0);
});

test('a rotated password is used, and one that is taken away leaves none', async () => {
  put('bgp', { tor: 'one' });
  await becomes('bgp', 'tor', { password: 'one' });
  const before = looks;
  put('bgp', { tor: 'two' });
  await becomes('bgp', 'tor', { password: 'two' });
  await until('somebody is told', () => looks > before);
  fake.remove('/api/v1/secrets', 'bgp', 'manx-system');
  await becomes('bgp', 'tor', {
    problem:
      'Secret bgp in namespace manx-system does not exist (kubectl -n manx-system create secret generic bgp --from-literal=tor=…)',
  });
});

test('a key that is not there and a value that is no text say so', async () => {
  put('bgp', { left: 'x' });
  await becomes('bgp', 'tor', { problem: 'Secret bgp in namespace manx-system has no key tor (it has left)' });
  fake.put('/api/v1/secrets', { ...secret('bgp', {}), data: { tor: '/////w==' } });
  await becomes('bgp', 'tor', { problem: 'key tor of Secret bgp in namespace manx-system is no text' });
});

test('a Secret that may not be read says which right is missing', async () => {
  fake.fail(({ path }) => path.includes('/secrets'), { status: 403, reason: 'Forbidden' }, 1000);
  read('bgp', 'tor');
  await until('the refusal is known', () => {
    expect(read('bgp', 'tor')).toEqual({
      problem: expect.stringMatching(/Forbidden.*needs list and watch of secrets in manx-system/),
    });
    return true;
  });
});

test('a known password stays while the server is away', async () => {
  put('bgp', { tor: 'one' });
  await becomes('bgp', 'tor', { password: 'one' });
  await fake.die();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(read('bgp', 'tor')).toEqual({ password: 'one' });
});

test('each Secret is followed by its name alone, in one namespace, and only while somebody asks', async () => {
  put('bgp', { tor: 'one' });
  await becomes('bgp', 'tor', { password: 'one' });
  expect(new Set(fake.requests.map(({ path }) => path))).toEqual(new Set(['/api/v1/namespaces/manx-system/secrets']));
  expect(fake.requests.every(({ query }) => query.get('fieldSelector') === 'metadata.name=bgp')).toBe(true);
  secrets.sweep();
  await until('it is watched', () => fake.watching() === 1);
  secrets.sweep();
  await until('it is not watched any more', () => fake.watching() === 0);
});
