// The two kinds of model.ts as data: what deploy/crds makes their CustomResourceDefinitions from. Open, for agents of a
// later version may say more.
import { type Field, type FieldsOf, asNumber, boolean, choice, integer, list } from '../resources/schema.ts';
import { condition, open, said, time, words } from '../resources/schemas/status.ts';
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
const counted = (says: string): Field => ({ says, schema: count });
const timed = (says: string): Field => ({ says, schema: time });

const sessionFamily = open({
  family: { says: 'ipv4-unicast or ipv6-unicast', schema: choice('ipv4-unicast', 'ipv6-unicast') },
  received: counted('prefixes in Adj-RIB-In'),
  accepted: counted('of these, past the import policy'),
  advertised: counted('prefixes in Adj-RIB-Out'),
  stale: counted('paths kept from before a restart of the peer'),
  discarded: counted('prefixes beyond the limit'),
  limit: counted('how many prefixes are taken'),
} satisfies FieldsOf<SessionFamily>);

const address = open({
  family: { says: 'IPv4 or IPv6', schema: choice('IPv4', 'IPv6') },
  address: said('with the length of its subnet'),
  interface: said('where it is'),
  method: said('how it was found'),
  reason: said('what is wrong: none was found, or another node has it'),
} satisfies FieldsOf<NodeAddress>);

const session = open({
  name: said('as in manxctl'),
  peer: said('address of the peer, or the link that it is looked for on'),
  type: said('node mesh, global or node specific'),
  asn: { says: "the peer's AS number", schema: asNumber },
  bgpPeer: said('the BGPPeer that asks for it; absent in the mesh'),
  state: {
    says: 'RFC 4271 §8.2.2',
    schema: choice('Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established'),
  },
  since: timed('up since, or down since'),
  cause: said('why it is not up'),
  shutDown: { says: 'the configuration keeps it down', schema: boolean },
  flaps: counted('how often it went down since the agent started'),
  lastError: {
    says: 'the newest error',
    schema: open({ at: timed('when'), text: said('in words') }),
  },
  families: { says: 'counters of each address family', schema: list(sessionFamily) },
} satisfies FieldsOf<NodeSession>);

const routeNote = open({
  prefix: said('of the route'),
  trouble: {
    says: 'refused by the kernel; a foreign route is in its place; shadowed by a foreign one with a better metric',
    schema: choice('refused', 'foreign', 'shadowed'),
  },
  reason: said("the kernel's words, or whose route it is"),
  since: timed('since when'),
} satisfies FieldsOf<RouteNote>);

const routes = open({
  desired: counted('routes that should be in the kernel'),
  installed: counted('routes that are, as they should be'),
  missing: counted('routes that are not, or not as they should be'),
  stale: counted("from before the agent's start, kept until the peers have sent everything"),
  refused: counted('routes that the kernel refuses'),
  foreign: counted("somebody else's routes in the place of ours, or before it"),
  repairs: counted('how often somebody changed a route of ours and it was put back'),
  troubles: { says: 'the first twenty that are refused or have a foreign route in the way', schema: list(routeNote) },
  error: said('why the kernel cannot be asked or told'),
} satisfies FieldsOf<NodeRoutes>);

const block = open({
  cidr: said('of the block'),
  inUse: counted('addresses given to pods'),
  total: { says: 'addresses in all', schema: integer(0, 2 ** 53 - 1) },
});

const pods = open({
  wired: counted('pods with a cable'),
  blocks: { says: 'blocks that this node owns', schema: list(block) },
} satisfies FieldsOf<NodePods>);

const store = open({
  inStepSince: timed('in step with the API server since; absent while it is away'),
  error: said('why it is away'),
} satisfies FieldsOf<NodeStore>);

const trouble = open({
  kind: said('of the resource'),
  name: said('of the resource'),
  path: said('the field'),
  message: said('what cannot be had, and why'),
} satisfies FieldsOf<Trouble>);

const health = open({
  state: { says: 'good or degraded', schema: choice('good', 'degraded') },
  reasons: { says: 'why not good, one clause each', schema: list(words) },
  summary: said('all reasons in one line'),
} satisfies FieldsOf<NodeHealth>);

export const nodeRouting = open({
  version: said('of the agent'),
  startedAt: timed('when the agent started'),
  writtenAt: timed('when this was written; every five minutes at the least'),
  health: { says: 'good or degraded, and why', schema: health },
  bgp: {
    says: 'who the node is in BGP; absent until the configuration says it',
    schema: open({
      asn: { says: 'its AS number', schema: asNumber },
      routerID: said('its BGP identifier'),
    }),
  },
  addresses: { says: "the node's own, and how they were found", schema: list(address) },
  sessionsUp: said('Established/wanted'),
  sessions: { says: 'all BGP sessions', schema: list(session) },
  routes: { says: "the kernel's routes", schema: routes },
  pods: { says: 'pods and blocks', schema: pods },
  store: { says: "the agent's connection to the API server", schema: store },
  troubles: { says: 'what the configuration asks of this node and cannot have', schema: list(trouble) },
} satisfies FieldsOf<NodeRouting>);

const down = open({
  node: said('where'),
  session: said('as in manxctl; absent where there is no session at all'),
  since: timed('down since'),
  cause: said('why'),
} satisfies FieldsOf<DownSession>);

export const bgpPeerState = open({
  sessionsUp: said('Established/wanted'),
  ready: counted('sessions that are Established'),
  wanted: counted('sessions that should be'),
  conditions: { says: 'Ready, MissingSecret, MissingFilter, Conflicting, NoMatchingNode', schema: list(condition) },
  summary: said('what there is to say in one line'),
  down: { says: 'the first twenty sessions that are down, or nodes that have none', schema: list(down) },
} satisfies FieldsOf<BGPPeerState>);
