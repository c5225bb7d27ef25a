// The real calicoctl, where CALICOCTL names one, on a cluster that Manx alone has written: it reads every kind, finds IPAM
// in order, and what it writes is taken by Manx.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Address } from '#ip';
import { prepareCluster } from '../../src/agent/first-start.ts';
import { type Ipam, createIpam } from '../../src/ipam/index.ts';
import { openKube } from '../../src/kube/index.ts';
import { createLog } from '../../src/log.ts';
import { readYamlDocuments, yamlValue } from '../../src/resources/yaml.ts';
import { openKubernetesStore } from '../../src/store/kubernetes.ts';
import type { Store } from '../../src/store/port.ts';
import { type Outcome, run } from '../lab/host.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { installDefinitions } from '../lab/kubernetes/definitions.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { pool } from '../support/resources.ts';

const calicoctl = process.env['CALICOCTL'];
const reason =
  lacking('kubernetes', 'etcd', 'openssl') ?? (calicoctl === undefined ? 'CALICOCTL names no calicoctl' : undefined);
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const program = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const { log } = createLog({ level: 'fatal', node: 'test' });

const nodes = ['worker-1', 'worker-2'] as const;
const ipams = new Map<string, Ipam>();
const cleanup = new AsyncDisposableStack();
let server: ApiServer;
let store: Store;
let folder: string;

/** calicoctl's word for a kind, and what it has to find there. */
const kinds: readonly (readonly [word: string, names: readonly string[]])[] = [
  ['node', [...nodes]],
  ['ippool', ['default-ipv4-ippool', 'default-ipv6-ippool']],
  ['ipreservation', ['gateways']],
  ['bgpconfiguration', ['default', 'node.worker-1']],
  ['bgppeer', ['reflectors', 'tor']],
  ['bgpfilter', ['only-pods']],
  ['felixconfiguration', ['default']],
  ['clusterinformation', ['default']],
  ['kubecontrollersconfiguration', ['default']],
  ['ipamconfiguration', ['default']],
  ['caliconodestatus', ['mine']],
];

/** As an operator writes it, with manxctl. */
const configuration = `apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
  nodeToNodeMeshEnabled: true
  asNumber: 64512
  communities: [{name: gold, value: '64512:300:100'}]
  prefixAdvertisements: [{cidr: 10.82.0.0/16, communities: [gold, '64512:120']}]
  serviceClusterIPs: [{cidr: 10.96.0.0/16}]
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: node.worker-1}
spec: {listenPort: 1790}
---
apiVersion: projectcalico.org/v3
kind: BGPFilter
metadata: {name: only-pods}
spec:
  exportV4: [{action: Accept, cidr: 10.82.0.0/16, matchOperator: In, prefixLength: {min: 26, max: 32}}, {action: Reject}]
  importV4: [{action: Accept, source: RemotePeers, interface: eth0}]
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor}
spec:
  peerIP: 10.250.1.254:1179
  asNumber: 65001
  nodeSelector: rack == 'a'
  filters: [only-pods]
  password: {secretKeyRef: {name: bgp, key: tor}}
  maxRestartTime: 2m0s
  ttlSecurity: 1
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: reflectors}
spec: {nodeSelector: all(), peerSelector: route-reflector == 'true'}
---
apiVersion: projectcalico.org/v3
kind: IPReservation
metadata: {name: gateways}
spec: {reservedCIDRs: [10.82.0.0/31]}
---
apiVersion: projectcalico.org/v3
kind: IPAMConfig
metadata: {name: default}
spec: {strictAffinity: false, autoAllocateBlocks: true}
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {routeSource: CalicoIPAM}
---
apiVersion: projectcalico.org/v3
kind: CalicoNodeStatus
metadata: {name: mine}
spec: {node: worker-1, classes: [Agent, BGP, Routes], updatePeriodSeconds: 10}
`;

beforeAll(async () => {
  if (reason !== undefined) return;
  server = cleanup.use(await startApiServer());
  await installDefinitions(server);
  folder = await mkdtemp(join(tmpdir(), 'manx-calicoctl-'));
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  await server.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
  for (const [i, name] of nodes.entries()) await server.apply(nodeOf(name, `10.250.1.1${i + 1}/24`));
  for (const node of nodes) {
    const kube = cleanup.use(await openKube({ kubeconfig: server.kubeconfig }));
    const own = cleanup.use(await openKubernetesStore({ kube, node }));
    ipams.set(node, createIpam({ store: own, node }));
    store ??= own;
  }
  const pools = [pool('default-ipv4-ippool', '10.82.0.0/16'), pool('default-ipv6-ippool', 'fd82::/48')];
  await prepareCluster(store, pools, log);
  const { code, stderr } = await manxctl(['apply', '-f', '-'], configuration);
  expect([code, stderr]).toEqual([0, '']);
  for (const node of nodes) for (const name of ['web', 'api']) await addPod(node, `${name}-${node}`);
}, 180_000);
afterAll(() => cleanup.disposeAsync());

function nodeOf(name: string, address: string): object {
  const annotations = { 'projectcalico.org/IPv4Address': address };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { rack: 'a' }, annotations } };
}

/** A pod with what Manx has given it. */
async function addPod(node: string, name: string, pools?: readonly string[]): Promise<readonly Address[]> {
  const { addresses } = await ipams.get(node)!.assign({
    ...{ handle: `k8s-pod-network.${name}`, families: pools === undefined ? [4, 6] : [4], ...(pools && { pools }) },
    attributes: { namespace: 'default', pod: name, node },
  });
  const annotations = { 'cni.projectcalico.org/podIPs': addresses.join(',') };
  const containers = [{ name: 'c', image: 'none' }];
  const spec = { nodeName: node, containers, automountServiceAccountToken: false };
  await server.apply({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'default', name, annotations }, spec });
  const status = { phase: 'Running', podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) };
  await server.kubectl(['patch', 'pod', name, '--subresource=status', '-p', JSON.stringify({ status })]);
  return addresses;
}

function ask(words: string, input?: string): Promise<Outcome> {
  return run(calicoctl!, [...words.split(' '), '--allow-version-mismatch'], {
    mayFail: true,
    env: { ...process.env, DATASTORE_TYPE: 'kubernetes', KUBECONFIG: server.kubeconfig },
    ...(input !== undefined && { input }),
  });
}

function manxctl(words: readonly string[], input: string): Promise<Outcome> {
  return run(process.execPath, [program, '--kubeconfig', server.kubeconfig, ...words], { mayFail: true, input });
}

interface Listed {
  readonly apiVersion: string;
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

describe.skipIf(reason)(title('calicoctl'), () => {
  test.for(kinds)('gets every %s, and what it prints can be applied with manxctl', async ([word, names], { skip }) => {
    const { code, stdout, stderr } = await ask(`get ${word} -o yaml`);
    if (/unknown resource type|is not supported/i.test(stdout + stderr)) skip(`this calicoctl knows no ${word}`);
    expect([code, stderr]).toEqual([0, '']);
    const [document] = readYamlDocuments(stdout);
    const { apiVersion, items } = yamlValue(document!) as Listed;
    expect([apiVersion, items.map(({ metadata }) => metadata.name)]).toEqual(['projectcalico.org/v3', names]);
    const applied = await manxctl(['apply', '-f', '-'], stdout);
    expect([applied.code, applied.stderr]).toEqual([0, '']);
  });

  test('shows the blocks of both nodes and families, and whose an address is', async () => {
    const blocks = (await Promise.all([...ipams.values()].map((ipam) => ipam.ownBlocks()))).flat();
    expect(blocks).toHaveLength(4);
    const { code, stdout } = await ask('ipam show --show-blocks');
    expect(code).toBe(0);
    for (const { cidr } of blocks) expect(stdout).toContain(cidr);
    const [address] = (
      await ipams
        .get('worker-1')!
        .assign({ ...{ handle: 'k8s-pod-network.web-worker-1' }, families: [4], attributes: {} })
    ).addresses;
    expect((await ask(`ipam show --ip=${address}`)).stdout).toContain('web-worker-1');
  });

  test('finds nothing wrong with IPAM', async () => {
    const { code, stdout } = await ask('ipam check');
    expect([code, stdout]).toEqual([0, expect.stringContaining('Check complete; found 0 problems.')]);
    expect(stdout).toContain('IPAM blocks record 8 allocations.');
  });

  test('applies an IPPool and a BGPPeer that Manx goes by, and deletes them', async () => {
    const file = join(folder, 'calicos.yaml');
    await writeFile(
      file,
      `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: calicos}
spec: {cidr: 10.99.0.0/24, blockSize: 29, ipipMode: Never, vxlanMode: Never, nodeSelector: all()}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: calicos}
spec: {peerIP: 10.250.1.99, asNumber: 65099, filters: [only-pods]}
`,
    );
    expect((await ask(`apply -f ${file}`)).code).toBe(0);
    await until('Manx has seen both', async () => {
      return (
        (await store.get('IPPool', 'calicos')) !== undefined && (await store.get('BGPPeer', 'calicos')) !== undefined
      );
    });
    expect((await store.get('BGPPeer', 'calicos'))?.spec).toMatchObject({ peerIP: '10.250.1.99', asNumber: 65_099 });
    expect(store.status().problems).toEqual([]);
    const [address] = await addPod('worker-1', 'in-calicos-pool', ['calicos']);
    expect(address).toMatch(/^10\.99\.0\./);
    expect((await ask('ipam check')).stdout).toContain('Check complete; found 0 problems.');

    await server.kubectl(['delete', 'pod', 'in-calicos-pool', '--grace-period=0', '--force']);
    await ipams.get('worker-1')!.release('k8s-pod-network.in-calicos-pool');
    expect((await ask(`delete -f ${file}`)).code).toBe(0);
    await until('they are gone', async () => (await store.get('IPPool', 'calicos')) === undefined);
  });

  test('gives an address back, and Manx takes it for free', async () => {
    const [address] = await addPod('worker-2', 'short');
    await server.kubectl(['delete', 'pod', 'short', '--grace-period=0', '--force']);
    expect((await ask(`ipam release --ip=${address}`)).code).toBe(0);
    expect((await ipams.get('worker-2')!.lookUp(address!)).state).toBe('free');
    await ipams.get('worker-2')!.release('k8s-pod-network.short');
    expect((await ask('ipam check')).stdout).toContain(
      'Found 0 IPs that are allocated in IPAM but not actually in use.',
    );
  });
});
