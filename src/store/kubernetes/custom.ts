// Custom resources, as Calico stores them, and the model: pure in both directions.
//
// In crd.projectcalico.org/v1 the labels and annotations of the model are JSON in one annotation; beside it the object
// has its own, of which only Calico's are the model's as well. What else stands before an object (owners, finalizers,
// kubectl's memory) is carried along. projectcalico.org/v3 and our own group have plain metadata.
import { formatJson, isRecord, parseJson, parseResource, toDocument } from '../../resources/index.ts';
import { kinds } from '../../resources/kinds.ts';
import type { Parsed } from '../../resources/parse.ts';
import type { Kind, Kinds, Metadata } from '../../resources/types.ts';
import type { KubeMetadata, KubeObject } from '../../kube/port.ts';

type Texts = Readonly<Record<string, string>>;

export const MODEL_METADATA = 'projectcalico.org/metadata';
/** kubectl's, and no part of what was meant. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const STORED = 'crd.projectcalico.org/v1';

/** The model's resource that an object is, or what is wrong with it. */
export function fromObject(kind: Kind, object: KubeObject): Parsed {
  const { status: _, ...rest } = object;
  const { metadata } = object;
  const parsed = parseResource({ ...rest, metadata: modelMetadata(metadata, object.apiVersion === STORED) });
  if (parsed.resource === undefined) return parsed;
  if (parsed.resource.kind !== kind) {
    return { problems: [{ kind, name: metadata.name, message: `holds a ${parsed.resource.kind}` }] };
  }
  // People see the model, whichever group it is stored in.
  return { ...parsed, resource: { ...parsed.resource, apiVersion: kinds[kind].apiVersions[0]! } };
}

/**
 * The object that a resource becomes.
 * @param apiVersion of the object
 * @param before what stood before the object until now; absent for one that is created
 * @param now for the moment of creation that the model keeps
 */
export function toObject(
  resource: Kinds[Kind],
  apiVersion: string,
  { before, now }: { readonly before?: KubeMetadata | undefined; readonly now?: Date } = {},
): KubeObject {
  const { metadata, ...document } = toDocument({ ...resource, apiVersion });
  const { name, resourceVersion, uid } = metadata as Metadata;
  const { labels: _, annotations: _annotations, managedFields: _fields, ...carried } = before ?? { name };
  const identity = before === undefined ? { name } : { ...carried, name, resourceVersion, uid };
  const texts = apiVersion === STORED ? storedTexts(resource, before, now) : plainTexts(resource, before);
  return { ...document, metadata: definedOf({ ...identity, ...texts }) } as unknown as KubeObject;
}

/** Whether what stands before an object can be made anew from the model: nothing of it has to be remembered. */
export function isUsual(metadata: KubeMetadata): boolean {
  const { finalizers, ownerReferences } = metadata as { finalizers?: unknown; ownerReferences?: unknown };
  if (finalizers !== undefined || ownerReferences !== undefined) return false;
  const annotations = Object.keys(metadata.annotations ?? {});
  if (annotations.some((name) => name !== MODEL_METADATA)) return false;
  return Object.keys(readModel(metadata)).every((name) => name === 'labels' || name === 'annotations');
}

function modelMetadata(metadata: KubeMetadata, isStored: boolean): Metadata {
  const { name, resourceVersion, uid, creationTimestamp } = metadata;
  const kept = isStored ? readModel(metadata) : {};
  const { [MODEL_METADATA]: _, [LAST_APPLIED]: _applied, ...annotations } = metadata.annotations ?? {};
  return definedOf({
    name,
    labels: someOf({ ...metadata.labels, ...textsIn(kept['labels']) }),
    annotations: someOf({ ...annotations, ...textsIn(kept['annotations']) }),
    resourceVersion,
    uid,
    creationTimestamp: creationTimestamp ?? undefined,
  });
}

/** Calico's own labels and annotations stand on the object as well: its selectors look for them there. */
function storedTexts(
  { kind, metadata }: Kinds[Kind],
  before: KubeMetadata | undefined,
  now: Date | undefined,
): Pick<KubeMetadata, 'labels' | 'annotations'> {
  const { labels = {}, annotations = {} } = metadata;
  const model = definedOf({
    ...(before === undefined ? creationOf(kind, now) : readModel(before)),
    labels: someOf(sorted(labels)),
    annotations: someOf(sorted(annotations)),
  });
  const own = someOf({ ...stillThere(before?.labels, labels), ...calicosOf(labels) });
  return {
    ...(own !== undefined && { labels: own }),
    annotations: {
      ...stillThere(before?.annotations, annotations),
      ...calicosOf(annotations),
      ...only(before?.annotations, LAST_APPLIED),
      [MODEL_METADATA]: formatJson(model),
    },
  };
}

function plainTexts(
  { metadata }: Kinds[Kind],
  before: KubeMetadata | undefined,
): Pick<KubeMetadata, 'labels' | 'annotations'> {
  const annotations = { ...metadata.annotations, ...only(before?.annotations, LAST_APPLIED) };
  return definedOf({ labels: someOf(metadata.labels ?? {}), annotations: someOf(annotations) });
}

/** Calico notes when an operator's resource was made; of what its IPAM writes it does not. */
function creationOf(kind: Kind, now: Date | undefined): Record<string, unknown> {
  if (now === undefined || kind === 'IPAMConfig' || kinds[kind].apiVersions[0] === STORED) return {};
  return { creationTimestamp: now.toISOString().replace(/\.\d+Z$/, 'Z') };
}

function readModel({ annotations }: KubeMetadata): Record<string, unknown> {
  const text = annotations?.[MODEL_METADATA];
  if (text === undefined) return {};
  try {
    const value = parseJson(text);
    return isRecord(value) ? value : {};
  } catch {
    // Somebody wrote it by hand: Calico reads the object as if it were not there.
    return {};
  }
}

/** What the object had of its own and the model still has. */
function stillThere(before: Texts = {}, now: Texts): Texts {
  return Object.fromEntries(
    Object.entries(before).flatMap(([key]) => (Object.hasOwn(now, key) ? [[key, now[key]!]] : [])),
  );
}

function calicosOf(texts: Texts): Texts {
  return Object.fromEntries(
    Object.entries(texts).filter(([key]) => /projectcalico\.org\/|operator\.tigera\.io/.test(key)),
  );
}

function only(texts: Texts | undefined, key: string): Texts {
  const value = texts?.[key];
  return value === undefined ? {} : { [key]: value };
}

function textsIn(value: unknown): Texts {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function sorted(texts: Texts): Texts {
  return Object.fromEntries(Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function someOf(texts: Texts): Texts | undefined {
  return Object.keys(texts).length === 0 ? undefined : texts;
}

function definedOf<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as never;
}
