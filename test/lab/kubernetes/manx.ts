// Manx on the cluster as an operator installs it: the image, `kubectl apply -k`, pools and peers; and what is left of it.
import { access } from 'node:fs/promises';
import { PROTOCOL } from '../../../fib/index.ts';
import { run } from '../host.ts';
import { labConfiguration } from '../datacentre.ts';
import { until } from '../until.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterNode } from './node.ts';
import { version } from '../../../src/version.ts';

const root = new URL('../../../', import.meta.url).pathname;

/** Gives every node the image and applies the manifests. Resolves when all agents are ready. */
export async function installManx(cluster: Cluster): Promise<void> {
  await importManx(cluster);
  await cluster.api.kubectl(['apply', '--server-side', '-k', `${root}test/lab/kubernetes/dual-stack`]);
  await configureManx(cluster);
  await agentsReady(cluster);
}

/** Gives every node the image of this version, and builds it if this run has not yet. @returns the image's name */
export async function importManx(cluster: Cluster, tag = version): Promise<string> {
  const folder = `/run/lab/image-${tag}`;
  const archive = `${folder}/manx.oci.tar`;
  const isThere = await access(archive).then(
    () => true,
    () => false,
  );
  const flags = ['--no-gzip', '--version', tag, '--out', folder];
  if (!isThere) await run(process.execPath, [`${root}deploy/image/build.ts`, ...flags]);
  const reference = `localhost/manx:${tag}`;
  await cluster.importImage({ reference, archive });
  return reference;
}

/** The pools and the peers of the lab; the nodes have their addresses themselves. */
async function configureManx({ api }: Cluster): Promise<void> {
  await api.kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
  const { 'pools.yaml': pools, 'bgp.yaml': bgp } = labConfiguration();
  const input = `${pools}---\n${bgp}`.replaceAll('projectcalico.org/v3', 'crd.projectcalico.org/v1');
  await api.kubectl(['apply', '--server-side', '-f', '-'], { input });
}

export async function agentsReady({ api }: Cluster, seconds = 120): Promise<void> {
  await api.kubectl(['-n', 'manx-system', 'rollout', 'status', 'daemonset/manx', `--timeout=${seconds}s`]);
}

export async function nodesReady({ api }: Cluster, seconds = 60): Promise<void> {
  await api.kubectl(['wait', '--for=condition=Ready', 'nodes', '--all', `--timeout=${seconds}s`]);
}

/** What the kernel of a node and the datastore still know of pods: routes, links, and addresses that are taken. */
export async function tracesOfPods({ api, nodes }: Cluster): Promise<string[]> {
  const ofNodes = await Promise.all(
    nodes.map(async ({ name, host }) => {
      const links = (await host.ip('-br link')).split('\n').filter((line) => line.startsWith('cali'));
      const families = await Promise.all(['-4', '-6'].map((family) => host.ip(`${family} route`)));
      const routes = families.flatMap((text) => text.split('\n').filter((line) => / dev cali/.test(line)));
      return [...links, ...routes].map((line) => `${name}: ${line.trim()}`);
    }),
  );
  const { stdout } = await api.kubectl(['get', 'ipamhandles.crd.projectcalico.org', '-o', 'name']);
  return [...ofNodes.flat(), ...stdout.split('\n').filter(Boolean)];
}

/** Resolves when nothing of any pod is left. */
export async function noTraces(cluster: Cluster): Promise<void> {
  await until('no trace of pods', async () => (await tracesOfPods(cluster)).length === 0, 60_000, 500).catch(
    async (error: unknown) => {
      throw new Error(`left behind: ${(await tracesOfPods(cluster)).join('\n')}`, { cause: error });
    },
  );
}

export interface TracesOfManx {
  readonly routes: readonly string[];
  readonly tables: readonly string[];
  readonly links: readonly string[];
  readonly files: readonly string[];
}

/** What a node has of Manx. */
export async function tracesOfManx(node: ClusterNode): Promise<TracesOfManx> {
  const { host } = node;
  const lines = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');
  const routes = ['-4', '-6'].map((family) => host.ip(`${family} route show table all proto ${PROTOCOL}`));
  const links = lines(await host.ip('-br link')).flatMap((line) => /^cali[0-9a-f]{11}/.exec(line)?.[0] ?? []);
  const { stdout: tables } = await host.run('nft', ['list', 'tables']);
  const places = ['/etc/cni/net.d/10-manx.conflist', '/opt/cni/bin/manx', '/opt/manx', '/run/manx', '/var/lib/manx'];
  // ls names those that are there, and ends with an error for the others.
  const { stdout: files } = await node.run('ls', ['-d', ...places], { mayFail: true });
  return {
    routes: (await Promise.all(routes)).flatMap(lines),
    tables: lines(tables).filter((line) => line.endsWith(' manx')),
    links,
    files: lines(files),
  };
}
