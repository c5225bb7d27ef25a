// manxctl: the entry file. Everything it does is in program.ts; here errors become sentences and exit codes.
import { CommanderError } from 'commander';
import { ApiError } from './client.ts';
import { CliError, exitCodes } from './exit.ts';
import { formatProblems } from '../store/problems.ts';
import { type Problem, StoreError } from '../store/port.ts';
import { IpamError } from '../ipam/error.ts';
import { KubeError } from '../kube/port.ts';
import { createProgram } from './program.ts';

// `manxctl bgp routes | head`: the reader has enough, and that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Says what went wrong on standard error. @returns the exit code */
function report(error: unknown): number {
  // Commander has printed its own words; --help and --version come as errors with code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.good : exitCodes.usage;
  if (error instanceof CliError) {
    say(error.lines, error.problems);
    return exitCodes[error.ending];
  }
  if (error instanceof ApiError || error instanceof StoreError) {
    say([error.message], error.problems);
    return error instanceof StoreError ? endingOf(error) : exitCodes.degraded;
  }
  if (error instanceof KubeError || error instanceof IpamError) {
    say([error.message], []);
    return endingOf(error);
  }
  throw error;
}

/** An API server that does not answer is like an agent that does not. */
function endingOf({ code }: { readonly code: string }): number {
  return code === 'unavailable' ? exitCodes.unreachable : exitCodes.degraded;
}

function say([headline = '', ...details]: readonly string[], problems: readonly Problem[]): void {
  const lines = [`manxctl: ${headline}`, ...details.map((detail) => `  ${detail}`)];
  console.error([...lines, ...(problems.length > 0 ? [formatProblems(problems)] : [])].join('\n'));
}
