// The two kinds of model.ts as data: what deploy/crds makes their CustomResourceDefinitions from. Open, for agents of a
// later version may say more.
import { type FieldsOf, type Schema, asNumber, boolean, choice, integer, list, text } from '../resources/schema.ts';
import { condition, open } from '../resources/schemas/status.ts';
import type {
  BGPPeerState,
  DownSession,
  NodeAddress,
  NodeHealth,
  NodePods,
  NodeRouting,
  NodeRoutes,
  NodeSession,
  NodeStore,
  RouteNote,
  SessionFamily,
  Trouble,
} from './model.ts';

const count = integer(0, 2 ** 31 - 1);
const time = text('timestamp');
/** Agents say what they have to say, also nothing. */
const words: Schema = { type: 'text', empty: true };

const sessionFamily = open({
  family: { says: 'ipv4-unicast or ipv6-unicast', schema: choice('ipv4-unicast', 'ipv6-unicast') },
  received: { says: 'prefixes in Adj-RIB-In', schema: count },
  accepted: { says: 'of these, past the import policy', schema: count },
  advertised: { says: 'prefixes in Adj-RIB-Out', schema: count },
  stale: { says: 'paths kept from before a restart of the peer', schema: count },
  discarded: { says: 'prefixes beyond the limit', schema: count },
  limit: { says: 'how many prefixes are taken', schema: count },
} satisfies FieldsOf<SessionFamily>);

const address = open({
  family: { says: 'IPv4 or IPv6', schema: choice('IPv4', 'IPv6') },
  address: { says: 'with the length of its subnet', schema: words },
  interface: { says: 'where it is', schema: words },
  method: { says: 'how it was found', schema: words },
  reason: { says: 'what is wrong: none was found, or another node has it', schema: words },
} satisfies FieldsOf<NodeAddress>);

const session = open({
  name: { says: 'as in manxctl', schema: words },
  peer: { says: 'address of the peer, or the link that it is looked for on', schema: words },
  type: { says: 'node mesh, global or node specific', schema: words },
  asn: { says: "the peer's AS number", schema: asNumber },
  bgpPeer: { says: 'the BGPPeer that asks for it; absent in the mesh', schema: words },
  state: {
    says: 'RFC 4271 §8.2.2',
    schema: choice('Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established'),
  },
  since: { says: 'up since, or down since', schema: time },
  cause: { says: 'why it is not up', schema: words },
  shutDown: { says: 'the configuration keeps it down', schema: boolean },
  flaps: { says: 'how often it went down since the agent started', schema: count },
  lastError: {
    says: 'the newest error',
    schema: open({ at: { says: 'when', schema: time }, text: { says: 'in words', schema: words } }),
  },
  families: { says: 'counters of each address family', schema: list(sessionFamily) },
} satisfies FieldsOf<NodeSession>);

const routeNote = open({
  prefix: { says: 'of the route', schema: words },
  trouble: {
    says: 'refused by the kernel; a foreign route is in its place; shadowed by a foreign one with a better metric',
    schema: choice('refused', 'foreign', 'shadowed'),
  },
  reason: { says: "the kernel's words, or whose route it is", schema: words },
  since: { says: 'since when', schema: time },
} satisfies FieldsOf<RouteNote>);

const routes = open({
  desired: { says: 'routes that should be in the kernel', schema: count },
  installed: { says: 'routes that are, as they should be', schema: count },
  missing: { says: 'routes that are not, or not as they should be', schema: count },
  stale: { says: "from before the agent's start, kept until the peers have sent everything", schema: count },
  refused: { says: 'routes that the kernel refuses', schema: count },
  foreign: { says: "somebody else's routes in the place of ours, or before it", schema: count },
  repairs: { says: 'how often somebody changed a route of ours and it was put back', schema: count },
  troubles: { says: 'the first twenty that are refused or have a foreign route in the way', schema: list(routeNote) },
  error: { says: 'why the kernel cannot be asked or told', schema: words },
} satisfies FieldsOf<NodeRoutes>);

const block = open({
  cidr: { says: 'of the block', schema: words },
  inUse: { says: 'addresses given to pods', schema: count },
  total: { says: 'addresses in all', schema: integer(0, 2 ** 53 - 1) },
});

const pods = open({
  wired: { says: 'pods with a cable', schema: count },
  blocks: { says: 'blocks that this node owns', schema: list(block) },
} satisfies FieldsOf<NodePods>);

const store = open({
  inStepSince: { says: 'in step with the API server since; absent while it is away', schema: time },
  error: { says: 'why it is away', schema: words },
} satisfies FieldsOf<NodeStore>);

const trouble = open({
  kind: { says: 'of the resource', schema: words },
  name: { says: 'of the resource', schema: words },
  path: { says: 'the field', schema: words },
  message: { says: 'what cannot be had, and why', schema: words },
} satisfies FieldsOf<Trouble>);

const health = open({
  state: { says: 'good or degraded', schema: choice('good', 'degraded') },
  reasons: { says: 'why not good, one clause each', schema: list(words) },
  summary: { says: 'all reasons in one line', schema: words },
} satisfies FieldsOf<NodeHealth>);

export const nodeRouting = open({
  version: { says: 'of the agent', schema: words },
  startedAt: { says: 'when the agent started', schema: time },
  writtenAt: { says: 'when this was written; every five minutes at the least', schema: time },
  health: { says: 'good or degraded, and why', schema: health },
  bgp: {
    says: 'who the node is in BGP; absent until the configuration says it',
    schema: open({
      asn: { says: 'its AS number', schema: asNumber },
      routerID: { says: 'its BGP identifier', schema: words },
    }),
  },
  addresses: { says: "the node's own, and how they were found", schema: list(address) },
  sessionsUp: { says: 'Established/wanted', schema: words },
  sessions: { says: 'all BGP sessions', schema: list(session) },
  routes: { says: "the kernel's routes", schema: routes },
  pods: { says: 'pods and blocks', schema: pods },
  store: { says: "the agent's connection to the API server", schema: store },
  troubles: { says: 'what the configuration asks of this node and cannot have', schema: list(trouble) },
} satisfies FieldsOf<NodeRouting>);

const down = open({
  node: { says: 'where', schema: words },
  session: { says: 'as in manxctl; absent where there is no session at all', schema: words },
  since: { says: 'down since', schema: time },
  cause: { says: 'why', schema: words },
} satisfies FieldsOf<DownSession>);

export const bgpPeerState = open({
  sessionsUp: { says: 'Established/wanted', schema: words },
  ready: { says: 'sessions that are Established', schema: count },
  wanted: { says: 'sessions that should be', schema: count },
  conditions: { says: 'Ready, MissingSecret, MissingFilter, Conflicting, NoMatchingNode', schema: list(condition) },
  summary: { says: 'what there is to say in one line', schema: words },
  down: { says: 'the first twenty sessions that are down, or nodes that have none', schema: list(down) },
} satisfies FieldsOf<BGPPeerState>);
