// `manxctl label KIND NAME KEY=VALUE...`: sets labels; KEY- or --remove KEY takes them away.
import type { AnyResource } from '../../documents.ts';
import { StoreError } from '../../store/port.ts';
import { ApiError } from '../client.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { oneNamedIn } from '../words.ts';
import type { Open } from './get.ts';

export interface LabelOptions {
  readonly overwrite?: true;
  readonly remove?: true;
}

/** Somebody else's write between our read and ours is no reason to bother the operator. */
const TRIES = 5;

type Labels = Readonly<Record<string, string>>;

export async function labelResource(
  context: Context,
  open: Open,
  words: readonly string[],
  options: LabelOptions,
): Promise<void> {
  const [kind, name, said] = oneNamedIn(words);
  const wanted = said.map((word) => readLabel(word, options.remove ?? false));
  if (wanted.length === 0) throw new CliError('usage', ['which label? KEY=VALUE, or KEY with --remove']);
  await using access = await open();
  for (let left = TRIES; ; left--) {
    const present = await access.get(kind, name);
    if (present === undefined) throw new CliError('degraded', [`there is no ${kind} ${name}`]);
    const labels = labelled(present, wanted, options.overwrite ?? false);
    try {
      await access.write({ ...present, metadata: { ...present.metadata, labels } }, 'apply');
      break;
    } catch (error) {
      if (!isConflict(error) || left <= 1) throw error;
    }
  }
  context.show({ kind, name, labels: Object.fromEntries(wanted) }, () =>
    wanted.map(([key, value]) =>
      value === null ? `label ${key} removed from ${kind} ${name}` : `label ${key} of ${kind} ${name} is ${value}`,
    ),
  );
}

type Wanted = readonly [key: string, value: string | null];

function readLabel(word: string, remove: boolean): Wanted {
  const [key = '', ...rest] = word.split('=');
  if (remove && rest.length === 0) return [key, null];
  if (rest.length === 0 && key.length > 1 && key.endsWith('-')) return [key.slice(0, -1), null];
  if (!remove && rest.length > 0 && key !== '') return [key, rest.join('=')];
  throw new CliError('usage', [`${word} is not ${remove ? 'the KEY of a label' : 'KEY=VALUE, or KEY- to remove it'}`]);
}

function labelled({ kind, metadata }: AnyResource, wanted: readonly Wanted[], overwrite: boolean): Labels {
  const labels: Record<string, string> = { ...metadata.labels };
  for (const [key, value] of wanted) {
    const present = labels[key];
    if (value === null) delete labels[key];
    else if (present === undefined || present === value || overwrite) labels[key] = value;
    else {
      const line = `label ${key} of ${kind} ${metadata.name} is ${present} already`;
      throw new CliError('degraded', [line, 'add --overwrite to change it']);
    }
  }
  return labels;
}

function isConflict(error: unknown): boolean {
  return (error instanceof StoreError || error instanceof ApiError) && error.code === 'conflict';
}
