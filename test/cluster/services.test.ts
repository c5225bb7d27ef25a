// Which addresses of Services a node announces, as a real API server tells of Services, endpoints and the node.
//
// No controllers run beside it: endpoints are what the test writes.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { parsePrefix } from '#ip';
import { type Kube, openKube } from '../../src/kube/index.ts';
import type { BGPConfigurationSpec } from '../../src/resources/types.ts';
import { type ServicesFollower, followServices } from '../../src/services/follow.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const NODE = 'worker-1';
const cidrs = (...texts: string[]): { cidr: ReturnType<typeof parsePrefix> }[] =>
  texts.map((text) => ({ cidr: parsePrefix(text) }));
const configuration: BGPConfigurationSpec = {
  serviceClusterIPs: cidrs('10.96.0.0/16', 'fd96::/108'),
  serviceExternalIPs: cidrs('198.51.100.0/24'),
  serviceLoadBalancerIPs: cidrs('203.0.113.0/24'),
};
const ranges = ['10.96.0.0/16', 'fd96::/108', '198.51.100.0/24', '203.0.113.0/24'];

let server: ApiServer;
let kube: Kube;
let follower: ServicesFollower;
let changes = 0;

beforeAll(async () => {
  if (reason !== undefined) return;
  server = await startApiServer();
  await server.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: NODE } });
  kube = await openKube({ kubeconfig: server.kubeconfig });
  follower = followServices({
    ...{ reflect: kube.reflect, node: NODE, onChange: () => void changes++ },
    memory: { known: [], keep: () => Promise.resolve() },
  });
  await follower.announced(basis());
});
afterEach(async () => {
  if (reason === undefined) await server.kubectl(['delete', 'services,endpointslices', '-l', 'test=shop']);
});
afterAll(async () => {
  await follower?.[Symbol.asyncDispose]();
  await kube?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

function basis(labels: Readonly<Record<string, string>> = {}): Parameters<ServicesFollower['announced']>[0] {
  return { configuration, pools: [], node: { labels, families: [4, 6] } };
}

/** Resolves when exactly these single addresses are announced. */
async function announces(...addresses: readonly string[]): Promise<void> {
  await until(`${addresses.join() || 'nothing'} is announced`, async () => {
    const announced = await follower.announced(basis());
    return announced.addresses.toSorted().join() === addresses.toSorted().join();
  });
}

const metadata = (name: string) => ({ name, namespace: 'default', labels: { test: 'shop' } });

async function applyService(name: string, spec: object): Promise<void> {
  const ports = [{ port: 80 }];
  await server.apply({ apiVersion: 'v1', kind: 'Service', metadata: metadata(name), spec: { ports, ...spec } });
}

/** Endpoints as words: "here", "there", with "unready" or "leaving" (terminating, serving) before them. */
async function applyEndpoints(
  service: string,
  words: readonly string[],
  { slice = service, v6 = false } = {},
): Promise<void> {
  const conditions: Record<string, object> = {
    unready: { ready: false },
    leaving: { ready: false, serving: true, terminating: true },
  };
  await server.apply({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...metadata(slice),
      labels: { test: 'shop', 'kubernetes.io/service-name': service },
    },
    addressType: v6 ? 'IPv6' : 'IPv4',
    endpoints: words.map((word, i) => {
      const [place, state] = word.split(' ').reverse() as [string, string | undefined];
      return {
        addresses: [v6 ? `fd82::${i + 1}` : `10.82.0.${i + 1}`],
        nodeName: place === 'here' ? NODE : 'worker-2',
        ...(state !== undefined && { conditions: conditions[state] }),
      };
    }),
    ports: [{ port: 8000 }],
  });
}

async function setIngress(name: string, ...ingress: readonly object[]): Promise<void> {
  const patch = JSON.stringify({ status: { loadBalancer: { ingress } } });
  await server.kubectl(['patch', 'service', name, '--subresource=status', '--type=merge', '-p', patch]);
}

const external = { externalIPs: ['198.51.100.7'], externalTrafficPolicy: 'Local' };

test.skipIf(reason)(title('ranges are announced, and the API server’s own Service is in one'), async () => {
  expect((await follower.announced(basis())).ranges).toEqual(ranges);
  expect(follower.entries().find(({ service }) => service === 'default/kubernetes')).toMatchObject({
    ...{ use: 'cluster', announcedAs: '10.96.0.0/16', reason: 'by its range' },
  });
});

test.skipIf(reason)(
  title('an external address with policy Local follows the readiness of endpoints here'),
  async () => {
    await applyService('shop', external);
    await announces();
    await applyEndpoints('shop', ['unready here', 'there']);
    await announces();
    await applyEndpoints('shop', ['here', 'there']);
    await announces('198.51.100.7/32');
    await applyEndpoints('shop', ['leaving here', 'there']);
    await announces();
    await applyEndpoints('shop', ['leaving here', 'unready there']);
    await announces('198.51.100.7/32');
    await applyEndpoints('shop', []);
    await announces();
  },
);

test.skipIf(reason)(title('a change of the policy takes effect, and so does the end of the Service'), async () => {
  await applyService('shop', external);
  await applyEndpoints('shop', ['here']);
  await announces('198.51.100.7/32');
  await applyService('shop', { ...external, externalTrafficPolicy: 'Cluster' });
  await announces();
  await applyService('shop', external);
  await announces('198.51.100.7/32');
  await server.kubectl(['delete', 'service', 'shop']);
  await announces();
});

test.skipIf(reason)(title("a load balancer's address counts from the moment that it is in the status"), async () => {
  await applyService('shop', { type: 'LoadBalancer', loadBalancerClass: 'some/class', externalTrafficPolicy: 'Local' });
  await applyEndpoints('shop', ['here']);
  await announces();
  await setIngress('shop', { ip: '203.0.113.7' }, { hostname: 'lb.example' });
  await announces('203.0.113.7/32');
  await setIngress('shop', { ip: '203.0.113.7', ipMode: 'Proxy' });
  await announces();
  await setIngress('shop', { ip: '203.0.113.8', ipMode: 'VIP' });
  await announces('203.0.113.8/32');
});

test.skipIf(reason)(title('internalTrafficPolicy Local decides about cluster addresses of both families'), async () => {
  await applyService('shop', { ipFamilyPolicy: 'RequireDualStack', internalTrafficPolicy: 'Local' });
  const { stdout } = await server.kubectl(['get', 'service', 'shop', '-o', 'json']);
  const { clusterIPs } = (JSON.parse(stdout) as { spec: { clusterIPs: [string, string] } }).spec;
  const v4 = clusterIPs.find((address) => !address.includes(':'))!;
  const v6 = clusterIPs.find((address) => address.includes(':'))!;
  await applyEndpoints('shop', ['here']);
  await announces(`${v4}/32`);
  await applyEndpoints('shop', ['here'], { slice: 'shop-v6', v6: true });
  await announces(`${v4}/32`, `${v6}/128`);
});

test.skipIf(reason)(title('an address of two Services is withdrawn with the last of them'), async () => {
  await applyService('shop', external);
  await applyService('other', { ...external, ports: [{ port: 81 }] });
  await applyEndpoints('shop', ['here']);
  await applyEndpoints('other', ['here']);
  await announces('198.51.100.7/32');
  await server.kubectl(['delete', 'service', 'shop']);
  await until('it is gone here', () => !follower.entries().some(({ service }) => service === 'default/shop'));
  await announces('198.51.100.7/32');
  await applyEndpoints('other', ['there']);
  await announces();
});

test.skipIf(reason)(title('NetworkUnavailable of this node withdraws everything, while it is so'), async () => {
  await applyService('shop', external);
  await applyEndpoints('shop', ['here']);
  await announces('198.51.100.7/32');
  const condition = (status: string) =>
    JSON.stringify({ status: { conditions: [{ type: 'NetworkUnavailable', status, reason: 'Test', message: '' }] } });
  const patch = ['patch', 'node', NODE, '--subresource=status', '--type=strategic', '-p'];
  await server.kubectl([...patch, condition('True')]);
  await until('nothing is announced', async () => (await follower.announced(basis())).ranges.length === 0);
  await server.kubectl([...patch, condition('False')]);
  await announces('198.51.100.7/32');
});

test.skipIf(reason)(title('headless Services are not even sent'), async () => {
  const labels = { test: 'shop', 'kubernetes.io/service-name': 'bare', 'service.kubernetes.io/headless': '' };
  const headless = { metadata: { ...metadata('bare'), labels }, addressType: 'IPv4', endpoints: [] };
  await server.apply({ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', ...headless });
  await applyService('shop', external);
  await applyEndpoints('shop', ['here']);
  await announces('198.51.100.7/32');
  const { stdout } = await server.kubectl(['get', 'endpointslices', '-A', '-o', 'name']);
  expect(stdout.trim().split('\n').length).toBe(follower.status().endpointSlices + 1);
});

test.skipIf(reason)(title('while the API server is away, what it said last holds'), async () => {
  await applyService('shop', external);
  await applyEndpoints('shop', ['here']);
  await announces('198.51.100.7/32');
  await server.stop();
  await until('it is noticed', () => follower.status().error);
  await announces('198.51.100.7/32');
  await server.start();
  await until('it is back', () => follower.status().error === undefined, 60_000);
  await applyEndpoints('shop', ['there']);
  await announces();
  expect(changes).toBeGreaterThan(0);
});
