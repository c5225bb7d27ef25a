// Manx on the cluster as an operator installs it: the image, `kubectl apply -k`, pools and peers.
import { run } from '../host.ts';
import { labConfiguration } from '../datacentre.ts';
import { until } from '../until.ts';
import type { Cluster } from './cluster.ts';
import { version } from '../../../src/version.ts';

const root = new URL('../../../', import.meta.url).pathname;

/** Builds the image, gives it to every node and applies the manifests. Resolves when all agents are ready. */
export async function installManx(cluster: Cluster, folder: string): Promise<void> {
  await run(process.execPath, [`${root}deploy/image/build.ts`, '--no-gzip', '--out', folder]);
  await cluster.importImage({ reference: `localhost/manx:${version}`, archive: `${folder}/manx.oci.tar` });
  await cluster.api.kubectl(['apply', '--server-side', '-k', `${root}test/lab/kubernetes/dual-stack`]);
  await configureManx(cluster);
  await agentsReady(cluster);
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
