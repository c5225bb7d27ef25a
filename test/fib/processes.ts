// Finding the `ip` children of a test, to kill them.
import { readFileSync, readdirSync } from 'node:fs';

/** The processes of a parent whose command line (words ended by NUL) has this in it. */
export function childrenOf(parent: number, words: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    const status = read(`/proc/${pid}/status`);
    return status.includes(`\nPPid:\t${parent}\n`) && read(`/proc/${pid}/cmdline`).includes(words);
  });
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}
