// CalicoNodeStatus: what an operator asks of a node through Calico's kind, in the words that Calico's agents use. Pure.
import { familyOf, familyOfPrefix } from '#ip';
import type { PeerStatus, SessionState } from '../../bgp/status.ts';
import type { AgentStatus } from '../agent/status.ts';
import type { KernelRouteView } from '../api/views.ts';
import type { CalicoNodeStatusSpec } from '../resources/types.ts';
import { timestamp } from './node.ts';

export interface CalicoNodeStatusStatus {
  readonly lastUpdated: string;
  readonly agent?: { readonly birdV4: Speaker; readonly birdV6: Speaker };
  readonly bgp?: Sessions;
  readonly routes?: { readonly routesV4: readonly CalicoRoute[]; readonly routesV6: readonly CalicoRoute[] };
}

/** Calico's field is called after its BIRD. */
interface Speaker {
  readonly state: 'Ready' | 'NotReady';
  readonly version?: string;
  readonly routerID?: string;
  readonly lastBootTime?: string;
}

interface Sessions {
  readonly numberEstablishedV4: number;
  readonly numberNotEstablishedV4: number;
  readonly numberEstablishedV6: number;
  readonly numberNotEstablishedV6: number;
  readonly peersV4: readonly CalicoPeer[];
  readonly peersV6: readonly CalicoPeer[];
}

interface CalicoPeer {
  readonly peerIP: string;
  readonly type: 'NodeMesh' | 'NodePeer' | 'GlobalPeer';
  readonly state: SessionState;
  readonly since: string;
}

interface CalicoRoute {
  readonly type: 'FIB' | 'RIB';
  readonly destination: string;
  readonly gateway?: string;
  readonly interface?: string;
  readonly learnedFrom: { readonly sourceType: 'Static' | 'Direct' | 'NodeMesh' | 'BGPPeer'; readonly peerIP?: string };
}

export interface CalicoSource {
  readonly status: Omit<AgentStatus, 'health'>;
  /** Ours in the kernel; absent where routes are left to others. */
  readonly routes?: readonly KernelRouteView[];
}

/** An object of the API has its limit (1.5 MB in etcd); a full table would not fit. */
export const ROUTES_MAX = 2_000;

export function calicoNodeStatus(
  { classes = [] }: Pick<CalicoNodeStatusSpec, 'classes'>,
  { status, routes }: CalicoSource,
  now: number,
): CalicoNodeStatusStatus {
  return {
    lastUpdated: timestamp(now),
    ...(classes.includes('Agent') && { agent: { birdV4: speaker(status), birdV6: speaker(status) } }),
    ...(classes.includes('BGP') && { bgp: sessions(status.bgp?.peers ?? []) }),
    ...(classes.includes('Routes') && { routes: routesOf(routes ?? [], status.bgp?.peers ?? []) }),
  };
}

/** Whether the object is to be written again: `updatePeriodSeconds`, 0 for once. */
export function isDue(
  { updatePeriodSeconds = 10 }: Pick<CalicoNodeStatusSpec, 'updatePeriodSeconds'>,
  writtenAt: number | undefined,
  now: number,
): boolean {
  if (writtenAt === undefined) return true;
  return updatePeriodSeconds > 0 && now - writtenAt >= updatePeriodSeconds * 1000;
}

/** One speaker for both families. */
function speaker({ bgp, version, startedAt }: CalicoSource['status']): Speaker {
  if (bgp === undefined) return { state: 'NotReady' };
  const words = { version: `manx ${version}`, routerID: bgp.routerId, lastBootTime: timestamp(startedAt) };
  return { state: 'Ready', ...words };
}

function sessions(all: readonly PeerStatus[]): Sessions {
  const of = (family: 4 | 6): readonly PeerStatus[] => all.filter(({ address }) => familyOf(address) === family);
  const up = (peers: readonly PeerStatus[]): number => peers.filter(({ state }) => state === 'Established').length;
  const [v4, v6] = [of(4), of(6)];
  return {
    numberEstablishedV4: up(v4),
    numberNotEstablishedV4: v4.length - up(v4),
    numberEstablishedV6: up(v6),
    numberNotEstablishedV6: v6.length - up(v6),
    peersV4: v4.map(calicoPeer),
    peersV6: v6.map(calicoPeer),
  };
}

const types = { 'node mesh': 'NodeMesh', global: 'GlobalPeer', 'node specific': 'NodePeer' } as const;

function calicoPeer({ address, kind, state, since }: PeerStatus): CalicoPeer {
  const type = types[kind as keyof typeof types] ?? 'NodePeer';
  return { peerIP: address, type, state, since: timestamp(since) };
}

function routesOf(
  all: readonly KernelRouteView[],
  peers: readonly PeerStatus[],
): NonNullable<CalicoNodeStatusStatus['routes']> {
  const of = (family: 4 | 6): CalicoRoute[] =>
    all
      .filter(({ route }) => familyOfPrefix(route.prefix) === family)
      .slice(0, ROUTES_MAX)
      .map((route) => calicoRoute(route, peers));
  return { routesV4: of(4), routesV6: of(6) };
}

/** By its first next hop: Calico's kind has room for one. */
function calicoRoute({ route, state }: KernelRouteView, peers: readonly PeerStatus[]): CalicoRoute {
  const [hop] = route.nextHops;
  const peer = hop?.via === undefined ? undefined : peers.find(({ address }) => address === hop.via);
  const isPod = hop !== undefined && hop.via === undefined;
  const source =
    peer === undefined
      ? ({ sourceType: isPod ? 'Direct' : hop === undefined ? 'Static' : 'BGPPeer' } as const)
      : ({ sourceType: peer.kind === 'node mesh' ? 'NodeMesh' : 'BGPPeer', peerIP: peer.address } as const);
  return {
    type: state === 'installed' ? 'FIB' : 'RIB',
    destination: route.prefix,
    ...(hop?.via !== undefined && { gateway: hop.via }),
    ...(hop?.dev !== undefined && { interface: hop.dev }),
    learnedFrom: source,
  };
}
