// What every command is given: the API, the way to print in the wished form, and the way to say "not all is well".
import type { Api } from './client.ts';
import type { Paint } from './paint.ts';

export type OutputFormat = 'text' | 'wide' | 'json' | 'yaml';

export interface Context {
  readonly api: Api;
  readonly format: OutputFormat;
  readonly paint: Paint;
  now(): number;
  /** Prints a value as JSON or YAML where that was wished, else the lines of `render`. */
  show(value: unknown, render: (view: { wide: boolean; paint: Paint }) => readonly string[]): void;
  print(lines: readonly string[]): void;
  /** Beside what was asked for: on standard error. */
  warn(lines: readonly string[]): void;
  /** The command succeeded and what it shows is not good: exit code 1. */
  degraded(): void;
}
