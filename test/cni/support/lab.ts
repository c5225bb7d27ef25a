// A node with a test agent (agent.ts), pods beside it, and the plugin executed as a container runtime does.
import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { type Host, type Outcome, createHost, run } from '../../lab/host.ts';
import type { Leases } from './agent.ts';

const here = (path: string): string => new URL(path, import.meta.url).pathname;
export const plugin = here('../../../cni/plugin.ts');

export interface PodLike {
  readonly name: string;
  readonly containerId: string;
  readonly netns: string;
  readonly ifname?: string;
}

/** What ADD prints. */
export interface AddResult {
  readonly cniVersion: string;
  readonly interfaces: readonly { name: string; mac: string; sandbox?: string; mtu?: number }[];
  readonly ips: readonly { address: string; gateway: string; interface: number }[];
  readonly routes: readonly { dst: string; gw?: string }[];
}

export class Node implements AsyncDisposable {
  readonly host: Host;
  readonly folder: string;
  /** What the runtime executes. */
  executable: readonly [string, ...string[]] = [process.execPath, plugin];
  /** Who does the pod's half. With the plugin's help the agent gets by on NET_ADMIN, and gets nothing else here. */
  podHalf: 'agent' | 'plugin' = 'agent';
  private agent: ChildProcess | undefined;
  readonly log: string[] = [];

  constructor(host: Host) {
    this.host = host;
    this.folder = `/run/lab/${host.name}`;
  }

  get agentPid(): number {
    return this.agent!.pid!;
  }

  get socket(): string {
    return `${this.folder}/run/cni.sock`;
  }

  /** Resolves when the agent serves. */
  async startAgent(): Promise<void> {
    const program = [process.execPath, here('agent.ts'), `${this.folder}/run`, `${this.folder}/state`, this.podHalf];
    const confined = ['setpriv', '--bounding-set', '-all,+net_admin', '--inh-caps', '-all', ...program];
    const [command, ...args] = (this.podHalf === 'plugin' ? confined : program) as [string, ...string[]];
    const agent = this.host.start(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.agent = agent;
    createInterface(agent.stderr!).on('line', (line) => this.log.push(line));
    const [line] = (await Promise.race([
      once(createInterface(agent.stdout!), 'line'),
      once(agent, 'exit').then(() => [`ended: ${this.log.join('\n')}`]),
    ])) as [string];
    if (line !== 'ready') throw new Error(line);
  }

  async stopAgent(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const agent = this.agent!;
    const end = once(agent, 'exit');
    agent.kill(signal);
    await end;
  }

  config(extra: object = {}): object {
    const stateDir = `${this.folder}/state`;
    return { cniVersion: '1.1.0', name: 'pods', type: 'manx', socket: this.socket, stateDir, ...extra };
  }

  environment(command: string, pod: PodLike): Record<string, string> {
    const { name, containerId, netns, ifname = 'eth0' } = pod;
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${containerId}`;
    return {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netns,
      CNI_IFNAME: ifname,
      CNI_PATH: '/opt/cni/bin',
      CNI_ARGS: args,
    };
  }

  /** Executes the plugin. */
  cni(command: string, pod: PodLike, extra: object = {}): Promise<Outcome> {
    const [program, ...args] = this.executable;
    return this.host.run(program, args, {
      env: this.environment(command, pod),
      input: JSON.stringify(this.config(extra)),
      mayFail: true,
    });
  }

  /** Executes the plugin and kills it after a while, if it still runs then. */
  async cniKilled(command: string, pod: PodLike, afterMs: number): Promise<void> {
    const [program, ...args] = this.executable;
    const env = { ...process.env, ...this.environment(command, pod) };
    const child = this.host.start(program, args, { env, stdio: ['pipe', 'ignore', 'ignore'] });
    const end = once(child, 'exit');
    child.stdin!.on('error', () => undefined);
    child.stdin!.end(JSON.stringify(this.config()));
    const timer = setTimeout(() => child.kill('SIGKILL'), afterMs);
    await end;
    clearTimeout(timer);
  }

  async add(pod: PodLike, extra: object = {}): Promise<AddResult> {
    const { code, stdout, stderr } = await this.cni('ADD', pod, extra);
    if (code !== 0) throw new Error(`ADD of ${pod.name} ended with ${code}: ${stdout}${stderr}`);
    return JSON.parse(stdout) as AddResult;
  }

  async del(pod: PodLike, extra: object = {}): Promise<void> {
    const { code, stdout, stderr } = await this.cni('DEL', pod, extra);
    if (code !== 0 || stdout !== '') throw new Error(`DEL of ${pod.name} ended with ${code}: ${stdout}${stderr}`);
  }

  async leases(): Promise<Leases> {
    return JSON.parse(await readFile(`${this.folder}/state/leases.json`, 'utf8').catch(() => '{}')) as Leases;
  }

  /** Everything that attachments leave on a node: for a test that wants none of it. */
  async remains(): Promise<Remains> {
    const links = JSON.parse((await this.host.ip('-j link show type veth')) || '[]') as { ifname: string }[];
    return {
      links: links.map(({ ifname }) => ifname).filter((name) => name.startsWith('cali')),
      routes: JSON.parse(await this.host.ip('-j route show proto 201')) as unknown[],
      routes6: JSON.parse(await this.host.ip('-j -6 route show proto 201')) as unknown[],
      leases: await this.leases(),
      records: await readdir(`${this.folder}/state/attachments`).catch(() => []),
      tombstones: await readdir(`${this.folder}/state/tombstones`).catch(() => []),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    await run('rm', ['-rf', this.folder]);
  }
}

export interface Remains {
  readonly links: readonly string[];
  readonly routes: readonly unknown[];
  readonly routes6: readonly unknown[];
  readonly leases: Leases;
  readonly records: readonly string[];
  readonly tombstones: readonly string[];
}

export const nothing: Remains = { links: [], routes: [], routes6: [], leases: {}, records: [], tombstones: [] };

/** A node whose agent serves. */
export async function createNode(
  name: string,
  executable?: Node['executable'],
  podHalf: Node['podHalf'] = 'agent',
): Promise<Node> {
  const node = new Node(await createHost(name));
  node.podHalf = podHalf;
  if (executable) node.executable = executable;
  // A node has an address of its own, and no more: no default route covers the pods' gateway.
  await node.host.ip('addr add 10.250.1.11/32 dev lo');
  await node.host.ip('addr add fd10:250:1::11/128 dev lo nodad');
  await run('mkdir', ['-p', `${node.folder}/run`, `${node.folder}/state`]);
  await node.startAgent();
  return node;
}

export interface LabPod extends PodLike, AsyncDisposable {
  readonly host: Host;
}

/** A sandbox without any interface but its loopback. */
export async function createPod(name: string, containerId = `c0ffee-${name}`): Promise<LabPod> {
  const host = await createHost(name);
  return { name, containerId, host, netns: host.netns, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
}

/** Without the lengths. */
export function addressesOf(result: AddResult): string[] {
  return result.ips.map(({ address }) => address.split('/')[0]!);
}
