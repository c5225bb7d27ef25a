// The whole of it: three nodes with containerd, kubelet and kube-proxy, a router with BIRD, a data-centre host, and Manx
// as an operator installs it. The tests go on where the one before has stopped.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { version } from '../../src/version.ts';
import { startBird } from '../lab/bird.ts';
import { hostAddresses } from '../lab/fabric.ts';
import type { Host } from '../lab/host.ts';
import { cgroupsLacking } from '../lab/kubernetes/cgroups.ts';
import { type Cluster, startCluster } from '../lab/kubernetes/cluster.ts';
import type { ClusterNode } from '../lab/kubernetes/node.ts';
import { askEcho } from '../lab/kubernetes/echo.ts';
import { agentsReady, importManx, installManx, nodesReady, noTraces, tracesOfManx } from '../lab/kubernetes/manx.ts';
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
const root = new URL('../../', import.meta.url).pathname;
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
    await installManx(cluster);
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

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly lastTransitionTime: string;
}
interface NodeObject {
  readonly spec: { readonly taints?: readonly { readonly key: string }[] };
  readonly status: { readonly conditions: readonly Condition[] };
}

async function nodeObjects(): Promise<readonly NodeObject[]> {
  const { stdout } = await cluster.api.kubectl(['get', 'nodes', '-o', 'json']);
  return (JSON.parse(stdout) as { items: readonly NodeObject[] }).items;
}

/** What each Node says of its network, and since when. */
async function networkConditions(): Promise<readonly (Condition | undefined)[]> {
  return (await nodeObjects()).map(({ status }) => status.conditions.find(({ type }) => type === 'NetworkUnavailable'));
}

/** How many agents are away at once at the most, from now on until it is told to stop. */
function watchAgentsAway(): { stop(): Promise<number> } {
  const unavailable = ['-o', 'jsonpath={.status.numberUnavailable}{"\\n"}'];
  const words = ['-n', 'manx-system', 'get', 'daemonset', 'manx', '--watch', ...unavailable];
  const watch = cluster.control.start('kubectl', ['--kubeconfig', cluster.api.kubeconfig, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output = text(watch.stdout!);
  return {
    stop: async () => {
      const end = once(watch, 'exit');
      watch.kill();
      await end;
      return Math.max(...(await output).split('\n').map(Number));
    },
  };
}

test.skipIf(reason)(
  title('an upgrade takes one agent at a time, loses no packet, and no Node says meanwhile that it has no network'),
  async () => {
    const next = `${version}-next`;
    const image = await importManx(cluster, next);
    const before = await networkConditions();
    const away = watchAgentsAway();
    const lost = await lostDuring(async () => {
      await cluster.api.kubectl(['-n', 'manx-system', 'set', 'image', 'daemonset/manx', `*=${image}`]);
      await agentsReady(cluster);
    });
    expect(lost).toEqual({});
    expect(await away.stop()).toBe(1);
    await until(
      'every agent says its new version',
      async () => {
        const versions = ['-o', 'jsonpath={.items[*].status.version}'];
        const { stdout } = await cluster.api.kubectl(['get', 'noderoutingstatuses', ...versions]);
        return stdout === [next, next, next].join(' ');
      },
      30_000,
      500,
    );
    expect(before.map((condition) => condition?.status)).toEqual(['False', 'False', 'False']);
    expect(await networkConditions()).toEqual(before);
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

/** The commands of deploy/README under a heading, word by word. */
async function commandsUnder(heading: string): Promise<readonly (readonly string[])[]> {
  const readme = await readFile(`${root}deploy/README.md`, 'utf8');
  const section = readme.split(`\n### ${heading}\n`)[1]!.split('\n#')[0]!;
  const lines = [...section.matchAll(/^ {4}(kubectl .*?)(?: {3}.*)?$/gm)].flatMap(([, line]) => line!.split(' && '));
  return lines.map((line) => line.replaceAll(' deploy/', ` ${root}deploy/`).split(' ').slice(1));
}

/** Things on a node that look like Manx's and are not. */
const others = {
  route: '198.51.100.0/24 via 10.250.1.254 dev eth0 proto static',
  link: 'califfffffffff1',
  table: 'table inet other',
  files: ['/etc/cni/net.d/99-other.conflist', '/opt/cni/bin/loopback', '/run/other', '/var/lib/other'],
};
const otherConflist = { cniVersion: '1.0.0', name: 'other', plugins: [{ type: 'loopback' }] };

async function putOthers(node: ClusterNode): Promise<void> {
  await node.host.ip(`route add ${others.route}`);
  await node.host.ip(`link add ${others.link} type bridge`);
  await node.host.run('nft', ['add', ...others.table.split(' ')]);
  const [conflist, , ...folders] = others.files;
  await node.writeFile(conflist!, JSON.stringify(otherConflist));
  await node.run('mkdir', ['-p', ...folders]);
}

/** Which of them are there. */
async function othersOn(node: ClusterNode): Promise<typeof others> {
  const [routes, links] = await Promise.all([node.host.ip('route'), node.host.ip('-br link')]);
  const { stdout: tables } = await node.host.run('nft', ['list', 'tables']);
  const { stdout: files } = await node.run('ls', ['-d', ...others.files], { mayFail: true });
  const ifIn = (text: string, what: string): string => (text.includes(what) ? what : '');
  return {
    route: ifIn(routes, others.route),
    link: ifIn(links, others.link),
    table: ifIn(tables, others.table),
    files: files.split('\n').filter(Boolean),
  };
}

test.skipIf(reason)(
  title('taken away as deploy/README says, Manx leaves nothing on any node, and what is not its stays'),
  async () => {
    const translate = ['patch', 'ippools.crd.projectcalico.org', 'pods-v4', '--type=merge', '-p'];
    await cluster.api.kubectl([...translate, '{"spec": {"natOutgoing": true}}']);
    await cluster.api.apply(echoDeployment(cluster, 'left', 3));
    await rolledOut(cluster, 'deployment/left');
    await Promise.all(cluster.nodes.map(putOthers));
    for (const node of cluster.nodes) {
      await until(`${node.name} has everything of Manx`, async () => {
        const { routes, tables, links, files } = await tracesOfManx(node);
        expect([tables, links.length, files.length]).toEqual([['table inet manx'], 2, 5]); // a pod's, and others.link
        return routes.length > 0;
      });
    }

    for (const words of await commandsUnder('Taking it away')) await cluster.api.kubectl(words);

    for (const node of cluster.nodes) {
      expect(await tracesOfManx(node)).toEqual({ routes: [], tables: [], links: [others.link], files: [] });
      expect(await othersOn(node)).toEqual(others);
    }
    for (const { status, spec } of await nodeObjects()) {
      const condition = status.conditions.find(({ type }) => type === 'NetworkUnavailable');
      expect(condition).toMatchObject({ status: 'True', reason: 'ManxIsGone' });
      expect(spec.taints?.map(({ key }) => key)).toContain('node.kubernetes.io/network-unavailable');
    }
    const kinds = ['namespaces', 'clusterroles', 'clusterrolebindings', 'customresourcedefinitions'];
    const { stdout } = await cluster.api.kubectl(['get', kinds.join(), '-o', 'name']);
    expect(stdout).toContain('namespace/default');
    expect(stdout.split('\n').filter((line) => /manx|calico/.test(line))).toEqual([]);
  },
  240_000,
);
