// The kinds: under which names they go, what their spec looks like, and the rules between its fields.
import type { Format } from './formats.ts';
import type { Path } from './read.ts';
import type { Schema } from './schema.ts';
import { bgpConfigurationSpec, checkBgpConfiguration } from './schemas/bgp.ts';
import { checkFilter, filterSpec } from './schemas/filter.ts';
import { affinitySpec, blockSpec, completeAffinity, handleSpec } from './schemas/ipam.ts';
import { clusterInformationSpec, felixSpec, kubeControllersSpec } from './schemas/cluster.ts';
import { nodeSpec } from './schemas/node.ts';
import { checkPeer, peerSpec } from './schemas/peer.ts';
import { checkPeerOptions, peerOptionsSpec } from './schemas/peer-options.ts';
import {
  checkIpamConfig,
  checkPool,
  completePool,
  ipamConfigSpec,
  poolSpec,
  reservationSpec,
} from './schemas/pools.ts';
import { calicoNodeStatusSpec } from './schemas/status.ts';
import type { Kind, Kinds } from './types.ts';

/** Paths are relative to the spec. */
export type SpecReport = (path: Path, message: string) => void;

export interface KindDescription<K extends Kind = Kind> {
  /** Where the kind may stand; the first is how Manx itself writes it. */
  readonly apiVersions: readonly string[];
  /** Another `kind` for the same thing. */
  readonly alias?: string;
  readonly name: Format | { readonly only: RegExp; readonly says: string } | 'any';
  readonly spec: Schema;
  /** A document without a spec is one with an empty spec. */
  readonly specOptional?: true;
  /** Fields of the spec that stay as they were created; whoever wants another value deletes and creates. */
  readonly fixed?: readonly string[];
  /** Presets that depend on other fields. */
  readonly complete?: (spec: Partial<Kinds[K]['spec']>) => Partial<Kinds[K]['spec']>;
  /** Rules between fields. Fields that are wrong by themselves are missing from `spec`, but listed in `given`. */
  readonly check?: (
    spec: Partial<Kinds[K]['spec']>,
    report: SpecReport,
    whole: { readonly name: string; readonly given: readonly string[] },
  ) => void;
}

const CALICO = 'projectcalico.org/v3';
const CALICO_STORED = 'crd.projectcalico.org/v1';
const MANX = 'projectmanx.org/v1';

const written = { apiVersions: [CALICO, CALICO_STORED], name: 'resourceName' } as const;
const only = {
  apiVersions: [CALICO, CALICO_STORED],
  name: { only: /^default$/, says: 'is not default, and there is only that one' },
} as const;
const stored = { apiVersions: [CALICO_STORED, CALICO], name: 'any' } as const;

export const kinds: { readonly [K in Kind]: KindDescription<K> } = {
  Node: { ...written, name: 'nodeName', spec: nodeSpec, specOptional: true },
  IPPool: { ...written, spec: poolSpec, fixed: ['cidr', 'blockSize'], complete: completePool, check: checkPool },
  BGPConfiguration: {
    ...written,
    name: { only: /^(default|node\.[^\s/]{1,248})$/, says: 'is neither default nor node.<name of a node>' },
    spec: bgpConfigurationSpec,
    specOptional: true,
    check: checkBgpConfiguration,
  },
  BGPPeer: { ...written, spec: peerSpec, check: checkPeer },
  BGPFilter: { ...written, spec: filterSpec, check: checkFilter },
  IPReservation: { ...written, spec: reservationSpec },
  PeerOptions: { apiVersions: [MANX], name: 'resourceName', spec: peerOptionsSpec, check: checkPeerOptions },
  IPAMConfig: { ...only, alias: 'IPAMConfiguration', spec: ipamConfigSpec, check: checkIpamConfig },
  IPAMBlock: { ...stored, spec: blockSpec },
  BlockAffinity: { ...stored, spec: affinitySpec, complete: completeAffinity },
  IPAMHandle: { ...stored, spec: handleSpec },
  FelixConfiguration: {
    ...written,
    name: { only: /^(default|node\.[^\s/]{1,248})$/, says: 'is neither default nor node.<name of a node>' },
    spec: felixSpec,
    specOptional: true,
  },
  ClusterInformation: { ...only, spec: clusterInformationSpec, specOptional: true },
  KubeControllersConfiguration: { ...only, spec: kubeControllersSpec, specOptional: true },
  CalicoNodeStatus: { ...written, spec: calicoNodeStatusSpec },
};

export const kindList = Object.keys(kinds) as readonly Kind[];

/** The kind that a document means by `kind`. */
export function kindOf(name: string): Kind | undefined {
  return kindList.find((kind) => kind === name || kinds[kind].alias === name);
}
