// The configuration of the cluster, read once: what everything in this folder looks at.
import type { Prefix } from '#ip';
import type {
  BGPConfiguration,
  BGPConfigurationSpec,
  BGPFilter,
  BGPPeer,
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
}

/** @throws StoreError */
export async function readView(store: Store): Promise<ClusterView> {
  const [nodes, pools, bgpConfigurations, peers, filters, peerOptions, reservations, ipamConfig] = await Promise.all([
    store.list('Node'),
    store.list('IPPool'),
    store.list('BGPConfiguration'),
    store.list('BGPPeer'),
    store.list('BGPFilter'),
    store.list('PeerOptions'),
    store.list('IPReservation'),
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
