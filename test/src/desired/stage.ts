// Three nodes of a small cluster, and what is wished of the speaker of one of them.
import { expect } from 'vitest';
import type { PeerWish, SpeakerWish } from '../../../bgp/wish.ts';
import { type ClusterView, type SpeakerInput, desiredSpeaker } from '../../../src/desired/index.ts';
import { bgpConfiguration, bgpPeer, node } from '../../support/resources.ts';

const emptyView: ClusterView = {
  nodes: [],
  pools: [],
  bgpConfigurations: [],
  peers: [],
  filters: [],
  peerOptions: [],
  reservations: [],
};

export const nodes = [
  node('w1', { ipv4Address: '10.0.0.9/24', ipv6Address: 'fd00::9/64' }, { rack: 'a' }),
  node('w2', { ipv4Address: '10.0.0.12/24', ipv6Address: 'fd00::12/64' }, { rack: 'a' }),
  node('w3', { ipv4Address: '10.0.0.13/24' }, { rack: 'b' }),
];
export const noMesh = bgpConfiguration({ nodeToNodeMeshEnabled: false });
export const tor = bgpPeer('tor', { peerIP: '10.0.0.254', asNumber: 65001 });

export function desired(view: Partial<ClusterView>, name = 'w1', extra: Partial<SpeakerInput> = {}) {
  return desiredSpeaker({
    view: { ...emptyView, nodes, ...view },
    node: name,
    ownBlocks: [],
    ownAddresses: [],
    password: () => ({ problem: 'nobody knows it' }),
    ...extra,
  });
}

export function wish(view: Partial<ClusterView>, name = 'w1', extra: Partial<SpeakerInput> = {}): SpeakerWish {
  return desired(view, name, extra).wish!;
}

export const peers = (view: Partial<ClusterView>, name = 'w1'): readonly PeerWish[] => wish(view, name).peers;
export const names = (view: Partial<ClusterView>, name = 'w1'): string[] => peers(view, name).map((peer) => peer.name);
export const only = (view: Partial<ClusterView>, name = 'w1'): PeerWish => {
  const all = peers({ bgpConfigurations: [noMesh], ...view }, name);
  expect(all).toHaveLength(1);
  return all[0]!;
};
