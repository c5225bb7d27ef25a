// FelixConfiguration, ClusterInformation, KubeControllersConfiguration: what concerns the cluster's agents as a whole.
//
// All of them are open: Calico has hundreds of fields here, more with every version, and hardly any is about routing.
// What we do not know is kept as it is.
import { type FieldsOf, type Schema, boolean, choice, integer, map, text } from '../schema.ts';
import type { ClusterInformationSpec, FelixConfigurationSpec, KubeControllersConfigurationSpec } from '../types.ts';
import { ROUTE_PRIORITY_MAX } from './common.ts';

const port = integer(0, 65_535);
const priority = integer(1, ROUTE_PRIORITY_MAX);
const mtu = integer(0, 65_535);

export const felixSpec: Schema = {
  type: 'object',
  open: true,
  fields: {
    programClusterRoutes: { says: "whose routes Calico's Felix installs (EnabledIPIPOnly)", schema: text() },
    deviceRouteProtocol: { says: 'protocol number of routes to pods (3)', schema: integer(0, 255) },
    routeRefreshInterval: { says: 'how often the kernel is looked at (90s)', schema: text('duration') },
    removeExternalRoutes: { says: 'whether routes of others to pods are removed (true)', schema: boolean },
    routeSource: { says: 'where routes to blocks come from (CalicoIPAM)', schema: text() },
    routeSyncDisabled: { says: 'leave the routes of the kernel alone', schema: boolean },
    natOutgoingAddress: { says: 'translate natOutgoing packets to this address', schema: text('address') },
    natOutgoingExclusions: {
      says: 'what natOutgoing leaves as it is: packets to the pools, or also those to the nodes',
      schema: choice('IPPoolsOnly', 'IPPoolsAndHostIPs'),
    },
    natPortRange: { says: 'source ports for natOutgoing, "first:last"', schema: { type: 'portRange' } },
    vxlanPort: { says: 'UDP port of VXLAN (4789)', schema: port },
    vxlanVNI: { says: 'VXLAN network identifier (4096)', schema: integer(0, 0xff_ffff) },
    ipipMTU: { says: 'MTU of the IPIP tunnel (automatic)', schema: mtu },
    vxlanMTU: { says: 'MTU of the VXLAN tunnel (automatic)', schema: mtu },
    mtuIfacePattern: { says: 'interfaces of which the MTU is found out', schema: text() },
    interfacePrefix: { says: "how the host's ends of pods' cables begin (cali)", schema: text() },
    ipv4NormalRoutePriority: { says: 'metric of routes in the kernel (1024)', schema: priority },
    ipv6NormalRoutePriority: { says: 'metric of routes in the kernel (1024)', schema: priority },
    ipv4ElevatedRoutePriority: { says: 'metric during a live migration (512)', schema: priority },
    ipv6ElevatedRoutePriority: { says: 'metric during a live migration (512)', schema: priority },
    liveMigrationRouteConvergenceTime: { says: 'how long that lasts (30s)', schema: text('duration') },
    serviceLoopPrevention: { says: 'what becomes of packets to a service without endpoints', schema: text() },
    endpointStatusPathPrefix: {
      says: 'where the state of endpoints is written',
      schema: { type: 'text', empty: true },
    },
    healthEnabled: { says: 'whether Felix answers probes', schema: boolean },
    healthHost: { says: 'on which address', schema: text() },
    healthPort: { says: 'on which port (9099)', schema: port },
    prometheusMetricsEnabled: { says: 'whether Felix serves metrics', schema: boolean },
    prometheusMetricsHost: { says: 'on which address', schema: { type: 'text', empty: true } },
    prometheusMetricsPort: { says: 'on which port (9091)', schema: port },
    wireguardEnabled: { says: 'encrypt between nodes', schema: boolean },
    wireguardEnabledV6: { says: 'encrypt IPv6 between nodes', schema: boolean },
    bpfEnabled: { says: "Felix's eBPF data path", schema: boolean },
  } satisfies FieldsOf<FelixConfigurationSpec>,
};

export const clusterInformationSpec: Schema = {
  type: 'object',
  open: true,
  fields: {
    clusterGUID: { says: 'a random number that stays', schema: { type: 'text', empty: true } },
    clusterType: { says: 'k8s,kdd', schema: { type: 'text', empty: true } },
    calicoVersion: { says: 'calicoctl of another version refuses', schema: { type: 'text', empty: true } },
    datastoreReady: { says: 'false: agents and plugins wait, during a migration', schema: boolean },
    variant: { says: "Calico's", schema: { type: 'text', empty: true } },
  } satisfies FieldsOf<ClusterInformationSpec>,
};

export const kubeControllersSpec: Schema = {
  type: 'object',
  open: true,
  fields: {
    controllers: { says: "settings of Calico's controllers", preset: {}, schema: map({ type: 'any' }) },
    healthChecks: { says: 'Enabled or Disabled', schema: text() },
    logSeverityScreen: { says: 'how much is logged', schema: text() },
    etcdV3CompactionPeriod: { says: "Calico's", schema: text('duration') },
    prometheusMetricsPort: { says: "Calico's", schema: port },
    debugProfilePort: { says: "Calico's", schema: port },
  } satisfies FieldsOf<KubeControllersConfigurationSpec>,
};
