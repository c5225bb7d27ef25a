// `manxctl apply -f` and `create -f`: resources from files into the store. Every file is checked first: with a problem
// anywhere nothing is written.
import type { AnyResource } from '../../documents.ts';
import { countText } from '../../text.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { readFiles } from '../files.ts';
import type { Open } from './get.ts';

export async function applyFiles(
  context: Context,
  open: Open,
  verb: 'apply' | 'create',
  files: readonly string[],
): Promise<void> {
  const resources = await requireResources(files);
  await using access = await open();
  const done: { kind: string; name: string; outcome: string }[] = [];
  for (const resource of resources) {
    const outcome = await access.write(resource, verb);
    done.push({ kind: resource.kind, name: resource.metadata.name, outcome });
  }
  context.show(done, () => done.map(({ kind, name, outcome }) => `${kind} ${name} ${outcome}`));
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
