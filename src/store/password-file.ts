// The files with passwords that PeerOptions name: there before a session is attempted, and nobody else's to read.
import { type Stats, constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { codeOf } from './disk.ts';

/** TCP_MD5SIG_MAXKEYLEN of linux/tcp.h. */
const KEY_BYTES_MAX = 80;

export type PasswordReading = { readonly password: string } | { readonly problem: string };

/**
 * Reads a password: the file's content without the line break at its end.
 * @param path relative to the configuration folder, or absolute
 */
export async function readPassword(folder: string, path: string): Promise<PasswordReading> {
  try {
    const file = resolve(folder, path);
    const problem = objection(path, await stat(file));
    if (problem !== undefined) return { problem };
    await access(file, constants.R_OK);
    const password = (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
    if (password === '') return { problem: `${path} is empty` };
    const bytes = Buffer.byteLength(password);
    return bytes > KEY_BYTES_MAX
      ? { problem: `${path} has ${bytes} bytes (a TCP MD5 key has at most ${KEY_BYTES_MAX})` }
      : { password };
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return { problem: explain(path, error as Error) };
  }
}

function objection(path: string, { mode }: Stats): string | undefined {
  if ((mode & constants.S_IFMT) !== constants.S_IFREG) return `${path} is not a file`;
  // Whoever can log in could take over the session.
  if ((mode & 0o006) === 0) return undefined;
  return `${path} is open to everybody (mode 0${(mode & 0o777).toString(8)}; chmod o= ${path})`;
}

function explain(path: string, error: Error): string {
  if (codeOf(error) === 'ENOENT') return `${path} does not exist (it is looked for in the configuration folder)`;
  if (codeOf(error) === 'EACCES') return `${path} may not be read by this user`;
  return `${path} cannot be read: ${error.message}`;
}
