// What a reflection holds: objects by namespace and name, and whether a word from the server changes any of it.
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from './port.ts';

export class Content<T extends KubeObject> {
  private readonly keep: (object: T) => T;
  private objects = new Map<string, T>();
  private listed: readonly T[] | undefined;

  /** @param keep what of an object is held; a change of anything else is none */
  constructor(keep: (object: T) => T = (object) => object) {
    this.keep = (object) => keep(withoutBookkeeping(object));
  }

  /** Ordered by namespace and name; the same array until something changes. */
  all(): readonly T[] {
    this.listed ??= [...this.objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
    return this.listed;
  }

  get(name: string, namespace?: string): T | undefined {
    return this.objects.get(`${namespace ?? ''}/${name}`);
  }

  get size(): number {
    return this.objects.size;
  }

  /** Takes a whole list for what there is. Whether that is another content than before. */
  adopt(objects: readonly T[]): boolean {
    const before = this.objects;
    this.objects = new Map(before);
    const present = new Set(objects.map(keyOf));
    const gone = [...before.keys()].filter((key) => !present.has(key)).map((key) => this.objects.delete(key));
    const put = objects.map((object) => this.put(object));
    this.listed = undefined;
    return gone.length > 0 || put.includes(true);
  }

  /** Whether anything that is kept is another than before; the version always is. */
  put(object: T): boolean {
    const key = keyOf(object);
    const before = this.objects.get(key);
    if (before !== undefined && versionOf(before) === versionOf(object)) return false;
    const kept = this.keep(object);
    this.objects.set(key, kept);
    this.listed = undefined;
    return before === undefined || !isDeepStrictEqual(withoutVersion(before), withoutVersion(kept));
  }

  remove(object: T): boolean {
    this.listed = undefined;
    return this.objects.delete(keyOf(object));
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

function versionOf({ metadata }: KubeObject): string {
  return `${metadata.uid ?? ''} ${metadata.resourceVersion ?? Math.random()}`;
}

/** Who has written which field takes more room than the fields. */
function withoutBookkeeping<T extends KubeObject>(object: T): T {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function withoutVersion(object: KubeObject): unknown {
  const { resourceVersion: _, generation: _generation, ...metadata } = object.metadata;
  return { ...object, metadata };
}
