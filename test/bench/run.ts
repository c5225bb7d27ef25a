// Starts the benchmark inside namespaces of its own, with the other daemons provided.
import { spawn } from 'node:child_process';
import { provide } from '../lab/tools.ts';

const here = (path: string): string => new URL(path, import.meta.url).pathname;
const { path, missing } = await provide(['bird', 'frr']);
const env = { ...process.env, PATH: path, MANX_LAB: '1', MANX_MISSING: JSON.stringify(Object.fromEntries(missing)) };
const words = [process.execPath, here('main.ts'), ...process.argv.slice(2)];
spawn(here('../lab/enter.sh'), words, { stdio: 'inherit', env }).once('exit', (code) => (process.exitCode = code ?? 1));
