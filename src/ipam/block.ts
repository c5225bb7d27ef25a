// One block of addresses, exactly as Calico keeps it: every function takes a block and gives the next one. Pure.
//
// An ordinal is an address's offset in the block. `allocations` has one entry per ordinal: null, or which of
// `attributes` describes its owner. `unallocated` is the queue of free ordinals: taken from the front, returned to the
// back, so that an address rests as long as possible. Every write raises `sequenceNumber` by one; an ordinal remembers
// the number under which it was given out, so that a late release cannot free an address that has a new owner.
import { type Address, type Prefix, addressAt, containsAddress, offsetOf, sizeOf } from '#ip';
import type { AllocationAttribute, IPAMBlockSpec } from '../resources/types.ts';
import { claimTime, unixNano } from './time.ts';

/** Who gets an address. */
export interface Owner {
  readonly handle: string;
  readonly secondary: Readonly<Record<string, string>>;
}

/** An address that a handle holds. */
export interface Holding {
  readonly address: Address;
  readonly ordinal: number;
}

/** What to release. Every given condition must hold, or the address stays. */
export interface Release {
  readonly ordinal: number;
  readonly handle?: string;
  /** The number under which the address was given out. */
  readonly sequence?: bigint;
}

/** A new block, wholly free. `affinity` is "host:<node>"; `now` is in ms. */
export function emptyBlock(cidr: Prefix, affinity: string, now: number): IPAMBlockSpec {
  const ordinals = Array.from({ length: Number(sizeOf(cidr)) }, (_, ordinal) => ordinal);
  return {
    cidr,
    affinity,
    affinityClaimTime: claimTime(now),
    allocations: ordinals.map(() => null),
    unallocated: ordinals,
    attributes: [],
    sequenceNumber: unixNano(now),
    sequenceNumberForAllocation: {},
    deleted: false,
    strictAffinity: false,
  };
}

/** The same block under the next sequence number: what every write of a block goes through. */
export function nextRevision(block: IPAMBlockSpec): IPAMBlockSpec {
  return { ...block, sequenceNumber: block.sequenceNumber + 1n };
}

/**
 * Free ordinals in the order in which they are given out. `reserved` ones are passed over and keep their place. A
 * damaged block gives none: an index without an attribute would point to a stranger once attributes are added.
 */
export function* freeOrdinals(block: IPAMBlockSpec, reserved: (address: Address) => boolean): Generator<number> {
  if (block.allocations.some((index) => index !== null && index >= block.attributes.length)) return;
  for (const ordinal of block.unallocated) {
    if (block.allocations[ordinal] === null && !reserved(addressAt(block.cidr, ordinal))) yield ordinal;
  }
}

/**
 * Gives free ordinals to their owners; one write, so all of them carry the block's present sequence number.
 * @throws RangeError when one of them is not free: the caller has chosen from another block than this.
 */
export function allocate(
  block: IPAMBlockSpec,
  picks: readonly { readonly ordinal: number; readonly owner: Owner }[],
): IPAMBlockSpec {
  const allocations = [...block.allocations];
  const attributes = [...block.attributes];
  const sequences = { ...block.sequenceNumberForAllocation };
  const taken = new Set<number>();
  for (const { ordinal, owner } of picks) {
    if (allocations[ordinal] !== null) throw new RangeError(`ordinal ${ordinal} of ${block.cidr} is not free`);
    allocations[ordinal] = indexOfOwner(attributes, owner);
    sequences[ordinal] = block.sequenceNumber;
    taken.add(ordinal);
  }
  const unallocated = block.unallocated.filter((ordinal) => !taken.has(ordinal));
  return { ...block, allocations, attributes, unallocated, sequenceNumberForAllocation: sequences };
}

/** Gives an ordinal that somebody has to somebody else, without its being free in between. */
export function handOver(block: IPAMBlockSpec, ordinal: number, owner: Owner): IPAMBlockSpec {
  const attributes = [...block.attributes];
  const allocations = [...block.allocations];
  allocations[ordinal] = indexOfOwner(attributes, owner);
  const sequences = { ...block.sequenceNumberForAllocation, [ordinal]: block.sequenceNumber };
  return compact({ ...block, attributes, allocations, sequenceNumberForAllocation: sequences });
}

/** Which ordinals a handle holds. Those that rest after their release are nobody's. */
export function holdingsOf(block: IPAMBlockSpec, handle: string): Holding[] {
  return [...allocated(block)]
    .filter(({ attribute }) => attribute?.handle_id === handle && attribute.releasedAt === undefined)
    .map(({ ordinal }) => ({ ordinal, address: addressAt(block.cidr, ordinal) }));
}

/** Every ordinal that is not free, with the attribute of its owner (undefined in a damaged block). */
export function* allocated(
  block: IPAMBlockSpec,
): Generator<{ readonly ordinal: number; readonly attribute: AllocationAttribute | undefined }> {
  for (const [ordinal, index] of block.allocations.entries()) {
    if (index !== null) yield { ordinal, attribute: block.attributes[index] };
  }
}

/** The releases whose conditions hold; resting and free ordinals are not among them. */
export function releasable(block: IPAMBlockSpec, releases: readonly Release[]): number[] {
  return releases
    .filter(({ ordinal, handle, sequence }) => {
      const index = block.allocations[ordinal];
      if (index === null || index === undefined) return false;
      const attribute = block.attributes[index];
      return (
        attribute?.releasedAt === undefined &&
        (handle === undefined || attribute?.handle_id === handle) &&
        (sequence === undefined || block.sequenceNumberForAllocation[ordinal] === sequence)
      );
    })
    .map(({ ordinal }) => ordinal);
}

/** Returns ordinals to the queue, and drops attributes that nobody refers to any more. */
export function free(block: IPAMBlockSpec, ordinals: readonly number[]): IPAMBlockSpec {
  const gone = new Set(ordinals);
  const allocations = block.allocations.map((index, ordinal) => (gone.has(ordinal) ? null : index));
  const sequences = Object.entries(block.sequenceNumberForAllocation).filter(([ordinal]) => !gone.has(Number(ordinal)));
  return compact({
    ...block,
    allocations,
    unallocated: [...block.unallocated, ...gone],
    sequenceNumberForAllocation: Object.fromEntries(sequences),
  });
}

/** Marks ordinals as released but not yet free: they keep their place until {@link wake} finds their time over. */
export function rest(block: IPAMBlockSpec, ordinals: readonly number[], now: number): IPAMBlockSpec {
  const allocations = [...block.allocations];
  const attributes = [...block.attributes];
  for (const ordinal of ordinals) {
    const attribute = { ...attributes[allocations[ordinal]!], releasedAt: claimTime(now) };
    allocations[ordinal] = attributes.push(attribute) - 1;
  }
  return compact({ ...block, allocations, attributes });
}

/** Frees what was released at least so long ago. The same object when there is nothing to do. */
export function wake(block: IPAMBlockSpec, cooldownSeconds: number, now: number): IPAMBlockSpec {
  const rested = [...allocated(block)].filter(({ attribute }) => {
    const releasedAt = attribute?.releasedAt;
    return releasedAt !== undefined && now - Date.parse(releasedAt) >= cooldownSeconds * 1000;
  });
  if (rested.length === 0) return block;
  return free(
    block,
    rested.map(({ ordinal }) => ordinal),
  );
}

/** No address is given out or resting. */
export function isEmpty(block: IPAMBlockSpec): boolean {
  return block.allocations.every((index) => index === null);
}

/** Addresses that cannot be given out now: given out, or resting. */
export function usedCount(block: IPAMBlockSpec): number {
  return block.allocations.filter((index) => index !== null).length;
}

/** The address's ordinal, or undefined when it lies elsewhere. */
export function ordinalOf(block: IPAMBlockSpec, address: Address): number | undefined {
  return containsAddress(block.cidr, address) ? Number(offsetOf(block.cidr, address)) : undefined;
}

/** The node whose block it is; undefined when it is nobody's, or a virtual one's. */
export function hostOf(block: IPAMBlockSpec): string | undefined {
  return block.affinity?.startsWith('host:') ? block.affinity.slice('host:'.length) : undefined;
}

function indexOfOwner(attributes: AllocationAttribute[], owner: Owner): number {
  const found = attributes.findIndex(
    (attribute) =>
      attribute.handle_id === owner.handle &&
      attribute.releasedAt === undefined &&
      sameEntries(attribute.secondary ?? {}, owner.secondary),
  );
  return found >= 0 ? found : attributes.push({ handle_id: owner.handle, secondary: owner.secondary }) - 1;
}

function sameEntries(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

/** Drops unused attributes; the others keep their order and move up. */
function compact(block: IPAMBlockSpec): IPAMBlockSpec {
  const used = new Set(block.allocations);
  if (block.attributes.every((_, index) => used.has(index))) return block;
  const moved = new Map<number, number>();
  for (const index of block.attributes.keys()) if (used.has(index)) moved.set(index, moved.size);
  return {
    ...block,
    attributes: block.attributes.filter((_, index) => moved.has(index)),
    // An index without an attribute marks a damaged block: kept as it is for `ipam check` to report.
    allocations: block.allocations.map((index) => (index === null ? null : (moved.get(index) ?? index))),
  };
}
