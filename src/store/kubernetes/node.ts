// Calico's Node is Kubernetes' Node with annotations: read as the model, written as a patch of exactly those. Pure.
//
// Nodes change all the time (heartbeats, images, conditions). The version of the model is a hash of what it says, so that
// nothing of this is a change to anybody.
import { createHash } from 'node:crypto';
import { formatJson, isRecord, parseJson, parseResource } from '../../resources/index.ts';
import type { Parsed } from '../../resources/parse.ts';
import type { NodeResource } from '../../resources/types.ts';
import type { KubeObject } from '../../kube/port.ts';

const PREFIX = 'projectcalico.org/';
/** Labels that a node has for Calico only, as JSON. */
const LABELS = `${PREFIX}labels`;

/** Annotation → where the model has it. */
const bgpFields = {
  IPv4Address: 'ipv4Address',
  IPv6Address: 'ipv6Address',
  ASNumber: 'asNumber',
  RouteReflectorClusterID: 'routeReflectorClusterID',
  IPv4IPIPTunnelAddr: 'ipv4IPIPTunnelAddr',
} as const;
const specFields = {
  IPv4VXLANTunnelAddr: 'ipv4VXLANTunnelAddr',
  IPv6VXLANTunnelAddr: 'ipv6VXLANTunnelAddr',
  VXLANTunnelMACAddr: 'vxlanTunnelMACAddr',
  VXLANTunnelMACAddrV6: 'vxlanTunnelMACAddrV6',
} as const;
const wireguardFields = {
  IPv4WireguardInterfaceAddr: 'interfaceIPv4Address',
  IPv6WireguardInterfaceAddr: 'interfaceIPv6Address',
} as const;
const paths: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(bgpFields).map(([annotation, field]) => [`spec.bgp.${field}`, annotation]),
);

/** What of a Node is held: not its images, conditions and heartbeats. */
export function keepOfNode(node: KubeObject): KubeObject {
  const { name, resourceVersion, uid, creationTimestamp, labels, annotations = {} } = node.metadata;
  const calicos = Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX));
  const { addresses } = isRecord(node['status']) ? node['status'] : {};
  return {
    apiVersion: node.apiVersion,
    kind: node.kind,
    metadata: {
      ...{ name, resourceVersion: resourceVersion ?? '', uid: uid ?? '' },
      ...(creationTimestamp !== undefined && { creationTimestamp }),
      ...(labels !== undefined && { labels }),
      annotations: Object.fromEntries(calicos),
    },
    status: { addresses: addresses ?? [] },
  };
}

/** The model's Node, or what is wrong with the annotations. */
export function fromNode(node: KubeObject): Parsed {
  const { metadata } = node;
  const spec = specOf(node);
  const labels = { ...labelsIn(metadata.annotations?.[LABELS]), ...metadata.labels };
  const { name, uid, creationTimestamp } = metadata;
  const document = {
    apiVersion: 'projectcalico.org/v3',
    kind: 'Node',
    metadata: {
      name,
      uid,
      creationTimestamp: creationTimestamp ?? null,
      ...(Object.keys(labels).length > 0 && { labels }),
    },
    spec,
  };
  const { resource, problems } = parseResource(document);
  if (resource === undefined) return { problems: problems.map(inWordsOfTheNode) };
  const resourceVersion = versionOf(resource as NodeResource);
  return { resource: { ...resource, metadata: { ...resource.metadata, resourceVersion } }, problems };
}

/** The annotations that make the node say what the model says; null for those that go. */
export function annotationsFor(wanted: NodeResource, node: KubeObject): Record<string, string | null> {
  const before = fromNode(node).resource;
  const spec = wanted.spec as unknown as Record<string, unknown>;
  const bgp = isRecord(spec['bgp']) ? spec['bgp'] : {};
  const wireguard = isRecord(spec['wireguard']) ? spec['wireguard'] : {};
  const all = {
    ...annotated(bgpFields, bgp),
    ...annotated(specFields, spec),
    ...annotated(wireguardFields, wireguard),
    Interfaces: spec['interfaces'] === undefined ? null : formatJson(spec['interfaces']),
  };
  const present = node.metadata.annotations ?? {};
  const changed = Object.entries(all)
    .map(([name, value]): [string, string | null] => [`${PREFIX}${name}`, value])
    .filter(([name, value]) => (present[name] ?? null) !== value);
  const sameLabels = formatJson(sorted(before?.metadata.labels)) === formatJson(sorted(wanted.metadata.labels));
  return { ...Object.fromEntries(changed), ...(!sameLabels && { [LABELS]: ownLabels(wanted, node) }) };
}

function specOf(node: KubeObject): Record<string, unknown> {
  const { annotations = {} } = node.metadata;
  const bgp = fieldsOf(bgpFields, annotations);
  const wireguard = fieldsOf(wireguardFields, annotations);
  const interfaces = annotations[`${PREFIX}Interfaces`];
  return {
    ...(Object.keys(bgp).length > 0 && { bgp }),
    ...fieldsOf(specFields, annotations),
    ...(Object.keys(wireguard).length > 0 && { wireguard }),
    ...(interfaces !== undefined && { interfaces: jsonIn(interfaces) }),
    addresses: addressesOf(node, [bgp['ipv4Address'], bgp['ipv6Address']]),
    orchRefs: [{ nodeName: node.metadata.name, orchestrator: 'k8s' }],
  };
}

function addressesOf(node: KubeObject, own: readonly (string | undefined)[]): unknown[] {
  const status = isRecord(node['status']) ? node['status'] : {};
  const addresses: readonly unknown[] = Array.isArray(status['addresses']) ? status['addresses'] : [];
  const wanted = addresses.filter(
    (one) => isRecord(one) && (one['type'] === 'InternalIP' || one['type'] === 'ExternalIP'),
  );
  return [
    ...own.filter((address) => address !== undefined).map((address) => ({ address, type: 'CalicoNodeIP' })),
    ...wanted.filter(isRecord).map(({ address, type }) => ({ address, type })),
  ];
}

function fieldsOf(
  fields: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>>,
): Record<string, string> {
  const given = Object.entries(fields).map(
    ([annotation, field]) => [field, annotations[`${PREFIX}${annotation}`]] as const,
  );
  // Calico empties what it takes back.
  return Object.fromEntries(given.filter((entry): entry is [string, string] => Boolean(entry[1])));
}

function annotated(
  fields: Readonly<Record<string, string>>,
  holder: Record<string, unknown>,
): Record<string, string | null> {
  return Object.fromEntries(
    Object.entries(fields).map(([annotation, field]) => {
      const value = holder[field];
      return [annotation, typeof value === 'string' || typeof value === 'number' ? String(value) : null];
    }),
  );
}

/** Labels that Kubernetes has as well need no second place. */
function ownLabels({ metadata }: NodeResource, node: KubeObject): string | null {
  const own = Object.entries(sorted(metadata.labels)).filter(([key, value]) => node.metadata.labels?.[key] !== value);
  return own.length === 0 ? null : formatJson(Object.fromEntries(own));
}

function labelsIn(text: string | undefined): Record<string, string> {
  const value = text === undefined ? undefined : jsonIn(text);
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function jsonIn(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function sorted(labels: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function versionOf({ metadata, spec }: NodeResource): string {
  const text = formatJson([metadata.uid, sorted(metadata.labels), spec]);
  return createHash('sha256').update(text).digest('hex').slice(0, 20);
}

/** An operator looks for the annotation, not for a field that a Node does not have. */
function inWordsOfTheNode<P extends { readonly path?: string }>(problem: P): P {
  const annotation = problem.path === undefined ? undefined : paths[problem.path];
  return annotation === undefined ? problem : { ...problem, path: `metadata.annotations["${PREFIX}${annotation}"]` };
}
