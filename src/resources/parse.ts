// One resource from plain data: strict, with every problem at once.
import type { Problem } from '../store/port.ts';
import { readFormat } from './formats.ts';
import { type KindDescription, kindList, kindOf, kinds } from './kinds.ts';
import { type Path, isRecord, read, shown } from './read.ts';
import { type Schema, any, map, object } from './schema.ts';
import { nearest, suggestion } from './suggest.ts';
import type { Kind, Kinds, Metadata } from './types.ts';

/** Where a document stands. */
export interface Where {
  readonly file?: string;
  /** Of the document, counted from 1. */
  readonly line?: number;
  /** Of a field in it, or of the nearest thing around it. */
  readonly lineOf?: (path: Path) => number | undefined;
}

export interface Parsed {
  /** Absent when there are problems. */
  readonly resource?: Kinds[Kind];
  /** Of a resource with problems, what is right. Only to find what else is wrong. */
  readonly rough?: Rough;
  readonly problems: readonly Problem[];
}

export interface Rough<K extends Kind = Kind> {
  readonly kind: K;
  readonly metadata: Metadata;
  readonly spec: Partial<Kinds[K]['spec']>;
}

/**
 * Parses one resource. Integers may be numbers or bigints. `status` is dropped: it is nobody's wish.
 * @param value what YAML or JSON says
 */
export function parseResource(value: unknown, where: Where = {}): Parsed {
  const sink = createSink(value, where);
  if (!isRecord(value)) {
    sink.report([], `${shown(value)} is not a resource (a map with apiVersion, kind, metadata and spec)`);
    return { problems: sink.problems };
  }
  const kind = readKind(value, sink.report);
  if (kind === undefined) return { problems: sink.problems };
  const resource = readResource(kind, value, sink.report);
  return sink.problems.length > 0 ? { rough: resource, problems: sink.problems } : { resource, problems: [] };
}

/** "spec.importV4[0].cidr", `metadata.labels["a/b"]`; undefined for the resource as a whole. */
export function pathText(path: Path): string | undefined {
  if (path.length === 0) return undefined;
  return path
    .map((part, i) => {
      if (typeof part === 'number') return `[${part}]`;
      if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(part)) return `[${JSON.stringify(part)}]`;
      return i === 0 ? part : `.${part}`;
    })
    .join('');
}

/** A problem at a place of a resource. */
export function problemAt(
  { kind, name }: { readonly kind?: string | undefined; readonly name?: string | undefined },
  where: Where,
  path: Path,
  message: string,
): Problem {
  const line = where.lineOf?.(path) ?? where.line;
  const text = pathText(path);
  return {
    ...(where.file !== undefined && { file: where.file }),
    ...(line !== undefined && { line }),
    ...(kind !== undefined && { kind }),
    ...(name !== undefined && { name }),
    ...(text !== undefined && { path: text }),
    message,
  };
}

type Report = (path: Path, message: string) => void;

function createSink(value: unknown, where: Where): { problems: Problem[]; report: Report } {
  const problems: Problem[] = [];
  const of = identityOf(value);
  return { problems, report: (path, message) => problems.push(problemAt(of, where, path, message)) };
}

/** Kind and name as far as the document says them. */
export function identityOf(value: unknown): { kind?: string; name?: string } {
  if (!isRecord(value)) return {};
  const name = isRecord(value['metadata']) ? value['metadata']['name'] : undefined;
  const kind = value['kind'];
  return {
    ...(typeof kind === 'string' && { kind: kindOf(kind) ?? kind }),
    ...(typeof name === 'string' && { name }),
  };
}

function readKind(value: Record<string, unknown>, report: Report): Kind | undefined {
  const { apiVersion, kind: name } = value;
  if (typeof name !== 'string') {
    report(['kind'], name === undefined ? 'is missing' : `${shown(name)} is not a kind`);
    return undefined;
  }
  const kind = kindOf(name);
  if (kind === undefined) {
    const near = nearest(name, kindList);
    report(
      ['kind'],
      `${name} is none of Manx's${near === undefined ? ` (${kindList.join(', ')})` : suggestion(name, kindList)}`,
    );
    return undefined;
  }
  const { apiVersions } = kinds[kind];
  if (typeof apiVersion !== 'string') report(['apiVersion'], `is missing (${apiVersions[0]})`);
  else if (!apiVersions.includes(apiVersion))
    report(['apiVersion'], `${apiVersion} has no ${kind} (it is in ${apiVersions[0]})`);
  return kind;
}

function readResource<K extends Kind>(kind: K, value: Record<string, unknown>, report: Report): Kinds[K] {
  const description: KindDescription<K> = kinds[kind];
  for (const field of Object.keys(value)) {
    if (!known.includes(field)) report([field], `unknown field${meantFor(description, field)}`);
  }
  const metadata = readMetadata(description, value['metadata'], report);
  const spec = readSpec(description, value['spec'], metadata.name, report);
  return { apiVersion: value['apiVersion'], kind, metadata, spec } as unknown as Kinds[K];
}

const known = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

/** A field of the spec that stands one level too high is the likeliest mistake of all. */
function meantFor({ spec }: { readonly spec: Schema }, field: string): string {
  const isOfSpec = spec.type === 'object' && Object.hasOwn(spec.fields, field);
  return isOfSpec ? ` (did you mean spec.${field}?)` : suggestion(field, known);
}

function readSpec<K extends Kind>(
  description: KindDescription<K>,
  given: unknown,
  name: string,
  report: Report,
): Partial<Kinds[K]['spec']> {
  if (given === undefined && !description.specOptional) report(['spec'], 'is missing');
  // A missing spec is one problem, or none: not one for each field that it should have.
  const silent: Report = () => undefined;
  const fields = read(description.spec, given ?? {}, ['spec'], given === undefined ? silent : report) ?? {};
  const spec = description.complete?.(fields) ?? fields;
  const written = isRecord(given) ? Object.keys(given) : [];
  description.check?.(spec, (path, message) => report(['spec', ...path], message), { name, given: written });
  return spec;
}

const texts = map({ type: 'text', empty: true });

const metadataSchema = object({
  name: { says: 'unique among those of its kind', required: true, schema: { type: 'text' } },
  labels: { says: 'for selectors', schema: map({ type: 'text', empty: true }, 'labelName') },
  annotations: { says: 'notes', schema: texts },
  resourceVersion: { says: "the store's", schema: { type: 'text', empty: true } },
  uid: { says: "the store's", schema: { type: 'text' } },
  // Calico's own tools print null for an object that has not been stored yet.
  creationTimestamp: {
    says: "the store's",
    schema: { type: 'nullable', schema: { type: 'text', format: 'timestamp' } },
  },
  ...Object.fromEntries(
    ['generation', 'managedFields', 'ownerReferences', 'finalizers', 'selfLink', 'deletionTimestamp'].map((name) => [
      name,
      { says: "Kubernetes' own, dropped", schema: any },
    ]),
  ),
});
const kept: readonly (keyof Metadata)[] = [
  'name',
  'labels',
  'annotations',
  'resourceVersion',
  'uid',
  'creationTimestamp',
];

function readMetadata({ name: rule }: Pick<KindDescription, 'name'>, given: unknown, report: Report): Metadata {
  if (given === undefined) {
    report(['metadata'], 'is missing');
    return { name: '' };
  }
  const all = (read(metadataSchema, given, ['metadata'], report) ?? {}) as Record<string, unknown>;
  const metadata = Object.fromEntries(kept.flatMap((field) => (isSet(all[field]) ? [[field, all[field]]] : [])));
  const name = typeof all['name'] === 'string' ? all['name'] : '';
  const refused = name === '' ? undefined : refusedName(rule, name);
  if (refused !== undefined) report(['metadata', 'name'], refused);
  return { ...metadata, name };
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function refusedName(rule: KindDescription['name'], name: string): string | undefined {
  if (rule === 'any') return Buffer.byteLength(name) > 253 ? 'is longer than 253 bytes' : undefined;
  if (typeof rule === 'object') return rule.only.test(name) ? undefined : `${JSON.stringify(name)} ${rule.says}`;
  const reading = readFormat(rule, name);
  return 'refused' in reading ? reading.refused : undefined;
}
