// Several real processes at one datastore, killed at any moment.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openFileStore } from '../../../src/store/file.ts';
import { realDisk } from '../../../src/store/disk.ts';
import { createObjects } from '../../../src/store/objects.ts';

const worker = new URL('worker.ts', import.meta.url).pathname;
let root: string;
let folder: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'manx-store-'));
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(root, 'run-'));
});

interface Tally {
  /** Every line that any of the processes has said, in order. */
  readonly lines: string[];
  readonly kills: number;
}

/**
 * Runs processes until they have said so many lines. A process is killed in the midst of what it does after each
 * `killAfter` lines, and another takes its place.
 */
async function crowd(task: string, wanted: { lines: number; size: number; killAfter?: number }): Promise<Tally> {
  const lines: string[] = [];
  let kills = 0;
  const enough = Promise.withResolvers<void>();
  const children = new Set<ChildProcess>();
  const failures: string[] = [];
  const start = (id: number): void => {
    const child = spawn(process.execPath, [worker, folder, task, String(id)], { stdio: ['pipe', 'pipe', 'pipe'] });
    children.add(child);
    let said = 0;
    // Not all at once, and not always at the same step.
    const limit = wanted.killAfter === undefined ? Infinity : wanted.killAfter + (id % 7);
    createInterface(child.stdout).on('line', (line) => {
      lines.push(line);
      if (lines.length >= wanted.lines) enough.resolve();
      else if (++said === limit) {
        kills++;
        child.kill('SIGKILL');
        start(id + wanted.size);
      }
    });
    child.stderr.on('data', (text: Buffer) => {
      failures.push(String(text));
      enough.resolve();
    });
  };
  for (let id = 0; id < wanted.size; id++) start(id);
  await enough.promise;
  const exits = [...children].filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  await Promise.all(
    exits.map(async (child) => {
      const exit = once(child, 'exit');
      kills++;
      child.kill('SIGKILL');
      await exit;
    }),
  );
  expect(failures).toEqual([]);
  return { lines, kills };
}

async function counter(): Promise<number> {
  await using store = await openFileStore({ config: folder, datastore: join(folder, 'datastore') });
  return (await store.get('IPAMHandle', 'counter'))!.spec.block['10.0.0.0/26']!;
}

test('no increment of three processes that keep being killed is lost or counted twice', async () => {
  const { lines, kills } = await crowd('increment', { lines: 150, size: 3, killAfter: 6 });
  expect(kills).toBeGreaterThan(8);
  const value = await counter();
  expect(value).toBeGreaterThanOrEqual(lines.length);
  // Whoever is killed may have written without having said so.
  expect(value).toBeLessThanOrEqual(lines.length + kills);
});

test('no name is created twice by three processes that keep being killed', async () => {
  const { lines, kills } = await crowd('create', { lines: 120, size: 3, killAfter: 6 });
  expect(kills).toBeGreaterThan(8);
  expect(new Set(lines).size).toBe(lines.length);
});

test('of three processes that create and delete one object, only one has it at a time', async () => {
  const { lines } = await crowd('hold', { lines: 100, size: 3 });
  expect(lines).not.toContain('violated');
});

test('nothing of killed processes is left after a sweep', async () => {
  await crowd('create', { lines: 30, size: 3, killAfter: 3 });
  await crowd('increment', { lines: 30, size: 3, killAfter: 3 });
  const objects = createObjects(realDisk, join(folder, 'datastore'));
  await objects.sweep(0, Date.now());
  expect(await readdir(join(folder, 'datastore/new'))).toEqual([]);
  expect((await realDisk.names(join(folder, 'datastore/trash'))) ?? []).toEqual([]);
  for (const name of await objects.names('IPAMHandle')) {
    const place = join(folder, 'datastore/objects/IPAMHandle', name);
    const versions = await readdir(place);
    expect(versions).toHaveLength(1);
    expect(await readdir(join(place, versions[0]!))).toContain(`${versions[0]}.json`);
  }
});
