// A cluster whose Calico kinds are native, in projectcalico.org/v3 alone: an agent with a pool, a peer, addresses and all
// that it tells, on a real API server.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crdFiles } from '../../deploy/crds/definitions.ts';
import type { PeerView, RoutesAnswer } from '../../src/api/views.ts';
import { readYamlDocuments, yamlValue } from '../../src/resources/yaml.ts';
import { type Host, type Outcome, createHost } from '../lab/host.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { TestAgent, addresses, configuration, programs } from '../src/api/pair.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const apiVersion = 'projectcalico.org/v3';
const cleanup = new AsyncDisposableStack();

let host: Host;
let server: ApiServer;
let one: TestAgent;
let two: TestAgent;

beforeAll(async () => {
  if (reason !== undefined) return;
  host = cleanup.use(await createHost());
  for (const address of [...Object.values(addresses), '192.0.2.10']) await host.ip(`addr add ${address}/24 dev lo`);
  server = cleanup.use(await startApiServer({ host: { host, addresses: ['192.0.2.10'] } }));
  await server.apply(...definitions());
  const all = ['crd', '-l', 'app.kubernetes.io/part-of=manx'];
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...all]);
  await server.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'one' } });
  const folder = await mkdtemp(join(tmpdir(), 'manx-native-'));
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  one = new TestAgent(host, join(folder, 'one'), 'one', [
    ...['--no-fib', '--kubeconfig', server.kubeconfig, '--namespace', 'default', '--ip', addresses.one],
    ...['--as', '64512', '--pool4', '10.82.0.0/16'],
  ]);
  two = new TestAgent(host, join(folder, 'two'), 'two', ['--no-fib']);
  await two.write('all.yaml', configuration('two'));
  await Promise.all([one.start(), two.start()]);
}, 180_000);
afterAll(() => cleanup.disposeAsync());

interface Crd {
  readonly metadata: { readonly labels: object };
  readonly spec: {
    readonly group: string;
    readonly names: Readonly<Record<'kind' | 'listKind' | 'plural' | 'singular', string>>;
    readonly versions: readonly object[];
  };
}

/** Our own kinds as they are; Calico's in its own group, where two things are called or written otherwise. */
function definitions(): object[] {
  return [...crdFiles()]
    .filter(([name]) => name !== 'kustomization.yaml')
    .map(([, text]) => yamlValue(readYamlDocuments(text)[0]!) as Crd)
    .map((crd) => (crd.spec.group === 'crd.projectcalico.org' ? native(crd) : crd));
}

function native({ metadata, spec, ...crd }: Crd): object {
  const renamed = spec.names.kind === 'IPAMConfig';
  const other = { kind: 'IPAMConfiguration', listKind: 'IPAMConfigurationList', plural: 'ipamconfigurations' };
  const names = renamed ? { ...other, singular: 'ipamconfiguration' } : spec.names;
  const versions = spec.versions.map((version) => {
    const text = JSON.stringify({ ...version, name: 'v3' });
    return JSON.parse(spec.names.kind === 'BlockAffinity' ? withBoolean(text) : text) as object;
  });
  const group = 'projectcalico.org';
  return {
    ...crd,
    metadata: { ...metadata, name: `${names.plural}.${group}` },
    spec: { ...spec, group, names, versions },
  };
}

/** A BlockAffinity's `deleted` is a text in crd.projectcalico.org/v1. */
function withBoolean(text: string): string {
  const changed = text.replace(/"deleted":\{[^{}]*\}/, '"deleted":{"type":"boolean"}');
  expect(changed).not.toBe(text);
  return changed;
}

const get = async <T>(...words: string[]): Promise<T> =>
  JSON.parse((await server.kubectl(['get', ...words, '-o', 'json'])).stdout) as T;

function manxctl(words: string, input?: string): Promise<Outcome> {
  const args = [programs.manxctl, '--kubeconfig', server.kubeconfig, ...words.split(' ')];
  return host.run(process.execPath, args, { mayFail: true, ...(input !== undefined && { input }) });
}

/** What the CNI plugin would ask of the agent's IPAM; beside the server, for only there it can be reached. */
async function ipam(call: string): Promise<unknown> {
  const source = (path: string): string => new URL(`../../src/${path}`, import.meta.url).href;
  const program = `
    import { createIpam } from '${source('ipam/index.ts')}';
    import { openKube } from '${source('kube/index.ts')}';
    import { openKubernetesStore } from '${source('store/kubernetes.ts')}';
    const kube = await openKube({ kubeconfig: '${server.kubeconfig}' });
    const ipam = createIpam({ store: await openKubernetesStore({ kube, node: 'one' }), node: 'one' });
    console.log(JSON.stringify((await ipam.${call}) ?? null));
    process.exit();
  `;
  return JSON.parse((await host.run(process.execPath, ['--input-type=module', '-e', program])).stdout) as unknown;
}

describe.skipIf(reason)(title('where projectcalico.org/v3 alone is served'), () => {
  test('the first agent makes what a cluster needs, and writes its address and AS number', async () => {
    const made = await until('all is made', async () => {
      const { items } = await get<{ items: { kind: string; metadata: { name: string } }[] }>(
        'clusterinformations,kubecontrollersconfigurations,ippools',
      );
      return items.length === 3 ? items.map(({ kind, metadata }) => `${kind} ${metadata.name}`) : undefined;
    });
    expect(made).toEqual([
      'ClusterInformation default',
      'KubeControllersConfiguration default',
      'IPPool default-ipv4-ippool',
    ]);
    const { metadata } = await get<{ metadata: { annotations: object } }>('node', 'one');
    expect(metadata.annotations).toMatchObject({
      'projectcalico.org/IPv4Address': `${addresses.one}/32`,
      'projectcalico.org/ASNumber': '64512',
    });
  });

  test('manxctl applies configuration and a peer, without what only the other group needs', async () => {
    const applied = await manxctl(
      'apply -f -',
      `apiVersion: ${apiVersion}
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: false, bindMode: NodeIP, listenPort: 1790}
---
apiVersion: ${apiVersion}
kind: BGPPeer
metadata: {name: two, labels: {edge: 'yes'}}
spec: {peerIP: '${addresses.two}:1790', asNumber: 65001}
---
apiVersion: ${apiVersion}
kind: IPAMConfiguration
metadata: {name: default}
spec: {strictAffinity: false, autoAllocateBlocks: true}
---
apiVersion: ${apiVersion}
kind: CalicoNodeStatus
metadata: {name: mine}
spec: {node: one, classes: [Agent, BGP], updatePeriodSeconds: 5}
`,
    );
    expect([applied.code, applied.stderr]).toEqual([0, '']);
    const { metadata } = await get<{ metadata: { labels: object; annotations?: object } }>('bgppeer', 'two');
    expect(metadata.labels).toEqual({ edge: 'yes' });
    expect(metadata.annotations).toBeUndefined();
    const printed = await manxctl('get ipamconfig -o yaml');
    expect(printed.stdout).toContain('kind: IPAMConfiguration\n');
  });

  test('the session comes up', async () => {
    await until('it is Established', async () => {
      const { state } = await one.api.get<PeerView>('/v1/bgp/peers/two').catch(() => ({ state: 'none' }));
      return state === 'Established';
    });
  });

  test('a block that is claimed is stored as Calico stores it there, and announced', async () => {
    const request = { handle: 'k8s-pod-network.web', families: [4], attributes: { pod: 'web', namespace: 'default' } };
    const given = (await ipam(`assign(${JSON.stringify(request)})`)) as { addresses: string[] };
    const [block] = (await ipam('ownBlocks()')) as { cidr: string }[];
    const { cidr } = block!;
    const { stdout } = await server.kubectl(['get', 'ipamblocks,blockaffinities,ipamhandles', '-o', 'yaml']);
    expect(stdout).toMatch(/sequenceNumber: \d{17,}/);
    const { items } = await get<{ items: { spec: object; metadata: { labels: object } }[] }>('blockaffinities');
    expect(items).toMatchObject([
      {
        metadata: { labels: { 'projectcalico.org/affinity-type': 'host' } },
        spec: { cidr, deleted: false, node: 'one' },
      },
    ]);
    await until('two has heard of it', async () => {
      const { routes } = await two.api.get<RoutesAnswer>('/v1/bgp/routes?peer=one');
      return routes.some(({ prefix }) => prefix === cidr);
    });
    const shown = await manxctl(`ipam show --ip=${given.addresses[0]}`);
    expect(shown.stdout).toContain(`IP ${given.addresses[0]} is in use`);
    await ipam(`release('${request.handle}')`);
    expect((await manxctl('ipam check')).stdout).toContain('Check complete; found 0 problems.');
  });

  test('what is told of node, peer, pool and for Calico’s tools is there', async () => {
    const column = async (what: string, path: string): Promise<string> =>
      (await server.kubectl(['get', what, '-o', `jsonpath=${path}`], { mayFail: true })).stdout;
    const becomes = (what: string, path: string, value: string): Promise<unknown> =>
      until(`${what} is ${value}`, async () => (await column(what, path)) === value, 60_000, 500);
    await becomes('noderoutingstatus/one', '{.status.health.state}', 'good');
    await becomes('bgppeerstatus/two', '{.status.sessionsUp}', '1/1');
    await becomes('ippool/default-ipv4-ippool', '{.status.conditions[?(@.type=="Allocatable")].status}', 'True');
    await becomes('caliconodestatus/mine', '{.status.bgp.numberEstablishedV4}', '1');
  });
});
