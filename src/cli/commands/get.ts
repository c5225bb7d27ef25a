// `manxctl get KIND [NAME...]` and `get KIND/NAME...`: resources as tables, or as the YAML that could be applied again.
import { type AnyResource, listDocument } from '../../documents.ts';
import { toDocument } from '../../resources/print.ts';
import type { Kind, Kinds } from '../../resources/types.ts';
import { resourceTable } from '../columns.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import type { ResourceAccess } from '../resource-access.ts';
import { formatProblems } from '../../store/problems.ts';
import { namedIn } from '../words.ts';

export type Open = () => Promise<ResourceAccess & AsyncDisposable>;

interface Found {
  readonly kind: Kind;
  readonly resources: readonly AnyResource[];
  /** It was asked for by its name, and for nothing else. */
  readonly alone: boolean;
}

export async function getResources(context: Context, open: Open, words: readonly string[]): Promise<void> {
  const named = namedIn(words);
  await using access = await open();
  const found: Found[] = [];
  for (const [kind, names] of named) {
    const resources = names.length === 0 ? await access.list(kind) : await byName(access, kind, names);
    found.push({ kind, resources, alone: named.size === 1 && names.length === 1 });
  }
  const problems = access.problems();
  if (problems.length > 0) context.warn(['not all of the configuration is in force:', formatProblems(problems)]);
  const surroundings = { defaultAsn: named.has('Node') ? await defaultAsn(access) : 0 };
  context.show(documentOf(found), ({ wide }) =>
    found.flatMap(({ kind, resources }, i) => [
      ...(i === 0 ? [] : ['']),
      ...resourceTable(kind, resources as readonly Kinds[Kind][], wide, surroundings),
    ]),
  );
}

function documentOf(found: readonly Found[]): unknown {
  const [first] = found;
  if (first === undefined || found.length > 1) {
    const items = found.flatMap(({ resources }) => resources.map(toDocument));
    return { apiVersion: 'v1', items, kind: 'List', metadata: {} };
  }
  return first.alone ? toDocument(first.resources[0]!) : listDocument(first.kind, first.resources);
}

async function byName(access: ResourceAccess, kind: Kind, names: readonly string[]): Promise<readonly AnyResource[]> {
  const found = await Promise.all(names.map((name) => access.get(kind, name)));
  const missing = names.filter((_, i) => found[i] === undefined);
  if (missing.length > 0) throw new CliError('degraded', [`there is no ${kind} ${missing.join(', ')}`]);
  return found.filter((resource) => resource !== undefined);
}

/** Calico's default where the configuration names none. */
const CALICO_ASN = 64512;

async function defaultAsn(access: ResourceAccess): Promise<number> {
  const configuration = await access.get('BGPConfiguration', 'default');
  return (configuration as Kinds['BGPConfiguration'] | undefined)?.spec.asNumber ?? CALICO_ASN;
}
