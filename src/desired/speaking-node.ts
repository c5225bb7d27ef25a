// A node as BGP knows it: its addresses, AS number, port and cluster ID, with the cluster's defaults filled in.
import { type Address, type Family, type InterfaceAddress, hostPrefix, parseInterfaceAddress, readAddress } from '#ip';
import type { NodeResource } from '../resources/types.ts';
import { type ClusterView, clusterConfiguration, nodeConfiguration } from './view.ts';

export interface SpeakingNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly asn: number;
  readonly port: number;
  /** With its subnet, by family; absent where the node has none. */
  readonly addresses: Readonly<Partial<Record<Family, InterfaceAddress>>>;
  readonly clusterId?: Address;
}

/** Calico's default for the whole cluster. */
const DEFAULT_ASN = 64512;
export const BGP_PORT = 179;

export function speakingNodes(view: ClusterView): SpeakingNode[] {
  const { asNumber = DEFAULT_ASN } = clusterConfiguration(view);
  return view.nodes.map((node) => speakingNode(view, node, asNumber));
}

/** Which addresses the node answers to. */
export function addressesOf(node: SpeakingNode): Address[] {
  return Object.values(node.addresses).map(({ address }) => address);
}

function speakingNode(view: ClusterView, { metadata, spec }: NodeResource, defaultAsn: number): SpeakingNode {
  const { asNumber, ipv4Address, ipv6Address, routeReflectorClusterID } = spec.bgp ?? {};
  const v4 = readNodeAddress(ipv4Address);
  const v6 = readNodeAddress(ipv6Address);
  return {
    name: metadata.name,
    labels: metadata.labels ?? {},
    asn: asNumber ?? defaultAsn,
    port: nodeConfiguration(view, metadata.name).listenPort ?? BGP_PORT,
    addresses: { ...(v4 && { 4: v4 }), ...(v6 && { 6: v6 }) },
    ...(routeReflectorClusterID !== undefined && { clusterId: routeReflectorClusterID }),
  };
}

/** Calico accepts an address without a length and takes it for a host; the store has refused everything else. */
function readNodeAddress(text: string | undefined): InterfaceAddress | undefined {
  if (text === undefined) return undefined;
  const address = readAddress(text);
  return address === undefined ? parseInterfaceAddress(text) : { address, prefix: hostPrefix(address) };
}
