// What `kubectl get` shows of each kind.
import type { StatusKind } from '../../src/resources/status-kinds.ts';
import type { Kind } from '../../src/resources/types.ts';

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
    text('Health', '.status.health'),
    text('Ready', '.status.sessions.ready'),
    whole('Routes', '.status.routes.installed'),
    whole('Drift', '.status.routes.drift'),
    whole('Pods', '.status.pods.wired'),
    column('date', 'Updated', '.status.updatedAt'),
    text('Version', '.status.version', 'wide'),
    text('Router ID', '.status.routerID', 'wide'),
    text('Reasons', '.status.reasons', 'wide'),
    age,
  ],
  BGPPeerStatus: [
    text('Ready', '.status.ready'),
    text('Reason', '.status.reason'),
    column('date', 'Updated', '.status.updatedAt'),
    text('Conditions', '.status.conditions[?(@.status=="True")].type', 'wide'),
    age,
  ],
};
