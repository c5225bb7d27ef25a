// The account of a pod, as its kubelet lays it out, read again while the agent runs.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openConnection } from '../../../src/kube/connection.ts';

let root: string;
let account: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'manx-pod-'));
  account = join(root, 'var/run/secrets/kubernetes.io/serviceaccount');
  await mkdir(account, { recursive: true });
  await writeFile(join(account, 'ca.crt'), '');
  await writeFile(join(account, 'namespace'), 'manx-system');
  await writeFile(join(account, 'token'), 'first\n');
  vi.stubEnv('KUBERNETES_SERVICE_HOST', '192.0.2.1');
  vi.stubEnv('KUBERNETES_SERVICE_PORT', '6443');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

const authorizations = (headers: Readonly<Record<string, string>>): string[] =>
  Object.entries(headers).flatMap(([name, value]) => (name.toLowerCase() === 'authorization' ? [value] : []));

test('a token that is another one on disk is the only one in the next request', async () => {
  await using connection = await openConnection({ root, rereadMs: 0 });
  expect([connection.server, connection.namespace]).toEqual(['https://192.0.2.1:6443', 'manx-system']);
  expect(authorizations((await connection.access()).headers)).toEqual(['Bearer first']);
  await writeFile(join(account, 'token'), 'second\n');
  expect(authorizations((await connection.access()).headers)).toEqual(['Bearer second']);
});
