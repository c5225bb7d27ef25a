// `npm run demo`: starts the small data centre in namespaces of its own (inside.ts), or joins the one that runs.
//
//   npm run demo                          build it, show it, keep it until Ctrl-C
//   npm run demo -- --once                build it, show it, take it down
//   npm run demo -- exec worker-1 CMD …   run a command in a host of the running demo
//   npm run demo -- sh worker-1           a shell there
//   npm run demo -- crash                 kill an agent under a running ping
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { readFileSync, readdirSync } from 'node:fs';
import { provide } from '../lab/tools.ts';

const here = (path: string): string => new URL(path, import.meta.url).pathname;
const inside = here('inside.ts');

const [verb, ...rest] = process.argv.slice(2);
if (verb === undefined || verb === '--once') await start(verb === '--once');
else if (verb === 'exec' && rest.length >= 2) join(['exec', ...rest]);
else if (verb === 'sh' && rest.length === 1) join(['exec', rest[0]!, process.env['SHELL'] ?? '/bin/sh']);
else if (verb === 'crash' && rest.length === 0) join(['crash']);
else usage();

function usage(): never {
  console.error('usage: npm run demo [-- --once | exec HOST COMMAND [ARG...] | sh HOST | crash]');
  process.exit(2);
}

async function start(once: boolean): Promise<void> {
  const running = runningDemo();
  if (running !== undefined) {
    console.error(`demo: one is running already (process ${running}). Join it: npm run demo -- sh worker-1`);
    process.exit(1);
  }
  const { path, missing } = await provide(['bird', 'ping']);
  for (const [tool, reason] of missing) console.error(`demo: no ${tool}: ${reason}`);
  const env = { ...process.env, PATH: path, MANX_LAB: '1', MANX_MISSING: JSON.stringify(Object.fromEntries(missing)) };
  const child = spawn(here('../lab/enter.sh'), [process.execPath, inside, ...(once ? ['--once'] : [])], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env,
    detached: true, // Ctrl-C reaches us alone; we pass it on, and the demo takes itself down in order
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => endDemo());
  endWithAncestors(() => child.kill('SIGKILL'));
  child.once('exit', (code, signal) => {
    process.exit(code ?? 128 + (signal ? constants.signals[signal] : 1));
  });
}

/** Process 1 of the lab ignores signals that it has no handler for, so it is asked by its number out here. */
function endDemo(): void {
  const running = runningDemo();
  if (running !== undefined) process.kill(running, 'SIGTERM');
}

/** npm and its shell can be killed without a word to us: then we are nobody's, and end too. */
function endWithAncestors(end: () => void): void {
  const ancestors = ancestorsOf(process.pid, 2);
  const timer = setInterval(() => {
    if (ancestorsOf(process.pid, 2).join() === ancestors.join()) return;
    end();
    process.exit(1);
  }, 500);
  timer.unref();
}

function ancestorsOf(pid: number, count: number): number[] {
  if (count === 0 || pid <= 1) return [];
  const parent = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) \S+ (\d+) .*$/s, '$1'));
  return [parent, ...ancestorsOf(parent, count - 1)];
}

/** Runs a verb of inside.ts in all namespaces of the running demo. */
function join(words: readonly string[]): void {
  const pid = runningDemo();
  if (pid === undefined) {
    console.error('demo: none is running; start it with npm run demo in another terminal');
    process.exit(1);
  }
  const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  const path = environment.find((entry) => entry.startsWith('PATH='))!.slice('PATH='.length);
  const user = process.getuid?.() === 0 ? [] : ['--user', '--preserve-credentials'];
  const enter = [
    '-t',
    String(pid),
    ...user,
    '--net',
    '--mount',
    '--pid',
    '--wdns=/',
    process.execPath,
    inside,
    ...words,
  ];
  const child = spawn('nsenter', enter, { stdio: 'inherit', env: { ...process.env, PATH: path, MANX_LAB: '1' } });
  child.once('exit', (code) => process.exit(code ?? 1));
}

/** The process 1 of a running demo, by its number out here. */
function runningDemo(): number | undefined {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const innermost = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^NSpid:.*\t(\d+)$/m)?.[1];
      if (words[1] === inside && innermost === '1') return Number(pid);
    } catch (error) {
      if (!['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return undefined;
}
