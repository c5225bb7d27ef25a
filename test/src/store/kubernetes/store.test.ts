// The store's promises, kept over a server that may be away, refuse and change under it.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Prefix } from '#ip';
import { type Kube, type KubeObject, openKube } from '../../../../src/kube/index.ts';
import { readView } from '../../../../src/desired/view.ts';
import { affinityLabels } from '../../../../src/resources/index.ts';
import type { BGPPeer, BlockAffinity, IPAMBlock, IPPool, NodeResource } from '../../../../src/resources/types.ts';
import { type KubernetesStoreOptions, openKubernetesStore } from '../../../../src/store/kubernetes.ts';
import type { Store } from '../../../../src/store/port.ts';
import { until } from '../../../lab/until.ts';
import { type FakeKube, startFakeKube } from '../../../support/fake-kube.ts';

const crd = '/apis/crd.projectcalico.org/v1';
const served = { kind: 'APIResourceList', resources: [{ name: 'ippools' }] };

let fake: FakeKube;
let folder: string;
let kubeconfig: string;
const open: AsyncDisposable[] = [];

beforeEach(async () => {
  fake = await startFakeKube();
  fake.documents.set(crd, served);
  folder = await mkdtemp(join(tmpdir(), 'manx-kube-store-'));
  kubeconfig = await fake.kubeconfig(join(folder, 'config'));
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
  await fake[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function openStore(options: Partial<KubernetesStoreOptions> = {}): Promise<Store & AsyncDisposable> {
  const kube: Kube = await openKube({ kubeconfig });
  open.push(kube);
  const store = await openKubernetesStore({ kube, node: 'worker-1', ...options });
  open.push(store);
  return store;
}

const pool = (name: string, cidr: string, spec: object = {}): IPPool =>
  ({ apiVersion: 'projectcalico.org/v3', kind: 'IPPool', metadata: { name }, spec: { cidr, ...spec } }) as IPPool;
const peer = (name: string, spec: object = {}): BGPPeer => ({
  ...{ apiVersion: 'projectcalico.org/v3', kind: 'BGPPeer', metadata: { name } },
  spec: { peerIP: '192.0.2.1', asNumber: 65001, ...spec },
});
const block = (name: string, cidr: string): IPAMBlock => ({
  ...{ apiVersion: 'crd.projectcalico.org/v1', kind: 'IPAMBlock', metadata: { name } },
  spec: {
    ...{ cidr: cidr as Prefix, affinity: 'host:worker-1', allocations: [], unallocated: [], attributes: [] },
    ...{ sequenceNumber: 1_795_233_500_172_326_601n, sequenceNumberForAllocation: {}, deleted: false },
    strictAffinity: false,
  },
});
const affinity = (node: string, cidr: string): BlockAffinity => ({
  apiVersion: 'crd.projectcalico.org/v1',
  kind: 'BlockAffinity',
  metadata: { name: `${node}-${cidr.replaceAll(/[./]/g, '-')}`, labels: affinityLabels(node, cidr as Prefix) },
  spec: { cidr: cidr as Prefix, node, state: 'confirmed', type: 'host', deleted: 'false' },
});
const node = (name: string, annotations: Record<string, string> = {}): KubeObject => ({
  ...{ apiVersion: 'v1', kind: 'Node' },
  metadata: { name, labels: { zone: 'x' }, annotations: { 'node.alpha.kubernetes.io/ttl': '0', ...annotations } },
  spec: { podCIDR: '10.0.0.0/24' },
});
const namesIn = async (store: Store, kind: Parameters<Store['list']>[0]): Promise<string[]> =>
  (await store.list(kind)).map(({ metadata }) => metadata.name);

test('what is created is read back by kind, in order, with what Calico fills in', async () => {
  const store = await openStore();
  await store.create('IPPool', pool('b', '10.1.0.0/16'));
  await store.create('IPPool', pool('a', '10.2.0.0/16', { natOutgoing: true }));
  expect(await namesIn(store, 'IPPool')).toEqual(['a', 'b']);
  expect(await store.get('IPPool', 'a')).toMatchObject({
    apiVersion: 'projectcalico.org/v3',
    spec: { cidr: '10.2.0.0/16', blockSize: 26, natOutgoing: true, ipipMode: 'Never', nodeSelector: 'all()' },
  });
  expect(store.status()).toMatchObject({ kind: 'kubernetes', problems: [], inStepSince: expect.any(Number) });
});

test('a write wins only against the newest version, and says who lost and why', async () => {
  const store = await openStore();
  const first = await store.create('BGPPeer', peer('tor'));
  const second = await store.update('BGPPeer', { ...first, spec: { ...first.spec, asNumber: 65002 } });
  await expect(store.create('BGPPeer', peer('tor'))).rejects.toMatchObject({ code: 'exists' });
  await expect(store.update('BGPPeer', first)).rejects.toMatchObject({ code: 'conflict' });
  await expect(store.delete('BGPPeer', first)).rejects.toMatchObject({ code: 'conflict' });
  await store.delete('BGPPeer', second);
  expect(await store.get('BGPPeer', 'tor')).toBeUndefined();
  await expect(store.update('BGPPeer', second)).rejects.toMatchObject({ code: 'missing' });
  await expect(store.delete('BGPPeer', second)).rejects.toMatchObject({ code: 'missing' });
});

test('blocks are the server’s present word, with every digit, and by compare-and-swap', async () => {
  const store = await openStore();
  const first = await store.create('IPAMBlock', block('10-0-0-0-26', '10.0.0.0/26'));
  const next = { ...first, spec: { ...first.spec, sequenceNumber: first.spec.sequenceNumber + 1n } };
  await store.update('IPAMBlock', next);
  await expect(store.update('IPAMBlock', next)).rejects.toMatchObject({ code: 'conflict' });
  expect((await store.get('IPAMBlock', '10-0-0-0-26'))?.spec.sequenceNumber).toBe(1_795_233_500_172_326_602n);
  expect(fake.requests.some(({ path, query }) => path.endsWith('/ipamblocks') && query.has('watch'))).toBe(false);
});

test('an owner or a finalizer of somebody else survives our writes', async () => {
  const store = await openStore();
  const { metadata } = await store.create('IPAMBlock', block('10-0-0-0-26', '10.0.0.0/26'));
  const object = fake.get(`${crd}/ipamblocks`, '10-0-0-0-26')!;
  fake.put(`${crd}/ipamblocks`, { ...object, metadata: { ...object.metadata, finalizers: ['x/y'] } });
  await expect(store.update('IPAMBlock', { ...block('10-0-0-0-26', '10.0.0.0/26'), metadata })).rejects.toThrow(
    'changed',
  );
  await store.update('IPAMBlock', (await store.get('IPAMBlock', '10-0-0-0-26'))!);
  expect(fake.get(`${crd}/ipamblocks`, '10-0-0-0-26')!.metadata).toMatchObject({ finalizers: ['x/y'] });
});

test('a node follows its own affinities only; those of others are asked for', async () => {
  const store = await openStore();
  await store.create('BlockAffinity', affinity('worker-1', '10.0.0.0/26'));
  await store.create('BlockAffinity', affinity('worker-2', '10.0.0.64/26'));
  fake.requests.length = 0;
  expect(await store.list('BlockAffinity', { node: 'worker-1' })).toHaveLength(1);
  expect(fake.requests).toEqual([]);
  expect(await store.list('BlockAffinity', { node: 'worker-2' })).toHaveLength(1);
  expect(await store.list('BlockAffinity')).toHaveLength(2);
  expect(fake.get(`${crd}/blockaffinities`, 'worker-1-10-0-0-0-26')).toMatchObject({ spec: { deleted: 'false' } });
});

test('whoever watches is called for what another one changes', async () => {
  const store = await openStore();
  let looks = 0;
  store.watch(['BGPPeer', 'BlockAffinity'], () => looks++);
  fake.put(`${crd}/bgppeers`, { ...peer('tor'), apiVersion: 'crd.projectcalico.org/v1' } as never);
  await until('a peer is a reason to look', () => looks === 1);
  fake.put(`${crd}/blockaffinities`, affinity('worker-2', '10.0.0.0/26') as never);
  fake.put(`${crd}/blockaffinities`, affinity('worker-1', '10.0.0.64/26') as never);
  await until('an affinity of the node is another', () => looks === 2);
});

test('a resource that is broken keeps its last good form in force; the others go on', async () => {
  const store = await openStore();
  const good = await store.create('BGPPeer', peer('tor'));
  const object = fake.get(`${crd}/bgppeers`, 'tor')!;
  fake.put(`${crd}/bgppeers`, { ...object, spec: { peerIP: 'nowhere' } });
  fake.put(`${crd}/bgppeers`, { ...object, metadata: { name: 'new' }, spec: { peerIP: 'nowhere' } });
  fake.put(`${crd}/bgppeers`, { ...object, metadata: { name: 'other' } });
  await until('the third one is there', async () => (await namesIn(store, 'BGPPeer')).join() === 'other,tor');
  expect((await store.get('BGPPeer', 'tor'))?.spec).toEqual(good.spec);
  expect(store.status().problems).toMatchObject([
    { kind: 'BGPPeer', name: 'new', path: 'spec.peerIP', message: expect.stringContaining('(not in force)') },
    { kind: 'BGPPeer', name: 'tor', path: 'spec.peerIP', message: expect.stringContaining('before stays in force') },
  ]);
  // Whoever knows the good one may put it back.
  await store.update('BGPPeer', (await store.get('BGPPeer', 'tor'))!);
  expect(store.status().problems).toHaveLength(1);
});

test('a write that would leave the configuration wrong is refused and changes nothing', async () => {
  const store = await openStore();
  const a = await store.create('IPPool', pool('a', '10.1.0.0/16'));
  await expect(store.create('IPPool', pool('b', '10.1.2.0/24'))).rejects.toMatchObject({
    code: 'invalid',
    problems: [{ kind: 'IPPool', name: 'b', path: 'spec.cidr' }],
  });
  await expect(store.create('BGPPeer', peer('tor', { filters: ['none'] }))).rejects.toMatchObject({ code: 'invalid' });
  await expect(store.update('IPPool', { ...a, spec: { ...a.spec, blockSize: 28 } })).rejects.toMatchObject({
    problems: [{ path: 'spec.blockSize' }],
  });
  expect(await namesIn(store, 'IPPool')).toEqual(['a']);
});

test('a Node is Kubernetes’ own with annotations: read, written by patch of its status, never made', async () => {
  fake.put('/api/v1/nodes', node('worker-1', { 'projectcalico.org/IPv4Address': '10.9.0.1/24' }));
  const store = await openStore();
  const before = (await store.get('Node', 'worker-1'))!;
  expect(before).toMatchObject({ spec: { bgp: { ipv4Address: '10.9.0.1/24' } }, metadata: { labels: { zone: 'x' } } });
  // A heartbeat in between is no change of the Node that is meant.
  fake.put('/api/v1/nodes', { ...fake.get('/api/v1/nodes', 'worker-1')!, status: { beat: 1 } });
  const bgp = { ipv4Address: '10.9.0.2/24', asNumber: 64999 };
  const after = await store.update('Node', { ...before, spec: { bgp } });
  expect(after.spec.bgp).toEqual(bgp);
  expect((await store.get('Node', 'worker-1'))?.spec.bgp).toEqual(bgp);
  expect(fake.requests.findLast(({ method }) => method === 'PATCH')?.path).toBe('/api/v1/nodes/worker-1/status');
  expect(fake.get('/api/v1/nodes', 'worker-1')).toMatchObject({
    metadata: {
      annotations: { 'node.alpha.kubernetes.io/ttl': '0', 'projectcalico.org/ASNumber': '64999' },
    },
    spec: { podCIDR: '10.0.0.0/24' },
    status: { beat: 1 },
  });
  await expect(store.update('Node', before)).rejects.toMatchObject({ code: 'conflict' });
  const stranger = { ...before, metadata: { name: 'worker-9' } } as NodeResource;
  await expect(store.create('Node', stranger)).rejects.toMatchObject({ code: 'invalid' });
  await expect(store.create('Node', before)).rejects.toMatchObject({ code: 'exists' });
});

test('while the server is away the configuration stays, and what is asked for live is unavailable', async () => {
  const store = await openStore();
  await store.create('BGPPeer', peer('tor'));
  await fake.die();
  await until('the status says so', () => store.status().error !== undefined);
  expect(store.status().inStepSince).toBeUndefined();
  expect(await namesIn(store, 'BGPPeer')).toEqual(['tor']);
  await expect(store.list('IPAMBlock')).rejects.toMatchObject({ code: 'unavailable' });
  await expect(store.create('BGPPeer', peer('b'))).rejects.toMatchObject({ code: 'unavailable' });
  await fake.listen();
  await until('it is in step again', () => store.status().inStepSince !== undefined);
});

test('an agent that starts while the server is away has the configuration of its last run', async () => {
  const cacheFile = join(folder, 'state', 'cache', 'configuration.json');
  fake.put('/api/v1/nodes', node('worker-1', { 'projectcalico.org/IPv4Address': '10.9.0.1/24' }));
  const first = await openStore({ cacheFile });
  await first.create('BGPPeer', peer('tor'));
  await first.create('BlockAffinity', affinity('worker-1', '10.0.0.0/26'));
  await first[Symbol.asyncDispose]();
  await fake.die();
  const second = await openStore({ cacheFile });
  expect(await namesIn(second, 'BGPPeer')).toEqual(['tor']);
  expect((await second.get('Node', 'worker-1'))?.spec.bgp).toEqual({ ipv4Address: '10.9.0.1/24' });
  expect(await second.list('BlockAffinity', { node: 'worker-1' })).toHaveLength(1);
  expect(second.status()).toMatchObject({ error: expect.stringContaining('cannot be reached') });
  await fake.listen();
  fake.remove(`${crd}/bgppeers`, 'tor');
  await until('it follows the server', async () => (await namesIn(second, 'BGPPeer')).length === 0);
  expect(await readFile(cacheFile, 'utf8')).toContain('tor');
});

test('without a server and without a last run nothing is known, and says so; it comes up when the server does', async () => {
  await fake.die();
  const store = await openStore();
  await expect(store.list('IPPool')).rejects.toMatchObject({ code: 'unavailable' });
  expect(store.status().error).toMatch(/cannot be reached/);
  let looks = 0;
  store.watch(['IPPool'], () => looks++);
  await fake.listen();
  await until('somebody is told to look', () => looks > 0, 20_000);
  await until('there are no pools', async () => (await namesIn(store, 'IPPool').catch(() => ['none'])).length === 0);
}, 60_000);

test('everything that routing follows from can be read without the server', async () => {
  const store = await openStore();
  await fake.die();
  const view = await readView(store);
  expect(view).toMatchObject({ nodes: [], pools: [], peers: [] });
});

test('where only projectcalico.org is served, its resources are used', async () => {
  fake.documents.delete(crd);
  fake.documents.set('/apis/projectcalico.org/v3', served);
  const store = await openStore();
  await store.create('BlockAffinity', affinity('worker-1', '10.0.0.0/26'));
  const native = '/apis/projectcalico.org/v3/blockaffinities';
  expect(fake.get(native, 'worker-1-10-0-0-0-26')).toMatchObject({ spec: { deleted: false } });
  expect(await store.list('BlockAffinity', { node: 'worker-1' })).toMatchObject([{ spec: { deleted: 'false' } }]);
});

test('what a flag says about the group counts more than discovery', async () => {
  fake.documents.set('/apis/projectcalico.org/v3', served);
  const store = await openStore({ group: 'projectcalico.org/v3' });
  await store.create('IPPool', pool('a', '10.1.0.0/16'));
  expect(fake.get('/apis/projectcalico.org/v3/ippools', 'a')).toBeDefined();
});

test('a cluster that has never heard of PeerOptions has none, and says what to install', async () => {
  fake.fail(({ path }) => path.includes('/peeroptions'), { status: 404, reason: 'NotFound' }, 1000);
  const store = await openStore();
  expect(await store.list('PeerOptions')).toEqual([]);
  expect(store.status()).toMatchObject({ inStepSince: expect.any(Number), problems: [{ kind: 'PeerOptions' }] });
});

test('a block that cannot be understood makes its list fail: an address that might be taken is not given out', async () => {
  const store = await openStore();
  fake.put(`${crd}/ipamblocks`, { ...block('10-0-0-0-26', '10.0.0.0/26'), spec: { cidr: '10.0.0.0/26' } } as never);
  await expect(store.list('IPAMBlock')).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('IPAMBlock 10-0-0-0-26'),
  });
});
