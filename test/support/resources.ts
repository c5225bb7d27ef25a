// Resources for tests: what matters is said, the rest is as Calico fills it in.
import { type Prefix, parsePrefix } from '#ip';
import type {
  BGPConfigurationSpec,
  BGPFilterSpec,
  BGPPeerSpec,
  FelixConfigurationSpec,
  IPAMConfigSpec,
  IPPoolSpec,
  Kind,
  Kinds,
  NodeSpec,
  PeerOptionsSpec,
} from '../../src/resources/types.ts';

type Labels = Readonly<Record<string, string>>;

export function pool(name: string, cidr: string, spec: Partial<IPPoolSpec> = {}): Kinds['IPPool'] {
  return resource('IPPool', name, {
    cidr: parsePrefix(cidr),
    blockSize: cidr.includes(':') ? 122 : 26,
    ipipMode: 'Never',
    vxlanMode: 'Never',
    natOutgoing: false,
    disabled: false,
    disableBGPExport: false,
    nodeSelector: 'all()',
    allowedUses: ['Workload', 'Tunnel'],
    assignmentMode: 'Automatic',
    ...spec,
  });
}

export function node(name: string, bgp: NodeSpec['bgp'] = {}, labels: Labels = {}): Kinds['Node'] {
  return resource('Node', name, { bgp }, labels);
}

export function ipamConfig(spec: Partial<IPAMConfigSpec>): Kinds['IPAMConfig'] {
  return resource('IPAMConfig', 'default', {
    strictAffinity: false,
    autoAllocateBlocks: true,
    maxBlocksPerHost: 0,
    ...spec,
  });
}

export function reservation(name: string, ...cidrs: readonly string[]): Kinds['IPReservation'] {
  return resource('IPReservation', name, { reservedCIDRs: cidrs.map(parsePrefix) });
}

export function bgpConfiguration(spec: BGPConfigurationSpec, name = 'default'): Kinds['BGPConfiguration'] {
  return resource('BGPConfiguration', name, spec);
}

export function felixConfiguration(spec: FelixConfigurationSpec, name = 'default'): Kinds['FelixConfiguration'] {
  return resource('FelixConfiguration', name, spec);
}

export function bgpPeer(name: string, spec: BGPPeerSpec, labels: Labels = {}): Kinds['BGPPeer'] {
  return resource('BGPPeer', name, spec, labels);
}

export function bgpFilter(name: string, spec: BGPFilterSpec): Kinds['BGPFilter'] {
  return resource('BGPFilter', name, spec);
}

export function peerOptions(name: string, spec: PeerOptionsSpec): Kinds['PeerOptions'] {
  return resource('PeerOptions', name, spec);
}

export function prefixes(...texts: readonly string[]): Prefix[] {
  return texts.map(parsePrefix);
}

function resource<K extends Kind>(kind: K, name: string, spec: Kinds[K]['spec'], labels: Labels = {}): Kinds[K] {
  const apiVersion = kind === 'PeerOptions' ? 'projectmanx.org/v1' : 'projectcalico.org/v3';
  return { apiVersion, kind, metadata: { name, labels }, spec } as Kinds[K];
}
