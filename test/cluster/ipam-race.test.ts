// Nodes that race for blocks on a real API server, each a process of its own, killed at random: what they leave is in
// order, and when they are gone for good, collection leaves nothing.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClusterCollector, createIpam } from '../../src/ipam/index.ts';
import { type Kube, openKube } from '../../src/kube/index.ts';
import { openKubernetesStore } from '../../src/store/kubernetes.ts';
import type { Store } from '../../src/store/port.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { installDefinitions } from '../lab/kubernetes/definitions.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { duplicates, podsOf } from '../support/ipam-audit.ts';
import { dieOften, overlaps, settle, staysOf } from '../support/ipam-lives.ts';

const NODES = Array.from({ length: 10 }, (_, i) => `node-${i}`);
const LIVES = 2;

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
let server: ApiServer;
let folder: string;

beforeAll(async () => {
  if (reason !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), 'manx-ipam-'));
  server = await startApiServer();
  await installDefinitions(server);
  // Fewer blocks than they would like to have: they meet at the same ones, and borrow.
  const pool = {
    apiVersion: 'crd.projectcalico.org/v1',
    kind: 'IPPool',
    metadata: { name: 'pods' },
    spec: { cidr: '10.82.0.0/26', blockSize: 29, natOutgoing: false },
  };
  await server.apply(pool, ...NODES.map((name) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } })));
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  if (folder) rmSync(folder, { recursive: true });
});

/** What the agent that holds the lease does, without its patience. */
async function collectCluster(store: Store, kube: Kube): Promise<void> {
  const isNode = async (name: string): Promise<boolean> =>
    (await kube.client.get({ group: '', version: 'v1', plural: 'nodes' }, name)) !== undefined;
  const collector = new ClusterCollector({
    ...{ store, node: 'judge', isNode, graceMs: 0, clock: Date.now },
    uptime: () => performance.now(),
    pause: async () => {},
  });
  await collector.run();
}

describe.skipIf(reason)(title('ten agents that race for blocks and are killed at random'), () => {
  test('never share an address or a block, and after collection nothing is left that no pod has', async () => {
    const where = { kubeconfig: server.kubeconfig };
    await Promise.all(NODES.map((node) => dieOften({ store: where, node, folder, mode: 'run' }, LIVES)));
    await Promise.all(NODES.map((node) => settle({ store: where, node, folder })));

    const stays = NODES.flatMap((node) => staysOf(folder, node));
    expect(stays.length).toBeGreaterThan(30);
    expect(overlaps(stays)).toEqual([]);
    await using kube = await openKube(where);
    await using store = await openKubernetesStore({ kube, node: 'judge' });
    await collectCluster(store, kube);
    expect(await duplicates(store)).toEqual([]);
    expect(await createIpam({ store, node: 'judge' }).check()).toEqual([]);
    const living = stays.filter(({ to }) => to === undefined).map(({ address, handle }) => [address, handle] as const);
    expect(await podsOf(store)).toEqual(new Map(living));

    await server.kubectl(['delete', 'nodes', '--all']);
    await until('the nodes are gone', async () => (await store.list('Node')).length === 0);
    await collectCluster(store, kube);
    const kinds = ['IPAMBlock', 'BlockAffinity', 'IPAMHandle'] as const;
    expect(await Promise.all(kinds.map(async (kind) => (await store.list(kind)).length))).toEqual([0, 0, 0]);
  }, 300_000);
});
