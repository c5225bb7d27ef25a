// Real processes on the real file store, killed without warning: no address is ever in two pods, and the last one to
// start finds everything in order.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createIpam } from '../../../src/ipam/index.ts';
import { openFileStore } from '../../../src/store/file.ts';
import { duplicates, holders } from '../../support/ipam-audit.ts';
import { dieOften, overlaps, settle, staysOf } from '../../support/ipam-lives.ts';

const NODES = ['n0', 'n1', 'n2', 'n3'];
const KILLS = 16;

let folder: string;
const place = (...parts: string[]): string => join(folder, ...parts);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'manx-ipam-'));
  mkdirSync(place('config'));
  mkdirSync(place('datastore'));
  const nodes = NODES.map(
    (name, i) =>
      `apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: ${name}}\nspec: {bgp: {ipv4Address: 10.0.0.${i + 1}/24}}\n`,
  );
  const pool = `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: pods}\nspec: {cidr: 10.82.0.0/27, blockSize: 29}\n`;
  writeFileSync(place('config', 'cluster.yaml'), [pool, ...nodes].join('---\n'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('no address is ever in two pods while four nodes are killed again and again', async () => {
  const store = { config: place('config'), datastore: place('datastore') };
  await Promise.all(NODES.map((node) => dieOften({ store, node, folder, mode: 'run' }, KILLS / NODES.length)));
  for (const node of NODES) await settle({ store, node, folder });

  const stays = NODES.flatMap((node) => staysOf(folder, node));
  expect(stays.length).toBeGreaterThan(KILLS);
  expect(overlaps(stays)).toEqual([]);
  await using opened = await openFileStore(store);
  expect(await duplicates(opened)).toEqual([]);
  expect(await createIpam({ store: opened, node: 'judge' }).check()).toEqual([]);
  const living = stays.filter(({ to }) => to === undefined).map(({ address, handle }) => [address, handle] as const);
  expect(await holders(opened)).toEqual(new Map(living));
});
