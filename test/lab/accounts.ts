// Daemons that insist on users and groups of their own: a mount namespace in which the accounts exist, for one command.
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import type { Host } from './host.ts';

/**
 * Starts a command in the host with users, and groups of the same names with all of them as members, that the machine
 * need not have. The accounts have `folder`/empty as their home.
 */
export async function startWithAccounts(
  host: Host,
  folder: string,
  accounts: readonly string[],
  [command, ...args]: readonly [string, ...string[]],
  options: SpawnOptions,
): Promise<ChildProcess> {
  await mkdir(`${folder}/empty`, { recursive: true });
  const users = accounts.map((name, i) => `${name}:x:${990 + i}:${990 + i}::${folder}/empty:/usr/sbin/nologin\n`);
  const groups = accounts.map((name, i) => `${name}:x:${990 + i}:${accounts.join()}\n`);
  await writeFile(`${folder}/passwd`, (await without('/etc/passwd', accounts)) + users.join(''));
  await writeFile(`${folder}/group`, (await without('/etc/group', accounts)) + groups.join(''));
  const mounts = `mount --bind ${folder}/passwd /etc/passwd && mount --bind ${folder}/group /etc/group`;
  return host.start('unshare', ['--mount', 'sh', '-c', `${mounts} && exec "$@"`, 'sh', command, ...args], options);
}

async function without(file: string, accounts: readonly string[]): Promise<string> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  return lines
    .filter((line) => !accounts.some((name) => line.startsWith(`${name}:`)))
    .map((line) => `${line}\n`)
    .join('');
}
