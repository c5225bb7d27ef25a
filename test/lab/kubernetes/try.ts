// A cluster of three nodes without a network, to install Manx on as deploy/README says: `npm run cluster`.
//
//   npm run cluster                    a shell where kubectl is an admin's; the cluster goes when it ends
//   npm run cluster -- COMMAND [ARG…]  that command instead
//   on worker-1 COMMAND [ARG…]         in there: a command on a node (worker-1 to worker-3), or on tor or host of the fabric
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { startBird } from '../bird.ts';
import { lacking } from '../needs.ts';
import { provide, toolsOf } from '../tools.ts';
import { cgroupsLacking } from './cgroups.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { provideKubernetes } from './programs.ts';

const folder = '/run/lab/try';
const self = new URL(import.meta.url).pathname;

await (process.env['MANX_LAB'] === undefined ? enter() : visit());

async function enter(): Promise<void> {
  const { path, missing } = await provide([...toolsOf('network'), ...toolsOf('cluster')]);
  const kubernetes = await provideKubernetes(path);
  const lacks = Object.fromEntries([...missing, ...kubernetes.missing]);
  const env = { ...process.env, PATH: kubernetes.path, MANX_LAB: '1', MANX_MISSING: JSON.stringify(lacks) };
  const inside = [process.execPath, self, ...process.argv.slice(2)];
  process.exitCode = await ended(new URL('../enter.sh', import.meta.url).pathname, inside, env);
}

async function visit(): Promise<void> {
  const reason =
    lacking('kubernetes', 'etcd', 'openssl', 'containerd', 'runc', 'cni-plugins', 'busybox', 'nft') ?? cgroupsLacking();
  if (reason !== undefined) throw new Error(`no cluster here: ${reason}`);
  await using cluster = await startCluster({ nodes: 3, prefix: 't-', folder });
  if (lacking('bird') === undefined) await startBird(cluster.fabric.tor, `${folder}/tor`);
  const bin = await writeOn(cluster);
  const env = { ...process.env, KUBECONFIG: cluster.api.kubeconfig, PATH: `${bin}:${process.env['PATH']}` };
  const [command = process.env['SHELL'] ?? '/bin/sh', ...args] = process.argv.slice(2);
  const inControl = ['netns', 'exec', cluster.control.name, command, ...args];
  process.exitCode = await ended('ip', inControl, env);
}

/** The command `on`. @returns the folder that it is in */
async function writeOn({ nodes, fabric }: Cluster): Promise<string> {
  const hosts = [fabric.tor, fabric.host].map(({ name }) => [name.replace('t-', ''), `ip netns exec ${name}`]);
  const machines = nodes.map((node) => [node.name, node.prefix.join(' ')]);
  const cases = [...hosts, ...machines].map(([name, prefix]) => `${name}) exec ${prefix} "$@";;\n`);
  const script = `#!/bin/sh\nwhere=$1; shift\ncase $where in\n${cases.join('')}*) echo "on: no host $where" >&2; exit 2;;\nesac\n`;
  await mkdir(`${folder}/bin`, { recursive: true });
  await writeFile(`${folder}/bin/on`, script);
  await chmod(`${folder}/bin/on`, 0o755);
  return `${folder}/bin`;
}

async function ended(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(command, args, { stdio: 'inherit', env });
  // Ctrl-C is for what runs in there; it goes by itself.
  process.on('SIGINT', () => undefined);
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}
