// The journal on disk: what a successor reads is what was written, to the last digit.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseAddress, parsePrefix } from '#ip';
import { Journal, type JournalState, fileJournal } from '../../../src/ipam/journal.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'manx-journal-'));
  path = join(folder, 'state', 'addresses.json');
});
afterEach(() => rm(folder, { recursive: true }));

const cidr = parsePrefix('10.82.0.0/26');
const place = { cidr, ordinal: 7, address: parseAddress('10.82.0.7'), sequence: 1795233500172326601n };
const user = { handle: 'net.c0', secondary: { pod: 'web', namespace: 'default', node: 'a', timestamp: 'now' } };
const state: JournalState = {
  kept: [place, { ...place, ordinal: 8, sequence: 5n, user, handing: true }],
  released: ['net.c1'],
  elsewhere: [parsePrefix('fd82::/122')],
};

it('comes back as it was written, with sequence numbers beyond 2^53', async () => {
  await fileJournal(path).write(state);
  expect(await fileJournal(path).read()).toEqual(state);
});

it('is empty where there has never been one', async () => {
  const first = new Journal(fileJournal(path));
  expect(await first.state()).toEqual({ kept: [], released: [] });
  await first.change(() => state);
  expect(await new Journal(fileJournal(path)).state()).toEqual(state);
});

it('that is damaged is an error with its name, not an empty one', async () => {
  await fileJournal(path).write(state);
  await writeFile(path, (await readFile(path, 'utf8')).slice(0, 40));
  await expect(fileJournal(path).read()).rejects.toThrow(`the journal of addresses ${path} cannot be read`);
  await writeFile(path, '{"kept": []}');
  await expect(fileJournal(path).read()).rejects.toThrow('released is no list');
});

it('whose write fails has not changed', async () => {
  const journal = new Journal({
    read: async () => state,
    write: async () => {
      throw new Error('no space left');
    },
  });
  await expect(journal.change((now) => ({ ...now, released: [] }))).rejects.toThrow('no space left');
  expect(await journal.state()).toEqual(state);
});
