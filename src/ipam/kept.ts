// Addresses that a node keeps in its own blocks for pods that come while the store is away. Pure.
//
// They are taken while the store answers, so that nobody else can take them while it does not. Their handle is the one
// by which Calico sets addresses aside on Windows hosts, because it is the only one that its tools take for what it is:
// in use, and nobody's leak. The attributes say who keeps them and what for.
import { type Address, type Family, type Prefix, addressAt, familyOfPrefix, sizeOf } from '#ip';
import type { AllocationAttribute, IPAMBlockSpec } from '../resources/types.ts';
import { type Owner, allocated } from './block.ts';

export const KEEPING_HANDLE = 'windows-reserved-ipam-handle';
const NOTE = 'kept by manx for pods that come while the API server is away';

/** One kept address: where it is, and under which number it was taken. */
export interface Place {
  readonly cidr: Prefix;
  readonly ordinal: number;
  readonly address: Address;
  readonly sequence: bigint;
}

export function keeper(node: string): Owner {
  return { handle: KEEPING_HANDLE, secondary: { node, note: NOTE } };
}

/** Whether an address is kept by this node, or (undefined) by whatever node. */
export function isKept(attribute: AllocationAttribute | undefined, node?: string): boolean {
  const { handle_id: handle, secondary, releasedAt } = attribute ?? {};
  const isOurs = handle === KEEPING_HANDLE && secondary?.['note'] === NOTE && releasedAt === undefined;
  return isOurs && (node === undefined || secondary['node'] === node);
}

/** What the node keeps in a block. */
export function keptIn(block: IPAMBlockSpec, node: string): Place[] {
  return [...allocated(block)].flatMap(({ ordinal, attribute }) => {
    const sequence = block.sequenceNumberForAllocation[ordinal];
    if (!isKept(attribute, node) || sequence === undefined) return [];
    return [{ cidr: block.cidr, ordinal, address: addressAt(block.cidr, ordinal), sequence }];
  });
}

/** Whether it is still the same address that was kept: nobody has freed it since, nor has it changed hands. */
export function isStillKept(block: IPAMBlockSpec, place: Place, node: string): boolean {
  return keptIn(block, node).some(({ ordinal, sequence }) => ordinal === place.ordinal && sequence === place.sequence);
}

/** Nothing is in use or resting in the block but what is kept. For Calico such a block is empty. */
export function isIdle(block: IPAMBlockSpec): boolean {
  return [...allocated(block)].every(({ attribute }) => attribute?.handle_id === KEEPING_HANDLE);
}

/** How many addresses of a family to keep, out of blocks that are in use: at most an eighth of them. */
export function keepTarget(blocks: readonly IPAMBlockSpec[], family: Family, wanted: number): number {
  const sizes = blocks.filter(({ cidr }) => familyOfPrefix(cidr) === family).map(({ cidr }) => Number(sizeOf(cidr)));
  return Math.min(wanted, Math.floor(sizes.reduce((sum, size) => sum + size, 0) / 8));
}
