// The columns of `manxctl get` for each kind: calicoctl's where it has them. Pure.
import type { BGPPeerSpec, IPAMBlockSpec, Kind, Kinds } from '../resources/types.ts';
import { type Column, table } from './table.ts';

/** What a cell may need beside the resource. */
export interface Surroundings {
  /** The AS number of nodes that name none. */
  readonly defaultAsn: number;
}

/** The table of one kind, three blanks between columns as calicoctl has it. */
export function resourceTable<K extends Kind>(
  kind: K,
  resources: readonly Kinds[K][],
  wide: boolean,
  surroundings: Surroundings,
): string[] {
  const shown = (columns(surroundings)[kind] as Columns<K>).filter((column) => wide || column.only !== 'wide');
  return table<Kinds[K]>([{ head: 'NAME', cell: ({ metadata }) => metadata.name }, ...shown], resources, 3);
}

type Columns<K extends Kind> = readonly (Column<Kinds[K]> & { readonly only?: 'wide' })[];
type AllColumns = { readonly [K in Kind]: Columns<K> };

/** calicoctl's sign for what is not set. */
const UNSET = '-';

function columns({ defaultAsn }: Surroundings): AllColumns {
  return {
    Node: [
      { head: 'ASN', only: 'wide', cell: ({ spec }) => String(spec.bgp?.asNumber ?? `(${defaultAsn})`) },
      { head: 'IPV4', only: 'wide', cell: ({ spec }) => spec.bgp?.ipv4Address ?? '' },
      { head: 'IPV6', only: 'wide', cell: ({ spec }) => spec.bgp?.ipv6Address ?? '' },
    ],
    ...bgpColumns,
    ...poolColumns,
    ...ipamColumns,
    ...clusterColumns,
  };
}

const bgpColumns: Pick<AllColumns, 'BGPConfiguration' | 'BGPPeer' | 'BGPFilter' | 'PeerOptions'> = {
  BGPConfiguration: [
    { head: 'LOGSEVERITY', cell: ({ spec }) => spec.logSeverityScreen ?? UNSET },
    { head: 'MESHENABLED', cell: ({ spec }) => String(spec.nodeToNodeMeshEnabled ?? UNSET) },
    { head: 'ASNUMBER', cell: ({ spec }) => String(spec.asNumber ?? UNSET) },
    { head: 'LISTENPORT', only: 'wide', cell: ({ spec }) => String(spec.listenPort ?? UNSET) },
  ],
  BGPPeer: [
    { head: 'PEERIP', cell: ({ spec }) => spec.peerIP ?? '' },
    { head: 'NODE', cell: ({ spec }) => nodesText(spec) },
    { head: 'ASN', cell: ({ spec }) => String(spec.asNumber ?? UNSET) },
    { head: 'PEERSELECTOR', only: 'wide', cell: ({ spec }) => spec.peerSelector ?? '' },
    { head: 'FILTERS', only: 'wide', cell: ({ spec }) => listText(spec.filters) },
  ],
  BGPFilter: [
    { head: 'EXPORTV4', cell: ({ spec }) => String(spec.exportV4?.length ?? 0) },
    { head: 'IMPORTV4', cell: ({ spec }) => String(spec.importV4?.length ?? 0) },
    { head: 'EXPORTV6', cell: ({ spec }) => String(spec.exportV6?.length ?? 0) },
    { head: 'IMPORTV6', cell: ({ spec }) => String(spec.importV6?.length ?? 0) },
  ],
  PeerOptions: [
    { head: 'FOR', cell: ({ spec }) => optionsScope(spec) },
    { head: 'SETS', only: 'wide', cell: ({ spec }) => settingsText(spec) },
  ],
};

const poolColumns: Pick<AllColumns, 'IPPool' | 'IPReservation' | 'IPAMConfig'> = {
  IPPool: [
    { head: 'CIDR', cell: ({ spec }) => spec.cidr },
    { head: 'NAT', only: 'wide', cell: ({ spec }) => String(spec.natOutgoing) },
    { head: 'IPIPMODE', only: 'wide', cell: ({ spec }) => spec.ipipMode },
    { head: 'VXLANMODE', only: 'wide', cell: ({ spec }) => spec.vxlanMode },
    { head: 'DISABLED', only: 'wide', cell: ({ spec }) => String(spec.disabled) },
    { head: 'DISABLEBGPEXPORT', only: 'wide', cell: ({ spec }) => String(spec.disableBGPExport) },
    { head: 'SELECTOR', cell: ({ spec }) => spec.nodeSelector },
    { head: 'ASSIGNMENTMODE', only: 'wide', cell: ({ spec }) => spec.assignmentMode },
  ],
  IPReservation: [{ head: 'CIDRS', only: 'wide', cell: ({ spec }) => listText(spec.reservedCIDRs) }],
  IPAMConfig: [
    { head: 'STRICTAFFINITY', cell: ({ spec }) => String(spec.strictAffinity) },
    { head: 'AUTOALLOCATEBLOCKS', cell: ({ spec }) => String(spec.autoAllocateBlocks) },
    { head: 'MAXBLOCKSPERHOST', cell: ({ spec }) => String(spec.maxBlocksPerHost) },
  ],
};

const ipamColumns: Pick<AllColumns, 'IPAMBlock' | 'BlockAffinity' | 'IPAMHandle'> = {
  IPAMBlock: [
    { head: 'CIDR', cell: ({ spec }) => spec.cidr },
    { head: 'AFFINITY', cell: ({ spec }) => spec.affinity ?? UNSET },
    { head: 'IN USE', cell: ({ spec }) => blockUse(spec) },
  ],
  BlockAffinity: [
    { head: 'NODE', cell: ({ spec }) => spec.node },
    { head: 'CIDR', cell: ({ spec }) => spec.cidr },
    { head: 'STATE', cell: ({ spec }) => spec.state },
  ],
  IPAMHandle: [
    { head: 'BLOCKS', cell: ({ spec }) => listText(Object.entries(spec.block).map(([cidr, n]) => `${cidr} (${n})`)) },
  ],
};

type ClusterKind = 'FelixConfiguration' | 'ClusterInformation' | 'KubeControllersConfiguration' | 'CalicoNodeStatus';

const clusterColumns: Pick<AllColumns, ClusterKind> = {
  FelixConfiguration: [{ head: 'SETS', cell: ({ spec }) => listText(Object.keys(spec)) }],
  ClusterInformation: [
    { head: 'CLUSTERGUID', cell: ({ spec }) => spec.clusterGUID ?? UNSET },
    { head: 'CLUSTERTYPE', cell: ({ spec }) => spec.clusterType ?? UNSET },
    { head: 'CALICOVERSION', cell: ({ spec }) => spec.calicoVersion ?? '' },
    { head: 'DATASTOREREADY', cell: ({ spec }) => String(spec.datastoreReady ?? UNSET) },
  ],
  KubeControllersConfiguration: [],
  CalicoNodeStatus: [
    { head: 'NODE', cell: ({ spec }) => spec.node },
    { head: 'CLASSES', cell: ({ spec }) => listText(spec.classes) },
    { head: 'INTERVAL', cell: ({ spec }) => String(spec.updatePeriodSeconds ?? UNSET) },
  ],
};

function nodesText({ node, nodeSelector }: BGPPeerSpec): string {
  return nodeSelector ?? node ?? '(global)';
}

function optionsScope({ peers, peerSelector, mesh }: Kinds['PeerOptions']['spec']): string {
  const scope = [...(peers ?? []), ...(peerSelector === undefined ? [] : [peerSelector]), ...(mesh ? ['(mesh)'] : [])];
  return scope.length === 0 ? '(all)' : scope.join(',');
}

function settingsText(spec: Kinds['PeerOptions']['spec']): string {
  const scope = ['peers', 'peerSelector', 'mesh'];
  return listText(Object.keys(spec).filter((field) => !scope.includes(field)));
}

function blockUse({ allocations }: IPAMBlockSpec): string {
  return `${allocations.filter((index) => index !== null).length} of ${allocations.length}`;
}

function listText(parts: readonly string[] | undefined): string {
  return (parts ?? []).join(',');
}
