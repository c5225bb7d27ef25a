// BGPPeer: whom to peer with, and how.
import { familyOf } from '#ip';
import { parseEndpoint } from '../endpoint.ts';
import type { SpecReport } from '../kinds.ts';
import { type FieldsOf, asNumber, boolean, choice, integer, list, object, text } from '../schema.ts';
import type { BGPPeerSpec } from '../types.ts';
import { secretReference } from './common.ts';

export const peerSpec = object({
  node: { says: 'the one node that peers; none and no nodeSelector: every node', schema: text('nodeName') },
  nodeSelector: { says: 'the nodes that peer', schema: text('selector') },
  peerIP: { says: 'address, with a port as in 10.0.0.1:1179 or [fd00::1]:1179', schema: text('peerEndpoint') },
  peerSelector: { says: 'the nodes that are peered with', schema: text('selector') },
  asNumber: { says: "the peer's AS", schema: asNumber },
  localASNumber: { says: 'our AS in this session', schema: asNumber },
  sourceAddress: { says: 'where the session comes from', schema: choice('UseNodeIP', 'None') },
  nextHopMode: { says: 'the next hop of routes announced there', schema: choice('Auto', 'Self', 'Keep') },
  keepOriginalNextHop: { says: 'deprecated: nextHopMode Keep', schema: boolean },
  password: { says: 'TCP MD5', schema: secretReference },
  maxRestartTime: { says: 'how long routes outlive the session (120s)', schema: text('duration') },
  keepaliveTime: { says: 'a third of the hold time', schema: text('duration') },
  numAllowedLocalASNumbers: { says: 'how often our AS may be in an AS path', schema: integer(0, 255) },
  ttlSecurity: { says: 'hops to the peer; packets from further away are dropped', schema: integer(0, 255) },
  reachableBy: { says: 'gateway on the way to the peer', schema: text('peerAddress') },
  filters: { says: 'BGPFilters, in order', schema: list(text('resourceName'), { unique: true }) },
  localWorkloadSelector: { says: 'pods of the node that peer with it', schema: text('selector') },
  reversePeering: {
    says: 'whether the selected nodes peer back by themselves',
    schema: choice('Auto', 'Manual'),
  },
} satisfies FieldsOf<BGPPeerSpec>);

/** Pairs that contradict each other. */
export const exclusive = [
  ['node', 'nodeSelector'],
  ['peerIP', 'peerSelector'],
  ['peerSelector', 'asNumber'],
  ['nextHopMode', 'keepOriginalNextHop'],
  ['localWorkloadSelector', 'peerIP'],
  ['localWorkloadSelector', 'peerSelector'],
] as const;

export function checkPeer(
  spec: Partial<BGPPeerSpec>,
  report: SpecReport,
  { given }: { readonly given: readonly string[] },
): void {
  for (const [one, other] of exclusive) {
    if (given.includes(one) && given.includes(other)) report([other], `cannot stand beside ${one}`);
  }
  if (given.includes('localWorkloadSelector') && !given.includes('asNumber')) {
    report(['asNumber'], 'is missing: localWorkloadSelector needs it');
  }
  if (given.includes('reachableBy') && !given.includes('peerIP')) report(['reachableBy'], 'needs peerIP');
  if (spec.reachableBy !== undefined && spec.peerIP !== undefined) {
    const { address } = parseEndpoint(spec.peerIP);
    if (familyOf(address) !== familyOf(spec.reachableBy)) {
      report(['reachableBy'], `${spec.reachableBy} and peerIP ${address} are of different families`);
    }
  }
}
