// Agents that start on a cluster without Calico: each writes its own addresses as Calico's annotations, and together they
// make what calicoctl insists on, once. Over the Kubernetes store, on a real API server.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseInterfaceAddress } from '#ip';
import { type Addresses, followAddresses } from '../../src/agent/addresses.ts';
import { prepareCluster } from '../../src/agent/first-start.ts';
import { type AddressWish, readAddressWish } from '../../src/autodetect/wish.ts';
import { type Kube, type KubeObject, openKube } from '../../src/kube/index.ts';
import { createLog } from '../../src/log.ts';
import { openKubernetesStore } from '../../src/store/kubernetes.ts';
import type { Store } from '../../src/store/port.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { pool } from '../support/resources.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const { log } = createLog({ level: 'fatal', node: 'test' });
const nodes = ['worker-1', 'worker-2', 'worker-3'];
const cleanup = new AsyncDisposableStack();
let server: ApiServer;
let kube: Kube;

beforeAll(async () => {
  if (reason !== undefined) return;
  server = cleanup.use(await startApiServer());
  const crds = new URL('../../deploy/crds', import.meta.url).pathname;
  await server.kubectl(['apply', '--server-side', '-k', crds]);
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
  for (const name of nodes) {
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { rack: 'a' } } };
    await kubeFor().then(({ client }) => client.create({ group: '', version: 'v1', plural: 'nodes' }, node));
  }
}, 120_000);
afterAll(() => cleanup.disposeAsync());

async function kubeFor(): Promise<Kube> {
  kube ??= cleanup.use(await openKube({ kubeconfig: server.kubeconfig }));
  return kube;
}

/** As each agent has its own. */
async function storeFor(node: string): Promise<Store> {
  const own = cleanup.use(await openKube({ kubeconfig: server.kubeconfig }));
  const folder = await mkdtemp(`${tmpdir()}/manx-first-start-`);
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  return cleanup.use(await openKubernetesStore({ kube: own, node, cacheFile: `${folder}/configuration.json` }));
}

function wish(ip: string | undefined, family: 4 | 6): AddressWish {
  const reading = readAddressWish({ ip, method: undefined }, family);
  if ('refused' in reading) throw new Error(reading.refused);
  return reading.wish;
}

function follow(store: Store, node: string, texts: readonly string[], asNumber?: number): Addresses {
  const wishes = { 4: wish(undefined, 4), 6: wish('autodetect', 6) };
  const interfaces = async () => [{ name: 'eth0', addresses: texts.map(parseInterfaceAddress) }];
  return cleanup.use(followAddresses({ node, wishes, asNumber, store, log, interfaces }));
}

async function annotationsOf(name: string): Promise<Readonly<Record<string, string>>> {
  const node = await kube.client.get<KubeObject>({ group: '', version: 'v1', plural: 'nodes' }, name);
  return node?.metadata.annotations ?? {};
}

test.skipIf(reason)(
  title('an address is found, and written with the AS number as the annotations that Calico has'),
  async () => {
    const addresses = follow(await storeFor('worker-1'), 'worker-1', ['10.250.1.11/24', 'fd10:250::11/64'], 64_513);
    await addresses.settle();
    await until(
      'the annotations are there',
      async () => 'projectcalico.org/IPv6Address' in (await annotationsOf('worker-1')),
    );
    expect(await annotationsOf('worker-1')).toEqual({
      'projectcalico.org/ASNumber': '64513',
      'projectcalico.org/IPv4Address': '10.250.1.11/24',
      'projectcalico.org/IPv6Address': 'fd10:250::11/64',
    });
  },
);

test.skipIf(reason)(title('an address that another node has is refused, and its Node keeps silent'), async () => {
  const store = await storeFor('worker-2');
  const addresses = follow(store, 'worker-2', ['10.250.1.11/24']);
  await until('it is said', async () => {
    await addresses.settle();
    return addresses.states().some(({ problem }) => problem?.includes('the address of node worker-1 already'));
  });
  expect(await annotationsOf('worker-2')).not.toHaveProperty(['projectcalico.org/IPv4Address']);
});

test.skipIf(reason)(title('ten agents that start at once make each object once'), async () => {
  const stores = await Promise.all(Array.from({ length: 10 }, (_, i) => storeFor(nodes[i % 3]!)));
  const pools = [pool('default-ipv4-ippool', '10.82.0.0/16', { natOutgoing: true })];
  await Promise.all(stores.map((store) => prepareCluster(store, pools, log)));
  const { stdout } = await server.kubectl(['get', 'clusterinfo,kcconfig,ippools', '-o', 'json']);
  const { items } = JSON.parse(stdout) as { items: KubeObject[] };
  expect(items.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
    'ClusterInformation default',
    'KubeControllersConfiguration default',
    'IPPool default-ipv4-ippool',
  ]);
  expect(items.map(({ spec }) => spec)).toEqual([
    { clusterGUID: expect.stringMatching(/^[0-9a-f]{32}$/), clusterType: 'k8s,kdd', datastoreReady: true },
    { controllers: {}, healthChecks: 'Enabled' },
    {
      ...{ cidr: '10.82.0.0/16', blockSize: 26, natOutgoing: true, ipipMode: 'Never', vxlanMode: 'Never' },
      ...{ nodeSelector: 'all()', allowedUses: ['Workload', 'Tunnel'], assignmentMode: 'Automatic' },
    },
  ]);
});
