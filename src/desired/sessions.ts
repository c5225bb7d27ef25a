// Which sessions a node has, and with whom: the node-to-node mesh and the BGPPeers, as Calico derives them.
//
// One session for each address family, over that family's addresses. A BGPPeer for all nodes is "global" and beats a
// "node specific" one for the same address and port; either beats the mesh. A BGPPeer that leads from one node of the
// cluster to another holds in both directions ("reverse peering"), or the other side would have nobody to talk to.
//
// A BGPPeer that names no address, and whose PeerOptions name an interface, is unnumbered: its peer is whoever is found
// to be the router on that link.
import { type Address, type Family, type Prefix, familyOf } from '#ip';
import type { BGPPeer, PeerOptionsSpec } from '../resources/types.ts';
import type { Problem } from '../store/port.ts';
import { parseEndpoint } from '../resources/endpoint.ts';
import { matches, parseSelector } from '../resources/selector.ts';
import { optionsFor } from './options.ts';
import { BGP_PORT, type SpeakingNode, addressesOf } from './speaking-node.ts';
import { type ClusterView, clusterConfiguration } from './view.ts';

export type SessionKind = 'node mesh' | 'global' | 'node specific';

/** A session that should be, before its details. */
export interface SessionPlan {
  /** Unique, and in a status screen: the node's or the BGPPeer's name. */
  readonly name: string;
  readonly kind: SessionKind;
  /** Where the peer is; with a prefix, peers come from anywhere in it; with a link, it is the router found there. */
  readonly remote:
    | { readonly address: Address; readonly port: number }
    | { readonly prefix: Prefix }
    | { readonly link: string };
  readonly asn: number;
  /** The node at the other end, when it is one of ours. */
  readonly node?: SpeakingNode;
  /** The resource that asks for the session; absent for the mesh. */
  readonly peer?: BGPPeer;
  /** The BGPPeer names its peer by selector, or leads here from the other side. */
  readonly bySelector: boolean;
  readonly options: PeerOptionsSpec;
}

export interface Sessions {
  readonly plans: readonly SessionPlan[];
  readonly troubles: readonly Problem[];
}

export function planSessions(view: ClusterView, nodes: readonly SpeakingNode[], self: SpeakingNode): Sessions {
  const troubles: Problem[] = [];
  const explicit = explicitPlans(view, nodes, self, troubles);
  const taken = new Set(explicit.map(placeOf));
  const addresses = new Set(explicit.flatMap(({ remote }) => ('address' in remote ? [remote.address] : [])));
  const mesh = meshPlans(view, nodes, self).filter(
    (plan) => !taken.has(placeOf(plan)) && 'address' in plan.remote && !addresses.has(plan.remote.address),
  );
  return { plans: uniqueNames([...mesh, ...explicit]), troubles };
}

/** For which nodes a BGPPeer is. */
export function audienceOf({ spec }: BGPPeer): (node: SpeakingNode) => boolean {
  if (spec.node !== undefined) return ({ name }) => name === spec.node;
  const selector = parseSelector(spec.nodeSelector ?? '');
  return ({ labels }) => matches(selector, labels);
}

/** Where a BGPPeer leads, if it names an address. */
export function endpointOf({ spec }: BGPPeer): { readonly address: Address; readonly port: number } | undefined {
  if (spec.peerIP === undefined) return undefined;
  const { address, port = BGP_PORT } = parseEndpoint(spec.peerIP);
  return { address, port };
}

/** The link that an unnumbered BGPPeer finds its peer on. */
export function linkOf(view: ClusterView, peer: BGPPeer): string | undefined {
  const { peerIP, peerSelector, localWorkloadSelector } = peer.spec;
  const isElsewhere = peerIP !== undefined || peerSelector !== undefined || localWorkloadSelector !== undefined;
  return isElsewhere ? undefined : optionsFor(view, peer).interface;
}

function meshPlans(view: ClusterView, nodes: readonly SpeakingNode[], self: SpeakingNode): SessionPlan[] {
  if (clusterConfiguration(view).nodeToNodeMeshEnabled === false || self.clusterId !== undefined) return [];
  const options = optionsFor(view, 'mesh');
  return nodes
    .filter((node) => node.name !== self.name && node.clusterId === undefined)
    .flatMap((node) => towardsNode(node, self, { kind: 'node mesh', bySelector: true, options }));
}

function explicitPlans(
  view: ClusterView,
  nodes: readonly SpeakingNode[],
  self: SpeakingNode,
  troubles: Problem[],
): SessionPlan[] {
  const plans = new Map<string, SessionPlan>();
  const add = (plan: SessionPlan): void => {
    const isSelf = 'address' in plan.remote && addressesOf(self).includes(plan.remote.address);
    if (!isSelf && !plans.has(placeOf(plan))) plans.set(placeOf(plan), plan);
  };
  const mine = view.peers.filter((peer) => audienceOf(peer)(self));
  for (const peer of mine.filter(isGlobal)) for (const plan of forward(view, nodes, self, peer, troubles)) add(plan);
  for (const peer of mine.filter((peer) => !isGlobal(peer))) {
    for (const plan of forward(view, nodes, self, peer, troubles)) add(plan);
  }
  for (const peer of view.peers) for (const plan of reverse(view, nodes, self, peer)) add(plan);
  return [...plans.values()];
}

function forward(
  view: ClusterView,
  nodes: readonly SpeakingNode[],
  self: SpeakingNode,
  peer: BGPPeer,
  troubles: Problem[],
): SessionPlan[] {
  const { name } = peer.metadata;
  const { peerSelector, asNumber, localWorkloadSelector } = peer.spec;
  const options = optionsFor(view, peer);
  const kind = isGlobal(peer) ? 'global' : 'node specific';
  const trouble = (path: string, message: string): SessionPlan[] => {
    troubles.push({ kind: 'BGPPeer', name, path, message });
    return [];
  };
  if (localWorkloadSelector !== undefined) {
    const instead = "PeerOptions with dynamicPrefix, the pods' network, takes sessions that they dial to this node";
    return trouble('spec.localWorkloadSelector', `pods cannot be chosen as peers by label: no session (${instead})`);
  }
  if (peerSelector !== undefined) {
    const selector = parseSelector(peerSelector);
    return nodes
      .filter((node) => node.name !== self.name && matches(selector, node.labels))
      .flatMap((node) => towardsNode(node, self, { kind, bySelector: true, options, peer }));
  }
  const remote = endpointOf(peer);
  const node = remote && nodes.find((other) => addressesOf(other).includes(remote.address));
  const asn = asNumber ?? node?.asn;
  if (asn === undefined) return trouble('spec.asNumber', 'the AS number of the peer is missing: no session');
  const { dynamicPrefix } = options;
  if (dynamicPrefix !== undefined) {
    return [{ name, kind, remote: { prefix: dynamicPrefix }, asn, peer, bySelector: false, options }];
  }
  const link = linkOf(view, peer);
  if (link !== undefined) return [{ name, kind, remote: { link }, asn, peer, bySelector: false, options }];
  if (remote === undefined) return trouble('spec.peerIP', 'it does not say where the peer is: no session');
  const family = familyOf(remote.address);
  if (self.addresses[family] === undefined && !isLinkLocal(remote.address)) {
    return trouble('spec.peerIP', `${self.name} has no IPv${family} address: no session with ${remote.address}`);
  }
  return [{ name, kind, remote, asn, peer, bySelector: false, options, ...(node && { node }) }];
}

/** Sessions with the nodes from which a BGPPeer leads to this one. */
function reverse(view: ClusterView, nodes: readonly SpeakingNode[], self: SpeakingNode, peer: BGPPeer): SessionPlan[] {
  if (peer.spec.reversePeering === 'Manual' || !leadsTo(peer, self)) return [];
  const options = optionsFor(view, peer);
  const isFor = audienceOf(peer);
  return nodes
    .filter((node) => node.name !== self.name && isFor(node))
    .flatMap((node) => towardsNode(node, self, { kind: 'node specific', bySelector: true, options, peer }));
}

function leadsTo(peer: BGPPeer, self: SpeakingNode): boolean {
  const { peerSelector, asNumber, localWorkloadSelector } = peer.spec;
  if (localWorkloadSelector !== undefined) return false;
  if (peerSelector !== undefined) return matches(parseSelector(peerSelector), self.labels);
  const place = endpointOf(peer);
  const isHere = place !== undefined && addressesOf(self).includes(place.address);
  return isHere && (asNumber ?? self.asn) === self.asn && place.port === self.port;
}

function towardsNode(
  node: SpeakingNode,
  self: SpeakingNode,
  { kind, bySelector, options, peer }: Pick<SessionPlan, 'kind' | 'bySelector' | 'options' | 'peer'>,
): SessionPlan[] {
  const families: readonly Family[] = [4, 6];
  return families.flatMap((family) => {
    const theirs = node.addresses[family];
    if (theirs === undefined || self.addresses[family] === undefined) return [];
    const base = peer === undefined ? node.name : `${peer.metadata.name}/${node.name}`;
    return [
      {
        name: family === 4 ? base : `${base}/v6`,
        kind,
        remote: { address: theirs.address, port: node.port },
        asn: node.asn,
        node,
        bySelector,
        options,
        ...(peer && { peer }),
      },
    ];
  });
}

/** A BGPPeer for all nodes. */
export function isGlobal({ spec }: BGPPeer): boolean {
  return spec.node === undefined && (spec.nodeSelector === undefined || spec.nodeSelector === '');
}

/** fe80::/10. */
export function isLinkLocal(address: Address): boolean {
  return /^fe[89ab]/.test(address);
}

function placeOf({ remote }: SessionPlan): string {
  if ('link' in remote) return `%${remote.link}`;
  return 'prefix' in remote ? remote.prefix : `${remote.address} ${remote.port}`;
}

/** A BGPPeer may be called like a node; neither name has a "/", so that what is added keeps them apart. */
function uniqueNames(plans: readonly SessionPlan[]): SessionPlan[] {
  const taken = new Set<string>();
  return plans.map((plan) => {
    const name = taken.has(plan.name) ? `${plan.name}/${plan.kind.replace(' ', '-')}` : plan.name;
    taken.add(name);
    return { ...plan, name };
  });
}
