// PeerOptions: what Calico's BGPPeer has no field for, from the general to the particular, field by field.
import type { BGPPeer, PeerOptions, PeerOptionsSpec } from '../resources/types.ts';
import { matches, parseSelector } from '../resources/selector.ts';
import type { ClusterView } from './view.ts';

/**
 * The options of one session: those for every peer, then those for the mesh or for peers with certain labels, then
 * those that name the peer. Among equally particular ones the later by name wins.
 */
export function optionsFor(view: ClusterView, of: BGPPeer | 'mesh'): PeerOptionsSpec {
  const ranked = view.peerOptions
    .map((options) => ({ options, rank: rankOf(options, of) }))
    .filter(({ rank }) => rank !== undefined)
    .sort((a, b) => a.rank! - b.rank! || (a.options.metadata.name < b.options.metadata.name ? -1 : 1));
  return Object.assign({}, ...ranked.map(({ options }) => options.spec)) as PeerOptionsSpec;
}

function rankOf({ spec }: PeerOptions, of: BGPPeer | 'mesh'): number | undefined {
  const { peers, peerSelector, mesh } = spec;
  const isGeneral = peers === undefined && peerSelector === undefined && mesh === undefined;
  if (isGeneral) return 0;
  if (of === 'mesh') return mesh === true ? 1 : undefined;
  if (peers?.includes(of.metadata.name)) return 2;
  const labels = of.metadata.labels ?? {};
  return peerSelector !== undefined && matches(parseSelector(peerSelector), labels) ? 1 : undefined;
}
