// The configuration of the cluster, read once: what everything in this folder looks at.
import type { Family, Prefix } from '#ip';
import type {
  BGPConfiguration,
  BGPConfigurationSpec,
  BGPFilter,
  BGPPeer,
  FelixConfiguration,
  FelixConfigurationSpec,
  IPAMConfig,
  IPPool,
  IPReservation,
  NodeResource,
  PeerOptions,
} from '../resources/types.ts';
import type { Store } from '../store/port.ts';

export interface ClusterView {
  readonly nodes: readonly NodeResource[];
  readonly pools: readonly IPPool[];
  readonly bgpConfigurations: readonly BGPConfiguration[];
  readonly peers: readonly BGPPeer[];
  readonly filters: readonly BGPFilter[];
  readonly peerOptions: readonly PeerOptions[];
  readonly reservations: readonly IPReservation[];
  readonly ipamConfig?: IPAMConfig;
  readonly felixConfigurations?: readonly FelixConfiguration[];
}

/** @throws StoreError */
export async function readView(store: Store): Promise<ClusterView> {
  const [nodes, pools, bgpConfigurations, peers, filters, peerOptions, reservations, felix, ipamConfig] =
    await Promise.all([
      store.list('Node'),
      store.list('IPPool'),
      store.list('BGPConfiguration'),
      store.list('BGPPeer'),
      store.list('BGPFilter'),
      store.list('PeerOptions'),
      store.list('IPReservation'),
      store.list('FelixConfiguration'),
      store.get('IPAMConfig', 'default'),
    ]);
  return {
    nodes,
    pools,
    bgpConfigurations,
    peers,
    filters,
    peerOptions,
    reservations,
    felixConfigurations: felix,
    ...(ipamConfig && { ipamConfig }),
  };
}

/** The cluster's BGPConfiguration, `default`. */
export function clusterConfiguration(view: ClusterView): BGPConfigurationSpec {
  return view.bgpConfigurations.find(({ metadata }) => metadata.name === 'default')?.spec ?? {};
}

/** Every range that addresses of Services may be announced from. */
export function serviceRanges(configuration: BGPConfigurationSpec): { readonly cidr: Prefix }[] {
  const { serviceClusterIPs = [], serviceExternalIPs = [], serviceLoadBalancerIPs = [] } = configuration;
  return [...serviceClusterIPs, ...serviceExternalIPs, ...serviceLoadBalancerIPs];
}

/** What Calico's Felix would go by on a node: its own FelixConfiguration over the cluster's. */
export function felixConfiguration({ felixConfigurations = [] }: ClusterView, node: string): FelixConfigurationSpec {
  const specOf = (name: string) => felixConfigurations.find(({ metadata }) => metadata.name === name)?.spec;
  return { ...specOf('default'), ...specOf(`node.${node}`) };
}

/** The few fields that may be set for one node, in `node.<name>`, over the cluster's. */
export function nodeConfiguration(view: ClusterView, node: string): BGPConfigurationSpec {
  const own = view.bgpConfigurations.find(({ metadata }) => metadata.name === `node.${node}`)?.spec ?? {};
  const { listenPort, logSeverityScreen, prefixAdvertisements } = own;
  return {
    ...clusterConfiguration(view),
    ...(listenPort !== undefined && { listenPort }),
    ...(logSeverityScreen !== undefined && { logSeverityScreen }),
    ...(prefixAdvertisements !== undefined && { prefixAdvertisements }),
  };
}

/** Calico's metric for routes in the kernel. */
const NORMAL_PRIORITY = 1024;

/** The metric of what BGP brings into the kernel, and of the blackholes beneath our blocks. */
export function routePriority(view: ClusterView, family: Family): number {
  const { ipv4NormalRoutePriority, ipv6NormalRoutePriority } = clusterConfiguration(view);
  return (family === 4 ? ipv4NormalRoutePriority : ipv6NormalRoutePriority) ?? NORMAL_PRIORITY;
}
