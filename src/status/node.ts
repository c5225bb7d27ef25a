// What the agent knows of itself → what it tells the cluster. Pure.
//
// A value changes here only when there is something to tell: no countdown, no "for 3 m", and a session that is down is
// down since it was up, however often it has been tried meanwhile.
import type { FamilyStatus, PeerStatus } from '../../bgp/status.ts';
import { reasonsOf } from '../agent/health.ts';
import { type AgentStatus, type KernelStatus, type PodsStatus, addressText } from '../agent/status.ts';
import type { AddressState } from '../autodetect/decide.ts';
import type { StoreStatus } from '../store/port.ts';
import type {
  NodeAddress,
  NodePods,
  NodeRouting,
  NodeRoutes,
  NodeSession,
  NodeStore,
  SessionFamily,
  Timestamp,
} from './model.ts';

/** So many troubles with routes are told one by one. */
const ROUTES_NAMED = 20;

/** @param before what was told last, also by an earlier run: a session that was down then is down since then */
export function nodeRouting(
  status: Omit<AgentStatus, 'health'>,
  now: number,
  before?: Pick<NodeRouting, 'sessions'>,
): NodeRouting {
  const { version, startedAt, bgp, kernel, pods, store, troubles, parts, addresses } = status;
  const peers = bgp?.peers ?? [];
  const reasons = reasonsOf(status);
  const told = new Map((before?.sessions ?? []).map((session) => [session.name, session]));
  return {
    version,
    startedAt: timestamp(startedAt),
    writtenAt: timestamp(now),
    health: { state: reasons.length === 0 ? 'good' : 'degraded', reasons, summary: reasons.join('; ') },
    ...(bgp && { bgp: { asn: bgp.asn, routerID: bgp.routerId } }),
    ...(addresses && { addresses: addresses.map(addressOf) }),
    sessionsUp: upOfWanted(peers, status.shutDown),
    sessions: peers.map((peer) => session(peer, status.shutDown.includes(peer.name), told.get(peer.name))),
    ...(kernel && { routes: routes(kernel) }),
    ...(parts.cni && pods && { pods: podsOf(pods) }),
    store: storeOf(store),
    troubles: [...store.problems, ...troubles].map(({ kind, name, path, message }) => ({
      ...(kind !== undefined && { kind }),
      ...(name !== undefined && { name }),
      ...(path !== undefined && { path }),
      message,
    })),
  };
}

/** metav1.Time knows whole seconds. */
export function timestamp(ms: number): Timestamp {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/**
 * The BGPPeer that a session comes from. Names are made in desired/sessions.ts and in the speaker: "tor", "rack/node",
 * "rack/node/v6", "tor/global", and "pods 10.0.0.1" where peers come from a whole prefix; no BGPPeer has a "/" or a
 * space in its name.
 */
export function bgpPeerOf({ name, kind }: Pick<PeerStatus, 'name' | 'kind'>): string | undefined {
  return kind === 'node mesh' ? undefined : name.split(/[/ ]/)[0];
}

function addressOf({ family, how, problem, ...place }: AddressState): NodeAddress {
  return {
    family: family === 4 ? 'IPv4' : 'IPv6',
    ...place,
    method: how,
    ...(problem !== undefined && { reason: problem }),
  };
}

function upOfWanted(peers: readonly PeerStatus[], shutDown: readonly string[]): string {
  const wanted = peers.filter(({ name }) => !shutDown.includes(name));
  return `${wanted.filter(({ state }) => state === 'Established').length}/${wanted.length}`;
}

function session(peer: PeerStatus, isShutDown: boolean, told: NodeSession | undefined): NodeSession {
  const { name, kind, asn, state, cause, flaps, errors } = peer;
  const bgpPeer = bgpPeerOf(peer);
  const [newest] = errors;
  return {
    name,
    peer: addressText(peer),
    type: kind,
    asn,
    ...(bgpPeer !== undefined && { bgpPeer }),
    state,
    since: sinceOf(peer, told),
    ...(cause !== undefined && { cause }),
    ...(isShutDown && { shutDown: true }),
    flaps,
    ...(newest && { lastError: { at: timestamp(newest.at), text: newest.text } }),
    families: peer.families.filter(isCounted(state)).map(family),
  };
}

/** Between tries a session goes through Idle, Connect and Active every few seconds, and is down all the while. */
function sinceOf({ state, since }: PeerStatus, told: NodeSession | undefined): Timestamp {
  const wasDown = told !== undefined && told.state !== 'Established';
  return wasDown && state !== 'Established' ? told.since : timestamp(since);
}

/** A session that is down has counts only while paths of before are kept for it. */
function isCounted(state: PeerStatus['state']): (family: FamilyStatus) => boolean {
  return ({ negotiated, stale }) => (state === 'Established' ? negotiated : stale > 0);
}

function family({ family: name, received, accepted, advertised, stale, prefixLimit }: FamilyStatus): SessionFamily {
  const counts = { family: name, received, accepted, advertised, stale };
  if (prefixLimit === undefined) return counts;
  return { ...counts, limit: prefixLimit.max, discarded: prefixLimit.discarded };
}

function routes(kernel: KernelStatus): NodeRoutes {
  const { desired, installed, missing, stale, repairs, troubles, error } = kernel;
  const refused = troubles.filter(({ trouble }) => trouble === 'refused').length;
  return {
    ...{ desired, installed, missing, stale, refused },
    foreign: troubles.length - refused,
    repairs,
    troubles: troubles
      .slice(0, ROUTES_NAMED)
      .map(({ prefix, trouble, reason, since }) => ({ prefix, trouble, reason, since: timestamp(since) })),
    ...(error !== undefined && { error }),
  };
}

function podsOf({ wired, blocks }: PodsStatus): NodePods {
  return { wired, blocks: blocks.map(({ cidr, inUse, total }) => ({ cidr, inUse, total })) };
}

function storeOf({ inStepSince, error }: StoreStatus): NodeStore {
  return {
    ...(inStepSince !== undefined && { inStepSince: timestamp(inStepSince) }),
    ...(error !== undefined && { error }),
  };
}
