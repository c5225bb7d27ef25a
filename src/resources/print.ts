// Resources as documents: the shape and order in which calicoctl and kubectl print theirs.
import { kinds } from './kinds.ts';
import { formatJson } from './json.ts';
import type { Kind, Kinds } from './types.ts';
import { formatYaml, sorted } from './yaml.ts';

type AnyResource = Kinds[Kind];

/** Plain data with keys in order; bigints stay bigints, for the printers below. */
export function toDocument(resource: AnyResource): Record<string, unknown> {
  const { kind, apiVersion, spec } = resource;
  const { alias } = kinds[kind];
  const named = alias !== undefined && apiVersion === kinds[kind].apiVersions[0] ? alias : kind;
  return sorted({ ...resource, kind: named, spec: asStored(kind, apiVersion, spec) }) as Record<string, unknown>;
}

/** One resource as a document, several as a list, as `get -o yaml` prints them. */
export function printYaml(what: AnyResource | readonly AnyResource[]): string {
  return formatYaml(asDocument(what));
}

/** The same as JSON, indented by two. */
export function printJson(what: AnyResource | readonly AnyResource[]): string {
  return `${formatJson(asDocument(what), 2)}\n`;
}

function asDocument(what: AnyResource | readonly AnyResource[]): unknown {
  if (!isList(what)) return toDocument(what);
  const items = what.map(toDocument);
  const [first] = items;
  const alike = first !== undefined && items.every(({ apiVersion, kind }) => isSame({ apiVersion, kind }, first));
  return alike
    ? { apiVersion: first['apiVersion'], items, kind: `${String(first['kind'])}List`, metadata: {} }
    : { apiVersion: 'v1', items, kind: 'List', metadata: {} };
}

function isList(what: AnyResource | readonly AnyResource[]): what is readonly AnyResource[] {
  return Array.isArray(what);
}

function isSame(a: { apiVersion: unknown; kind: unknown }, b: Record<string, unknown>): boolean {
  return a.apiVersion === b['apiVersion'] && a.kind === b['kind'];
}

function asStored(kind: Kind, apiVersion: string, spec: object): object {
  const { spec: schema } = kinds[kind];
  const fields = schema.type === 'object' ? schema.fields : {};
  const loud = Object.entries(spec).filter(([name, value]) => !fields[name]?.quiet || value !== fields[name].preset);
  // BlockAffinity's `deleted` is a text in v1 and a boolean in v3.
  const asBoolean = apiVersion === 'projectcalico.org/v3';
  return Object.fromEntries(
    loud.map(([name, value]) => [
      name,
      asBoolean && fields[name]?.schema.type === 'booleanText' ? value === 'true' : (value as unknown),
    ]),
  );
}
