// What all nodes tell of their sessions, and what the configuration asks for → how each BGPPeer does. Pure.
import type { BGPPeer, Condition } from '../resources/types.ts';
import { audienceOf, endpointOf, isGlobal } from '../desired/sessions.ts';
import { type SpeakingNode, speakingNodes } from '../desired/speaking-node.ts';
import type { ClusterView } from '../desired/view.ts';
import { countText } from '../text.ts';
import type { BGPPeerState, DownSession, NodeRouting, NodeSession } from './model.ts';
import { timestamp } from './node.ts';

export interface PeersInput {
  readonly view: ClusterView;
  /** What the nodes tell, by node. */
  readonly told: ReadonlyMap<string, NodeRouting>;
  /** Nodes of which nothing has been heard for too long: what they have told does not count any more. */
  readonly silent: ReadonlySet<string>;
  /** What was said last: a condition that stays so is so since then. */
  readonly before: ReadonlyMap<string, BGPPeerState>;
  readonly now: number;
}

const NAMED = 20;
const SILENT = 'no word from the agent there';

/** By the BGPPeer's name. */
export function bgpPeerStates(input: PeersInput): ReadonlyMap<string, BGPPeerState> {
  const { view, before } = input;
  const audiences = audiencesOf(view);
  return new Map(
    view.peers.map((peer) => {
      const { name } = peer.metadata;
      return [name, stateOf(peer, audiences, input, before.get(name))];
    }),
  );
}

type Audiences = ReadonlyMap<BGPPeer, readonly SpeakingNode[]>;

function audiencesOf(view: ClusterView): Audiences {
  const nodes = speakingNodes(view);
  return new Map(view.peers.map((peer) => [peer, nodes.filter(audienceOf(peer))]));
}

function stateOf(
  peer: BGPPeer,
  audiences: Audiences,
  input: PeersInput,
  before: BGPPeerState | undefined,
): BGPPeerState {
  const audience = audiences.get(peer)!;
  const { ready, down, secrets } = count(peer, audience, input);
  const wanted = ready + down.length;
  const holds = {
    NoMatchingNode: audience.length === 0 ? `no node is meant by it (${chosenBy(peer)})` : undefined,
    MissingSecret: secrets.length > 1 ? `${secrets.length} nodes, the first: ${secrets[0]}` : secrets[0],
    Conflicting: conflictOf(peer, audiences),
    MissingFilter: missingFilters(peer, input.view),
  };
  const [reason, message] = readiness(ready, down, holds);
  const conditions = [
    { type: 'Ready', isSo: reason === READY, reason, message },
    ...(Object.keys(otherwise) as Claim[]).map((type) => {
      const why = holds[type];
      return { type, isSo: why !== undefined, reason: why === undefined ? otherwise[type] : type, message: why ?? '' };
    }),
  ];
  return {
    sessionsUp: `${ready}/${wanted}`,
    ...{ ready, wanted },
    conditions: conditions.map((each) => condition(each, before, input.now)),
    summary: message,
    down: down.slice(0, NAMED),
  };
}

interface Count {
  readonly ready: number;
  readonly down: readonly DownSession[];
  /** For each node that lacks the password, why. */
  readonly secrets: readonly string[];
}

function count(
  { metadata: { name } }: BGPPeer,
  audience: readonly SpeakingNode[],
  { told, silent }: PeersInput,
): Count {
  const down: DownSession[] = [];
  const secrets: string[] = [];
  let ready = 0;
  for (const [node, { sessions, troubles }] of told) {
    const mine = sessions.filter(({ bgpPeer, shutDown }) => bgpPeer === name && shutDown !== true);
    for (const session of mine) {
      if (silent.has(node)) down.push({ node, session: session.name, cause: SILENT });
      else if (session.state === 'Established') ready++;
      else down.push(downSession(node, session));
    }
    if (silent.has(node)) continue;
    // No session at all on a node: it says why, or there is none to be had with itself.
    const troubled = troubles.filter((trouble) => trouble.kind === 'BGPPeer' && trouble.name === name);
    for (const { message } of troubled.slice(0, mine.length > 0 ? 0 : 1)) down.push({ node, cause: message });
    const secret = troubled.find(({ path }) => path === 'spec.password');
    if (secret) secrets.push(secret.message);
  }
  const unheard = audience.filter((node) => !told.has(node.name));
  down.push(...unheard.map((node) => ({ node: node.name, cause: SILENT })));
  return { ready, down, secrets };
}

function downSession(node: string, { name, since, cause }: NodeSession): DownSession {
  return { node, session: name, since, cause: cause ?? 'not up yet' };
}

/** What a BGPPeer may suffer from, and the word for that it does not. */
const otherwise = {
  NoMatchingNode: 'NodesMatch',
  MissingSecret: 'PasswordsKnown',
  Conflicting: 'NoConflict',
  MissingFilter: 'FiltersExist',
} as const;
type Claim = keyof typeof otherwise;

const READY = 'AllSessionsUp';

/** In one word and in a sentence: the cause before its effects. */
function readiness(
  ready: number,
  down: readonly DownSession[],
  holds: Readonly<Record<Claim, string | undefined>>,
): [string, string] {
  const { NoMatchingNode, MissingSecret, Conflicting, MissingFilter } = holds;
  if (NoMatchingNode !== undefined) return ['NoMatchingNode', NoMatchingNode];
  if (MissingSecret !== undefined) return ['MissingSecret', MissingSecret];
  if (down.length > 0) {
    const isSilence = down.every(({ cause }) => cause === SILENT);
    return [isSilence ? 'AgentsSilent' : 'SessionsDown', downText(down)];
  }
  if (ready === 0 && Conflicting !== undefined) return ['Conflicting', Conflicting];
  if (ready === 0) return ['NoSession', 'no node has a session with it, and none should'];
  // The sessions are up; that a filter is missing shows in the routes.
  return [READY, [MissingFilter, Conflicting].filter((text) => text !== undefined).join('; ')];
}

function downText(down: readonly DownSession[]): string {
  const [first] = down;
  const more = down.length - 1;
  return `${first!.node}: ${first!.cause}${more > 0 ? `; and ${more} more down` : ''}`;
}

/** Which nodes it asks for, in its own words. */
function chosenBy({ spec }: BGPPeer): string {
  if (spec.node !== undefined) return `node ${spec.node}`;
  return spec.nodeSelector === undefined ? 'there is none' : `nodeSelector ${spec.nodeSelector}`;
}

/** Of two BGPPeers for one address and port on one node, one alone gets its session: a global one, else the first. */
function conflictOf(peer: BGPPeer, audiences: Audiences): string | undefined {
  const place = endpointOf(peer);
  if (place === undefined) return undefined;
  const mine = new Set((audiences.get(peer) ?? []).map(({ name }) => name));
  const all = [...audiences.keys()];
  const order = [...all.filter(isGlobal), ...all.filter((each) => !isGlobal(each))];
  for (const other of order) {
    const there = endpointOf(other);
    if (other === peer || there?.address !== place.address || there.port !== place.port) continue;
    const shared = audiences.get(other)!.filter(({ name }) => mine.has(name)).length;
    if (shared === 0) continue;
    const wins = order.indexOf(peer) < order.indexOf(other);
    const who = `BGPPeer ${other.metadata.name}, for the same address on ${countText(shared, 'node')},`;
    return wins ? `${who} gives way to this one` : `${who} goes before this one`;
  }
  return undefined;
}

function missingFilters({ spec }: BGPPeer, { filters }: ClusterView): string | undefined {
  const known = new Set(filters.map(({ metadata }) => metadata.name));
  const missing = (spec.filters ?? []).filter((name) => !known.has(name));
  if (missing.length === 0) return undefined;
  return `${missing.length === 1 ? 'BGPFilter' : 'BGPFilters'} ${missing.join(', ')} missing: no routes either way`;
}

function condition(
  { type, isSo, reason, message }: { type: string; isSo: boolean; reason: string; message: string },
  before: BGPPeerState | undefined,
  now: number,
): Condition {
  const status = isSo ? 'True' : 'False';
  const said = before?.conditions.find((each) => each.type === type);
  const lastTransitionTime = said?.status === status ? said.lastTransitionTime : timestamp(now);
  return { type, status, reason, message, lastTransitionTime };
}
