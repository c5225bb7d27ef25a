// Addresses against a real API server: one that goes away while pods come and go, and what a hundred nodes ask of it
// (IPAM_NODES=1000 asks for another number; src/ipam/README.md has what was seen).
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ipam, createIpam, fileJournal } from '../../src/ipam/index.ts';
import { type KubeClient, openKube } from '../../src/kube/index.ts';
import { openKubernetesStore } from '../../src/store/kubernetes.ts';
import type { Store } from '../../src/store/port.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { installDefinitions } from '../lab/kubernetes/definitions.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { duplicates, podsOf } from '../support/ipam-audit.ts';
import { ask } from '../support/ipam-lab.ts';
import { shareReflections } from '../support/sharing-reflect.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const NODES = Number(process.env['IPAM_NODES'] ?? 100);
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
let server: ApiServer;
let folder: string;

beforeAll(async () => {
  if (reason !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), 'manx-ipam-'));
  server = await startApiServer();
  await installDefinitions(server);
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  if (folder) rmSync(folder, { recursive: true });
});

const pool = (name: string, cidr: string, blockSize: number): object => ({
  apiVersion: 'crd.projectcalico.org/v1',
  kind: 'IPPool',
  metadata: { name },
  spec: { cidr, blockSize, natOutgoing: false },
});
const nodeObject = (name: string): object => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });

describe.skipIf(reason)(title('a node whose API server goes away'), () => {
  test('goes on giving addresses to pods and taking them back, and tells the server afterwards', async () => {
    await server.apply(pool('pods', '10.82.0.0/24', 26), nodeObject('node-0'), nodeObject('node-1'));
    await using kube = await openKube({ kubeconfig: server.kubeconfig });
    await using store = await openKubernetesStore({ kube, node: 'node-0' });
    const journal = fileJournal(join(folder, 'away.journal'));
    const ipam = createIpam({ store, node: 'node-0', journal });
    const before = await ipam.assign(ask('before'));
    const gone = await ipam.assign(ask('gone'));
    await ipam.settle();

    await server.stop('SIGKILL');
    const during = await ipam.assign(ask('during'));
    await ipam.assign(ask('short'));
    await ipam.release('short');
    await ipam.release('gone');
    expect([before, gone]).not.toContainEqual(during);
    // An agent that starts anew in the middle of it goes on from its journal, and from the configuration as it last was.
    const successor = createIpam({ store, node: 'node-0', journal });
    const later = await successor.assign(ask('later'));
    expect(later).not.toEqual(during);

    await server.start();
    await until('the server knows', async () => {
      await successor.settle().catch(() => undefined);
      const { given, released } = await successor.pending();
      return given + released === 0;
    });
    expect(await podsOf(store)).toEqual(
      new Map([
        [before.addresses[0], 'before'],
        [during.addresses[0], 'during'],
        [later.addresses[0], 'later'],
      ]),
    );
    expect(await successor.check()).toEqual([]);
  });
});

/** Requests by verb and resource, retries of a busy server apart. */
function counting(client: KubeClient): { readonly client: KubeClient; readonly take: () => Record<string, number> } {
  let counts: Record<string, number> = {};
  const count = (verb: string, what: string): void => {
    counts[`${verb} ${what}`] = (counts[`${verb} ${what}`] ?? 0) + 1;
  };
  return {
    client: {
      ...client,
      read: (path) => (count('read', path), client.read(path)),
      get: (path, name) => (count('get', path.plural), client.get(path, name)),
      list: (path, options) => (count('list', path.plural), client.list(path, options)),
      names: (path) => (count('names', path.plural), client.names(path)),
      create: (path, object) => (count('create', path.plural), client.create(path, object)),
      replace: (path, object, part) => (count('update', path.plural), client.replace(path, object, part)),
      delete: (path, name, only) => (count('delete', path.plural), client.delete(path, name, only)),
    },
    take: () => {
      const taken = counts;
      counts = {};
      return taken;
    },
  };
}

/** Seconds of a CPU that the API server has used so far. */
async function cpuSeconds(): Promise<number> {
  const { stdout } = await server.kubectl(['get', '--raw', '/metrics']);
  return Number(/^process_cpu_seconds_total (\S+)$/m.exec(stdout)?.[1]);
}

/** Does something for each, so many at once; how long each of them took, in ms. */
async function forEach<T>(all: readonly T[], atOnce: number, act: (one: T, index: number) => Promise<unknown>) {
  const waiting = [...all.entries()];
  const times: number[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const from = performance.now();
      await act(next[1], next[0]);
      times.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return times.sort((a, b) => a - b);
}

describe.skipIf(reason)(title(`${NODES} nodes`), () => {
  test('cost the API server two writes for each pod that comes or goes, and list nothing for their blocks', async () => {
    const nodes = Array.from({ length: NODES }, (_, i) => `host-${i}`);
    await server.apply(pool('more', '10.80.0.0/16', 29));
    // What the other test has left is not for these.
    await server.kubectl(['delete', 'ippools.crd.projectcalico.org', 'pods', '--ignore-not-found']);
    await using stack = new AsyncDisposableStack();
    const kube = stack.use(await openKube({ kubeconfig: server.kubeconfig }));
    const { client, take } = counting(kube.client);
    const { reflect } = stack.use(shareReflections(kube.reflect));
    const ipams: Ipam[] = [];
    const stores: Store[] = [];
    const measure = async <T>(what: string, all: readonly T[], act: (one: T, index: number) => Promise<unknown>) => {
      const cpu = await cpuSeconds();
      take();
      const began = performance.now();
      const times = await forEach(all, 20, act);
      const seconds = (performance.now() - began) / 1000;
      const calls = take();
      const used = (await cpuSeconds()) - cpu;
      const total = Object.values(calls).reduce((sum, one) => sum + one, 0);
      const [median, slow] = [0.5, 0.99].map((part) => times[Math.floor(times.length * part)]!.toFixed(0));
      console.log(
        `${what}: ${seconds.toFixed(1)} s for ${all.length} nodes, ${(total / all.length).toFixed(2)} requests each, ` +
          `p50 ${median} ms, p99 ${slow} ms; API server ${((used * 1000) / all.length).toFixed(1)} ms of a CPU each; ` +
          `load ${loadavg()[0]!.toFixed(1)}`,
        calls,
      );
      return calls;
    };

    await measure('a start', nodes, async (node, i) => {
      const store = stack.use(await openKubernetesStore({ kube: { server: kube.server, client, reflect }, node }));
      stores[i] = store;
      ipams[i] = createIpam({ store, node, keep: 0, journal: fileJournal(join(folder, `${node}.journal`)) });
      await ipams[i].reconcile();
    });
    const claims = await measure('the first pod, and the block for it', ipams, (ipam, i) =>
      ipam.assign(ask(`first-${i}`)),
    );
    expect(claims).not.toHaveProperty('list ipamblocks');
    expect(claims).not.toHaveProperty('list blockaffinities');
    expect(await measure('a pod more', ipams, (ipam, i) => ipam.assign(ask(`second-${i}`)))).toEqual({
      'create ipamhandles': NODES,
      'update ipamblocks': NODES,
    });
    expect(await measure('a pod less', ipams, (ipam, i) => ipam.release(`first-${i}`))).toEqual({
      'update ipamblocks': NODES,
      'delete ipamhandles': NODES,
    });
    expect(await duplicates(stores[0]!)).toEqual([]);
    const left = [...(await podsOf(stores[0]!)).values()].filter((handle) => handle.startsWith('second-'));
    expect(left).toHaveLength(NODES);
  }, 600_000);
});
