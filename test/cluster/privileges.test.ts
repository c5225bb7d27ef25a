// What the manifest asks of a node, one by one: each privilege is taken away, and what then no longer works is named. What
// works without it would be asked for in vain. NET_RAW is for uplinks without addresses, see test/fib/neighbours.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Bird, startBird } from '../lab/bird.ts';
import { cgroupsLacking } from '../lab/kubernetes/cgroups.ts';
import { type Cluster, startCluster } from '../lab/kubernetes/cluster.ts';
import { askEcho } from '../lab/kubernetes/echo.ts';
import { agentsReady, installManx } from '../lab/kubernetes/manx.ts';
import { echoDeployment, podsOf, rolledOut } from '../lab/kubernetes/pods.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';

interface PodSpec {
  hostNetwork?: boolean;
  initContainers: Container[];
  containers: Container[];
}
interface Container {
  securityContext: { capabilities: { add?: string[] } };
  volumeMounts: { name: string; mountPropagation?: string }[];
}
interface DaemonSet {
  readonly spec: { readonly template: { readonly spec: PodSpec } };
}

const reason =
  lacking('kubernetes', 'etcd', 'openssl', 'containerd', 'runc', 'cni-plugins', 'busybox', 'nft', 'bird') ??
  cgroupsLacking();
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
let cluster: Cluster;
let tor: Bird;
let asWritten: DaemonSet;

const manx = ['-n', 'manx-system'];

beforeAll(async () => {
  if (reason !== undefined) return;
  cluster = await startCluster({ nodes: 1, prefix: 'p-', folder: '/run/lab/privileges' });
  tor = await startBird(cluster.fabric.tor, '/run/lab/privileges/tor');
  await installManx(cluster);
  const { stdout } = await cluster.api.kubectl([...manx, 'get', 'daemonset', 'manx', '-o', 'json']);
  asWritten = JSON.parse(stdout) as DaemonSet;
}, 240_000);
afterAll(() => cluster?.[Symbol.asyncDispose](), 60_000);

/** Replaces the agent by such a one, whatever is the matter with the one before. The node has forgotten the old one's CNI configuration when it starts. */
async function rollOut(edit: (spec: PodSpec) => void): Promise<void> {
  const { stdout } = await cluster.api.kubectl([...manx, 'get', 'pods', '-o', 'name']);
  const changed = structuredClone(asWritten);
  edit(changed.spec.template.spec);
  const patch = JSON.stringify([{ op: 'replace', path: '/spec/template/spec', value: changed.spec.template.spec }]);
  await cluster.api.kubectl([...manx, 'patch', 'daemonset', 'manx', '--type=json', '-p', patch]);
  await cluster.api.kubectl([...manx, 'delete', '--wait', ...stdout.split('\n').filter(Boolean)]);
  await cluster.nodes[0]!.run('rm', ['-f', '/etc/cni/net.d/10-manx.conflist']);
}

type Holds = (withinSeconds: number) => Promise<unknown>;
const checks: readonly (readonly [name: string, holds: Holds])[] = [
  ['the agent is ready', (seconds) => agentsReady(cluster, seconds)],
  ['the agent accepts sessions', (seconds) => until('a connection', () => accepted(), seconds * 1000, 500)],
  [
    'the router has both sessions',
    (seconds) => until('both sessions', async () => (await sessions()) === 2, seconds * 1000, 500),
  ],
  ['a new pod is ready', (seconds) => rolledOut(cluster, 'deployment/probe', 'default', seconds)],
  [
    'the host reaches the pod',
    async (seconds) => {
      const targets = (await podsOf(cluster, 'app=probe')).flatMap(({ addresses }) => addresses);
      const reached = async (): Promise<boolean> =>
        (await askEcho(cluster.fabric.host, targets)).every(({ error }) => error === undefined);
      await until('both families', reached, seconds * 1000, 500);
    },
  ],
];

/** Whether somebody listens on BGP's port; an agent that only dials has sessions all the same. */
async function accepted(): Promise<boolean> {
  const program = `require('node:net').connect(179, '${cluster.nodes[0]!.addresses[0]}').on('connect', () => process.exit(0))`;
  return (await cluster.fabric.tor.run(process.execPath, ['-e', program], { mayFail: true })).code === 0;
}

async function sessions(): Promise<number> {
  return (await tor.birdc('show protocols')).split('\n').filter((line) => line.includes('Established')).length;
}

/** How long each check is waited for: three times what it takes on this machine where nothing is missing. */
const patience = new Map<string, number>();
const UNKNOWN_SECONDS = 60;
const LEAST_SECONDS = 10;

/**
 * The first thing that does not work, in words; nothing if all does.
 * @param least how long each is waited for at least: where all is to work, a node that had no network takes a while to say
 *   that it has one again.
 */
async function firstFailing(least = LEAST_SECONDS): Promise<string | undefined> {
  await cluster.api.apply(echoDeployment(cluster, 'probe', 1));
  try {
    for (const [name, holds] of checks) {
      const start = performance.now();
      const held = await holds(Math.max(least, patience.get(name) ?? UNKNOWN_SECONDS)).then(
        () => true,
        () => false,
      );
      if (!held) return name;
      const seconds = Math.ceil(((performance.now() - start) * 3) / 1000);
      patience.set(name, Math.max(seconds, patience.get(name) ?? LEAST_SECONDS));
    }
    return undefined;
  } finally {
    await cluster.api.kubectl(['delete', 'deployment', 'probe']);
  }
}

test.skipIf(reason)(
  title('with everything that the manifest asks for, everything works'),
  async () => {
    await rollOut(() => undefined);
    expect(await firstFailing()).toBeUndefined();
  },
  180_000,
);

const without = (capability: string) => (spec: PodSpec) => {
  const [{ securityContext }] = spec.containers as [Container];
  securityContext.capabilities.add = securityContext.capabilities.add!.filter((each) => each !== capability);
};
const unmounted = (volume: string) => (spec: PodSpec) => {
  const [container] = spec.containers as [Container];
  container.volumeMounts = container.volumeMounts.filter(({ name }) => name !== volume);
};

const losses: readonly (readonly [privilege: string, take: (spec: PodSpec) => void, failing: string])[] = [
  ['NET_ADMIN', without('NET_ADMIN'), 'the agent is ready'],
  ['NET_BIND_SERVICE', without('NET_BIND_SERVICE'), 'the agent is ready'],
  ["the node's network", (spec) => void (spec.hostNetwork = false), 'the agent is ready'],
  ['/run/manx', unmounted('run'), 'the agent is ready'],
  ['/var/lib/manx', unmounted('state'), 'the agent is ready'],
  ['/etc/cni/net.d', unmounted('cni-net'), 'a new pod is ready'],
  ['/proc/sys/net', unmounted('sysctls'), 'the agent is ready'],
  ['/run/netns', unmounted('netns'), 'a new pod is ready'],
  [
    'propagation of mounts below /run/netns',
    (spec) => {
      for (const mount of spec.containers[0]!.volumeMounts) delete mount.mountPropagation;
    },
    'a new pod is ready',
  ],
];

for (const [privilege, take, failing] of losses) {
  const sentence = `without ${privilege} it does not come to it that ${failing}`;
  test.skipIf(reason)(
    title(sentence),
    async () => {
      await rollOut(take);
      expect(await firstFailing()).toBe(failing);
    },
    240_000,
  );
}

test.skipIf(reason)(
  title('given everything again, everything works as before'),
  async () => {
    await rollOut(() => undefined);
    expect(await firstFailing(UNKNOWN_SECONDS)).toBeUndefined();
  },
  180_000,
);
