// Real processes on the real file store, killed without warning: no address is ever in two pods, and the last one to
// start finds everything in order.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createIpam } from '../../../src/ipam/index.ts';
import { openFileStore } from '../../../src/store/file.ts';
import { duplicates, holders } from '../../support/ipam-audit.ts';

const NODES = ['n0', 'n1', 'n2', 'n3'];
const KILLS = 16;
const script = new URL('node-process.ts', import.meta.url).pathname;

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

function start(node: string, mode: 'run' | 'settle'): ChildProcess {
  const args = [script, place('config'), place('datastore'), node, place(`${node}.journal`), mode];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** The life of one node: started over and over, and killed at some moment after its first round. */
async function dieOften(node: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const child = start(node, 'run');
    const exit = once(child, 'exit');
    await Promise.race([once(child.stdout!, 'data'), exit]);
    expect(child.exitCode, `${node} gave up by itself`).toBeNull();
    await sleep(Math.random() * 300);
    child.kill('SIGKILL');
    expect((await exit)[1]).toBe('SIGKILL');
  }
}

interface Stay {
  readonly handle: string;
  readonly address: string;
  readonly from: bigint;
  to?: bigint;
}

function staysOf(node: string): Stay[] {
  const stays = new Map<string, Stay>();
  for (const line of readFileSync(place(`${node}.journal`), 'utf8').split('\n')) {
    const [time, what, handle, address] = line.split(' ') as [string, string, string, string];
    if (what === 'wired') stays.set(handle, { handle, address, from: BigInt(time) });
    const stay = stays.get(handle);
    if (what === 'deleting' && stay !== undefined) stay.to ??= BigInt(time);
  }
  return [...stays.values()];
}

function overlaps(stays: readonly Stay[]): string[] {
  return [...Map.groupBy(stays, ({ address }) => address).values()].flatMap((tenants) => {
    const inOrder = [...tenants].sort((a, b) => (a.from < b.from ? -1 : 1));
    return inOrder.slice(1).flatMap((next, i) => {
      const before = inOrder[i]!;
      return before.to === undefined || before.to > next.from
        ? [`${next.address}: ${before.handle}, ${next.handle}`]
        : [];
    });
  });
}

it('no address is ever in two pods while four nodes are killed again and again', async () => {
  await Promise.all(NODES.map((node) => dieOften(node, KILLS / NODES.length)));
  for (const node of NODES) expect(await once(start(node, 'settle'), 'exit')).toEqual([0, null]);

  const stays = NODES.flatMap(staysOf);
  expect(stays.length).toBeGreaterThan(KILLS);
  expect(overlaps(stays)).toEqual([]);
  await using store = await openFileStore({ config: place('config'), datastore: place('datastore') });
  expect(await duplicates(store)).toEqual([]);
  expect(await createIpam({ store, node: 'judge' }).check()).toEqual([]);
  const living = stays.filter(({ to }) => to === undefined).map(({ address, handle }) => [address, handle] as const);
  expect(await holders(store)).toEqual(new Map(living));
});
