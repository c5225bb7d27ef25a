// Addresses against a real API server: one that goes away while pods come and go, and what a hundred nodes ask of it
// (IPAM_NODES=1000 asks for another number; src/ipam/README.md has what was seen).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AddressRequest } from '../../cni/port.ts';
import { type Ipam, createIpam, fileJournal } from '../../src/ipam/index.ts';
import { KEEPING_HANDLE } from '../../src/ipam/kept.ts';
import { type KubeClient, openKube } from '../../src/kube/index.ts';
import { openKubernetesStore } from '../../src/store/kubernetes.ts';
import type { Store } from '../../src/store/port.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { duplicates, holders } from '../support/ipam-audit.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const NODES = Number(process.env['IPAM_NODES'] ?? 100);
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
let server: ApiServer;
let folder: string;

beforeAll(async () => {
  if (reason !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), 'manx-ipam-'));
  server = await startApiServer();
  await server.kubectl(['apply', '--server-side', '-k', new URL('../../deploy/crds', import.meta.url).pathname]);
  const selector = ['crd', '-l', 'app.kubernetes.io/part-of=manx'];
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...selector]);
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

function ask(handle: string): AddressRequest {
  return { handle, families: [4], attributes: { pod: handle, namespace: 'default' } };
}

async function podsOf(store: Store): Promise<Map<string, string>> {
  return new Map([...(await holders(store))].filter(([, handle]) => handle !== KEEPING_HANDLE));
}

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

/** Requests by verb and resource. */
function counting(client: KubeClient): { readonly client: KubeClient; readonly take: () => Record<string, number> } {
  let counts: Record<string, number> = {};
  const count = (verb: string, plural: string): void => {
    counts[`${verb} ${plural}`] = (counts[`${verb} ${plural}`] ?? 0) + 1;
  };
  return {
    client: {
      ...client,
      get: (path, name) => (count('get', path.plural), client.get(path, name)),
      list: (path, options) => (count('list', path.plural), client.list(path, options)),
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

describe.skipIf(reason)(title(`${NODES} nodes`), () => {
  test('cost the API server two writes for each pod that comes or goes, once they have their blocks', async () => {
    const nodes = Array.from({ length: NODES }, (_, i) => `host-${i}`);
    await server.apply(pool('more', '10.80.0.0/16', 29));
    // What the other test has left is not for these.
    await server.kubectl(['delete', 'ippools.crd.projectcalico.org', 'pods', '--ignore-not-found']);
    await using kube = await openKube({ kubeconfig: server.kubeconfig });
    const { client, take } = counting(kube.client);
    await using shared = await openKubernetesStore({ kube: { ...kube, client }, node: 'host-0' });
    // One reflection of the configuration for all of them; affinities of each are asked for, which agents need not.
    const ipams = nodes.map((node): Ipam => createIpam({ store: shared, node, keep: 0 }));
    const each = async (
      what: string,
      act: (ipam: Ipam, index: number) => Promise<unknown>,
    ): Promise<Record<string, number>> => {
      take();
      const began = performance.now();
      const waiting = [...ipams.entries()];
      const times: number[] = [];
      // So many at once.
      const worker = async (): Promise<void> => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          const from = performance.now();
          await act(next[1], next[0]);
          times.push(performance.now() - from);
        }
      };
      await Promise.all(Array.from({ length: 20 }, worker));
      const seconds = (performance.now() - began) / 1000;
      const sorted = times.sort((a, b) => a - b);
      const calls = take();
      const total = Object.values(calls).reduce((sum, one) => sum + one, 0);
      console.log(
        `${what}: ${seconds.toFixed(1)} s for ${nodes.length} nodes, ${(total / nodes.length).toFixed(2)} requests each, ` +
          `p50 ${sorted[sorted.length >> 1]!.toFixed(0)} ms, p99 ${sorted[Math.floor(sorted.length * 0.99)]!.toFixed(0)} ms`,
        calls,
      );
      return calls;
    };

    await each('the first pod, and the block for it', (ipam, i) => ipam.assign(ask(`first-${i}`)));
    expect(await each('a pod more', (ipam, i) => ipam.assign(ask(`second-${i}`)))).toEqual({
      'create ipamhandles': NODES,
      'update ipamblocks': NODES,
    });
    expect(await each('a pod less', (ipam, i) => ipam.release(`first-${i}`))).toEqual({
      'update ipamblocks': NODES,
      'delete ipamhandles': NODES,
    });
    expect(await duplicates(shared)).toEqual([]);
    const left = [...(await podsOf(shared)).values()].filter((handle) => handle.startsWith('second-'));
    expect(left).toHaveLength(NODES);
  }, 600_000);
});
