// The file that makes a container runtime call the plugin, and what decides who works inside namespaces.
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { publishConflist } from '../../../src/agent/conflist.ts';
import { mayEnterNamespaces } from '../../../src/agent/privilege.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'manx-conflist-'));
  file = join(folder, 'net.d', '10-manx.conflist');
});
afterEach(() => rm(folder, { recursive: true }));

describe('the conflist', () => {
  test('is written once, and nothing else stays in its folder', async () => {
    expect(await publishConflist(file)).toBe(true);
    const { ino } = await stat(file);
    expect(await publishConflist(file)).toBe(false);
    expect((await stat(file)).ino).toBe(ino);
    expect(await readdir(join(folder, 'net.d'))).toEqual(['10-manx.conflist']);
  });

  test('says 1.0.0, which every runtime takes, and what else is spoken', async () => {
    await publishConflist(file);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({
      cniVersion: '1.0.0',
      cniVersions: expect.arrayContaining(['1.1.0']),
      plugins: [{ type: 'manx' }],
    });
  });

  test('comes back when it was taken away or changed', async () => {
    await publishConflist(file);
    await writeFile(file, '{}');
    expect(await publishConflist(file)).toBe(true);
    await rm(file);
    expect(await publishConflist(file)).toBe(true);
  });

  test('is what a template says, to the letter, and follows it', async () => {
    const template = join(folder, 'template');
    for (const name of ['a', 'b']) {
      const text = `{ "name": "${name}", "plugins": [{"type": "manx"}, {"type": "portmap"}] }`;
      await writeFile(template, text);
      await publishConflist(file, template);
      expect(await readFile(file, 'utf8')).toBe(text);
    }
  });

  test.each(['', '[]', 'null', '{"plugins": [{"type": "manx"}]}', '{"name": "x", "plugins": [{"type": "ptp"}]}'])(
    'stays as it is when the template is %j',
    async (text) => {
      await publishConflist(file);
      const before = await readFile(file, 'utf8');
      await writeFile(join(folder, 'template'), text);
      await expect(publishConflist(file, join(folder, 'template'))).rejects.toThrow('template');
      expect(await readFile(file, 'utf8')).toBe(before);
    },
  );
});

test.each([
  ['000001ffffffffff', true],
  ['0000000000003400', false], // NET_BIND_SERVICE, NET_ADMIN, NET_RAW
  ['0000000000200000', true],
])('with capabilities %s namespaces can be entered: %s', async (capabilities, expected) => {
  await writeFile(join(folder, 'status'), `Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t${capabilities}\n`);
  expect(await mayEnterNamespaces(join(folder, 'status'))).toBe(expected);
});
