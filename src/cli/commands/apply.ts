// `manxctl apply -f`, `create -f` and `replace -f`: resources from files into the store. Every file is checked first: with a problem
// anywhere nothing is written.
import type { AnyResource } from '../../documents.ts';
import { countText } from '../../text.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { readFiles } from '../files.ts';
import type { ResourceAccess, Verb } from '../resource-access.ts';
import type { Open } from './get.ts';

export async function applyFiles(context: Context, open: Open, verb: Verb, files: readonly string[]): Promise<void> {
  const resources = await requireResources(files);
  await using access = await open();
  const done: { kind: string; name: string; outcome: string }[] = [];
  const show = (): void =>
    context.show(done, () => done.map(({ kind, name, outcome }) => `${kind} ${name} ${outcome}`));
  try {
    for (const resource of resources) {
      const outcome = await write(access, resource, verb);
      done.push({ kind: resource.kind, name: resource.metadata.name, outcome });
    }
  } catch (error) {
    // What comes before the one that failed is written and stays.
    if (done.length > 0) show();
    throw error;
  }
  show();
}

async function write(access: ResourceAccess, resource: AnyResource, verb: Verb): Promise<'created' | 'configured'> {
  if (verb !== 'replace') return access.write(resource, verb);
  const { kind, metadata } = resource;
  if ((await access.get(kind, metadata.name)) === undefined) {
    throw new CliError('degraded', [
      `there is no ${kind} ${metadata.name} to replace (manxctl create or apply makes one)`,
    ]);
  }
  return access.write(resource, 'apply');
}

/** @throws CliError with every problem of every file */
export async function requireResources(files: readonly string[]): Promise<readonly AnyResource[]> {
  const { resources, problems } = await readFiles(files);
  const where = files.map((file) => (file === '-' ? 'standard input' : file)).join(', ');
  if (problems.length > 0) {
    throw new CliError(
      'usage',
      [`nothing was changed: ${countText(problems.length, 'problem')} in ${where}`],
      problems,
    );
  }
  if (resources.length === 0) throw new CliError('usage', [`no resources in ${where}`]);
  return resources;
}
