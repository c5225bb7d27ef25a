// What agents say in Calico's kinds: CalicoNodeStatus, which an operator asks for and an agent fills in, and IPPool's
// conditions. All statuses are open: agents of a later version may say more, and the API server must not drop it.
import { type Fields, type FieldsOf, type Schema, choice, integer, list, object, text } from '../schema.ts';
import type { CalicoNodeStatusSpec, Condition } from '../types.ts';

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

export const condition: Schema = open({
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

export function open(fields: Fields): Schema {
  return { type: 'object', open: true, fields };
}
