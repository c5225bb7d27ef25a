// Hints from the kernel, and to whom they go.
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Audience } from '../../../src/store/audience.ts';
import { watchFolder } from '../../../src/store/watch.ts';
import { until } from '../../lab/until.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'manx-watch-'));
});
afterEach(() => rm(root, { recursive: true }));

test('a folder is watched again after it was replaced, and as soon as there is one', async () => {
  const folder = join(root, 'folder');
  const names: (string | null)[] = [];
  const watch = watchFolder(folder, (name) => names.push(name));
  await watch.renew();
  await mkdir(folder);
  await watch.renew();
  await writeFile(join(folder, 'one'), '');
  await until('the first file is noticed', () => names.includes('one'));
  await mkdir(join(root, 'other'));
  await rename(folder, join(root, 'old'));
  await rename(join(root, 'other'), folder);
  await watch.renew();
  await writeFile(join(folder, 'two'), '');
  await until('a file in the other folder is noticed', () => names.includes('two'));
  watch.close();
});

test('who stops watching is not called back any more, not even about what has just happened', async () => {
  const audience = new Audience();
  const called: string[] = [];
  let stopSecond = (): void => undefined;
  audience.add(['IPPool'], () => {
    called.push('first');
    stopSecond();
  });
  stopSecond = audience.add(['IPPool'], () => called.push('second'));
  audience.tell(['IPPool']);
  await new Promise(setImmediate);
  expect(called).toEqual(['first']);
});
