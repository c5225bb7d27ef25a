// What people do to resources, whatever the store: list, get, apply, create, delete. The API and manxctl share it.
import { setTimeout as pause } from 'node:timers/promises';
import { kinds } from './resources/kinds.ts';
import { toDocument } from './resources/print.ts';
import type { Kind, Kinds } from './resources/types.ts';
import { type Store, StoreError } from './store/port.ts';

export type AnyResource = Kinds[Kind];

export interface Documents {
  list(kind: Kind): Promise<readonly AnyResource[]>;
  get(kind: Kind, name: string): Promise<AnyResource | undefined>;
  /** Makes the resource be so. One that carries a resourceVersion is only replaced while that is the newest. */
  apply(resource: AnyResource): Promise<Applied>;
  /** @throws StoreError 'exists' */
  create(resource: AnyResource): Promise<Applied>;
  /** @throws StoreError 'missing' */
  remove(kind: Kind, name: string): Promise<void>;
}

/** Resources of one kind as one document, as `kubectl` has lists. */
export function listDocument(kind: Kind, resources: readonly AnyResource[]): Record<string, unknown> {
  const apiVersion = resources[0]?.apiVersion ?? kinds[kind].apiVersions[0];
  return { apiVersion, items: resources.map(toDocument), kind: `${kind}List`, metadata: {} };
}

export interface Applied {
  readonly resource: AnyResource;
  readonly outcome: 'created' | 'configured';
}

export function createDocuments(store: Store): Documents {
  return {
    list: (kind) => store.list(kind),
    get: (kind, name) => store.get(kind, name),
    create: async (resource) => ({ resource: await createIn(store, resource), outcome: 'created' }),
    apply: (resource) => apply(store, resource),
    remove: (kind, name) => remove(store, kind, name),
  };
}

/** Somebody else's write between our read and ours is no reason to bother the operator. */
const TRIES = 10;
const PAUSE_MS = 20;

async function apply(store: Store, resource: AnyResource): Promise<Applied> {
  const { kind, metadata } = resource;
  return retryConflicts(metadata.resourceVersion === undefined, async () => {
    const present = await store.get(kind, metadata.name);
    if (present === undefined) {
      // Somebody who names a version means to change what is there, not to bring it back.
      if (metadata.resourceVersion !== undefined) throw missing(kind, metadata.name);
      return { resource: await createIn(store, resource), outcome: 'created' };
    }
    const { resourceVersion, uid, creationTimestamp } = present.metadata;
    const identity = withoutUndefined({ resourceVersion, uid, creationTimestamp });
    const wanted = { ...resource, metadata: { ...identity, ...metadata } } as AnyResource;
    return { resource: await store.update(kind, wanted), outcome: 'configured' };
  });
}

async function remove(store: Store, kind: Kind, name: string): Promise<void> {
  await retryConflicts(true, async () => {
    const present = await store.get(kind, name);
    if (present === undefined) throw missing(kind, name);
    await store.delete(kind, present);
  });
}

function missing(kind: Kind, name: string): StoreError {
  return new StoreError('missing', `there is no ${kind} ${name}`);
}

function createIn(store: Store, resource: AnyResource): Promise<AnyResource> {
  return store.create(resource.kind, resource);
}

async function retryConflicts<T>(mayRetry: boolean, attempt: () => Promise<T>): Promise<T> {
  for (let left = mayRetry ? TRIES : 1; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      const lost = error instanceof StoreError && (error.code === 'conflict' || (mayRetry && error.code === 'exists'));
      if (!lost || left <= 1) throw error;
      await pause(PAUSE_MS);
    }
  }
}

function withoutUndefined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as Partial<T>;
}
