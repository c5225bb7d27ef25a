// Exit codes of manxctl, and the error that carries one to the end of the program.

import type { Problem } from '../store/port.ts';

export const exitCodes = { good: 0, degraded: 1, usage: 2, unreachable: 3 } as const;
export type Ending = keyof typeof exitCodes;

/** A failure that is explained already: the first line says what, the others what to do. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly ending: Ending;
  readonly lines: readonly string[];
  readonly problems: readonly Problem[];

  constructor(ending: Ending, lines: readonly string[], problems: readonly Problem[] = []) {
    super(lines.join('\n'));
    this.ending = ending;
    this.lines = lines;
    this.problems = problems;
  }
}
