// The store on Kubernetes: Calico's resources as the API server holds them.
//
// What operators write and the node's own affinities are reflected: readings cost no request and outlive the server's
// absence. Blocks, handles and everybody's affinities are asked for each time: a thousand agents must not each follow
// all of them, and whoever changes one needs its newest version anyway.
import { parseResource, toDocument } from '../resources/index.ts';
import type { Kind, Kinds } from '../resources/types.ts';
import type { KubeMetadata, KubeObject } from '../kube/port.ts';
import { Audience } from './audience.ts';
import { freezeDeep } from './freeze.ts';
import { Cache } from './kubernetes/cache.ts';
import { fromObject, isUsual, toObject } from './kubernetes/custom.ts';
import { asStoreError } from './kubernetes/errors.ts';
import { InForce } from './kubernetes/in-force.ts';
import { Mirror, type MirrorOptions, type MirroredKind, hostSelector } from './kubernetes/mirror.ts';
import { annotationsFor, fromNode } from './kubernetes/node.ts';
import {
  type CalicoGroup,
  type ReflectedKind,
  apiVersionOf,
  isReflected,
  reflectedKinds,
  resourceOf,
} from './kubernetes/places.ts';
import { type Problem, type Store, StoreError, type StoreStatus, type Where } from './port.ts';
import { keepFixed, refused } from './refusal.ts';

export interface KubernetesStoreOptions {
  readonly kube: MirrorOptions['kube'];
  /** Whose affinities are held. */
  readonly node: string;
  /** Instead of what discovery says. */
  readonly group?: CalicoGroup | undefined;
  /** Where the last known configuration is kept for a start without the API server; absent: nowhere. */
  readonly cacheFile?: string;
  readonly clock?: () => number;
}

/**
 * Opens the store. An API server that is away is no error: see status(). This resolves when everything is known, from the
 * server or from an earlier run, or after a few seconds without.
 */
export async function openKubernetesStore(options: KubernetesStoreOptions): Promise<Store & AsyncDisposable> {
  const cache = new Cache(options.cacheFile);
  const before = await cache.read();
  const store = new KubernetesStore(options, cache, before);
  await store.settle();
  return store;
}

const SETTLE_MS = 5000;
/** A Node changes under us all the time; what we mean of it seldom. */
const NODE_TRIES = 10;

type AnyResource = Kinds[Kind];

class KubernetesStore implements Store, AsyncDisposable {
  private readonly options: KubernetesStoreOptions;
  private readonly client: MirrorOptions['kube']['client'];
  private readonly now: () => number;
  private readonly cache: Cache;
  private readonly mirror: Mirror;
  private readonly audience = new Audience();
  private readonly inForce = new InForce((kind, object) =>
    kind === 'Node' ? fromNode(object) : fromObject(kind, object),
  );
  /** What stood before objects that we hand out and that the model cannot make anew. */
  private readonly unusual = new Map<string, KubeMetadata>();

  constructor(options: KubernetesStoreOptions, cache: Cache, before: MirrorOptions['before']) {
    this.options = options;
    this.client = options.kube.client;
    this.now = options.clock ?? Date.now;
    this.cache = cache;
    const { kube, node, group } = options;
    this.mirror = new Mirror({ kube, node, group, before, onChange: (kind) => this.changed(kind) });
  }

  settle(): Promise<void> {
    return this.mirror.settle(SETTLE_MS);
  }

  async list<K extends Kind>(kind: K, where?: Where): Promise<readonly Kinds[K][]> {
    if (isReflected(kind)) return this.taken(kind) as readonly Kinds[Kind][] as readonly Kinds[K][];
    if (kind === 'BlockAffinity' && where?.node === this.options.node) {
      return this.objectsOf('BlockAffinity').map((object) => this.read(kind, object));
    }
    const host = kind === 'BlockAffinity' && where?.node !== undefined ? hostSelector(where.node) : undefined;
    const path = this.pathOf(kind);
    const options = host === undefined ? {} : { labelSelector: host };
    const objects = await asStoreError(kind, 'list', () => this.client.list(path, options));
    return [...objects].sort(byName).map((object) => this.read(kind, object));
  }

  async names(kind: Kind): Promise<readonly string[]> {
    if (isReflected(kind)) return this.taken(kind).map(({ metadata }) => metadata.name);
    const path = this.pathOf(kind);
    return asStoreError(kind, 'list', () => this.client.names(path));
  }

  async get<K extends Kind>(kind: K, name: string): Promise<Kinds[K] | undefined> {
    if (isReflected(kind)) {
      const all: readonly AnyResource[] = this.taken(kind);
      return all.find(({ metadata }) => metadata.name === name) as Kinds[K] | undefined;
    }
    const path = this.pathOf(kind);
    const object = await asStoreError(kind, name, () => this.client.get(path, name));
    return object && this.read(kind, object);
  }

  async create<K extends Kind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]> {
    const { name } = resource.metadata;
    if (kind === 'Node') throw await this.refusedNode(name);
    const wanted = isReflected(kind) ? this.checked(kind, resource) : resource;
    const object = toObject(wanted, this.apiVersionOf(kind), { now: new Date(this.now()) });
    const created = await asStoreError(kind, name, () => this.client.create(this.pathOf(kind), object));
    return this.written(kind, created);
  }

  async update<K extends Kind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]> {
    const { name, resourceVersion, uid } = resource.metadata;
    if (kind === 'Node') return (await this.updateNode(resource as Kinds['Node'])) as Kinds[K];
    const path = this.pathOf(kind);
    if (!isReflected(kind)) {
      const identity: KubeMetadata = {
        name,
        ...(uid !== undefined && { uid }),
        resourceVersion: resourceVersion ?? '',
      };
      const before = this.unusual.get(keyOf(kind, name)) ?? identity;
      const object = toObject(resource, this.apiVersionOf(kind), { before });
      return this.written(kind, await asStoreError(kind, name, () => this.client.replace(path, object)));
    }
    const present = await asStoreError(kind, name, () => this.client.get(path, name));
    if (present === undefined) throw new StoreError('missing', `${kind} ${name} does not exist`);
    if (present.metadata.resourceVersion !== resourceVersion) throw changedMeanwhile(kind, name);
    const was = fromObject(kind, present).resource;
    const wanted = this.checked(kind, resource);
    if (was !== undefined) keepFixed(was, wanted);
    const object = { ...present, ...toObject(wanted, present.apiVersion, { before: present.metadata }) };
    return this.written(kind, await asStoreError(kind, name, () => this.client.replace(path, object)));
  }

  async delete<K extends Kind>(kind: K, resource: Kinds[K]): Promise<void> {
    const { name, uid, resourceVersion } = resource.metadata;
    if (kind === 'Node')
      throw new StoreError('invalid', `Node ${name} is Kubernetes' own (kubectl delete node ${name})`);
    if (isReflected(kind)) this.checkedWithout(kind, name);
    const only = { ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) };
    await asStoreError(kind, name, () => this.client.delete(this.pathOf(kind), name, only));
    this.unusual.delete(keyOf(kind, name));
    if (this.isHeld(kind, resource)) await this.mirror.seen(kind, (seen) => seen.get(name)?.metadata.uid !== uid);
    this.audience.tell([kind]);
  }

  watch(kinds: readonly Kind[], look: () => void): () => void {
    return this.audience.add(kinds, look);
  }

  status(): StoreStatus {
    for (const kind of reflectedKinds) if (this.mirror.objects(kind) !== undefined) this.taken(kind);
    return { kind: 'kubernetes', problems: [...this.inForce.problems(), ...this.absent()], ...this.mirror.status() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.audience.clear();
    await this.cache.flush();
    await this.mirror[Symbol.asyncDispose]();
  }

  private changed(kind: MirroredKind): void {
    this.cache.remember(() => this.mirror.snapshot());
    this.audience.tell([kind]);
  }

  private taken<K extends ReflectedKind>(kind: K): readonly Kinds[K][] {
    return this.inForce.take(kind, this.objectsOf(kind));
  }

  private objectsOf(kind: MirroredKind): readonly KubeObject[] {
    const objects = this.mirror.objects(kind);
    if (objects === undefined) throw this.unavailable();
    return objects;
  }

  private unavailable(): StoreError {
    return new StoreError(
      'unavailable',
      `nothing is known of the cluster yet: ${this.mirror.status().error ?? 'wait'}`,
    );
  }

  private groupNow(): CalicoGroup {
    const { group } = this.mirror;
    if (group === undefined) throw this.unavailable();
    return group;
  }

  private apiVersionOf(kind: Kind): string {
    return apiVersionOf(kind, this.groupNow());
  }

  private pathOf(kind: Kind): ReturnType<typeof resourceOf> {
    return resourceOf(kind, this.groupNow());
  }

  private read<K extends Kind>(kind: K, object: KubeObject): Kinds[K] {
    const { resource, problems } = fromObject(kind, object);
    const { name } = object.metadata;
    if (resource === undefined) {
      // Nothing is guessed about addresses: whoever broke it has to mend it.
      const why = problems.map(({ path, message }) => [path, message].filter(Boolean).join(': ')).join('; ');
      throw new StoreError('unavailable', `the datastore is damaged at ${kind} ${name}: ${why}`, { problems });
    }
    if (isUsual(object.metadata)) this.unusual.delete(keyOf(kind, name));
    else this.unusual.set(keyOf(kind, name), object.metadata);
    return freezeDeep(resource) as Kinds[K];
  }

  /** Hands out what a write has made, once whoever looks sees it as well. */
  private async written<K extends Kind>(kind: K, object: KubeObject): Promise<Kinds[K]> {
    const resource = this.read(kind, object);
    if (this.isHeld(kind, resource)) {
      const { name, resourceVersion } = object.metadata;
      await this.mirror.seen(kind, (seen) => isSince(seen.get(name)?.metadata.resourceVersion, resourceVersion));
    }
    this.audience.tell([kind]);
    return resource;
  }

  /** Whether the mirror shows it: of affinities only the node's own, so that nobody waits for another's. */
  private isHeld(kind: Kind, resource: Kinds[Kind]): kind is MirroredKind {
    const { node } = this.options;
    if (resource.kind === 'BlockAffinity') return resource.spec.node === node && resource.spec.type === 'host';
    return isReflected(kind);
  }

  /** The resource as it will be read back, if the configuration has no new problem with it. @throws StoreError 'invalid' */
  private checked<K extends ReflectedKind>(kind: K, given: Kinds[Kind]): Kinds[K] {
    const { name } = given.metadata;
    const { resource, problems } = parseResource(toDocument(given));
    if (resource === undefined) throw refused(kind, name, problems);
    this.refuseNewProblems(kind, name, resource);
    return resource as Kinds[K];
  }

  private checkedWithout(kind: ReflectedKind, name: string): void {
    this.refuseNewProblems(kind, name);
  }

  private refuseNewProblems(kind: ReflectedKind, name: string, to?: Kinds[Kind]): void {
    for (const one of reflectedKinds) this.taken(one);
    const known = new Set(this.inForce.problems().map((problem) => JSON.stringify(problem)));
    const after = this.inForce.problemsWith({ kind, name, ...(to !== undefined && { to }) });
    const added = after.filter((problem) => !known.has(JSON.stringify(problem)));
    if (added.length > 0) throw refused(kind, name, added);
  }

  private async refusedNode(name: string): Promise<StoreError> {
    const present = await asStoreError('Node', name, () => this.client.get(this.pathOf('Node'), name));
    if (present !== undefined) return new StoreError('exists', `Node ${name} exists`);
    return new StoreError(
      'invalid',
      `Node ${name} is not written: only Kubernetes makes nodes (the kubelet there registers)`,
    );
  }

  /** As Calico does it: annotations, through the status that a node agent may write. */
  private async updateNode(wanted: Kinds['Node']): Promise<Kinds['Node']> {
    const { name } = wanted.metadata;
    const path = this.pathOf('Node');
    for (let left = NODE_TRIES; ; left--) {
      const present = await asStoreError('Node', name, () => this.client.get(path, name));
      if (present === undefined) throw new StoreError('missing', `Node ${name} does not exist`);
      const now = fromNode(present).resource;
      if (now !== undefined && now.metadata.resourceVersion !== wanted.metadata.resourceVersion) {
        throw changedMeanwhile('Node', name);
      }
      const checked = this.checked('Node', wanted);
      try {
        return await this.patchNode(present, checked);
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'conflict' || left <= 1) throw error;
      }
    }
  }

  private async patchNode(present: KubeObject, wanted: Kinds['Node']): Promise<Kinds['Node']> {
    const { name, resourceVersion } = present.metadata;
    const annotations = annotationsFor(wanted, present);
    const body = { metadata: { resourceVersion, annotations } };
    const patched = await asStoreError('Node', name, () =>
      this.client.patch(this.pathOf('Node'), name, { type: 'merge', subresource: 'status', body }),
    );
    await this.mirror.seen('Node', (seen) => {
      return isSince(seen.get(name)?.metadata.resourceVersion, patched.metadata.resourceVersion);
    });
    const { resource, problems } = fromNode(patched);
    if (resource === undefined) throw refused('Node', name, problems);
    return freezeDeep(resource) as Kinds['Node'];
  }

  /** Kinds that somebody may be waiting for to take effect. */
  private absent(): Problem[] {
    return reflectedKinds
      .filter((kind) => this.mirror.isAbsent(kind))
      .map((kind) => ({ kind, message: `this cluster has no definition of ${kind} (they are in deploy/crds)` }));
  }
}

function keyOf(kind: Kind, name: string): string {
  return `${kind}/${name}`;
}

function byName(a: KubeObject, b: KubeObject): number {
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

function changedMeanwhile(kind: Kind, name: string): StoreError {
  return new StoreError('conflict', `${kind} ${name} has changed since it was read`);
}

/** Versions of one resource are numbers that grow (so says Kubernetes since 1.35, and so it has always been). */
function isSince(seen: string | undefined, written: string | undefined): boolean {
  if (seen === undefined || written === undefined) return false;
  if (seen === written) return true;
  return /^\d+$/.test(seen) && /^\d+$/.test(written) && BigInt(seen) >= BigInt(written);
}
