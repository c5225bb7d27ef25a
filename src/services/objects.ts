// Services and EndpointSlices as the API server has them: the fields that announcing looks at.
import type { KubeObject } from '../kube/port.ts';

export interface Service extends KubeObject {
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly externalIPs?: readonly string[];
    readonly externalTrafficPolicy?: string;
    readonly internalTrafficPolicy?: string;
  };
  readonly status?: {
    readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly ipMode?: string }[] };
  };
}

export interface EndpointSlice extends KubeObject {
  readonly addressType?: string;
  readonly endpoints?: readonly Endpoint[] | null;
}

export interface Endpoint {
  readonly nodeName?: string;
  readonly conditions?: {
    readonly ready?: boolean | null;
    readonly serving?: boolean | null;
    readonly terminating?: boolean | null;
  };
}

/** The Node of this node. */
export interface ClusterNode extends KubeObject {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

interface Condition {
  readonly type: string;
  readonly status: string;
}

export function isNetworkUnavailable({ status }: ClusterNode): boolean {
  return (status?.conditions ?? []).some((each) => each.type === 'NetworkUnavailable' && each.status === 'True');
}

/**
 * What is held of each: all that announcing looks at, and nothing else. A cluster has thousands of Services, tens of
 * thousands of endpoints, and Nodes report every few minutes.
 */
export const keep = {
  service: (service: Service): Service => {
    const { clusterIP, clusterIPs, externalIPs, externalTrafficPolicy, internalTrafficPolicy, type } =
      service.spec ?? {};
    const ingress = service.status?.loadBalancer?.ingress?.map(({ ip, ipMode }) => ({ ip, ipMode }));
    return {
      ...essence(service),
      spec: { clusterIP, clusterIPs, externalIPs, externalTrafficPolicy, internalTrafficPolicy, type },
      status: { loadBalancer: { ingress } },
    } as Service;
  },
  endpointSlice: (slice: EndpointSlice): EndpointSlice => {
    const service = slice.metadata.labels?.[SERVICE_NAME];
    const held = essence(slice);
    return {
      ...held,
      metadata: { ...held.metadata, labels: service === undefined ? {} : { [SERVICE_NAME]: service } },
      addressType: slice.addressType,
      endpoints: (slice.endpoints ?? []).map(({ nodeName, conditions }) => ({ nodeName, conditions })),
    } as EndpointSlice;
  },
  node: (node: ClusterNode): ClusterNode => {
    const conditions = (node.status?.conditions ?? []).filter(({ type }) => type === 'NetworkUnavailable');
    return { ...essence(node), status: { conditions: conditions.map(({ type, status }) => ({ type, status })) } };
  },
} as const;

function essence({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, namespace, resourceVersion, uid } = metadata;
  return { apiVersion, kind, metadata: { name, namespace, resourceVersion, uid } as KubeObject['metadata'] };
}

/** The label of a slice that says whose it is. */
export const SERVICE_NAME = 'kubernetes.io/service-name';

/** "namespace/name". */
export function fullName({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
