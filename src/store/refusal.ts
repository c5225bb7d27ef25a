// Why a write to the configuration is refused: the words of it, and the fields that stay as they were created. Pure.
import { isDeepStrictEqual } from 'node:util';
import { kinds as descriptions } from '../resources/index.ts';
import type { Kind, Kinds } from '../resources/types.ts';
import { type Problem, StoreError } from './port.ts';

/** Blocks of a pool are cut by its prefix and block size: as in Calico, neither changes under them. */
export function keepFixed(before: Kinds[Kind], after: Kinds[Kind]): void {
  const { fixed = [] } = descriptions[after.kind];
  const [was, is] = [before.spec, after.spec] as Record<string, unknown>[];
  const problems = fixed
    .filter((field) => !isDeepStrictEqual(was![field], is![field]))
    .map((field) => ({
      ...{ kind: after.kind, name: after.metadata.name, path: `spec.${field}` },
      message: `is ${String(was![field])} for good (delete it and create another one for ${String(is![field])})`,
    }));
  if (problems.length > 0) throw refused(after.kind, after.metadata.name, problems);
}

export function refused(kind: Kind, name: string, problems: readonly Problem[]): StoreError {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  const message = `${kind} ${name} is not written: the configuration would have ${count}`;
  return new StoreError('invalid', message, { problems });
}
