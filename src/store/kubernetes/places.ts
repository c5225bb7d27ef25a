// Which resource of the API holds a kind. Pure.
import { kindNames } from '../../kinds.ts';
import type { ResourcePath } from '../../kube/port.ts';
import type { Kind } from '../../resources/types.ts';

/** Where Calico's kinds are stored: as custom resources of its own making, or natively in its API's own group. */
export type CalicoGroup = 'crd.projectcalico.org/v1' | 'projectcalico.org/v3';
export const calicoGroups: readonly CalicoGroup[] = ['crd.projectcalico.org/v1', 'projectcalico.org/v3'];

/** Kinds that every agent holds in whole: what the node's routing follows from (all of readView), and little of it. */
export const reflectedKinds = [
  'Node',
  'IPPool',
  'BGPConfiguration',
  'BGPPeer',
  'BGPFilter',
  'IPReservation',
  'PeerOptions',
  'IPAMConfig',
  'FelixConfiguration',
] as const satisfies readonly Kind[];
export type ReflectedKind = (typeof reflectedKinds)[number];

export function isReflected(kind: Kind): kind is ReflectedKind {
  return (reflectedKinds as readonly Kind[]).includes(kind);
}

/** Kinds that a cluster may do without: ours where Calico's definitions were there first, and those of later Calicos. */
export const optionalKinds: readonly Kind[] = ['PeerOptions', 'IPReservation', 'BGPFilter', 'FelixConfiguration'];

export function apiVersionOf(kind: Kind, calico: CalicoGroup): string {
  if (kind === 'Node') return 'v1';
  return kind === 'PeerOptions' ? 'projectmanx.org/v1' : calico;
}

export function resourceOf(kind: Kind, calico: CalicoGroup): ResourcePath {
  const [group, version] = apiVersionOf(kind, calico).split('/');
  if (version === undefined) return { group: '', version: group!, plural: 'nodes' };
  const plural =
    kind === 'IPAMConfig' && calico === 'projectcalico.org/v3' ? 'ipamconfigurations' : kindNames[kind].plural;
  return { group: group!, version, plural };
}
