// The kinds as people write them: `manxctl get ippools`, /v1/resources/IPPool.
import type { Kind } from './resources/types.ts';

export interface KindNames {
  readonly plural: string;
  /** Lower case; the kind itself and its plural need no mention. */
  readonly short: readonly string[];
  /** Whether an operator writes it (in the configuration folder), or the agents do. */
  readonly written: 'by operators' | 'by agents';
}

export const kindNames: Readonly<Record<Kind, KindNames>> = {
  Node: { plural: 'nodes', short: ['no'], written: 'by operators' },
  IPPool: { plural: 'ippools', short: ['ipp', 'pool', 'pools'], written: 'by operators' },
  BGPConfiguration: { plural: 'bgpconfigurations', short: ['bgpconfig', 'bgpconfigs'], written: 'by operators' },
  BGPPeer: { plural: 'bgppeers', short: ['bgpp'], written: 'by operators' },
  BGPFilter: { plural: 'bgpfilters', short: ['bgpf'], written: 'by operators' },
  IPReservation: { plural: 'ipreservations', short: ['ipr'], written: 'by operators' },
  PeerOptions: { plural: 'peeroptions', short: ['peeropts'], written: 'by operators' },
  IPAMConfig: {
    plural: 'ipamconfigs',
    short: ['ipamconfiguration', 'ipamconfigurations'],
    written: 'by operators',
  },
  IPAMBlock: { plural: 'ipamblocks', short: ['block', 'blocks'], written: 'by agents' },
  BlockAffinity: { plural: 'blockaffinities', short: ['affinity', 'affinities'], written: 'by agents' },
  IPAMHandle: { plural: 'ipamhandles', short: ['handle', 'handles'], written: 'by agents' },
  FelixConfiguration: {
    plural: 'felixconfigurations',
    short: ['felixconfig', 'felixconfigs'],
    written: 'by operators',
  },
  ClusterInformation: { plural: 'clusterinformations', short: ['clusterinfo'], written: 'by operators' },
  KubeControllersConfiguration: {
    plural: 'kubecontrollersconfigurations',
    short: ['kubecontrollersconfig'],
    written: 'by operators',
  },
  CalicoNodeStatus: { plural: 'caliconodestatuses', short: ['caliconodestatus'], written: 'by operators' },
};

export const kinds = Object.keys(kindNames) as readonly Kind[];

/** The kind that a word means, in whatever case; undefined when it means none. */
export function readKind(word: string): Kind | undefined {
  const lower = word.toLowerCase();
  return kinds.find(
    (kind) => kind.toLowerCase() === lower || kindNames[kind].plural === lower || kindNames[kind].short.includes(lower),
  );
}
