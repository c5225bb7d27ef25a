// `manxctl delete KIND NAME...` and `delete -f`.
import type { Kind } from '../../resources/types.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { requireResources } from './apply.ts';
import { namedIn } from '../words.ts';
import type { Open } from './get.ts';

export interface DeleteOptions {
  readonly filename?: readonly string[];
  readonly skipNotExists?: true;
}

export async function deleteResources(
  context: Context,
  open: Open,
  words: readonly string[],
  options: DeleteOptions,
): Promise<void> {
  const targets = await targetsOf(words, options.filename ?? []);
  await using access = await open();
  const done: { kind: string; name: string; outcome: 'deleted' | 'not there' }[] = [];
  for (const { kind, name } of targets) {
    done.push({ kind, name, outcome: (await access.remove(kind, name)) ? 'deleted' : 'not there' });
  }
  context.show(done, () => done.map(({ kind, name, outcome }) => `${kind} ${name} ${outcome}`));
  if (!options.skipNotExists && done.some(({ outcome }) => outcome === 'not there')) context.degraded();
}

async function targetsOf(words: readonly string[], files: readonly string[]): Promise<{ kind: Kind; name: string }[]> {
  const named =
    words.length === 0 ? [] : [...namedIn(words)].flatMap(([kind, names]) => names.map((name) => ({ kind, name })));
  const described = files.length === 0 ? [] : await requireResources(files);
  const targets = [...named, ...described.map(({ kind, metadata }) => ({ kind, name: metadata.name }))];
  if (targets.length === 0) throw new CliError('usage', ['delete what? KIND NAME..., or -f FILE']);
  return targets;
}
