// `npm run interop`: runs the interop tests and writes their result, with the versions, into README.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { provide } from '../lab/tools.ts';
import { bird } from './daemons/bird.ts';
import { exabgp } from './daemons/exabgp.ts';
import { frr } from './daemons/frr.ts';
import { gobgp } from './daemons/gobgp.ts';
import { openbgpd } from './daemons/openbgpd.ts';

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
    }[];
  }[];
}

const daemons = [bird, frr, gobgp, openbgpd, exabgp];
const here = (path: string): string => new URL(path, import.meta.url).pathname;
const begin = '<!-- begin: written by npm run interop -->';
const end = '<!-- end -->';

const report = await runTests();
const { path } = await provide(['bird', 'frr', 'gobgp', 'openbgpd', 'exabgp']);
process.env['PATH'] = path;
const versions = await Promise.all(daemons.map((daemon) => daemon.version()));
const file = here('README.md');
const [before, rest] = readFileSync(file, 'utf8').split(begin) as [string, string];
writeFileSync(file, `${before}${begin}\n${table(report, versions)}\n${end}${rest.split(end)[1]}`);

async function runTests(): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'manx-interop-'));
  const output = join(folder, 'report.json');
  const files = daemons.map(({ tools }) => `test/interop/${tools[0]}.test.ts`);
  const tests = spawn(process.execPath, [here('../run.ts'), ...files], {
    stdio: 'inherit',
    env: { ...process.env, MANX_REPORT: output },
  });
  const [code] = (await once(tests, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
  const read = JSON.parse(readFileSync(output, 'utf8')) as Report;
  rmSync(folder, { recursive: true });
  return read;
}

function table({ testResults }: Report, versionOf: readonly string[]): string {
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  const titles = [
    ...new Set(results.filter(({ ancestorTitles }) => ancestorTitles.length > 0).map(({ title }) => title)),
  ];
  const cell = (name: string, title: string): string => {
    const found = results.find((result) => result.title === title && result.ancestorTitles.at(-1)?.startsWith(name));
    if (found === undefined) return '–';
    return { passed: 'yes', failed: '**no**' }[found.status] ?? found.status;
  };
  return [
    `| | ${daemons.map(({ name }, i) => `${name} ${versionOf[i]}`).join(' | ')} |`,
    `|---|${daemons.map(() => '---|').join('')}`,
    ...titles.map((title) => `| ${title} | ${daemons.map(({ name }) => cell(name, title)).join(' | ')} |`),
  ].join('\n');
}
