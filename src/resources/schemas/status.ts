// What agents say in Calico's kinds: CalicoNodeStatus, which an operator asks for and an agent fills in, and IPPool's
// conditions. All statuses are open: agents of a later version may say more, and the API server must not drop it.
import { type Field, type Fields, type FieldsOf, type Schema, choice, integer, list, object, text } from '../schema.ts';
import type { CalicoNodeStatusSpec, Condition } from '../types.ts';

export const calicoNodeStatusSpec = object({
  node: { says: 'the node to report on', required: true, schema: text('nodeName') },
  classes: { says: 'what to report', schema: list(choice('Agent', 'BGP', 'Routes'), { unique: true }) },
  updatePeriodSeconds: { says: 'how often; 0: once', schema: integer(0, 86_400) },
} satisfies FieldsOf<CalicoNodeStatusSpec>);

const count = integer(0, Number.MAX_SAFE_INTEGER);
/** Agents say what they have to say, also nothing. */
export const words: Schema = { type: 'text', empty: true };
export const time = text('timestamp');

const birdInstance = open({
  state: said('Ready or NotReady'),
  version: said('of the speaker'),
  routerID: said('BGP identifier'),
  lastBootTime: said('when the speaker started'),
  lastReconfigurationTime: said('when its configuration last changed'),
});
const peers = list(
  open({
    peerIP: said('address of the peer'),
    type: said('NodeMesh, NodePeer or GlobalPeer'),
    state: said('of the session'),
    since: said('when it came to be so'),
  }),
);
const routes = list(
  open({
    type: said('FIB or RIB'),
    destination: said('prefix'),
    gateway: said('next hop'),
    interface: said('where packets leave'),
    learnedFrom: {
      says: 'whom from',
      schema: open({
        sourceType: said('Kernel, Static, Direct, NodeMesh or BGPPeer'),
        peerIP: said('address of the peer'),
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

/** A field of an agent's own words. */
export function said(says: string): Field {
  return { says, schema: words };
}

export function open(fields: Fields): Schema {
  return { type: 'object', open: true, fields };
}
