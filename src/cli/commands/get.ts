// `manxctl get KIND [NAME...]`: resources as a table, or as the YAML that could be applied again.
import { type AnyResource, listDocument } from '../../documents.ts';
import { kinds, readKind } from '../../kinds.ts';
import { toDocument } from '../../resources/print.ts';
import type { Kind, Kinds } from '../../resources/types.ts';
import { resourceTable } from '../columns.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import type { ResourceAccess } from '../resource-access.ts';

export type Open = () => Promise<ResourceAccess & AsyncDisposable>;

export async function getResources(context: Context, open: Open, words: readonly string[]): Promise<void> {
  const [kindWord = '', ...names] = words;
  const kind = requireKind(kindWord);
  await using access = await open();
  const resources = names.length === 0 ? await access.list(kind) : await byName(access, kind, names);
  const lone = names.length === 1 ? resources[0] : undefined;
  const surroundings = { defaultAsn: kind === 'Node' ? await defaultAsn(access) : 0 };
  context.show(lone === undefined ? listDocument(kind, resources) : toDocument(lone), ({ wide }) =>
    resourceTable(kind, resources as readonly Kinds[Kind][], wide, surroundings),
  );
}

export function requireKind(word: string): Kind {
  const kind = readKind(word);
  if (kind === undefined) throw new CliError('usage', [`there is no kind ${word}`, `there are ${kinds.join(', ')}`]);
  return kind;
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
