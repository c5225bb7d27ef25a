// Resources as people name them on the command line: KIND NAME..., or KIND/NAME... Pure.
import { kinds, readKind } from '../kinds.ts';
import type { Kind } from '../resources/types.ts';
import { CliError } from './exit.ts';

/** @throws CliError 'usage' */
export function requireKind(word: string): Kind {
  const kind = readKind(word);
  if (kind === undefined) throw new CliError('usage', [`there is no kind ${word}`, `there are ${kinds.join(', ')}`]);
  return kind;
}

/** What is named, by kind, in the order of the words; a kind without names means all of it. @throws CliError 'usage' */
export function namedIn(words: readonly string[]): Map<Kind, readonly string[]> {
  const [first = '', ...rest] = words;
  if (!first.includes('/')) return new Map([[requireKind(first), rest]]);
  const pairs = words.map(pairOf);
  const byKind = Map.groupBy(pairs, ([kind]) => kind);
  return new Map([...byKind].map(([kind, named]) => [kind, named.map(([, name]) => name)]));
}

/** The kind, the name, and what else was said. @throws CliError 'usage' */
export function oneNamedIn(words: readonly string[]): readonly [kind: Kind, name: string, rest: readonly string[]] {
  const [first = '', ...rest] = words;
  if (first.includes('/')) return [...pairOf(first), rest];
  const [name, ...others] = rest;
  if (name === undefined) throw new CliError('usage', [`which ${requireKind(first)}?`]);
  return [requireKind(first), name, others];
}

function pairOf(word: string): [Kind, string] {
  const slash = word.indexOf('/');
  const name = word.slice(slash + 1);
  if (slash <= 0 || name === '') throw new CliError('usage', [`${word} is not KIND/NAME, as the words before it are`]);
  return [requireKind(word.slice(0, slash)), name];
}
