// The kinds that every agent holds: one reflection each, from the discovery of the API group to the last moment.
import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs } from '../../kube/backoff.ts';
import { type KubeClient, KubeError, type KubeObject, type Reflect, type Reflection } from '../../kube/port.ts';
import { affinityLabels } from '../../resources/names.ts';
import { discoverGroup } from './api-group.ts';
import { keepOfNode } from './node.ts';
import { type CalicoGroup, type ReflectedKind, optionalKinds, reflectedKinds, resourceOf } from './places.ts';

/** What is mirrored: the configuration kinds, and the affinities of the node itself. */
export type MirroredKind = ReflectedKind | 'BlockAffinity';
export const mirroredKinds: readonly MirroredKind[] = [...reflectedKinds, 'BlockAffinity'];

/** What was there when it was last seen. */
export interface Snapshot {
  readonly group: CalicoGroup;
  readonly objects: Readonly<Partial<Record<MirroredKind, readonly KubeObject[]>>>;
}

export interface MirrorOptions {
  readonly kube: { readonly client: KubeClient; readonly reflect: Reflect; readonly server: string };
  readonly node: string;
  /** Instead of what discovery says. */
  readonly group?: CalicoGroup | undefined;
  /** What an earlier run saw: it serves until the server says otherwise. */
  readonly before?: Snapshot | undefined;
  readonly onChange: (kind: MirroredKind) => void;
}

export class Mirror implements AsyncDisposable {
  private readonly options: MirrorOptions;
  private readonly stop = new AbortController();
  private readonly running: Promise<void>;
  private readonly startedAt = Date.now();
  private reflections = new Map<MirroredKind, Reflection<KubeObject>>();
  private current: CalicoGroup | undefined;
  private failure = 'not asked yet';
  private unreachable = false;

  constructor(options: MirrorOptions) {
    this.options = options;
    if (options.before !== undefined) this.begin(options.before.group, options.before.objects);
    this.running = this.find();
  }

  /** Undefined until the server has said it. */
  get group(): CalicoGroup | undefined {
    return this.current;
  }

  /** All objects of the kind; undefined when nobody knows, for the server has not been reached yet. */
  objects(kind: MirroredKind): readonly KubeObject[] | undefined {
    const reflection = this.reflections.get(kind);
    if (reflection === undefined) return undefined;
    const { listed } = reflection.status();
    return listed || this.isAbsent(kind) || this.wasKnown(kind) ? reflection.all() : undefined;
  }

  /** An earlier version of us may not have followed it: a cluster without it is all that is known then. */
  private wasKnown(kind: MirroredKind): boolean {
    const { before } = this.options;
    return before !== undefined && (before.objects[kind] !== undefined || optionalKinds.includes(kind));
  }

  /** A kind that this cluster has no definition of, and can do without. */
  isAbsent(kind: MirroredKind): boolean {
    return optionalKinds.includes(kind) && this.reflections.get(kind)?.status().missing === true;
  }

  /**
   * Resolves when everything is known from the server, and after the time at the latest; with something known from
   * before, also when the server cannot be reached.
   */
  async settle(withinMs: number): Promise<void> {
    const deadline = AbortSignal.any([this.stop.signal, AbortSignal.timeout(withinMs)]);
    const isSettled = (): boolean =>
      mirroredKinds.every((kind) => this.reflections.get(kind)?.status().listed === true || this.isAbsent(kind)) ||
      (this.options.before !== undefined && this.unreachable);
    while (!deadline.aborted && !isSettled()) await rest(20, deadline);
  }

  /** Resolves when the reflection has seen what was written, so that a reader sees it too. */
  async seen(kind: MirroredKind, isSeen: (reflection: Reflection<KubeObject>) => boolean): Promise<void> {
    const reflection = this.reflections.get(kind);
    const deadline = AbortSignal.any([this.stop.signal, AbortSignal.timeout(SEEN_WITHIN_MS)]);
    if (reflection === undefined) return;
    while (!deadline.aborted && !isSeen(reflection)) await rest(2, deadline);
  }

  snapshot(): Snapshot | undefined {
    const { current } = this;
    const objects = mirroredKinds.map((kind) => [kind, this.objects(kind)] as const);
    // Half a picture would be taken for a whole one.
    if (current === undefined || objects.some(([, list]) => list === undefined)) return undefined;
    return { group: current, objects: Object.fromEntries(objects) };
  }

  /** In step since when, or why not. */
  status(): { readonly inStepSince?: number; readonly error?: string } {
    if (this.reflections.size === 0) return { error: this.failure };
    const present = [...this.reflections].filter(([kind]) => !this.isAbsent(kind)).map(([, one]) => one.status());
    const error = present.find((one) => one.error !== undefined)?.error;
    if (error !== undefined) return { error };
    return { inStepSince: Math.max(this.startedAt, ...present.map(({ inStepSince }) => inStepSince ?? 0)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    await this.running;
    await this.end();
  }

  /** Asks until there is an answer. */
  private async find(): Promise<void> {
    for (let tries = 1; !this.stop.signal.aborted; tries++) {
      const found = await this.ask();
      const group = this.options.group ?? found;
      if (group !== undefined) return this.turnTo(group);
      await rest(backoffMs(tries, Math.random()), this.stop.signal);
    }
  }

  private async ask(): Promise<CalicoGroup | undefined> {
    const { client, server } = this.options.kube;
    try {
      const group = await discoverGroup(client);
      this.failure = `${server} has no resources of Calico's (their definitions are in deploy/crds)`;
      return group;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      this.failure = error.message;
      this.unreachable = true;
      return undefined;
    }
  }

  private async turnTo(group: CalicoGroup): Promise<void> {
    if (group === this.current || this.stop.signal.aborted) return;
    await this.end();
    this.begin(group, {});
  }

  private begin(group: CalicoGroup, before: Snapshot['objects']): void {
    const { kube, node, onChange } = this.options;
    this.current = group;
    for (const kind of mirroredKinds) {
      const known = before[kind];
      const reflection = kube.reflect(resourceOf(kind, group), {
        ...(known !== undefined && { before: known }),
        ...(kind === 'Node' && { keep: keepOfNode }),
        ...(kind === 'BlockAffinity' && { labelSelector: hostSelector(node) }),
      });
      reflection.watch(() => onChange(kind));
      this.reflections.set(kind, reflection);
    }
  }

  private async end(): Promise<void> {
    const all = [...this.reflections.values()];
    this.reflections = new Map();
    await Promise.all(all.map((reflection) => reflection[Symbol.asyncDispose]()));
  }
}

/** Beyond, a writer does not wait for the watch to bring its own write back. */
const SEEN_WITHIN_MS = 1000;

/** The affinities of one node, as Calico looks them up. */
export function hostSelector(node: string): string {
  const labels = affinityLabels(node, '0.0.0.0/0' as Parameters<typeof affinityLabels>[1]);
  return ['projectcalico.org/affinity-type', 'projectcalico.org/hostname-hash']
    .map((name) => `${name}=${labels[name]!}`)
    .join();
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}
