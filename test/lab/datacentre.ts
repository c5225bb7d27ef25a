// A small data centre with Manx in it: the fabric, an agent a node on one shared file store, a router, and pods that
// are wired by executing the plugin as a container runtime would.
import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { type Fabric, hostAddresses, layFabric, nodeAddresses } from './fabric.ts';
import { type Host, type Outcome, createHost } from './host.ts';
import type { Programs } from './programs.ts';
import { Hopeless, until } from './until.ts';

export interface Pod {
  readonly name: string;
  readonly node: LabNode;
  readonly host: Host;
  readonly containerId: string;
  readonly addresses: readonly string[];
}

export interface DataCentre extends AsyncDisposable {
  readonly fabric: Fabric;
  readonly nodes: readonly LabNode[];
  readonly pods: readonly Pod[];
  /** Where everything of it is kept: config, datastore, one folder a node. */
  readonly folder: string;
  /** The folder of the shared configuration. */
  readonly config: string;
  addPod(name: string, node: LabNode): Promise<Pod>;
  removePod(pod: Pod): Promise<void>;
}

/** The resources of the lab, file name → YAML. What a test wants otherwise, it overwrites by name. */
export function labConfiguration(nodeCount = 3): Record<string, string> {
  const nodes = Array.from({ length: nodeCount }, (_, index) => {
    const [v4, v6] = nodeAddresses(index + 1);
    return `apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: worker-${index + 1}}
spec: {bgp: {ipv4Address: ${v4}/24, ipv6Address: "${v6}/64"}}
`;
  });
  return {
    'nodes.yaml': nodes.join('---\n'),
    'pools.yaml': `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods-v4}
spec: {cidr: 10.82.0.0/16, blockSize: 26}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods-v6}
spec: {cidr: "fd82::/48", blockSize: 122}
`,
    'bgp.yaml': `apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {asNumber: 64512, nodeToNodeMeshEnabled: true}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor-v4}
spec: {peerIP: 10.250.1.254, asNumber: 65001}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor-v6}
spec: {peerIP: "fd10:250:1::254", asNumber: 65001}
`,
  };
}

/** The same without the router: for tests in which only the nodes among themselves matter. */
export function meshConfiguration(nodeCount: number): Record<string, string> {
  const { 'bgp.yaml': bgp, ...rest } = labConfiguration(nodeCount);
  return { ...rest, 'bgp.yaml': bgp!.split('---')[0]! };
}

/** One node: its host, its agent, its folders under `folder`. */
export class LabNode {
  readonly name: string;
  readonly host: Host;
  readonly folder: string;
  private readonly programs: Programs;
  private readonly shared: string;
  private agent: ChildProcess | undefined;

  constructor(name: string, host: Host, shared: string, programs: Programs) {
    this.name = name;
    this.host = host;
    this.shared = shared;
    this.folder = `${shared}/${name}`;
    this.programs = programs;
  }

  get run(): string {
    return `${this.folder}/run`;
  }

  get agentPid(): number | undefined {
    return this.agent?.pid;
  }

  /** Starts the agent and resolves as soon as its process runs; {@link ready} waits for its API. */
  /** What manxd is started with here. */
  get command(): string[] {
    const places = ['--config', `${this.shared}/config`, '--datastore', `${this.shared}/datastore`];
    const own = ['--state', `${this.folder}/state`, '--run', this.run, '--node', this.name];
    return [this.programs.manxd, ...places, ...own];
  }

  async startAgent(flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<void> {
    await mkdir(this.run, { recursive: true });
    const log = createWriteStream(`${this.folder}/manxd.log`, { flags: 'a' });
    await once(log, 'open');
    const started = this.host.start(process.execPath, [...this.command, ...flags], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    });
    started.once('spawn', () => log.close());
    await once(started, 'spawn');
    this.agent = started;
  }

  /** Resolves when the agent answers on its API. */
  async ready(): Promise<void> {
    await until(
      `the agent of ${this.name} answers`,
      async () => {
        if (this.agent && this.agent.exitCode !== null) {
          throw new Hopeless(`manxd ended with ${this.agent.exitCode}: ${await this.log()}`);
        }
        return (await this.manxctl('version', '-o', 'json')).code === 0;
      },
      60_000,
    );
  }

  /** Sends the agent a signal and waits for its end. */
  async stopAgent(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const agent = this.agent;
    if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) return;
    const end = once(agent, 'exit');
    agent.kill(signal);
    await end;
    this.agent = undefined;
  }

  async log(): Promise<string> {
    return readFile(`${this.folder}/manxd.log`, 'utf8');
  }

  manxctl(...args: readonly string[]): Promise<Outcome> {
    return this.host.run(process.execPath, [this.programs.manxctl, '--run', this.run, ...args], { mayFail: true });
  }

  /** Executes the plugin as a container runtime does: environment and standard input. */
  cni(command: string, pod: Pick<Pod, 'name' | 'host' | 'containerId'>, extra: object = {}): Promise<Outcome> {
    const config = {
      cniVersion: '1.0.0',
      name: 'k8s-pod-network',
      type: 'manx',
      socket: `${this.run}/cni.sock`,
      stateDir: `${this.folder}/state`,
      ...extra,
    };
    return this.host.run(`${this.programs.cniPath}/manx`, [], {
      input: JSON.stringify(config),
      mayFail: true,
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: pod.containerId,
        CNI_NETNS: pod.host.netns,
        CNI_IFNAME: 'eth0',
        CNI_PATH: this.programs.cniPath,
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name};K8S_POD_INFRA_CONTAINER_ID=${pod.containerId}`,
      },
    });
  }
}

/** Builds the fabric, writes the configuration and starts the agents. Pods and the router are the caller's to add. */
export async function buildDataCentre(options: {
  readonly prefix: string;
  readonly folder: string;
  readonly programs: Programs;
  readonly nodeCount?: number;
  readonly configuration?: Record<string, string>;
}): Promise<DataCentre> {
  await using built = new AsyncDisposableStack();
  const fabric = built.use(await layFabric(options.prefix, options.nodeCount));
  const config = `${options.folder}/config`;
  await mkdir(config, { recursive: true });
  for (const [file, yaml] of Object.entries(options.configuration ?? labConfiguration(options.nodeCount))) {
    await writeFile(`${config}/${file}`, yaml);
  }
  const nodes = fabric.nodes.map((host, i) => new LabNode(`worker-${i + 1}`, host, options.folder, options.programs));
  await Promise.all(nodes.map((node) => node.startAgent()));
  await Promise.all(nodes.map((node) => node.ready()));

  const pods: Pod[] = [];
  let serial = 0;
  const addPod = async (name: string, node: LabNode): Promise<Pod> => {
    const host = kept.use(await createHost(`${options.prefix}${name}`));
    const containerId = `${name}-${++serial}`;
    const outcome = await node.cni('ADD', { name, host, containerId });
    if (outcome.code !== 0)
      throw new Error(`ADD of ${name} ended with ${outcome.code}: ${outcome.stdout}${outcome.stderr}`);
    const result = JSON.parse(outcome.stdout) as { ips: readonly { address: string }[] };
    const addresses = result.ips.map(({ address }) => address.replace(/\/.*/, ''));
    const pod: Pod = { name, node, host, containerId, addresses };
    pods.push(pod);
    return pod;
  };
  const removePod = async (pod: Pod): Promise<void> => {
    const outcome = await pod.node.cni('DEL', pod);
    if (outcome.code !== 0) throw new Error(`DEL of ${pod.name} ended with ${outcome.code}: ${outcome.stdout}`);
    pods.splice(pods.indexOf(pod), 1);
  };
  const kept = built.move();
  const dispose = (): Promise<void> => kept.disposeAsync();
  return { fabric, nodes, pods, folder: options.folder, config, addPod, removePod, [Symbol.asyncDispose]: dispose };
}

/** Who must be able to reach whom: every pod, every node, and the host behind the router, by address. */
export function everyone(centre: DataCentre): { name: string; host: Host; addresses: readonly string[] }[] {
  return [
    ...centre.pods,
    ...centre.nodes.map((node, index) => ({ name: node.name, host: node.host, addresses: nodeAddresses(index + 1) })),
    { name: 'host', host: centre.fabric.host, addresses: hostAddresses },
  ];
}
