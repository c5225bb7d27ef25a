// The resources that Manx reads and writes: Calico's v3 model, and our own kinds beside it.
//
// What is in here has been parsed: addresses and prefixes are canonical, defaults are filled in where Calico fills them.
import type { Address, Prefix } from '#ip';

export interface Metadata {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Opaque; compare-and-swap succeeds only against the newest one. Set by the store. */
  readonly resourceVersion?: string;
  readonly uid?: string;
  readonly creationTimestamp?: string;
}

export interface Resource<Kind extends string, Spec> {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: Metadata;
  readonly spec: Spec;
}

export type NodeResource = Resource<'Node', NodeSpec>;
export type IPPool = Resource<'IPPool', IPPoolSpec>;
export type BGPConfiguration = Resource<'BGPConfiguration', BGPConfigurationSpec>;
export type BGPPeer = Resource<'BGPPeer', BGPPeerSpec>;
export type BGPFilter = Resource<'BGPFilter', BGPFilterSpec>;
export type IPReservation = Resource<'IPReservation', { readonly reservedCIDRs: readonly Prefix[] }>;
export type PeerOptions = Resource<'PeerOptions', PeerOptionsSpec>;
export type IPAMConfig = Resource<'IPAMConfig', IPAMConfigSpec>;
export type IPAMBlock = Resource<'IPAMBlock', IPAMBlockSpec>;
export type BlockAffinity = Resource<'BlockAffinity', BlockAffinitySpec>;
export type IPAMHandle = Resource<'IPAMHandle', IPAMHandleSpec>;
export type FelixConfiguration = Resource<'FelixConfiguration', FelixConfigurationSpec>;
export type ClusterInformation = Resource<'ClusterInformation', ClusterInformationSpec>;
export type KubeControllersConfiguration = Resource<'KubeControllersConfiguration', KubeControllersConfigurationSpec>;
export type CalicoNodeStatus = Resource<'CalicoNodeStatus', CalicoNodeStatusSpec>;

/** Every kind by its name: the store is typed by this. */
export interface Kinds {
  readonly Node: NodeResource;
  readonly IPPool: IPPool;
  readonly BGPConfiguration: BGPConfiguration;
  readonly BGPPeer: BGPPeer;
  readonly BGPFilter: BGPFilter;
  readonly IPReservation: IPReservation;
  readonly PeerOptions: PeerOptions;
  readonly IPAMConfig: IPAMConfig;
  readonly IPAMBlock: IPAMBlock;
  readonly BlockAffinity: BlockAffinity;
  readonly IPAMHandle: IPAMHandle;
  readonly FelixConfiguration: FelixConfiguration;
  readonly ClusterInformation: ClusterInformation;
  readonly KubeControllersConfiguration: KubeControllersConfiguration;
  readonly CalicoNodeStatus: CalicoNodeStatus;
}
export type Kind = keyof Kinds;

/** What else Calico keeps here (addresses, orchRefs, tunnel addresses, …) is carried along untyped. */
export interface NodeSpec {
  readonly bgp?: {
    readonly asNumber?: number;
    /** With the length of the node's subnet: "10.250.1.11/24". */
    readonly ipv4Address?: string;
    readonly ipv6Address?: string;
    readonly routeReflectorClusterID?: Address;
  };
}

export interface IPPoolSpec {
  readonly cidr: Prefix;
  readonly blockSize: number;
  readonly ipipMode: 'Never' | 'Always' | 'CrossSubnet';
  readonly vxlanMode: 'Never' | 'Always' | 'CrossSubnet';
  readonly natOutgoing: boolean;
  readonly disabled: boolean;
  readonly disableBGPExport: boolean;
  readonly nodeSelector: string;
  readonly namespaceSelector?: string;
  readonly allowedUses: readonly ('Workload' | 'Tunnel' | 'LoadBalancer')[];
  readonly assignmentMode: 'Automatic' | 'Manual';
}

export interface BGPConfigurationSpec {
  readonly logSeverityScreen?: string;
  readonly nodeToNodeMeshEnabled?: boolean;
  readonly asNumber?: number;
  readonly listenPort?: number;
  readonly bindMode?: 'None' | 'NodeIP';
  readonly communities?: readonly { readonly name: string; readonly value: string }[];
  readonly prefixAdvertisements?: readonly { readonly cidr: Prefix; readonly communities: readonly string[] }[];
  readonly serviceClusterIPs?: readonly { readonly cidr: Prefix }[];
  readonly serviceExternalIPs?: readonly { readonly cidr: Prefix }[];
  readonly serviceLoadBalancerIPs?: readonly { readonly cidr: Prefix }[];
  readonly serviceLoadBalancerAggregation?: 'Enabled' | 'Disabled';
  readonly nodeMeshPassword?: SecretReference;
  readonly nodeMeshMaxRestartTime?: string;
  readonly ignoredInterfaces?: readonly string[];
  readonly localWorkloadPeeringIPV4?: Address;
  readonly localWorkloadPeeringIPV6?: Address;
  readonly programClusterRoutes?: string;
  readonly ipv4NormalRoutePriority?: number;
  readonly ipv6NormalRoutePriority?: number;
}

export interface SecretReference {
  readonly secretKeyRef: { readonly name: string; readonly key: string };
}

export interface BGPPeerSpec {
  readonly node?: string;
  readonly nodeSelector?: string;
  /** Address, with ":port" or "[v6]:port" as in the original text. */
  readonly peerIP?: string;
  readonly peerSelector?: string;
  readonly asNumber?: number;
  readonly localASNumber?: number;
  readonly sourceAddress?: 'UseNodeIP' | 'None';
  readonly nextHopMode?: 'Auto' | 'Self' | 'Keep';
  readonly keepOriginalNextHop?: boolean;
  readonly password?: SecretReference;
  readonly maxRestartTime?: string;
  readonly keepaliveTime?: string;
  readonly numAllowedLocalASNumbers?: number;
  readonly ttlSecurity?: number;
  readonly reachableBy?: Address;
  readonly filters?: readonly string[];
  readonly localWorkloadSelector?: string;
  readonly reversePeering?: 'Auto' | 'Manual';
}

export interface BGPFilterSpec {
  readonly importV4?: readonly BGPFilterRule[];
  readonly exportV4?: readonly BGPFilterRule[];
  readonly importV6?: readonly BGPFilterRule[];
  readonly exportV6?: readonly BGPFilterRule[];
}

export interface BGPFilterRule {
  readonly action: 'Accept' | 'Reject';
  readonly cidr?: Prefix;
  readonly matchOperator?: 'Equal' | 'NotEqual' | 'In' | 'NotIn';
  readonly prefixLength?: { readonly min?: number; readonly max?: number };
  readonly source?: 'RemotePeers';
  readonly interface?: string;
  readonly peerType?: 'eBGP' | 'iBGP';
  readonly communities?: { readonly values: readonly string[] };
  readonly asPathPrefix?: readonly number[];
  readonly priority?: number;
  readonly operations?: readonly (
    | { readonly addCommunity: { readonly value: string } }
    | { readonly prependASPath: { readonly prefix: readonly number[] } }
    | { readonly setPriority: { readonly value: number } }
  )[];
}

/**
 * projectmanx.org/v1: what Calico's BGPPeer has no field for. Applies to the BGPPeers it names or selects, to the
 * mesh, or (with none of the three) to every peer; the more particular one wins field by field.
 */
export interface PeerOptionsSpec {
  readonly peers?: readonly string[];
  readonly peerSelector?: string;
  readonly mesh?: boolean;
  readonly passive?: boolean;
  readonly holdTime?: string;
  readonly connectRetryTime?: string;
  readonly families?: readonly ('ipv4-unicast' | 'ipv6-unicast')[];
  readonly prefixLimit?: {
    readonly max: number;
    readonly warnPercent?: number;
    readonly action?: 'Discard' | 'Close';
    readonly idleTime?: string;
  };
  readonly gracefulRestart?: {
    readonly enabled?: boolean;
    readonly staleTimeMax?: string;
    readonly longLivedStaleTime?: string;
  };
  readonly role?: 'Provider' | 'RouteServer' | 'RouteServerClient' | 'Customer' | 'Peer';
  readonly addPath?: { readonly receive?: boolean; readonly send?: number };
  readonly extendedNextHop?: boolean;
  readonly interface?: string;
  readonly dynamicPrefix?: Prefix;
  readonly maxDynamicPeers?: number;
  readonly passwordFile?: string;
  readonly shutdown?: string;
  readonly requirePolicy?: boolean;
}

export interface IPAMConfigSpec {
  readonly strictAffinity: boolean;
  readonly autoAllocateBlocks: boolean;
  /** 0: Calico's hard default of 20. */
  readonly maxBlocksPerHost: number;
  readonly ipCooldownSeconds?: number;
  readonly kubeVirtVMAddressPersistence?: 'Enabled' | 'Disabled';
}

/** One block of addresses, stored exactly as Calico stores it (64-bit numbers are bigints). */
export interface IPAMBlockSpec {
  readonly cidr: Prefix;
  /** `host:<node>` or `virtual:<name>`; absent when nobody owns it. */
  readonly affinity?: string;
  readonly affinityClaimTime?: string;
  /** Per ordinal: null, or an index into attributes. */
  readonly allocations: readonly (number | null)[];
  /** Free ordinals, first in first out. */
  readonly unallocated: readonly number[];
  readonly attributes: readonly AllocationAttribute[];
  readonly sequenceNumber: bigint;
  readonly sequenceNumberForAllocation: Readonly<Record<string, bigint>>;
  readonly deleted: boolean;
  readonly strictAffinity: boolean;
}

export interface AllocationAttribute {
  readonly handle_id?: string;
  readonly secondary?: Readonly<Record<string, string>>;
  readonly alternateOwnerAttrs?: Readonly<Record<string, string>>;
  readonly releasedAt?: string;
}

export interface BlockAffinitySpec {
  readonly cidr: Prefix;
  readonly node: string;
  readonly state: 'pending' | 'confirmed' | 'pendingDeletion';
  readonly type: 'host' | 'virtual';
  /** A string in crd.projectcalico.org/v1: "true" or "false". */
  readonly deleted: string;
}

export interface IPAMHandleSpec {
  readonly handleID: string;
  /** Block CIDR → number of addresses. */
  readonly block: Readonly<Record<string, number>>;
  readonly deleted: boolean;
}

/** What of it is about routing; everything else that Felix knows is carried along untyped. */
export interface FelixConfigurationSpec {
  readonly programClusterRoutes?: string;
  readonly deviceRouteProtocol?: number;
  readonly routeRefreshInterval?: string;
  readonly removeExternalRoutes?: boolean;
  readonly routeSource?: string;
  readonly routeSyncDisabled?: boolean;
  readonly natOutgoingAddress?: string;
  readonly natOutgoingExclusions?: string;
  /** A port, or "first:last". */
  readonly natPortRange?: number | string;
  readonly vxlanPort?: number;
  readonly vxlanVNI?: number;
  readonly ipipMTU?: number;
  readonly vxlanMTU?: number;
  readonly mtuIfacePattern?: string;
  readonly interfacePrefix?: string;
  readonly ipv4NormalRoutePriority?: number;
  readonly ipv6NormalRoutePriority?: number;
  readonly ipv4ElevatedRoutePriority?: number;
  readonly ipv6ElevatedRoutePriority?: number;
  readonly liveMigrationRouteConvergenceTime?: string;
  readonly serviceLoopPrevention?: string;
  readonly endpointStatusPathPrefix?: string;
  readonly healthEnabled?: boolean;
  readonly healthHost?: string;
  readonly healthPort?: number;
  readonly prometheusMetricsEnabled?: boolean;
  readonly prometheusMetricsHost?: string;
  readonly prometheusMetricsPort?: number;
  readonly wireguardEnabled?: boolean;
  readonly wireguardEnabledV6?: boolean;
  readonly bpfEnabled?: boolean;
}

export interface ClusterInformationSpec {
  readonly clusterGUID?: string;
  /** "k8s,kdd". */
  readonly clusterType?: string;
  /** calicoctl refuses to talk to a cluster of another version than its own; absent: it does not look. */
  readonly calicoVersion?: string;
  readonly datastoreReady?: boolean;
  readonly variant?: string;
}

/** Calico's controllers are not ours; its `ipam check` wants the object. */
export interface KubeControllersConfigurationSpec {
  readonly controllers: Readonly<Record<string, unknown>>;
  readonly healthChecks?: string;
  readonly logSeverityScreen?: string;
  readonly etcdV3CompactionPeriod?: string;
  readonly prometheusMetricsPort?: number;
  readonly debugProfilePort?: number;
}

export interface CalicoNodeStatusSpec {
  readonly node: string;
  readonly classes?: readonly ('Agent' | 'BGP' | 'Routes')[];
  /** 0: once. */
  readonly updatePeriodSeconds?: number;
}

/** As metav1.Condition. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** One word. */
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}
