// The other side of the tests: BIRD, ping, tcpdump and their like, from Debian's packages.
//
// What the machine has is used. What it lacks is unpacked from its packages into a cache of our own
// (deploy/debian.ts), without installing anything.
import { delimiter, join } from 'node:path';
import { type Tool, commandsOf, isExecutable, unpack } from '../../deploy/debian.ts';

export const tools = {
  bird: { package: 'bird2', commands: { bird: 'bird', birdc: 'birdc' } },
  nft: { package: 'nftables', commands: { nft: 'nft' } },
  ping: { package: 'iputils-ping', commands: { ping: 'ping' } },
  tcpdump: { package: 'tcpdump', commands: { tcpdump: 'tcpdump' } },
  tshark: { package: 'tshark', commands: { tshark: 'tshark' } },
  frr: {
    package: 'frr',
    commands: { 'frr-bgpd': 'bgpd', 'frr-zebra': 'zebra' },
    libraries: ['usr/lib/x86_64-linux-gnu/frr'],
  },
  gobgp: { package: 'gobgpd', commands: { gobgpd: 'gobgpd', gobgp: 'gobgp' } },
  openbgpd: { package: 'openbgpd', commands: { 'openbgpd-bgpd': 'bgpd', 'openbgpd-bgpctl': 'bgpctl' } },
  exabgp: {
    package: 'exabgp',
    commands: { 'exabgp-run': 'python3-exabgp' },
    environment: (root) => ({ PYTHONPATH: join(root, 'usr/lib/python3/dist-packages') }),
  },
  openssl: { package: 'openssl', commands: { openssl: 'openssl' } },
  etcd: { package: 'etcd-server', commands: { etcd: 'etcd' } },
  containerd: {
    package: 'containerd',
    commands: { containerd: 'containerd', ctr: 'ctr', 'containerd-shim-runc-v2': 'containerd-shim-runc-v2' },
  },
  runc: { package: 'runc', commands: { runc: 'runc' } },
  // The names are ours: nodes get exactly these, whatever the machine has in /opt/cni/bin.
  'cni-plugins': {
    package: 'containernetworking-plugins',
    commands: {
      'cni-loopback': 'loopback',
      'cni-ptp': 'ptp',
      'cni-host-local': 'host-local',
      'cni-portmap': 'portmap',
    },
  },
  // Linked statically, it is all that an image needs.
  busybox: { package: 'busybox-static', commands: { 'busybox-static': 'busybox' } },
} as const satisfies Record<string, Tool>;
export type ToolName = keyof typeof tools;

const forClusters = ['openssl', 'etcd', 'containerd', 'runc', 'cni-plugins', 'busybox'] as const satisfies ToolName[];

/** What tests need that stay in a network of the lab, or what those need besides that have a Kubernetes in it. */
export function toolsOf(run: 'network' | 'cluster'): readonly ToolName[] {
  if (run === 'cluster') return forClusters;
  return (Object.keys(tools) as ToolName[]).filter((name) => !forClusters.some((other) => other === name));
}

/** Which tools there are now, and for the others why not. */
export interface Provision {
  /** What PATH must be to find them. */
  readonly path: string;
  readonly missing: ReadonlyMap<ToolName, string>;
}

/** Finds each tool on this machine or fetches it. A tool that cannot be had is reported, never an error. */
export async function provide(names: readonly ToolName[]): Promise<Provision> {
  const path = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const missing = new Map<ToolName, string>();
  for (const name of names) {
    const tool: Tool = tools[name];
    try {
      const commands = Object.keys(tool.commands);
      if (commands.every((command) => path.some((folder) => isExecutable(join(folder, command))))) continue;
      await unpack(tool);
      path.push(commandsOf(tool));
    } catch (error) {
      missing.set(name, `package ${tool.package} cannot be had: ${(error as Error).message.trim()}`);
    }
  }
  return { path: path.join(delimiter), missing };
}
