// One run of tests: vitest inside namespaces of its own (lab/enter.sh), with the tools that its tests need on the PATH,
// ending with one line, "N passed, N failed, N skipped".
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const here = (path: string): string => new URL(path, import.meta.url).pathname;

export interface Suite {
  /** vitest's configuration. */
  readonly config: string;
  /** What PATH must be. */
  readonly path: string;
  /** Name of a tool → why it cannot be had: the tests that need it are skipped. */
  readonly missing: ReadonlyMap<string, string>;
  /** Passed on to vitest. */
  readonly args: readonly string[];
}

/** Runs the suite, prints the counts and gives vitest's exit code. */
export async function runSuite({ config, path, missing, args }: Suite): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), 'manx-test-'));
  // Whoever wants the report for itself (npm run interop) names a place for it.
  const report = process.env['MANX_REPORT'] ?? join(scratch, 'report.json');
  for (const [tool, reason] of missing) console.error(`manx: tests that need ${tool} are skipped: ${reason}`);

  const vitest = spawn(
    here('enter.sh'),
    [
      here('../../node_modules/.bin/vitest'),
      ...['run', '--config', config],
      ...['--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
      ...args,
    ],
    {
      stdio: 'inherit',
      env: {
        ...process.env,
        PATH: path,
        MANX_LAB: '1',
        MANX_MISSING: JSON.stringify(Object.fromEntries(missing)),
        // Hundreds of processes are started from the same few files: each is compiled once.
        NODE_COMPILE_CACHE: join(scratch, 'compiled'),
        MANX_PROGRAMS: join(scratch, 'programs'),
      },
    },
  );
  const code = await new Promise<number>((resolve) => vitest.once('exit', (status) => resolve(status ?? 1)));
  console.log(countsOf(report, code));
  rmSync(scratch, { recursive: true });
  return code;
}

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numFailedTestSuites: number;
}

function countsOf(report: string, code: number): string {
  try {
    const counts = JSON.parse(readFileSync(report, 'utf8')) as Report;
    // A file that could not even be loaded fails as a suite without a single test.
    const failed = counts.numFailedTests || (code === 0 ? 0 : Math.max(1, counts.numFailedTestSuites));
    return `${counts.numPassedTests} passed, ${failed} failed, ${counts.numPendingTests} skipped`;
  } catch (cause) {
    console.error(`manx: vitest wrote no report (${String(cause)})`);
    return '0 passed, 1 failed, 0 skipped';
  }
}
