// The objects of a Calico kind, followed where the API server has it. Where it has not, it is looked for again, but
// seldom: a cluster may get it.
import type { KubeClient, KubeObject, Reflect, Reflection, ResourcePath } from '../kube/port.ts';
import { servedAt } from './calico-group.ts';

export interface Served<T extends KubeObject> {
  readonly path: ResourcePath;
  readonly objects: Reflection<T>;
}

export interface FollowedKind {
  readonly client: Pick<KubeClient, 'read'>;
  readonly reflect: Reflect;
  /** As discovery names what is to be there: "ippools/status" is the kind ippools, where its status can be written by itself. */
  readonly resource: string;
  readonly onChange: () => void;
}

const DISCOVER_EVERY_MS = 600_000;

export class ServedKind<T extends KubeObject> {
  private readonly options: FollowedKind;
  private known: Served<T> | undefined;
  private discoveredAt = -Infinity;

  constructor(options: FollowedKind) {
    this.options = options;
  }

  /** Undefined where it is not served. @throws KubeError */
  async follow(): Promise<Served<T> | undefined> {
    if (this.known !== undefined || performance.now() - this.discoveredAt < DISCOVER_EVERY_MS) return this.known;
    const { client, reflect, resource, onChange } = this.options;
    const group = await servedAt(client, resource);
    this.discoveredAt = performance.now();
    if (group === undefined) return undefined;
    const path = { ...group, plural: resource.split('/')[0]! };
    const objects = reflect<T>(path);
    objects.watch(onChange);
    return (this.known = { path, objects });
  }

  /** Follows nothing any more, until it is asked again. */
  async forget(): Promise<void> {
    const { known } = this;
    this.known = undefined;
    this.discoveredAt = -Infinity;
    await known?.objects[Symbol.asyncDispose]();
  }
}
