// IPAM's three kinds in the store: what they are called, and which of them count.
//
// Calico marks an object `deleted` before it deletes it, and may be cut short in between: for a reader such an object
// is not there, and whoever wants its name finishes the deletion.
import type { Prefix } from '#ip';
import type {
  BlockAffinity,
  BlockAffinitySpec,
  IPAMBlock,
  IPAMBlockSpec,
  IPAMHandle,
  Kinds,
} from '../resources/types.ts';
import { type Store, StoreError, type StoreErrorCode, type Where } from '../store/port.ts';
import { affinityLabels, affinityName, blockName, handleName, prefixOfBlock } from '../resources/names.ts';

const API_VERSION = 'crd.projectcalico.org/v1';

/** The kinds that only IPAM writes. */
export type DataKind = 'IPAMBlock' | 'BlockAffinity' | 'IPAMHandle';

/** Everything that is not half deleted. */
export async function listLive<K extends DataKind>(store: Store, kind: K, where?: Where): Promise<Kinds[K][]> {
  return (await store.list(kind, where)).filter((resource) => !isHalfDeleted(resource));
}

/**
 * Which blocks there are, by the cheapest look: perhaps some moments old, half deleted ones among them. Undefined when
 * something there is called as no block is.
 */
export async function glanceAtBlocks(store: Store): Promise<Prefix[] | undefined> {
  const prefixes = (await store.names('IPAMBlock')).map(prefixOfBlock);
  const known = prefixes.filter((prefix) => prefix !== undefined);
  return known.length === prefixes.length ? known : undefined;
}

export async function getBlock(store: Store, cidr: Prefix): Promise<IPAMBlock | undefined> {
  return getLive(store, 'IPAMBlock', blockName(cidr));
}

export async function getAffinity(store: Store, node: string, cidr: Prefix): Promise<BlockAffinity | undefined> {
  return getLive(store, 'BlockAffinity', affinityName(node, cidr));
}

export async function getHandle(store: Store, handle: string): Promise<IPAMHandle | undefined> {
  return getLive(store, 'IPAMHandle', handleName(handle));
}

/** Creates a resource; a half deleted one in its place is deleted first. @throws StoreError */
export async function createLive<K extends DataKind>(store: Store, kind: K, resource: Kinds[K]): Promise<Kinds[K]> {
  try {
    return await store.create(kind, resource);
  } catch (error) {
    if (!isStoreError(error, 'exists')) throw error;
    const present = await store.get(kind, resource.metadata.name);
    if (present === undefined || !isHalfDeleted(present)) throw error;
    await store.delete(kind, present);
    return store.create(kind, resource);
  }
}

/** Deletes that very version. False when somebody was there before us, with a deletion or with a change. */
export async function deleteUnchanged<K extends DataKind>(store: Store, kind: K, resource: Kinds[K]): Promise<boolean> {
  return ifUnchanged(store.delete(kind, resource).then(() => true as const)).then((done) => done ?? false);
}

/** What the write gives, or undefined when the compare-and-swap lost. */
export async function ifUnchanged<T>(write: Promise<T>): Promise<T | undefined> {
  try {
    return await write;
  } catch (error) {
    if (isStoreError(error, 'conflict', 'missing', 'exists')) return undefined;
    throw error;
  }
}

export function isStoreError(error: unknown, ...codes: readonly StoreErrorCode[]): error is StoreError {
  return error instanceof StoreError && codes.includes(error.code);
}

export function newBlock(spec: IPAMBlockSpec): IPAMBlock {
  return { apiVersion: API_VERSION, kind: 'IPAMBlock', metadata: { name: blockName(spec.cidr) }, spec };
}

export function newAffinity(node: string, cidr: Prefix, state: BlockAffinitySpec['state']): BlockAffinity {
  return {
    apiVersion: API_VERSION,
    kind: 'BlockAffinity',
    metadata: { name: affinityName(node, cidr), labels: affinityLabels(node, cidr) },
    spec: { cidr, node, state, type: 'host', deleted: 'false' },
  };
}

export function newHandle(handleID: string, block: Readonly<Record<string, number>>): IPAMHandle {
  return {
    apiVersion: API_VERSION,
    kind: 'IPAMHandle',
    metadata: { name: handleName(handleID) },
    spec: { handleID, block, deleted: false },
  };
}

/** The same resource with another spec: what an update takes. */
export function withSpec<R extends { readonly spec: object }>(resource: R, spec: Partial<R['spec']>): R {
  return { ...resource, spec: { ...resource.spec, ...spec } };
}

async function getLive<K extends DataKind>(store: Store, kind: K, name: string): Promise<Kinds[K] | undefined> {
  const resource = await store.get(kind, name);
  return resource !== undefined && isHalfDeleted(resource) ? undefined : resource;
}

/** Marked for deletion by Calico, and not deleted yet. */
export function isHalfDeleted(resource: Kinds[DataKind]): boolean {
  return String(resource.spec.deleted) === 'true';
}
