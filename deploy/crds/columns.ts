// What `kubectl get` shows of each kind.
import type { Kind } from '../../src/resources/types.ts';
import type { StatusKind } from '../../src/status/model.ts';

interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly jsonPath: string;
  readonly description?: string;
  /** 1: only with -o wide. */
  readonly priority?: 1;
}

function column(type: Column['type'], name: string, path: string, wide?: 'wide'): Column {
  return { name, type, jsonPath: path, ...(wide && { priority: 1 as const }) };
}

const text = column.bind(undefined, 'string');
const whole = column.bind(undefined, 'integer');
const flag = column.bind(undefined, 'boolean');
const age = column('date', 'Age', '.metadata.creationTimestamp');

export const columnsOf: { readonly [K in Exclude<Kind, 'Node'> | StatusKind]: readonly Column[] } & {
  readonly Node: readonly never[];
} = {
  Node: [],
  IPPool: [
    text('CIDR', '.spec.cidr'),
    whole('Block', '.spec.blockSize'),
    flag('NAT', '.spec.natOutgoing'),
    flag('Disabled', '.spec.disabled'),
    text('Nodes', '.spec.nodeSelector'),
    text('Allocatable', '.status.conditions[?(@.type=="Allocatable")].status'),
    text('Uses', '.spec.allowedUses', 'wide'),
    age,
  ],
  BGPConfiguration: [
    flag('Mesh', '.spec.nodeToNodeMeshEnabled'),
    whole('AS', '.spec.asNumber'),
    whole('Port', '.spec.listenPort', 'wide'),
    text('Log', '.spec.logSeverityScreen', 'wide'),
    age,
  ],
  BGPPeer: [
    text('Peer', '.spec.peerIP'),
    whole('AS', '.spec.asNumber'),
    text('Node', '.spec.node'),
    text('Nodes', '.spec.nodeSelector'),
    text('Peers', '.spec.peerSelector', 'wide'),
    text('Filters', '.spec.filters', 'wide'),
    age,
  ],
  BGPFilter: [age],
  IPReservation: [text('CIDRs', '.spec.reservedCIDRs'), age],
  PeerOptions: [
    text('Peers', '.spec.peers'),
    text('Selector', '.spec.peerSelector'),
    flag('Mesh', '.spec.mesh'),
    text('Hold', '.spec.holdTime', 'wide'),
    age,
  ],
  IPAMConfig: [
    flag('Strict', '.spec.strictAffinity'),
    flag('Auto', '.spec.autoAllocateBlocks'),
    whole('Max blocks', '.spec.maxBlocksPerHost'),
    age,
  ],
  IPAMBlock: [text('CIDR', '.spec.cidr'), text('Affinity', '.spec.affinity'), age],
  BlockAffinity: [
    text('Node', '.spec.node'),
    text('CIDR', '.spec.cidr'),
    text('State', '.spec.state'),
    text('Type', '.spec.type', 'wide'),
    age,
  ],
  IPAMHandle: [text('Blocks', '.spec.block'), age],
  FelixConfiguration: [age],
  ClusterInformation: [
    text('GUID', '.spec.clusterGUID'),
    text('Type', '.spec.clusterType'),
    text('Version', '.spec.calicoVersion'),
    flag('Ready', '.spec.datastoreReady'),
    age,
  ],
  KubeControllersConfiguration: [text('Health checks', '.spec.healthChecks'), age],
  CalicoNodeStatus: [
    text('Node', '.spec.node'),
    text('Classes', '.spec.classes'),
    whole('Period', '.spec.updatePeriodSeconds'),
    column('date', 'Updated', '.status.lastUpdated'),
  ],
  NodeRoutingStatus: [
    text('Health', '.status.health.state'),
    text('Sessions', '.status.sessionsUp'),
    whole('Routes', '.status.routes.installed'),
    whole('Refused', '.status.routes.refused'),
    whole('Foreign', '.status.routes.foreign'),
    whole('Pods', '.status.pods.wired'),
    column('date', 'Written', '.status.writtenAt'),
    text('Reasons', '.status.health.summary'),
    text('Version', '.status.version', 'wide'),
    column('date', 'Up', '.status.startedAt', 'wide'),
    whole('AS', '.status.bgp.asn', 'wide'),
    text('Router ID', '.status.bgp.routerID', 'wide'),
    whole('Missing', '.status.routes.missing', 'wide'),
  ],
  BGPPeerStatus: [
    text('Ready', '.status.conditions[?(@.type=="Ready")].status'),
    text('Sessions', '.status.sessionsUp'),
    text('Reason', '.status.conditions[?(@.type=="Ready")].reason'),
    column('date', 'Since', '.status.conditions[?(@.type=="Ready")].lastTransitionTime'),
    text('Message', '.status.summary'),
  ],
};
