// The datastore kinds over Objects: resources in and out, a cache by version, and the port's errors.
import { randomUUID } from 'node:crypto';
import { formatJson, parseJson, parseResource, toDocument } from '../resources/index.ts';
import type { Kind, Kinds } from '../resources/types.ts';
import { freezeDeep } from './freeze.ts';
import { type Objects, folderName } from './objects.ts';
import { StoreError } from './port.ts';

/** What agents write, and several processes at once. */
export type DataKind = 'IPAMBlock' | 'BlockAffinity' | 'IPAMHandle';
export const dataKinds: readonly DataKind[] = ['IPAMBlock', 'BlockAffinity', 'IPAMHandle'];

export function isDataKind(kind: Kind): kind is DataKind {
  return (dataKinds as readonly Kind[]).includes(kind);
}

interface Cached {
  readonly version: string;
  readonly resource: Kinds[DataKind];
}

export class Datastore {
  private readonly objects: Objects;
  private readonly now: () => number;
  /** Per kind, by the name of the object's folder. A version never changes, so only its currency has to be checked. */
  private readonly cache = new Map<DataKind, Map<string, Cached>>(dataKinds.map((kind) => [kind, new Map()]));

  constructor(objects: Objects, now: () => number) {
    this.objects = objects;
    this.now = now;
  }

  async list<K extends DataKind>(kind: K): Promise<Kinds[K][]> {
    const folders = await this.objects.names(kind);
    const cache = this.cache.get(kind)!;
    const present = new Set(folders);
    for (const folder of cache.keys()) if (!present.has(folder)) cache.delete(folder);
    const resources = await Promise.all(folders.map((folder) => this.read(kind, folder)));
    return resources
      .filter((resource) => resource !== undefined)
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  get<K extends DataKind>(kind: K, name: string): Promise<Kinds[K] | undefined> {
    return this.read(kind, folderName(name));
  }

  /** @throws StoreError 'exists', 'invalid' */
  async create<K extends DataKind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]> {
    const creationTimestamp = new Date(this.now()).toISOString().replace(/\.\d+Z$/, 'Z');
    const metadata = { ...resource.metadata, uid: randomUUID(), creationTimestamp };
    const { name } = metadata;
    const { text, stored } = serialise(kind, { ...resource, metadata });
    const version = await this.objects.create(kind, name, text);
    if (version === undefined) throw new StoreError('exists', `${kind} ${name} exists`);
    return this.remember(kind, name, version, stored);
  }

  /** @throws StoreError 'conflict', 'missing', 'invalid' */
  async update<K extends DataKind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]> {
    const { name, resourceVersion = '' } = resource.metadata;
    const { text, stored } = serialise(kind, resource);
    const version = await this.objects.replace(kind, name, resourceVersion, text);
    if (version === undefined) throw await this.lost(kind, name);
    return this.remember(kind, name, version, stored);
  }

  /** @throws StoreError 'conflict', 'missing' */
  async delete<K extends DataKind>(kind: K, { metadata }: Kinds[K]): Promise<void> {
    const removed = await this.objects.remove(kind, metadata.name, metadata.resourceVersion ?? '');
    if (!removed) throw await this.lost(kind, metadata.name);
    this.cache.get(kind)!.delete(folderName(metadata.name));
  }

  private async lost(kind: DataKind, name: string): Promise<StoreError> {
    return (await this.get(kind, name)) === undefined
      ? new StoreError('missing', `${kind} ${name} does not exist`)
      : new StoreError('conflict', `${kind} ${name} has changed since it was read`);
  }

  private async read<K extends DataKind>(kind: K, folder: string): Promise<Kinds[K] | undefined> {
    const cache = this.cache.get(kind)!;
    const cached = cache.get(folder);
    if (cached !== undefined && (await this.objects.isCurrent(kind, folder, cached.version))) {
      return cached.resource as Kinds[K];
    }
    const found = await this.objects.read(kind, folder);
    if (found === undefined) {
      cache.delete(folder);
      return undefined;
    }
    const resource = deserialise(kind, folder, found.text, found.version);
    cache.set(folder, { version: found.version, resource });
    return resource;
  }

  private remember<K extends DataKind>(kind: K, name: string, version: string, stored: Kinds[K]): Kinds[K] {
    const resource = freezeDeep({ ...stored, metadata: { ...stored.metadata, resourceVersion: version } });
    this.cache.get(kind)!.set(folderName(name), { version, resource });
    return resource;
  }
}

/** The text of a resource, and the resource as it will be read back. */
function serialise<K extends DataKind>(kind: K, resource: Kinds[K]): { text: string; stored: Kinds[K] } {
  const { resourceVersion: _, ...metadata } = resource.metadata;
  const text = formatJson(toDocument({ ...resource, metadata }));
  const { resource: stored, problems } = parseResource(parseJson(text));
  if (stored === undefined || stored.kind !== kind) {
    const why = problems.map(({ path, message }) => [path, message].filter(Boolean).join(': ')).join('; ');
    throw new StoreError('invalid', `${kind} ${metadata.name} is refused: ${why}`, { problems });
  }
  return { text: `${text}\n`, stored: stored as Kinds[K] };
}

function deserialise<K extends DataKind>(kind: K, folder: string, text: string, version: string): Kinds[K] {
  const place = `objects/${kind}/${folder}/${version}`;
  const { resource, problems } = parseResource(readJson(text, place));
  if (resource === undefined || resource.kind !== kind) {
    const why = problems.map(({ path, message }) => [path, message].filter(Boolean).join(': ')).join('; ');
    throw damaged(place, why || `holds a ${resource?.kind}`);
  }
  return freezeDeep({ ...resource, metadata: { ...resource.metadata, resourceVersion: version } }) as Kinds[K];
}

function readJson(text: string, place: string): unknown {
  try {
    return parseJson(text);
  } catch (cause) {
    throw damaged(place, (cause as Error).message, cause);
  }
}

/** Nothing is guessed about addresses: who owns the datastore has to restore or to remove the object. */
function damaged(place: string, why: string, cause?: unknown): StoreError {
  return new StoreError('unavailable', `the datastore is damaged at ${place}: ${why}`, { cause });
}
