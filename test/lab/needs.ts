// Skips that say why: a test that needs a tool which the machine lacks and which could not be fetched.
import type { ToolName } from './tools.ts';

/** Why one of these tools is missing here, or undefined when all are there. To be shown where a test is skipped. */
export function lacking(...names: readonly (ToolName | 'kubernetes' | 'helm')[]): string | undefined {
  const missing = JSON.parse(process.env['MANX_MISSING'] ?? '{}') as Partial<Record<string, string>>;
  return names.map((name) => missing[name]).find((reason) => reason !== undefined);
}
