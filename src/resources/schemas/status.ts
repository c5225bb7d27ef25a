// What agents say: CalicoNodeStatus, which an operator asks for and an agent fills in, and our own kinds of status. All
// statuses are open: agents of a later version may say more, and the API server must not drop it.
import { type Fields, type FieldsOf, type Schema, choice, integer, list, object, text } from '../schema.ts';
import type {
  BGPPeerStatusStatus,
  Condition,
  NodeAddressStatus,
  NodeRoutingStatusStatus,
  SessionStatus,
} from '../status-kinds.ts';
import type { CalicoNodeStatusSpec } from '../types.ts';

export const calicoNodeStatusSpec = object({
  node: { says: 'the node to report on', required: true, schema: text('nodeName') },
  classes: { says: 'what to report', schema: list(choice('Agent', 'BGP', 'Routes'), { unique: true }) },
  updatePeriodSeconds: { says: 'how often; 0: once', schema: integer(0, 86_400) },
} satisfies FieldsOf<CalicoNodeStatusSpec>);

const count = integer(0, Number.MAX_SAFE_INTEGER);
const words: Schema = { type: 'text', empty: true };
const time = text('timestamp');

const birdInstance = open({
  state: { says: 'Ready or NotReady', schema: words },
  version: { says: 'of the speaker', schema: words },
  routerID: { says: 'BGP identifier', schema: words },
  lastBootTime: { says: 'when the speaker started', schema: words },
  lastReconfigurationTime: { says: 'when its configuration last changed', schema: words },
});
const peers = list(
  open({
    peerIP: { says: 'address of the peer', schema: words },
    type: { says: 'NodeMesh, NodePeer or GlobalPeer', schema: words },
    state: { says: 'of the session', schema: words },
    since: { says: 'when it came to be so', schema: words },
  }),
);
const routes = list(
  open({
    type: { says: 'FIB or RIB', schema: words },
    destination: { says: 'prefix', schema: words },
    gateway: { says: 'next hop', schema: words },
    interface: { says: 'where packets leave', schema: words },
    learnedFrom: {
      says: 'whom from',
      schema: open({
        sourceType: { says: 'Kernel, Static, Direct, NodeMesh or BGPPeer', schema: words },
        peerIP: { says: 'address of the peer', schema: words },
      }),
    },
  }),
);

/** As Calico's agents report. */
export const calicoNodeStatusStatus = open({
  lastUpdated: { says: 'when', schema: { type: 'nullable', schema: time } },
  agent: {
    says: 'the BGP speaker, by family',
    schema: open({ birdV4: { says: 'IPv4', schema: birdInstance }, birdV6: { says: 'IPv6', schema: birdInstance } }),
  },
  bgp: {
    says: 'sessions',
    schema: open({
      numberEstablishedV4: { says: 'established', required: true, schema: count },
      numberEstablishedV6: { says: 'established', required: true, schema: count },
      numberNotEstablishedV4: { says: 'not established', required: true, schema: count },
      numberNotEstablishedV6: { says: 'not established', required: true, schema: count },
      peersV4: { says: 'one by one', schema: peers },
      peersV6: { says: 'one by one', schema: peers },
    }),
  },
  routes: {
    says: 'what the speaker knows and the kernel has',
    schema: open({
      routesV4: { says: 'one by one', schema: routes },
      routesV6: { says: 'one by one', schema: routes },
    }),
  },
});

const condition: Schema = open({
  type: { says: 'what about', required: true, schema: text() },
  status: { says: 'whether', required: true, schema: choice('True', 'False', 'Unknown') },
  reason: { says: 'why, in one word', required: true, schema: text() },
  message: { says: 'why, in a sentence', required: true, schema: words },
  lastTransitionTime: { says: 'since when', required: true, schema: time },
  observedGeneration: { says: 'of what it is said', schema: count },
} satisfies FieldsOf<Condition>);
const conditions = { says: 'as everywhere in Kubernetes', schema: list(condition) };

/** IPPool's, as Calico has it. */
export const poolStatus = open({ conditions });

const address = open({
  family: { says: 'IPv4 or IPv6', required: true, schema: choice('IPv4', 'IPv6') },
  address: { says: 'with the length of its subnet', schema: words },
  interface: { says: 'where it is', schema: words },
  method: { says: 'how it was found', required: true, schema: words },
  reason: { says: 'why there is none, or why this one', schema: words },
} satisfies FieldsOf<NodeAddressStatus>);

const session = open({
  name: { says: 'of the session', required: true, schema: words },
  bgpPeer: { says: 'the BGPPeer that asks for it; absent in the mesh', schema: words },
  kind: { says: 'node mesh, global or node specific', required: true, schema: words },
  address: { says: 'of the peer', required: true, schema: words },
  asNumber: { says: "the peer's", required: true, schema: count },
  state: { says: "RFC 4271's", required: true, schema: words },
  since: { says: 'in this state since', schema: time },
  lastError: { says: 'what went wrong last', schema: words },
  lastErrorAt: { says: 'when', schema: time },
  received: { says: 'prefixes from the peer', schema: count },
  accepted: { says: 'of those, what import policy took', schema: count },
  advertised: { says: 'prefixes to the peer', schema: count },
  flaps: { says: 'how often it was lost', schema: count },
} satisfies FieldsOf<SessionStatus>);

export const nodeRoutingStatus = open({
  version: { says: 'of the agent', schema: words },
  startedAt: { says: 'the agent runs since', schema: time },
  updatedAt: { says: 'when this was written', required: true, schema: time },
  health: { says: 'Good or Degraded', required: true, schema: choice('Good', 'Degraded') },
  reasons: { says: 'why it is degraded', schema: list(words) },
  asNumber: { says: "the node's", schema: count },
  routerID: { says: 'BGP identifier', schema: words },
  addresses: { says: "the node's, and how they were found", schema: list(address) },
  sessions: {
    says: 'BGP sessions',
    required: true,
    schema: open({
      ready: { says: 'established/wanted', required: true, schema: words },
      established: { says: 'how many are', required: true, schema: count },
      wanted: { says: 'how many should be', required: true, schema: count },
    }),
  },
  peers: { says: 'the sessions, one by one', schema: list(session) },
  routes: {
    says: "the kernel's",
    required: true,
    schema: open({
      desired: { says: 'how many should be there', required: true, schema: count },
      installed: { says: 'how many are', required: true, schema: count },
      drift: { says: 'how many are otherwise', required: true, schema: count },
    }),
  },
  pods: { says: 'wired here', schema: open({ wired: { says: 'how many', required: true, schema: count } }) },
  blocks: { says: "the node's own", schema: list(words) },
  conditions,
} satisfies FieldsOf<NodeRoutingStatusStatus>);

export const bgpPeerStatus = open({
  updatedAt: { says: 'when this was written', required: true, schema: time },
  ready: { says: 'established/wanted', required: true, schema: words },
  established: { says: 'how many sessions are', required: true, schema: count },
  wanted: { says: 'how many sessions should be', required: true, schema: count },
  reason: { says: 'the most telling condition', schema: words },
  nodes: {
    says: 'where it is not established',
    schema: list(
      open({
        name: { says: 'the node', required: true, schema: words },
        state: { says: 'of its session', required: true, schema: words },
        error: { says: 'what went wrong last', schema: words },
      }),
    ),
  },
  conditions,
} satisfies FieldsOf<BGPPeerStatusStatus>);

function open(fields: Fields): Schema {
  return { type: 'object', open: true, fields };
}
