// Records on disk: whole or not there, and never lost for being unreadable.
import { mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseAddress } from '#ip';
import { type Attachment, UnreadableRecords, fileRecords } from '../../cni/index.ts';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'manx-records-'))));
afterEach(() => rm(folder, { recursive: true }));

const attachment = (containerId: string, ifname = 'eth0'): Attachment => ({
  network: 'pods',
  containerId,
  ifname,
  state: 'wired',
  handle: `pods.${containerId}`,
  netns: '/run/netns/x',
  hostInterface: 'cali0761ccbeace',
  addresses: ['10.82.0.72', 'fd82::72'].map(parseAddress),
  mtu: 1450,
  podMac: '52:3f:d3:4e:34:fc',
  pod: { namespace: 'default', name: 'web-1' },
  createdAt: 1_700_000_000_000,
});

test('what was put comes back from the disk as it was', async () => {
  await fileRecords(folder).put(attachment('a'));
  const again = fileRecords(folder);
  expect(await again.get(attachment('a'))).toEqual(attachment('a'));
  expect(await again.list()).toEqual([attachment('a')]);
});

test('the folder is made, closed to others', async () => {
  const deep = join(folder, 'state', 'attachments');
  await fileRecords(deep).put(attachment('a'));
  expect(await readdir(deep)).toHaveLength(1);
});

test('a later put takes the place of the earlier one', async () => {
  const records = fileRecords(folder);
  await records.put({ ...attachment('a'), state: 'adding' });
  await records.put(attachment('a'));
  expect((await fileRecords(folder).list()).map(({ state }) => state)).toEqual(['wired']);
});

test.each([
  ['another container', { containerId: 'b' }],
  ['another interface', { ifname: 'net1' }],
  ['another network', { network: 'other' }],
  ['names that run together', { containerId: 'a-eth0', ifname: 'x' }],
  ['IDs that differ after 64 characters', { containerId: `${'a'.repeat(64)}b` }],
])('%s has a file of its own', async (_, change) => {
  const records = fileRecords(folder);
  await records.put(attachment('a'));
  await records.put(attachment('a'.repeat(64)));
  await records.put({ ...attachment('a'), ...change });
  expect(await readdir(folder)).toHaveLength(3);
});

test('a removed record is gone, however often', async () => {
  const records = fileRecords(folder);
  await records.put(attachment('a'));
  for (let i = 0; i < 2; i++) await records.remove(attachment('a'));
  expect([await records.list(), await readdir(folder)]).toEqual([[], []]);
});

test.each(['', '{"network"', '[]', '{"network":"pods"}', '{"state":"gone"}'])(
  'a file that has %j is an error that names it, and is kept',
  async (text) => {
    await fileRecords(folder).put(attachment('a'));
    await fileRecords(folder).put(attachment('b'));
    const bad = join(
      folder,
      (await readdir(folder)).find((name) => name.startsWith('a-'))!,
    );
    await writeFile(bad, text);
    const records = fileRecords(folder);
    const error = await records.list().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UnreadableRecords);
    expect(error).toMatchObject({ code: 5, files: [bad], readable: [attachment('b')] });
    await expect(records.get(attachment('a'))).rejects.toThrow(bad);
    await expect(records.put(attachment('a'))).rejects.toThrow(bad);
    await expect(records.remove(attachment('a'))).rejects.toThrow(bad);
    expect(await readFile(bad, 'utf8')).toBe(text);
  },
);

test('the others are served beside an unreadable one', async () => {
  await writeFile(join(folder, 'x.json'), '{');
  const records = fileRecords(folder);
  await records.put(attachment('b'));
  expect(await records.get(attachment('b'))).toEqual(attachment('b'));
});

test('an unreadable file that was repaired or moved away is no error any more', async () => {
  await fileRecords(folder).put(attachment('a'));
  const file = join(folder, (await readdir(folder))[0]!);
  const good = await readFile(file, 'utf8');
  await writeFile(file, '{');
  await writeFile(join(folder, 'x.json'), '{');
  const records = fileRecords(folder);
  await expect(records.list()).rejects.toThrow(UnreadableRecords);
  await writeFile(file, good);
  await rename(join(folder, 'x.json'), join(folder, 'x.bad'));
  expect(await records.list()).toEqual([attachment('a')]);
});

test('a record under the name of another one is not believed', async () => {
  await fileRecords(folder).put(attachment('a'));
  const [name] = await readdir(folder);
  await rename(join(folder, name!), join(folder, `b${name!.slice(1)}`));
  await expect(fileRecords(folder).list()).rejects.toThrow('its name is not that of its attachment');
});

test('what a killed writer left is cleared away', async () => {
  await writeFile(join(folder, 'a-eth0-1.json.77-0.draft'), '{');
  expect(await fileRecords(folder).list()).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
});

test('a folder that cannot be made is an error, and is tried again', async () => {
  const blocked = join(folder, 'file', 'attachments');
  await writeFile(join(folder, 'file'), '');
  const records = fileRecords(blocked);
  await expect(records.list()).rejects.toMatchObject({ code: 5, message: expect.stringContaining(blocked) });
  await rm(join(folder, 'file'));
  expect(await records.list()).toEqual([]);
});
