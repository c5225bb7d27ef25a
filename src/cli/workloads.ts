// Pods with an address of their own, as the API server knows them.
import { type Address, readAddress } from '#ip';
import type { KubeClient, KubeObject } from '../kube/port.ts';

export interface Workload {
  readonly namespace: string;
  readonly pod: string;
  readonly node: string;
  readonly addresses: readonly Address[];
}

interface Pod extends KubeObject {
  readonly spec?: { readonly nodeName?: string; readonly hostNetwork?: boolean };
  readonly status?: { readonly phase?: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

/** Those that run or will: a pod that has ended has given its address back, and one of the host's network has none. */
export async function listWorkloads(client: Pick<KubeClient, 'list'>): Promise<Workload[]> {
  const pods = await client.list<Pod>({ group: '', version: 'v1', plural: 'pods' });
  return pods.flatMap(workloadOf);
}

function workloadOf({ metadata, spec, status }: Pod): Workload[] {
  const ended = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  if (ended || spec?.hostNetwork === true || spec?.nodeName === undefined) return [];
  // The addresses that Calico noted count before the kubelet has told of them.
  const noted = (metadata.annotations?.['cni.projectcalico.org/podIPs'] ?? '').split(',');
  const told = (status?.podIPs ?? []).map(({ ip }) => ip);
  const texts = told.length > 0 ? told : noted.map((text) => text.replace(/\/.*$/, ''));
  const addresses = texts.flatMap((text) => readAddress(text) ?? []);
  return [{ namespace: metadata.namespace ?? '', pod: metadata.name, node: spec.nodeName, addresses }];
}
