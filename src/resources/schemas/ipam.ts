// IPAMBlock, BlockAffinity and IPAMHandle: what IPAM writes, as Calico stores it. A field that a later Calico adds is
// kept: whoever writes the object back must not lose it.
import { type FieldsOf, type Schema, boolean, choice, integer, list, map, nullable, text } from '../schema.ts';
import type { AllocationAttribute, BlockAffinitySpec, IPAMBlockSpec, IPAMHandleSpec } from '../types.ts';

const ordinal = integer(0, 2 ** 31 - 1);
const strings = map(text());

const attribute: Schema = {
  type: 'object',
  open: true,
  fields: {
    handle_id: { says: 'whose address it is', schema: text() },
    secondary: { says: 'pod, namespace, node, time', schema: mayBeEmpty(strings) },
    alternateOwnerAttrs: { says: 'during a live migration', schema: mayBeEmpty(strings) },
    releasedAt: { says: 'rests since', schema: text('timestamp') },
  } satisfies FieldsOf<AllocationAttribute>,
};

/** Values may be empty texts: they are Calico's. */
function mayBeEmpty(schema: Schema): Schema {
  return schema.type === 'map' ? { ...schema, values: { type: 'text', empty: true } } : schema;
}

export const blockSpec: Schema = {
  type: 'object',
  open: true,
  fields: {
    cidr: { says: 'the addresses', required: true, schema: text('prefix') },
    affinity: { says: 'host:<node> or virtual:<name>', schema: text() },
    affinityClaimTime: { says: 'owned since', schema: text('timestamp') },
    allocations: { says: 'per ordinal null or an index', required: true, schema: list(nullable(ordinal)) },
    unallocated: { says: 'free ordinals, first in first out', required: true, schema: list(ordinal) },
    attributes: { says: 'of the allocations', required: true, schema: list(attribute) },
    sequenceNumber: { says: 'one more with each write', preset: 0n, schema: { type: 'uint64' } },
    sequenceNumberForAllocation: {
      says: 'ordinal → the sequence number then',
      preset: {},
      schema: map({ type: 'uint64' }, 'ordinal'),
    },
    deleted: { says: 'about to be deleted', preset: false, schema: boolean },
    strictAffinity: { says: 'dead', preset: false, schema: boolean },
  } satisfies FieldsOf<IPAMBlockSpec>,
};

export const affinitySpec: Schema = {
  type: 'object',
  open: true,
  fields: {
    cidr: { says: 'the block', required: true, schema: text('prefix') },
    node: { says: 'the owner', required: true, schema: text() },
    state: {
      says: 'empty: confirmed',
      preset: 'confirmed',
      schema: choice('pending', 'confirmed', 'pendingDeletion', ''),
    },
    type: { says: 'host, or virtual', preset: 'host', schema: choice('host', 'virtual', '') },
    deleted: { says: 'about to be deleted', preset: 'false', schema: { type: 'booleanText' } },
  } satisfies FieldsOf<BlockAffinitySpec>,
};

export function completeAffinity(spec: Partial<BlockAffinitySpec>): Partial<BlockAffinitySpec> {
  return { ...spec, state: spec.state || 'confirmed', type: spec.type || 'host' };
}

export const handleSpec: Schema = {
  type: 'object',
  open: true,
  fields: {
    handleID: { says: 'as in the attributes of blocks', required: true, schema: text() },
    block: { says: 'block → number of addresses', preset: {}, schema: map(ordinal, 'prefix') },
    deleted: { says: 'about to be deleted', preset: false, schema: boolean },
  } satisfies FieldsOf<IPAMHandleSpec>,
};
