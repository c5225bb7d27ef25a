// What an agent needs of its host.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hindrances } from '../../../src/agent/hindrances.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'manx-hindrances-'));
  mkdirSync(join(folder, 'net/ipv4/conf/all'), { recursive: true });
  writeFileSync(join(folder, 'net/ipv4/conf/all/proxy_arp'), '0');
});
afterEach(() => rmSync(folder, { recursive: true }));

const status = (effective: string): string => {
  const file = join(folder, 'status');
  writeFileSync(file, `Name:\tnode\nCapEff:\t${effective}\n`);
  return file;
};
const NET_ADMIN = '0000000000001000';
const NONE = '0000000000000000';
const node = (other = {}) => ({ fib: true, cni: true, sysctls: join(folder, 'net'), ...other });

test('a node with CAP_NET_ADMIN and settings that can be written hinders nobody', async () => {
  expect(await hindrances(node(), status(NET_ADMIN))).toEqual([]);
});

test('without CAP_NET_ADMIN it is said that neither routes nor pods come into the kernel', async () => {
  expect(await hindrances(node(), status(NONE))).toEqual([
    'this process lacks CAP_NET_ADMIN, without which neither routes nor pods come into the kernel',
  ]);
});

test('settings that are not there are named, with what the kernel says and what to do', async () => {
  expect(await hindrances(node({ sysctls: '/nowhere' }), status(NET_ADMIN))).toEqual([
    '/nowhere cannot be written (ENOENT), without which no pod can be wired: name another mount of it',
  ]);
});

test('who leaves routes and pods to others needs nothing', async () => {
  expect(await hindrances({ fib: false, cni: false, sysctls: '/nowhere' }, status(NONE))).toEqual([]);
});
