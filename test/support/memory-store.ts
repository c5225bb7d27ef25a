// A store in memory that keeps the port's promises: versions that never come back, compare-and-swap, copies in and
// out. Around it, nodes that die at a chosen call, and stores that fail or dawdle.
import { setImmediate as turn } from 'node:timers/promises';
import type { Kind, Kinds } from '../../src/resources/types.ts';
import { type Store, StoreError, type StoreStatus, isWanted } from '../../src/store/port.ts';

export interface MemoryStore extends Store {
  /** Puts resources in, over whatever is there. */
  seed(...resources: readonly Kinds[Kind][]): void;
  /** Every call so far, as "update IPAMBlock 10-0-0-0-26". */
  readonly calls: readonly string[];
}

/** What is about to be asked of a store, or has been done. */
export interface StoreCall {
  readonly verb: 'list' | 'names' | 'get' | 'create' | 'update' | 'delete';
  readonly kind: Kind;
  readonly name: string;
}

/** The process is gone: nothing after this call happens. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

export function createMemoryStore(...resources: readonly Kinds[Kind][]): MemoryStore {
  const tables = new Map<Kind, Map<string, Kinds[Kind]>>();
  const watchers = new Set<{ kinds: readonly Kind[]; look: () => void }>();
  const calls: string[] = [];
  let version = 0;

  const table = (kind: Kind): Map<string, Kinds[Kind]> => {
    const present = tables.get(kind) ?? new Map<string, Kinds[Kind]>();
    tables.set(kind, present);
    return present;
  };
  const put = <K extends Kind>(kind: K, resource: Kinds[K]): Kinds[K] => {
    const metadata = { ...resource.metadata, resourceVersion: String(++version) };
    const stored = structuredClone({ ...resource, metadata });
    table(kind).set(metadata.name, stored);
    changed(kind);
    return structuredClone(stored);
  };
  const changed = (kind: Kind): void => {
    for (const { kinds, look } of watchers) if (kinds.includes(kind)) queueMicrotask(look);
  };
  const expectVersion = (kind: Kind, { metadata }: Kinds[Kind]): void => {
    const present = table(kind).get(metadata.name);
    if (present === undefined) throw new StoreError('missing', `${kind} ${metadata.name} does not exist`);
    if (present.metadata.resourceVersion !== metadata.resourceVersion) {
      throw new StoreError('conflict', `${kind} ${metadata.name} has changed`);
    }
  };
  const note = async (verb: StoreCall['verb'], kind: Kind, name = ''): Promise<void> => {
    calls.push(`${verb} ${kind} ${name}`.trim());
    await Promise.resolve();
  };

  for (const resource of resources) put(resource.kind, resource as never);
  return {
    calls,
    seed(...seeds) {
      for (const resource of seeds) put(resource.kind, resource as never);
    },
    async list(kind, where) {
      await note('list', kind, where?.node && `of ${where.node}`);
      const wanted = [...table(kind).values()].filter((resource) => isWanted(resource, where));
      const byName = wanted.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
      return structuredClone(byName) as never;
    },
    async names(kind) {
      await note('names', kind);
      return [...table(kind).keys()];
    },
    async get(kind, name) {
      await note('get', kind, name);
      return structuredClone(table(kind).get(name)) as never;
    },
    async create(kind, resource) {
      await note('create', kind, resource.metadata.name);
      if (table(kind).has(resource.metadata.name)) {
        throw new StoreError('exists', `${kind} ${resource.metadata.name} exists`);
      }
      return put(kind, resource);
    },
    async update(kind, resource) {
      await note('update', kind, resource.metadata.name);
      expectVersion(kind, resource);
      return put(kind, resource);
    },
    async delete(kind, resource) {
      await note('delete', kind, resource.metadata.name);
      expectVersion(kind, resource);
      table(kind).delete(resource.metadata.name);
      changed(kind);
    },
    watch(kinds, look) {
      const watcher = { kinds, look };
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    status: (): StoreStatus => ({ kind: 'file', problems: [], inStepSince: 0 }),
  };
}

/**
 * The same store seen through somebody: `before` may throw (the call does not happen), `after` may throw (it has
 * happened, but nobody hears of it).
 */
export function seenThrough(
  store: Store,
  { before, after }: { before?: (call: StoreCall) => unknown; after?: (call: StoreCall) => unknown },
): Store {
  const wrap = async <T>(call: StoreCall, act: () => Promise<T>): Promise<T> => {
    await before?.(call);
    const result = await act();
    await after?.(call);
    return result;
  };
  return {
    list: (kind, where) => wrap({ verb: 'list', kind, name: '' }, () => store.list(kind, where)),
    names: (kind) => wrap({ verb: 'names', kind, name: '' }, () => store.names(kind)),
    get: (kind, name) => wrap({ verb: 'get', kind, name }, () => store.get(kind, name)),
    create: (kind, resource) =>
      wrap({ verb: 'create', kind, name: resource.metadata.name }, () => store.create(kind, resource)),
    update: (kind, resource) =>
      wrap({ verb: 'update', kind, name: resource.metadata.name }, () => store.update(kind, resource)),
    delete: (kind, resource) =>
      wrap({ verb: 'delete', kind, name: resource.metadata.name }, () => store.delete(kind, resource)),
    watch: (kinds, look) => store.watch(kinds, look),
    status: () => store.status(),
  };
}

/**
 * A process that dies at its `at`-th call of the store (from 1): before it is carried out, or right after it. Every
 * later call finds the process dead, too.
 */
export function mortal(store: Store, at: number, when: 'before' | 'after'): Store {
  let calls = 0;
  const died = (): boolean => calls > at || (calls === at && when === 'before');
  return seenThrough(store, {
    before: async () => {
      await turn();
      calls++;
      if (died()) throw new Crash(`died at call ${at}`);
    },
    after: () => {
      if (calls >= at) throw new Crash(`died at call ${at}`);
    },
  });
}
