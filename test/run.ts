// `npm test`: runs the suite inside namespaces of its own (lab/enter.sh), with vitest's arguments passed through,
// and ends with one line, "N passed, N failed, N skipped".
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ToolName, provide, tools } from './lab/tools.ts';

const here = (path: string): string => new URL(path, import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), 'manx-test-'));
// Whoever wants the report for itself (npm run interop) names a place for it.
const report = process.env['MANX_REPORT'] ?? join(scratch, 'report.json');
const { path, missing } = await provide(Object.keys(tools) as ToolName[]);
for (const [tool, reason] of missing) console.error(`manx: tests that need ${tool} are skipped: ${reason}`);

const vitest = spawn(
  here('lab/enter.sh'),
  [
    here('../node_modules/.bin/vitest'),
    ...['run', '--config', here('vitest.config.ts')],
    ...['--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
    ...process.argv.slice(2),
  ],
  {
    stdio: 'inherit',
    env: { ...process.env, PATH: path, MANX_LAB: '1', MANX_MISSING: JSON.stringify(Object.fromEntries(missing)) },
  },
);
const code = await new Promise<number>((resolve) => vitest.once('exit', (status) => resolve(status ?? 1)));

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numFailedTestSuites: number;
}
try {
  const counts = JSON.parse(readFileSync(report, 'utf8')) as Report;
  // A file that could not even be loaded fails as a suite without a single test.
  const failed = counts.numFailedTests || (code === 0 ? 0 : Math.max(1, counts.numFailedTestSuites));
  console.log(`${counts.numPassedTests} passed, ${failed} failed, ${counts.numPendingTests} skipped`);
} catch (cause) {
  console.error(`manx: vitest wrote no report (${String(cause)})`);
  console.log('0 passed, 1 failed, 0 skipped');
}
rmSync(scratch, { recursive: true });
process.exitCode = code;
