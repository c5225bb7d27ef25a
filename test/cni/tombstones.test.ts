// Tombstones: what was asked for while no agent answered.
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type PluginAnswer, type PluginRequest, replayTombstones } from '../../cni/index.ts';
import { writeTombstone } from '../../cni/tombstones.ts';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'manx-tombstones-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

const del = (id: string): PluginRequest => ({
  env: { CNI_COMMAND: 'DEL', CNI_CONTAINERID: id, CNI_IFNAME: 'eth0' },
  config: { cniVersion: '1.0.0', name: 'pods' },
});
const gc = (name: string): PluginRequest => ({
  env: { CNI_COMMAND: 'GC' },
  config: { cniVersion: '1.1.0', name, 'cni.dev/valid-attachments': [] },
});

class Recorder {
  readonly handled: PluginRequest[] = [];
  readonly answer: (request: PluginRequest) => PluginAnswer;

  constructor(answer: (request: PluginRequest) => PluginAnswer = () => ({ exit: 0 })) {
    this.answer = answer;
  }

  async handle(request: PluginRequest): Promise<PluginAnswer> {
    this.handled.push(request);
    return this.answer(request);
  }

  get ids(): (string | undefined)[] {
    return this.handled.map(({ env }) => env['CNI_CONTAINERID'] ?? env['CNI_COMMAND']);
  }
}

test('what was written is carried out once, with its time', async () => {
  const before = Date.now();
  await writeTombstone(folder, del('a'));
  const operations = new Recorder();
  expect(await replayTombstones(folder, operations)).toBe(1);
  expect(operations.handled).toEqual([{ ...del('a'), at: expect.any(Number) }]);
  expect(operations.handled[0]!.at).toBeGreaterThanOrEqual(before);
  expect(await replayTombstones(folder, operations)).toBe(0);
  expect(await readdir(folder)).toEqual([]);
});

test('oldest first', async () => {
  for (const [index, id] of ['c', 'a', 'b'].entries()) {
    const file = await writeTombstone(folder, del(id));
    await writeFile(file, JSON.stringify({ ...del(id), at: index }));
  }
  const operations = new Recorder();
  await replayTombstones(folder, operations);
  expect(operations.ids).toEqual(['c', 'a', 'b']);
});

test('one attachment has one tombstone, the networks of GC have one each', async () => {
  for (const request of [del('a'), del('a'), gc('pods'), gc('pods'), gc('other')])
    await writeTombstone(folder, request);
  expect(await readdir(folder)).toHaveLength(3);
});

test('what fails stays for the next time, and the others are carried out', async () => {
  for (const id of ['a', 'b']) await writeTombstone(folder, del(id));
  const facts: object[] = [];
  const failing = new Recorder(({ env }) =>
    env['CNI_CONTAINERID'] === 'a' ? { exit: 1, print: { code: 5 } } : { exit: 0 },
  );
  expect(await replayTombstones(folder, failing, (fact) => facts.push(fact))).toBe(1);
  expect(facts).toEqual([expect.objectContaining({ answer: { code: 5 } })]);
  const operations = new Recorder();
  await replayTombstones(folder, operations);
  expect(operations.ids).toEqual(['a']);
});

test('one that cannot be read is reported and kept', async () => {
  await writeFile(join(folder, 'x.json'), '{');
  const facts: object[] = [];
  expect(await replayTombstones(folder, new Recorder(), (fact) => facts.push(fact))).toBe(0);
  expect(facts).toEqual([expect.objectContaining({ file: join(folder, 'x.json') })]);
  expect(await readFile(join(folder, 'x.json'), 'utf8')).toBe('{');
});

test('its time is the one that is written in it, whatever became of the file since', async () => {
  const file = await writeTombstone(folder, del('a'));
  const { at } = JSON.parse(await readFile(file, 'utf8')) as { at: number };
  await utimes(file, 1000, 1000);
  const operations = new Recorder();
  await replayTombstones(folder, operations);
  expect(operations.handled[0]!.at).toBe(at);
});

test('one without a time is as old as its file', async () => {
  await writeFile(join(folder, 'x.json'), JSON.stringify(del('a')));
  await utimes(join(folder, 'x.json'), 1000, 1000);
  const operations = new Recorder();
  await replayTombstones(folder, operations);
  expect(operations.handled[0]!.at).toBe(1_000_000);
});

test('a draft is no tombstone; only an old one is cleared away', async () => {
  await writeFile(join(folder, 'new.json.1-0.draft'), '{');
  await writeFile(join(folder, 'old.json.1-0.draft'), '{');
  await utimes(join(folder, 'old.json.1-0.draft'), 1000, 1000);
  expect(await replayTombstones(folder, new Recorder())).toBe(0);
  expect(await readdir(folder)).toEqual(['new.json.1-0.draft']);
});

test('a folder that is not there has none', async () => {
  expect(await replayTombstones(join(folder, 'nowhere'), new Recorder())).toBe(0);
});
