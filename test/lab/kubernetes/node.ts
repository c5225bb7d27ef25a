// A node of the cluster: containerd, kubelet and kube-proxy in namespaces that look like a machine (node.sh).
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';
import { type Host, type Outcome, type RunOptions, run } from '../host.ts';
import { Hopeless, until } from '../until.ts';
import { makeCgroup, processesIn, removeCgroup } from './cgroups.ts';
import { Daemon, type Place } from './daemon.ts';
import type { Image } from './images.ts';

export interface NodeOptions {
  readonly name: string;
  readonly host: Host;
  readonly addresses: readonly [v4: string, v6: string];
  /** Where everything of it is kept. */
  readonly folder: string;
  readonly kubeletKubeconfig: string;
  readonly proxyKubeconfig: string;
  readonly pause: Image;
}

const nodeScript = new URL('node.sh', import.meta.url).pathname;

/** What the distributions' packages bring: Kubernetes' own kubelet package depends on them too. */
const stockPlugins = ['loopback', 'ptp', 'host-local', 'portmap'] as const;

export class ClusterNode implements Place {
  readonly name: string;
  readonly host: Host;
  readonly addresses: readonly [v4: string, v6: string];
  readonly folder: string;
  readonly containerd: Daemon;
  readonly kubelet: Daemon;
  readonly proxy: Daemon;
  private readonly options: NodeOptions;
  private readonly cgroup: string;
  private readonly images: Image[] = [];
  private machine: ChildProcess | undefined;

  constructor(options: NodeOptions) {
    this.options = options;
    ({ name: this.name, host: this.host, addresses: this.addresses, folder: this.folder } = options);
    this.cgroup = `manx-${randomBytes(4).toString('hex')}-${this.name}`;
    this.containerd = new Daemon(this.folder, ['containerd', '--config', `${this.folder}/containerd.toml`], this);
    this.kubelet = new Daemon(this.folder, this.kubeletCommand(), this);
    this.proxy = new Daemon(this.folder, ['kube-proxy', '--config', `${this.folder}/kube-proxy.yaml`], this);
  }

  /** Boots the machine with containerd running on it, and its images there. */
  async boot(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await this.writeFiles();
    await makeCgroup(this.cgroup);
    this.machine = this.host.start('unshare', ['--mount', '--uts', nodeScript, this.name, `${this.folder}/disk`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(createInterface(this.machine.stdout!), 'line');
    for (const plugin of stockPlugins) {
      await this.run('sh', ['-c', `ln -s "$(command -v cni-${plugin})" /opt/cni/bin/${plugin}`]);
    }
    await this.startContainerd();
    for (const image of [this.options.pause, ...this.images]) await this.ctr(['images', 'import', image.archive]);
  }

  /** Resolves when containerd answers: a kubelet that is started before ends. */
  async startContainerd(): Promise<void> {
    await this.containerd.start();
    await until(`containerd of ${this.name} answers`, async () => {
      if (this.containerd.ended) throw new Hopeless(`containerd ended: ${await this.containerd.lastWords()}`);
      return (await this.ctr(['version'], { mayFail: true })).code === 0;
    });
  }

  /** The kubelet registers the node; kube-proxy translates the Services' addresses. */
  async join(): Promise<void> {
    await Promise.all([this.kubelet.start(), this.proxy.start()]);
  }

  /** Runs a command on the node to its end. @throws when it fails, unless mayFail. */
  run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<Outcome> {
    const [program, ...words] = this.prefix;
    return run(program, [...words, command, ...args], options);
  }

  start: Place['start'] = (command, args = [], options = {}) =>
    spawn(this.prefix[0], [...this.prefix.slice(1), command, ...args], options);

  ctr(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return this.run('ctr', ['-n', 'k8s.io', ...args], options);
  }

  /** The node has this image from now on, also when it is built anew. */
  async importImage(image: Image): Promise<void> {
    this.images.push(image);
    await this.ctr(['images', 'import', image.archive]);
  }

  /** Writes a file of the node in the way that containerd notices: under another name in the same folder first. */
  async writeFile(path: string, content: string): Promise<void> {
    await this.run('sh', ['-c', 'cat >"$1.draft" && mv "$1.draft" "$1"', 'sh', path], { input: content });
  }

  /** A process of this pod: it is in the pod's namespaces. */
  async processOf(podUid: string): Promise<number> {
    const [pid] = await processesIn(this.cgroup, `/pod${podUid}/`);
    if (pid === undefined) throw new Error(`${this.name} has no process of pod ${podUid}`);
    return pid;
  }

  /** Kills every process of the node, containers and agents too, as a power cut does. */
  async kill(): Promise<void> {
    await Promise.all([this.kubelet.stop(), this.proxy.stop()]);
    await this.containerd.stop();
    await until(`every process of ${this.name} has ended`, async () => {
      const pids = await this.processes();
      for (const pid of pids) killIfThere(pid);
      return pids.length === 0;
    });
    await removeCgroup(this.cgroup);
  }

  /** Processes of the node's network, the machine itself included, and of its containers. */
  private async processes(): Promise<readonly number[]> {
    const { stdout } = await run('ip', ['netns', 'pids', this.host.name]);
    const own = stdout.split('\n').filter(Boolean).map(Number);
    const all = [...own, ...(await processesIn(this.cgroup))];
    return (await Promise.all(all.map(async (pid) => ((await isAlive(pid)) ? [pid] : [])))).flat();
  }

  /** What comes before a command to run it on the node as it is booted now. */
  get prefix(): readonly [string, ...string[]] {
    return ['nsenter', '--target', String(this.machine!.pid), '--mount', '--uts', '--net', '--'];
  }

  private async writeFiles(): Promise<void> {
    const { folder } = this;
    await writeFile(`${folder}/containerd.toml`, containerdConfiguration(this.options.pause.reference));
    await writeFile(`${folder}/kubelet.yaml`, stringify(this.kubeletConfiguration()));
    await writeFile(`${folder}/kube-proxy.yaml`, stringify(this.proxyConfiguration()));
  }

  private kubeletCommand(): readonly [string, ...string[]] {
    return [
      'kubelet',
      ...['--config', `${this.options.folder}/kubelet.yaml`, '--kubeconfig', this.options.kubeletKubeconfig],
      ...['--hostname-override', this.options.name, '--node-ip', this.options.addresses.join()],
    ];
  }

  private kubeletConfiguration(): object {
    return {
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
      cgroupDriver: 'cgroupfs',
      cgroupRoot: `/${this.cgroup}`,
      failCgroupV1: false,
      failSwapOn: false,
      localStorageCapacityIsolation: false,
      evictionHard: { 'memory.available': '1Mi', 'nodefs.available': '1Mi', 'imagefs.available': '1Mi' },
      enforceNodeAllocatable: [],
      // kubectl logs and exec; nobody but the lab reaches the node.
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: 'AlwaysAllow' },
      resolvConf: '',
      maxPods: 250,
      // Nodes of a test come and go quickly.
      nodeStatusUpdateFrequency: '2s',
      registerNode: true,
      serializeImagePulls: false,
      shutdownGracePeriod: '0s',
    };
  }

  private proxyConfiguration(): object {
    return {
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: 'nftables',
      clientConnection: { kubeconfig: this.options.proxyKubeconfig },
      hostnameOverride: this.options.name,
      // The limit is the whole machine's: it is left as it is.
      conntrack: { maxPerCore: 0 },
    };
  }
}

function containerdConfiguration(pause: string): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`;
}

/** A zombie has ended; nobody here is its parent to say so. */
async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return status !== undefined && !/\) [ZX] /.test(status);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
