// The store on Kubernetes against a real API server, and through every fault that lies between the two.
import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Kube, type KubeObject, openKube } from '../../src/kube/index.ts';
import { kindNames } from '../../src/kinds.ts';
import { kindOf } from '../../src/resources/index.ts';
import type { BGPPeer, IPAMBlock, Kind } from '../../src/resources/types.ts';
import { readYamlDocuments, yamlValue } from '../../src/resources/yaml.ts';
import { fromObject } from '../../src/store/kubernetes/custom.ts';
import { resourceOf } from '../../src/store/kubernetes/places.ts';
import { openKubernetesStore } from '../../src/store/kubernetes.ts';
import type { Store } from '../../src/store/port.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { type Faults, startFaults } from '../lab/kubernetes/faults.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const definitions = new URL('../../deploy/crds', import.meta.url).pathname;

let server: ApiServer;
let faults: Faults;
let folder: string;
const open: AsyncDisposable[] = [];

beforeAll(async () => {
  if (reason !== undefined) return;
  server = await startApiServer();
  await server.kubectl(['apply', '--server-side', '-k', definitions]);
  const crds = ['crd', '-l', 'app.kubernetes.io/part-of=manx'];
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...crds]);
  faults = await startFaults(server);
  folder = await mkdtemp(join(tmpdir(), 'manx-store-'));
}, 180_000);
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
});
afterAll(async () => {
  await faults?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

async function openStore(kubeconfig = server.kubeconfig): Promise<{ store: Store; kube: Kube }> {
  const kube = await openKube({ kubeconfig });
  const store = await openKubernetesStore({ kube, node: 'worker-1' });
  open.push(kube, store);
  return { store, kube };
}

const fixtures = new URL('../fixtures/calico/', import.meta.url);
const captured = readdirSync(fixtures)
  .filter((name) => name.startsWith('stored-'))
  .flatMap((name) => {
    const [document] = readYamlDocuments(readFileSync(new URL(name, fixtures), 'utf8'));
    return (yamlValue(document!) as { items: KubeObject[] }).items;
  })
  .filter(({ kind }) => kindOf(kind) !== undefined);

const peer = (name: string, asNumber = 65001): BGPPeer => ({
  ...{ apiVersion: 'projectcalico.org/v3', kind: 'BGPPeer', metadata: { name } },
  spec: { peerIP: '192.0.2.1', asNumber },
});

describe.skipIf(reason)(title('every kind'), () => {
  test('that Calico has stored is written by us as Calico wrote it, field by field', async () => {
    const { store, kube } = await openStore();
    for (const object of captured) {
      const kind = kindOf(object.kind) as Kind;
      const { metadata, ...resource } = fromObject(kind, object).resource!;
      const { name, labels, annotations } = metadata;
      const fresh = { name, ...(labels && { labels }), ...(annotations && { annotations }) };
      await store.create(kind, { ...resource, metadata: fresh });
      const written = await kube.client.get(resourceOf(kind, 'crd.projectcalico.org/v1'), name);
      expect(written?.['spec'], `${kind} ${name}`).toEqual(object['spec']);
      expect(written?.metadata.labels).toEqual(object.metadata.labels);
      const model = (one: KubeObject): unknown =>
        one.metadata.annotations?.['projectcalico.org/metadata']?.replace(/"20\d\d[^"]*"/, '"then"');
      // One of them was made by kubectl.
      if (model(object) !== undefined) expect(model(written!)).toBe(model(object));
      expect((await store.get(kind, name))?.spec).toEqual(resource.spec);
    }
    expect(new Set(captured.map(({ kind }) => kind)).size).toBeGreaterThan(9);
    expect(store.status().problems).toEqual([]);
    const plurals = [...new Set(captured.map(({ kind }) => kindNames[kindOf(kind)!].plural))];
    await server.kubectl(['delete', '--all', plurals.join()]);
  });

  test('keeps 64-bit numbers digit by digit, and gives each write to one writer only', async () => {
    const [one, two] = [(await openStore()).store, (await openStore()).store];
    const block: IPAMBlock = {
      ...{ apiVersion: 'crd.projectcalico.org/v1', kind: 'IPAMBlock', metadata: { name: '10-0-0-0-26' } },
      spec: {
        ...{ cidr: '10.0.0.0/26' as IPAMBlock['spec']['cidr'], affinity: 'host:worker-1', deleted: false },
        ...{ allocations: Array<null>(64).fill(null), unallocated: [...Array(64).keys()], attributes: [] },
        ...{ sequenceNumber: 1_795_233_500_172_326_601n, strictAffinity: false },
        sequenceNumberForAllocation: { 0: 1_795_233_500_172_326_593n },
      },
    };
    await one.create('IPAMBlock', block);
    let [written, lost] = [0, 0];
    const write = async (store: Store): Promise<void> => {
      for (let left = 20; left > 0;) {
        const now = (await store.get('IPAMBlock', '10-0-0-0-26'))!;
        const next = { ...now, spec: { ...now.spec, sequenceNumber: now.spec.sequenceNumber + 1n } };
        try {
          await store.update('IPAMBlock', next);
          [written, left] = [written + 1, left - 1];
        } catch (error) {
          expect(error).toMatchObject({ code: 'conflict' });
          lost++;
        }
      }
    };
    await Promise.all([write(one), write(two)]);
    expect(written).toBe(40);
    expect(lost).toBeGreaterThan(0);
    const { stdout } = await server.kubectl([
      'get',
      'ipamblocks',
      '10-0-0-0-26',
      '-o',
      'jsonpath={.spec.sequenceNumber}',
    ]);
    expect(stdout).toBe('1795233500172326641');
    await one.delete('IPAMBlock', (await one.get('IPAMBlock', '10-0-0-0-26'))!);
  });

  test('what kubectl applies without Calico’s annotation is read as well', async () => {
    const { store } = await openStore();
    const { apiVersion: _, ...object } = peer('by-kubectl');
    await server.apply({
      ...object,
      apiVersion: 'crd.projectcalico.org/v1',
      metadata: { name: 'by-kubectl', labels: { rack: 'a' } },
    });
    await until('it is there', async () => (await store.get('BGPPeer', 'by-kubectl')) !== undefined);
    const found = (await store.get('BGPPeer', 'by-kubectl'))!;
    expect(found).toMatchObject({ apiVersion: 'projectcalico.org/v3', metadata: { labels: { rack: 'a' } } });
    await store.delete('BGPPeer', found);
  });

  test('a Node is written through its status, and only what is Calico’s of it', async () => {
    const { store } = await openStore();
    await server.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1', labels: { rack: 'a' } } });
    await until('it is there', async () => (await store.get('Node', 'worker-1')) !== undefined);
    const before = (await store.get('Node', 'worker-1'))!;
    const bgp = { ipv4Address: '10.250.1.11/24', asNumber: 64513 };
    await store.update('Node', { ...before, spec: { bgp } });
    expect((await store.get('Node', 'worker-1'))?.spec.bgp).toEqual(bgp);
    await expect(store.update('Node', before)).rejects.toMatchObject({ code: 'conflict' });
    const { stdout } = await server.kubectl(['get', 'node', 'worker-1', '-o', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({
      metadata: { labels: { rack: 'a' }, annotations: { 'projectcalico.org/IPv4Address': '10.250.1.11/24' } },
    });
  });
});

const { now } = Date;
let endSlowness: (() => void) | undefined;
afterEach(() => {
  Date.now = now;
  endSlowness?.();
});

const faultsBetween: readonly [string, () => Promise<() => unknown>][] = [
  [
    'every connection is reset',
    async () => {
      faults.reset();
      return () => undefined;
    },
  ],
  [
    'the server ends every watch',
    async () => {
      faults.endWatches();
      return () => undefined;
    },
  ],
  [
    'the server answers 503 for a while',
    async () => {
      const heal = faults.misbehave('all', { do: 'answer', status: 503 });
      faults.reset();
      return heal;
    },
  ],
  [
    'the server is too busy for watches (429)',
    async () => {
      const heal = faults.misbehave('watches', { do: 'answer', status: 429, retryAfterSeconds: 1 });
      faults.endWatches();
      return heal;
    },
  ],
  [
    'every watch has expired (410)',
    async () => {
      const heal = faults.misbehave('watches', { do: 'watchError', status: 410 });
      faults.endWatches();
      return heal;
    },
  ],
  [
    'answers break off in the middle',
    async () => {
      const heal = faults.misbehave('all', { do: 'cut', afterBytes: 700 });
      faults.reset();
      return heal;
    },
  ],
  [
    'packets get lost for some seconds',
    async () => {
      await faults.partition();
      return () => faults.heal();
    },
  ],
  [
    'the server forgets every connection without a word',
    async () => {
      await faults.halfOpen();
      return () => faults.heal();
    },
  ],
  [
    'every answer comes late',
    async () => {
      // To the end: what is there now is seen through it.
      endSlowness = faults.misbehave('all', { do: 'delay', milliseconds: 3000 });
      faults.endWatches();
      return () => undefined;
    },
  ],
  [
    'the clock steps a day forward, and then two days back',
    async () => {
      const day = 86_400_000;
      Date.now = () => now() + day;
      faults.endWatches();
      return () => {
        Date.now = () => now() - day;
        faults.endWatches();
      };
    },
  ],
  [
    'server and etcd are killed, and old versions are gone when they come back',
    async () => {
      await server.stop('SIGKILL');
      await server.etcd.stop('SIGKILL');
      await server.etcd.start();
      await server.start();
      await server.etcd.compact();
      return () => undefined;
    },
  ],
];

describe.skipIf(reason)(title('nothing is lost when'), () => {
  test.each(faultsBetween)(
    '%s',
    async (_, suffer) => {
      const { store } = await openStore(await faults.kubeconfigFor('admin'));
      const direct = (await openStore()).store;
      await server.kubectl(['delete', '--all', 'bgppeers.crd.projectcalico.org']);
      let looks = 0;
      store.watch(['BGPPeer'], () => looks++);
      const keep = await direct.create('BGPPeer', peer('changes'));
      const gone = await direct.create('BGPPeer', peer('goes'));
      await until('both are seen', async () => (await store.list('BGPPeer')).length === 2);
      const heal = await suffer();
      await until('the direct store is there', async () => direct.status().inStepSince !== undefined, 60_000);
      await until('a write goes through', () => direct.delete('BGPPeer', gone).then(() => true), 60_000);
      await direct.update('BGPPeer', { ...keep, spec: { ...keep.spec, asNumber: 65009 } });
      await direct.create('BGPPeer', peer('comes'));
      // Readings go on meanwhile, with the last content.
      expect((await store.list('BGPPeer')).length).toBeGreaterThan(0);
      await heal();
      await until(
        'what is there now is seen',
        async () => {
          const seen = (await store.list('BGPPeer')).map(({ metadata, spec }) => `${metadata.name} ${spec.asNumber}`);
          return seen.join() === 'changes 65009,comes 65001';
        },
        90_000,
      );
      await until('it is in step', () => store.status().inStepSince !== undefined, 60_000);
      expect(looks).toBeGreaterThan(0);
    },
    240_000,
  );
});

test.skipIf(reason)(title('a write whose answer is lost is unavailable, and has happened once'), async () => {
  const { store } = await openStore(await faults.kubeconfigFor('admin'));
  const heal = faults.misbehave('others', { do: 'loseAnswer' });
  await expect(store.create('BGPPeer', peer('lost'))).rejects.toMatchObject({ code: 'unavailable' });
  heal();
  await until('it is there', async () => (await store.get('BGPPeer', 'lost')) !== undefined);
  await expect(store.create('BGPPeer', peer('lost'))).rejects.toMatchObject({ code: 'exists' });
  await store.delete('BGPPeer', (await store.get('BGPPeer', 'lost'))!);
});

test.skipIf(reason)(title('the token of a service account may change under a running store'), async () => {
  const account = async (): Promise<string> => {
    await server.kubectl(['create', 'serviceaccount', 'manx']);
    return server.serviceAccountToken('default', 'manx');
  };
  await server.kubectl([
    'create',
    'clusterrolebinding',
    'manx',
    '--clusterrole=cluster-admin',
    '--serviceaccount=default:manx',
  ]);
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, await account());
  const kubeconfig = join(folder, 'with-token-file');
  const text = await readFile(server.kubeconfig, 'utf8');
  await writeFile(kubeconfig, text.replace(/token: .*/, `tokenFile: ${tokenFile}`));
  const { store } = await openStore(kubeconfig);
  await store.create('BGPPeer', peer('first'));
  // The old token is worth nothing from here on: its account is another one.
  await server.kubectl(['delete', 'serviceaccount', 'manx']);
  await writeFile(tokenFile, await account());
  await until('the new token is taken', async () => {
    await store.delete('BGPPeer', (await store.get('BGPPeer', 'first'))!);
    return true;
  });
});
