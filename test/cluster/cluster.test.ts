// The whole of it: three nodes with containerd, kubelet and kube-proxy, a router with BIRD, a data-centre host, and Manx
// as an operator installs it. The tests go on where the one before has stopped.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBird } from '../lab/bird.ts';
import { hostAddresses } from '../lab/fabric.ts';
import type { Host } from '../lab/host.ts';
import { cgroupsLacking } from '../lab/kubernetes/cgroups.ts';
import { type Cluster, startCluster } from '../lab/kubernetes/cluster.ts';
import { askEcho } from '../lab/kubernetes/echo.ts';
import { agentsReady, installManx, nodesReady, noTraces } from '../lab/kubernetes/manx.ts';
import { type ClusterPod, echoDeployment, enterPod, gone, podsOf, rolledOut } from '../lab/kubernetes/pods.ts';
import { layStockNetwork, removeStockNetwork } from '../lab/kubernetes/stock-network.ts';
import { lacking } from '../lab/needs.ts';
import { type Party, startPing } from '../lab/reach.ts';
import { startStream, startStreamEnd } from '../lab/stream.ts';
import { until } from '../lab/until.ts';
import { startWhoami, whoami } from '../lab/whoami.ts';

const reason =
  lacking('kubernetes', 'etcd', 'openssl', 'containerd', 'runc', 'cni-plugins', 'busybox', 'nft', 'bird', 'ping') ??
  cgroupsLacking();
let cluster: Cluster;

beforeAll(async () => {
  if (reason !== undefined) return;
  cluster = await startCluster({ nodes: 3, prefix: 'k-', folder: '/run/lab/cluster' });
  await startBird(cluster.fabric.tor, '/run/lab/cluster/tor');
}, 180_000);
const entered = new AsyncDisposableStack();
afterAll(async () => {
  await entered.disposeAsync();
  await cluster?.[Symbol.asyncDispose]();
}, 60_000);

const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const milliseconds = (since: number): string => `${Math.round(performance.now() - since)} ms`;

/** Sixty pods come, are ready, and go: how long it took, in words. */
async function sixtyPods(name: string): Promise<string> {
  const start = performance.now();
  await cluster.api.apply(echoDeployment(cluster, name, 60));
  await rolledOut(cluster, `deployment/${name}`, 'default', 170);
  const came = milliseconds(start);
  expect(await podsOf(cluster, `app=${name}`)).toHaveLength(60);
  const end = performance.now();
  await cluster.api.kubectl(['delete', 'deployment', name]);
  await gone(cluster, `app=${name}`);
  return `60 pods ready in ${came}, gone in ${milliseconds(end)}`;
}

test.skipIf(reason)(
  title('the lab itself: 60 pods of the stock plugins come and go'),
  async () => {
    await layStockNetwork(cluster);
    await nodesReady(cluster);
    console.log(`stock ptp: ${await sixtyPods('stock')}`);
    await removeStockNetwork(cluster);
  },
  240_000,
);

test.skipIf(reason)(
  title('kubectl apply -k deploy makes every node Ready'),
  async () => {
    await installManx(cluster, '/run/lab/cluster/image');
    await nodesReady(cluster);
  },
  240_000,
);

let pods: readonly ClusterPod[] = [];
const enter = async (pod: ClusterPod): Promise<Host> => entered.use(await enterPod(pod));

test.skipIf(reason)(
  title('pods of a Deployment are ready, on every node, with an address of both families'),
  async () => {
    await cluster.api.apply(echoDeployment(cluster, 'echo', 6));
    await rolledOut(cluster, 'deployment/echo');
    pods = await podsOf(cluster, 'app=echo');
    expect(new Set(pods.map(({ node }) => node.name)).size).toBe(3);
    for (const { addresses } of pods) {
      expect(addresses).toEqual([expect.stringMatching(/^10\.82\./), expect.stringMatching(/^fd82:/)]);
    }
  },
  180_000,
);

test.skipIf(reason)(
  title('pods, nodes and the data-centre host reach every pod, which sees their own addresses'),
  async () => {
    const inside = await Promise.all(pods.map(async (pod) => ({ host: await enter(pod), addresses: pod.addresses })));
    const clients = [...inside, { host: cluster.fabric.host, addresses: hostAddresses }];
    const targets = pods.flatMap(({ addresses }) => addresses);
    for (const { host, addresses } of clients) {
      const answers = await askEcho(host, targets);
      const seen = answers.map(({ asked, client, error }) => [asked, client ?? error]);
      expect(seen).toEqual(answers.map(({ asked }) => [asked, addresses[asked.includes('[') ? 1 : 0]]));
    }
    for (const { host, addresses } of cluster.nodes) {
      const elsewhere = pods.filter(({ node }) => node.host !== host);
      const answers = await askEcho(
        host,
        elsewhere.flatMap((pod) => pod.addresses),
      );
      const seen = answers.map(({ asked, client, error }) => [asked, client ?? error]);
      expect(seen).toEqual(answers.map(({ asked }) => [asked, addresses[asked.includes('[') ? 1 : 0]]));
    }
  },
);

test.skipIf(reason)(title('the data-centre host sees the address of the pod that asks'), async () => {
  await startWhoami(cluster.fabric.host);
  const [pod] = pods;
  const inside = await enter({ ...pod!, name: 'asking' });
  for (const [family, address] of hostAddresses.entries()) {
    expect(await whoami(inside, address)).toBe(pod!.addresses[family]);
  }
});

const balancerAddresses = ['203.0.113.10', 'fd10:113::10'] as const;
const localAddresses = ['203.0.113.11', 'fd10:113::11'] as const;

test.skipIf(reason)(
  title('a Service of type LoadBalancer is reached from behind the router, Cluster and Local'),
  async () => {
    await cluster.api.kubectl(
      ['patch', 'bgpconfigurations.crd.projectcalico.org', 'default', '--type=merge', '-p'].concat(
        JSON.stringify({ spec: { serviceLoadBalancerIPs: [{ cidr: '203.0.113.0/24' }, { cidr: 'fd10:113::/64' }] } }),
      ),
    );
    await balance('everywhere', 'Cluster', balancerAddresses);
    await balance('nearby', 'Local', localAddresses);
    for (const addresses of [balancerAddresses, localAddresses]) {
      await until(
        `the host reaches ${addresses.join()}`,
        async () => (await askEcho(cluster.fabric.host, addresses, 80)).every(({ error }) => error === undefined),
        30_000,
        500,
      );
    }
    const answers = await askEcho(cluster.fabric.host, localAddresses, 80);
    expect(answers.map(({ client }) => client)).toEqual(hostAddresses); // with Local nobody translates it
  },
);

/** A Service in front of the echo pods, with addresses as a load-balancer controller writes them into its status. */
async function balance(name: string, policy: 'Cluster' | 'Local', addresses: readonly string[]): Promise<void> {
  await cluster.api.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: {
      type: 'LoadBalancer',
      externalTrafficPolicy: policy,
      ipFamilyPolicy: 'RequireDualStack',
      selector: { app: 'echo' },
      ports: [{ port: 80, targetPort: 8080 }],
    },
  });
  const status = { loadBalancer: { ingress: addresses.map((ip) => ({ ip })) } };
  const patch = ['patch', 'service', name, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
  await cluster.api.kubectl(patch);
}

test.skipIf(reason)(
  title('60 pods come and go, and leave nothing behind'),
  async () => {
    await cluster.api.kubectl(['delete', 'deployment', 'echo']);
    await gone(cluster, 'app=echo');
    await noTraces(cluster);
    console.log(`Manx: ${await sixtyPods('many')}`);
    await noTraces(cluster);
  },
  300_000,
);

/** Three pods, one a node; each is a host of the lab from then on. */
async function threePods(name: string): Promise<Party[]> {
  await cluster.api.apply(echoDeployment(cluster, name, 3));
  await rolledOut(cluster, `deployment/${name}`);
  const found = await podsOf(cluster, `app=${name}`);
  return Promise.all(found.map(async (pod) => ({ name: pod.name, host: await enter(pod), addresses: pod.addresses })));
}

let parties: Party[] = [];

/** Everyone pings everyone from the data-centre host and the pods while `disturb` runs: what was lost, by pair. */
async function lostDuring(disturb: () => Promise<unknown>): Promise<Record<string, number>> {
  const host = { name: 'host', host: cluster.fabric.host, addresses: hostAddresses };
  const [a, b, c] = parties as [Party, Party, Party];
  const pairs = [
    [host, a],
    [host, b],
    [host, c],
    [a, b],
    [b, c],
    [c, host],
  ] as const;
  const pings = pairs.flatMap(([from, to]) =>
    to.addresses.map((address) => ({ name: `${from.name} -> ${address}`, ping: startPing(from.host, address) })),
  );
  await disturb();
  const counts = await Promise.all(pings.map(async ({ name, ping }) => ({ name, ...(await ping.stop()) })));
  for (const { sent } of counts) expect(sent).toBeGreaterThan(100);
  return Object.fromEntries(
    counts.flatMap(({ name, sent, received }) => (sent === received ? [] : [[name, sent - received]])),
  );
}

test.skipIf(reason)(
  title('a rolling restart of the DaemonSet loses no packet, and no stream breaks'),
  async () => {
    parties = await threePods('steady');
    const [a, b] = parties as [Party, Party];
    await Promise.all([a, b].map(({ host }) => startStreamEnd(host)));
    const streams = await Promise.all([
      startStream(cluster.fabric.host, a.addresses[0]!),
      startStream(a.host, b.addresses[1]!),
    ]);
    const lost = await lostDuring(async () => {
      await cluster.api.kubectl(['-n', 'manx-system', 'rollout', 'restart', 'daemonset/manx']);
      await agentsReady(cluster);
    });
    expect(lost).toEqual({});
    for (const stream of streams) expect(await stream.end()).toMatchObject({ lost: 0 });
  },
  240_000,
);

test.skipIf(reason)(
  title('kubelet, containerd, the API server and etcd restart, and no packet is lost'),
  async () => {
    const [node] = cluster.nodes;
    const lost = await lostDuring(async () => {
      await node!.kubelet.restart();
      await node!.containerd.stop('SIGTERM');
      await node!.startContainerd();
      await node!.kubelet.restart(); // where systemd runs it, it comes back when containerd does
      await cluster.api.stop();
      await cluster.api.etcd.stop();
      await cluster.api.etcd.start();
      await cluster.api.start();
      await nodesReady(cluster);
    });
    expect(lost).toEqual({});
  },
  240_000,
);

test.skipIf(reason)(
  title('after all of these, pods come on every node as before'),
  async () => {
    await cluster.api.kubectl(['scale', 'deployment', 'steady', '--replicas=6']);
    await rolledOut(cluster, 'deployment/steady');
    const targets = (await podsOf(cluster, 'app=steady')).flatMap(({ addresses }) => addresses);
    expect((await askEcho(cluster.fabric.host, targets)).filter(({ error }) => error !== undefined)).toEqual([]);
  },
  120_000,
);

test.skipIf(reason)(
  title('a node that is deleted and built anew under its name comes back clean'),
  async () => {
    const node = cluster.nodes[2]!;
    await cluster.api.apply(echoDeployment(cluster, 'steady', 6));
    await rolledOut(cluster, 'deployment/steady');
    await cluster.api.kubectl(['delete', 'node', node.name, '--wait=false']);
    await cluster.rebuild(node);
    await nodesReady(cluster, 120);
    await agentsReady(cluster);
    await until(
      'the host reaches every pod, those on the new node too',
      async () => {
        await rolledOut(cluster, 'deployment/steady');
        const now = await podsOf(cluster, 'app=steady');
        const targets = now.flatMap(({ addresses }) => addresses);
        const answers = await askEcho(cluster.fabric.host, targets);
        return now.some((pod) => pod.node === node) && answers.every(({ error }) => error === undefined);
      },
      60_000,
      500,
    );
    await cluster.api.kubectl(['delete', 'deployment', 'steady']);
    await gone(cluster, 'app=steady');
    await noTraces(cluster);
  },
  300_000,
);
