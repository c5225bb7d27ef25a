// `manxctl bgp peers`: every session on one line.
import type { PeerView } from '../../api/views.ts';
import type { Context } from '../context.ts';
import { type View, sessionTable } from '../sessions.ts';

export async function bgpPeers(context: Context): Promise<void> {
  const peers = await context.api.get<PeerView[]>('/v1/bgp/peers');
  context.show(peers, (view) => renderPeers(peers, { now: context.now(), ...view }));
  if (peers.some(({ state, wish }) => state !== 'Established' && wish?.shutdown === undefined)) context.degraded();
}

export function renderPeers(peers: readonly PeerView[], view: View): string[] {
  return [...sessionTable(peers, 4, view), '', ...sessionTable(peers, 6, view)];
}
