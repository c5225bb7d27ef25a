// What of the configuration is in force: each resource as it was last right, and everything that is wrong at present.
//
// A folder is in force as a whole or not at all; a cluster has many authors, and one mistake must not stop the others'
// changes. So each resource stands for itself.
import { type Wrong, checkTogether } from '../../resources/together.ts';
import type { Parsed } from '../../resources/parse.ts';
import type { Kind, Kinds } from '../../resources/types.ts';
import type { KubeObject } from '../../kube/port.ts';
import { freezeDeep } from '../freeze.ts';
import type { Problem } from '../port.ts';
import { type ReflectedKind, reflectedKinds } from './places.ts';

interface Shelf {
  readonly objects: readonly KubeObject[];
  readonly resources: readonly Kinds[Kind][];
  readonly wrong: readonly Wrong[];
  readonly problems: readonly Problem[];
}

const emptyShelf: Shelf = { objects: [], resources: [], wrong: [], problems: [] };

export class InForce {
  private readonly read: (kind: ReflectedKind, object: KubeObject) => Parsed;
  private readonly shelves = new Map<ReflectedKind, Shelf>();
  /** What an object says never changes; most objects stay the same from one look to the next. */
  private readonly readings = new WeakMap<KubeObject, Parsed>();
  private known: readonly Problem[] | undefined;

  constructor(read: (kind: ReflectedKind, object: KubeObject) => Parsed) {
    this.read = read;
  }

  /** These are all objects of the kind, ordered by name. */
  take<K extends ReflectedKind>(kind: K, objects: readonly KubeObject[]): readonly Kinds[K][] {
    const before = this.shelves.get(kind) ?? emptyShelf;
    if (before.objects === objects) return before.resources as readonly Kinds[K][];
    const lastGood = new Map(before.resources.map((resource) => [resource.metadata.name, resource]));
    const readings = objects.map((object) => ({ object, parsed: this.parse(kind, object) }));
    const bad = readings.filter(({ parsed }) => parsed.resource === undefined);
    this.shelves.set(kind, {
      objects,
      resources: readings.flatMap(({ object, parsed }) => parsed.resource ?? still(lastGood, object) ?? []),
      wrong: bad.map(({ object }) => ({ kind, name: object.metadata.name })),
      problems: bad.flatMap(({ object, parsed }) => explain(lastGood, object, parsed.problems)),
    });
    this.known = undefined;
    return this.list(kind);
  }

  list<K extends ReflectedKind>(kind: K): readonly Kinds[K][] {
    return (this.shelves.get(kind)?.resources ?? []) as readonly Kinds[K][];
  }

  /** Everything that is wrong, in each resource and between them. */
  problems(): readonly Problem[] {
    this.known ??= this.problemsWith();
    return this.known;
  }

  /** The problems that there would be with this resource, or without the one that is there. */
  problemsWith(change?: { readonly kind: Kind; readonly name: string; readonly to?: Kinds[Kind] }): readonly Problem[] {
    const shelves = reflectedKinds.map((kind) => this.shelves.get(kind) ?? emptyShelf);
    const isMeant = ({ kind, name }: Wrong): boolean => kind === change?.kind && name === change?.name;
    const others = shelves
      .flatMap(({ resources }) => resources)
      .filter(({ kind, metadata }) => !isMeant({ kind, name: metadata.name }));
    const resources = change?.to === undefined ? others : [...others, change.to];
    const wrong = shelves.flatMap((shelf) => shelf.wrong).filter((one) => !isMeant(one));
    return [...shelves.flatMap(({ problems }) => problems), ...checkTogether(resources, wrong)];
  }

  private parse(kind: ReflectedKind, object: KubeObject): Parsed {
    const known = this.readings.get(object);
    if (known !== undefined) return known;
    const parsed = this.read(kind, object);
    if (parsed.resource !== undefined) freezeDeep(parsed.resource);
    this.readings.set(object, parsed);
    return parsed;
  }
}

/** The last good one, with the version that there is now: whoever knows it may mend what is there. */
function still(lastGood: ReadonlyMap<string, Kinds[Kind]>, { metadata }: KubeObject): Kinds[Kind] | undefined {
  const good = lastGood.get(metadata.name);
  if (good === undefined || good.metadata.uid !== metadata.uid) return undefined;
  const { resourceVersion } = metadata;
  if (good.kind === 'Node' || resourceVersion === undefined) return good;
  return freezeDeep({ ...good, metadata: { ...good.metadata, resourceVersion } });
}

function explain(
  lastGood: ReadonlyMap<string, Kinds[Kind]>,
  object: KubeObject,
  problems: readonly Problem[],
): Problem[] {
  const effect = still(lastGood, object) === undefined ? 'not in force' : 'as it was before stays in force';
  return problems.map((problem) => ({ ...problem, message: `${problem.message} (${effect})` }));
}
