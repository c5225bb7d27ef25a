// Pods of the cluster as tests want them: a Deployment of the echo image, waited for, and looked at from the network's
// side, each as a host of the lab.
import { Host, run } from '../host.ts';
import { until } from '../until.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterNode } from './node.ts';

export interface ClusterPod {
  readonly name: string;
  readonly node: ClusterNode;
  readonly addresses: readonly string[];
  readonly uid: string;
}

/** A Deployment of pods that answer HTTP on port 8080; the kubelet asks them whether they are ready. */
export function echoDeployment(cluster: Cluster, name: string, replicas: number, pod: object = {}): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 0,
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          dnsPolicy: 'Default',
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'kubernetes.io/hostname',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: { app: name } },
            },
          ],
          containers: [
            {
              name: 'echo',
              image: cluster.echo.reference,
              imagePullPolicy: 'Never',
              ports: [{ containerPort: 8080 }],
              readinessProbe: { httpGet: { path: '/cgi-bin/whoami', port: 8080 }, periodSeconds: 1 },
            },
          ],
          ...pod,
        },
      },
    },
  };
}

interface PodObject {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly podIPs?: readonly { readonly ip: string }[] };
}

/** The pods with a label that have addresses and are not about to go. */
export async function podsOf({ api, nodes }: Cluster, selector: string, namespace = 'default'): Promise<ClusterPod[]> {
  const { stdout } = await api.kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json']);
  const { items } = JSON.parse(stdout) as { items: PodObject[] };
  const staying = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  return staying.flatMap(({ metadata: { name, uid }, spec, status }) => {
    const node = nodes.find((each) => each.name === spec.nodeName);
    const addresses = status.podIPs?.map(({ ip }) => ip) ?? [];
    return node === undefined || addresses.length === 0 ? [] : [{ name, uid, node, addresses }];
  });
}

/** Resolves when all replicas are ready. */
export async function rolledOut({ api }: Cluster, what: string, namespace = 'default', seconds = 90): Promise<void> {
  await api.kubectl(['rollout', 'status', what, '-n', namespace, `--timeout=${seconds}s`]);
}

/** Resolves when no pod with this label is left, neither as an object nor on a node. */
export async function gone({ api }: Cluster, selector: string, namespace = 'default'): Promise<void> {
  await until(
    `no pod ${selector} is left`,
    async () => (await api.kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'name'])).stdout === '',
    90_000,
    200,
  );
}

/** The pod's own network as a host of the lab: commands run in it as they would in the pod. */
export async function enterPod(pod: ClusterPod): Promise<Host> {
  const host = new Host(pod.name);
  await run('ip', ['netns', 'attach', host.name, String(await pod.node.processOf(pod.uid))]);
  return host;
}
