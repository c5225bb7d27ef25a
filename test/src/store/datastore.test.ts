// The datastore kinds through the store's port: what comes back, what loses, and how others hear of it.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parsePrefix } from '#ip';
import type { IPAMBlock, IPAMHandle } from '../../../src/resources/types.ts';
import { openFileStore } from '../../../src/store/file.ts';
import { type Store, StoreError } from '../../../src/store/port.ts';
import { captured } from '../../support/captured.ts';
import { until } from '../../lab/until.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'manx-data-'));
});
afterEach(() => rm(root, { recursive: true }));

function open(rereadMs = 60_000): Promise<Store & AsyncDisposable> {
  return openFileStore({ config: root, datastore: join(root, 'data'), rereadMs, clock: () => 1_795_233_500_172 });
}

function handle(name: string): IPAMHandle {
  return {
    ...{ apiVersion: 'crd.projectcalico.org/v1', kind: 'IPAMHandle', metadata: { name } },
    spec: { handleID: name, block: { [parsePrefix('10.0.0.0/26')]: 1 }, deleted: false },
  };
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => (error instanceof StoreError ? error.code : String(error)),
  );
}

test('a captured block comes back with every digit, in this process and in another', async () => {
  const block = captured('IPAMBlock', 'ipamblocks')[0] as IPAMBlock;
  await using store = await open();
  const created = await store.create('IPAMBlock', block);
  expect(created.spec).toEqual(block.spec);
  expect(created.metadata).toEqual({
    ...block.metadata,
    generation: undefined,
    uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
    creationTimestamp: '2026-11-21T03:58:20Z',
    resourceVersion: expect.stringMatching(/^1-/),
  });
  await using other = await open();
  expect(await other.get('IPAMBlock', block.metadata.name)).toEqual(created);
  expect(await other.list('IPAMBlock')).toEqual([created]);
});

test('of several writes with one version, exactly one wins', async () => {
  await using store = await open();
  const created = await store.create('IPAMHandle', handle('a'));
  const codes = await Promise.all(Array.from({ length: 8 }, () => codeOf(store.update('IPAMHandle', created))));
  expect(codes.filter((code) => code === undefined)).toHaveLength(1);
  expect(codes.filter((code) => code === 'conflict')).toHaveLength(7);
});

test('of several creations of one name, exactly one wins', async () => {
  await using store = await open();
  await using other = await open();
  const codes = await Promise.all(
    Array.from({ length: 8 }, (_, i) => codeOf((i % 2 ? store : other).create('IPAMHandle', handle('a')))),
  );
  expect(codes.filter((code) => code === undefined)).toHaveLength(1);
  expect(codes.filter((code) => code === 'exists')).toHaveLength(7);
});

test('what was deleted is missing, and an old version of it never fits what was created anew', async () => {
  await using store = await open();
  const first = await store.create('IPAMHandle', handle('a'));
  await store.delete('IPAMHandle', first);
  expect(await store.get('IPAMHandle', 'a')).toBeUndefined();
  expect(await codeOf(store.update('IPAMHandle', first))).toBe('missing');
  expect(await codeOf(store.delete('IPAMHandle', first))).toBe('missing');
  await store.create('IPAMHandle', handle('a'));
  expect(await codeOf(store.update('IPAMHandle', first))).toBe('conflict');
  expect(await codeOf(store.delete('IPAMHandle', first))).toBe('conflict');
});

test('without a version nothing is replaced or deleted', async () => {
  await using store = await open();
  await store.create('IPAMHandle', handle('a'));
  expect(await codeOf(store.update('IPAMHandle', handle('a')))).toBe('conflict');
  expect(await codeOf(store.delete('IPAMHandle', handle('a')))).toBe('conflict');
});

test('names of all kinds are kept apart', async () => {
  await using store = await open();
  const names = ['a', 'A', '.a', 'a/b', 'a%2Fb', 'x'.repeat(253), `${'x'.repeat(252)}y`];
  for (const name of names) await store.create('IPAMHandle', handle(name));
  expect((await store.list('IPAMHandle')).map(({ metadata }) => metadata.name)).toEqual([...names].sort());
});

test('a resource that nobody could read again is not written', async () => {
  await using store = await open();
  const wrong = { ...handle('a'), spec: { ...handle('a').spec, block: { nonsense: 1 } } };
  expect(await codeOf(store.create('IPAMHandle', wrong))).toBe('invalid');
  expect(await store.list('IPAMHandle')).toEqual([]);
});

test('a damaged object stops whoever needs it, and says where it is', async () => {
  await using store = await open();
  await store.create('IPAMHandle', handle('a'));
  const place = join(root, 'data/objects/IPAMHandle/a');
  const [version] = await readdir(place);
  await writeFile(join(place, version!, `${version}.json`), '{');
  await using other = await open();
  await expect(other.list('IPAMHandle')).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining(`the datastore is damaged at objects/IPAMHandle/a/${version}: no JSON`) as string,
  });
});

test('a datastore that cannot be written to is unavailable', async () => {
  await writeFile(join(root, 'data'), 'a file');
  await using store = await open();
  expect(await store.list('IPAMHandle')).toEqual([]);
  expect(await codeOf(store.create('IPAMHandle', handle('a')))).toBe('unavailable');
});

test('another process hears of a write at once, and of none that it was not told of after a while', async () => {
  await using store = await open();
  await store.create('IPAMHandle', handle('a'));
  await using other = await open();
  let hints = 0;
  other.watch(['IPAMHandle'], () => hints++);
  await store.create('IPAMHandle', handle('b'));
  await until('the hint is there', () => hints > 0);
  await rm(join(root, 'data/hints'), { recursive: true });
  await using slow = await open(30);
  let found = 0;
  slow.watch(['IPAMHandle'], () => found++);
  await until('the first look is taken', () => found > 0);
  const before = found;
  await rm(join(root, 'data/objects/IPAMHandle/b'), { recursive: true });
  await until('the change is found', () => found > before);
});

test('a thousand objects are listed again without reading one of them', { timeout: 120_000 }, async () => {
  await using store = await open();
  const names = Array.from({ length: 1000 }, (_, i) => `handle-${i}`);
  for (let i = 0; i < names.length; i += 50) {
    await Promise.all(names.slice(i, i + 50).map((name) => store.create('IPAMHandle', handle(name))));
  }
  const first = await store.list('IPAMHandle');
  const started = performance.now();
  const again = await store.list('IPAMHandle');
  expect(performance.now() - started).toBeLessThan(500);
  expect(again).toHaveLength(1000);
  // The very same objects: nothing was parsed.
  expect(again.every((resource, i) => resource === first[i])).toBe(true);
});
