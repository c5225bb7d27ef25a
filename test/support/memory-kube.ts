// The API server as a map: compare-and-swap, merge patches, and JSON patches that add; every request is written down.
import {
  KubeError,
  type KubeClient,
  type KubeObject,
  type ListOptions,
  type Reflect,
  type ResourcePath,
} from '../../src/kube/port.ts';
import { isRecord } from '../../src/resources/index.ts';

export class MemoryKube implements KubeClient {
  /** "patch noderoutingstatuses worker-1". */
  readonly requests: string[] = [];
  /** GET of these paths is answered with this. */
  readonly documents = new Map<string, unknown>();
  /** Set: nobody answers. */
  away = false;
  private readonly objects = new Map<string, KubeObject>();
  private version = 0;
  private readonly lookers = new Set<Set<() => void>>();

  put(path: Pick<ResourcePath, 'plural'>, object: KubeObject): void {
    const metadata = {
      uid: `uid-${object.metadata.name}`,
      ...object.metadata,
      resourceVersion: String(++this.version),
    };
    this.objects.set(keyOf(path, object.metadata.name), { ...object, metadata });
    for (const lookers of this.lookers) for (const look of lookers) look();
  }

  all<T extends KubeObject>(plural: string): T[] {
    return [...this.objects].filter(([key]) => key.startsWith(`${plural} `)).map(([, object]) => object as T);
  }

  remove(plural: string, name: string): void {
    this.objects.delete(keyOf({ plural }, name));
  }

  /** Always in step. */
  readonly reflect: Reflect = <T extends KubeObject>({ plural }: ResourcePath, { fieldSelector }: ListOptions = {}) => {
    const [, only] = /^metadata\.name=(.*)$/.exec(fieldSelector ?? '') ?? [];
    const all = (): T[] => this.all<T>(plural).filter(({ metadata }) => only === undefined || metadata.name === only);
    const lookers = new Set<() => void>();
    this.lookers.add(lookers);
    return {
      ready: Promise.resolve(),
      all,
      get: (name) => all().find(({ metadata }) => metadata.name === name),
      watch: (look) => {
        lookers.add(look);
        return () => lookers.delete(look);
      },
      status: () => ({ inStepSince: 0, listed: true, missing: false, items: all().length }),
      [Symbol.asyncDispose]: async () => void this.lookers.delete(lookers),
    };
  };

  /** Those that change something. */
  get writes(): string[] {
    return this.requests.filter((request) => !/^(get|list|read)/.test(request));
  }

  async get<T extends KubeObject>(path: ResourcePath, name: string): Promise<T | undefined> {
    this.hear(`get ${path.plural} ${name}`);
    return this.objects.get(keyOf(path, name)) as T | undefined;
  }

  async list<T extends KubeObject>(path: ResourcePath): Promise<readonly T[]> {
    this.hear(`list ${path.plural}`);
    return this.all<T>(path.plural);
  }

  async names(path: ResourcePath): Promise<readonly string[]> {
    return (await this.list(path)).map(({ metadata }) => metadata.name);
  }

  async create<T extends KubeObject>(path: ResourcePath, object: T): Promise<T> {
    const { name } = object.metadata;
    this.hear(`create ${path.plural} ${name}`);
    if (this.objects.has(keyOf(path, name))) throw new KubeError('exists', `${name} exists`);
    this.put(path, object);
    return this.objects.get(keyOf(path, name)) as T;
  }

  async replace<T extends KubeObject>(path: ResourcePath, object: T): Promise<T> {
    const { name, resourceVersion } = object.metadata;
    this.hear(`replace ${path.plural} ${name}`);
    if (this.must(path, name).metadata.resourceVersion !== resourceVersion) throw new KubeError('conflict', 'modified');
    this.put(path, object);
    return this.must(path, name) as T;
  }

  async patch<T extends KubeObject>(
    path: ResourcePath,
    name: string,
    { type, body, subresource }: Parameters<KubeClient['patch']>[2],
  ): Promise<T> {
    this.hear(`patch ${path.plural} ${name}${subresource ? `/${subresource}` : ''}`);
    const object = this.must(path, name);
    const next =
      type === 'json'
        ? (body as readonly { path: string; value: unknown }[]).reduce(added, object as unknown)
        : merged(object, body);
    this.put(path, next as KubeObject);
    return this.must(path, name) as T;
  }

  async delete(path: ResourcePath, name: string): Promise<void> {
    this.hear(`delete ${path.plural} ${name}`);
    this.must(path, name);
    this.objects.delete(keyOf(path, name));
  }

  async read(path: string): Promise<unknown> {
    this.hear(`read ${path}`);
    return this.documents.get(path);
  }

  private hear(request: string): void {
    this.requests.push(request);
    if (this.away) throw new KubeError('unavailable', 'connection refused');
  }

  private must(path: Pick<ResourcePath, 'plural'>, name: string): KubeObject {
    const object = this.objects.get(keyOf(path, name));
    if (object === undefined) throw new KubeError('notFound', `${path.plural} ${name} not found`);
    return object;
  }
}

function keyOf({ plural }: Pick<ResourcePath, 'plural'>, name: string): string {
  return `${plural} ${name}`;
}

function added(target: unknown, { path, value }: { path: string; value: unknown }): unknown {
  const [step, ...rest] = path.split('/').slice(1);
  if (step === undefined) return value;
  const fields = isRecord(target) ? target : {};
  return { ...fields, [step]: added(fields[step], { path: rest.map((name) => `/${name}`).join(''), value }) };
}

/** Conditions by type, as the API server merges them strategically; everything else by RFC 7396. */
function merged(target: unknown, patch: unknown): unknown {
  if (Array.isArray(patch) && Array.isArray(target)) {
    const types = new Set(patch.map((each: { type?: string }) => each.type));
    return [...target.filter((each: { type?: string }) => !types.has(each.type)), ...patch];
  }
  if (!isRecord(patch)) return patch;
  const fields: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) fields[name] = merged(fields[name], value);
  return fields;
}
