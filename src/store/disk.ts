// The file system as the datastore needs it: few operations, each of which the kernel carries out as a whole, and the
// outcomes of races as values.
import { mkdir, open, readFile, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';

export interface Disk {
  /** Names in a folder; undefined when there is no such folder. */
  names(folder: string): Promise<readonly string[] | undefined>;
  /** The text of a file; undefined when there is none. */
  read(file: string): Promise<string | undefined>;
  isThere(path: string): Promise<boolean>;
  /** Makes a folder, and those above it; one that is there already will do. */
  makeFolder(path: string): Promise<void>;
  /** Writes a file that is not there yet, and waits until its content is safe. False when its folder is gone. */
  writeNew(file: string, text: string): Promise<boolean>;
  /** Waits until the entries of a folder are safe; one that is gone will do. */
  sync(folder: string): Promise<void>;
  /**
   * Gives a folder another path, at once or not at all. 'missing': there is none at `from`. 'taken': there is one at
   * `to`, and it is not empty.
   */
  move(from: string, to: string): Promise<'done' | 'missing' | 'taken'>;
  /** Removes a file; one that is not there will do. */
  removeFile(path: string): Promise<void>;
  /** Removes a folder if it is empty. */
  removeEmpty(path: string): Promise<void>;
  /** Removes everything below a path, in any order. What appears there meanwhile may stay. */
  removeTree(path: string): Promise<void>;
  /** ms since the epoch: how long a path has rested; undefined when it is not there. */
  changedAt(path: string): Promise<number | undefined>;
}

export const realDisk: Disk = {
  names: (folder) => unless(['ENOENT', 'ENOTDIR'], readdir(folder)),
  read: (file) => unless(['ENOENT', 'ENOTDIR'], readFile(file, 'utf8')),
  isThere: async (path) => (await unless(['ENOENT', 'ENOTDIR'], stat(path))) !== undefined,
  makeFolder: (path) => ignore(mkdir(path, { recursive: true })),
  writeNew: async (file, text) => (await unless(['ENOENT'], writeSafely(file, text))) !== undefined,
  sync: (folder) => ignore(unless(['ENOENT'], syncFolder(folder))),
  async move(from, to) {
    try {
      await rename(from, to);
      return 'done';
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return 'missing';
      // POSIX lets rename() answer either.
      if (codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'EEXIST') return 'taken';
      throw error;
    }
  },
  removeFile: (path) => ignore(unless(['ENOENT'], unlink(path))),
  removeEmpty: (path) => ignore(unless(['ENOENT', 'ENOTEMPTY', 'EEXIST'], rmdir(path))),
  removeTree: (path) => ignore(unless(['ENOTEMPTY'], rm(path, { recursive: true, force: true }))),
  changedAt: async (path) => (await unless(['ENOENT', 'ENOTDIR'], stat(path)))?.mtimeMs,
};

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** undefined instead of an error with one of these codes. */
export async function unless<T>(codes: readonly string[], work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codes.includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

async function ignore(work: Promise<unknown>): Promise<void> {
  await work;
}

async function writeSafely(file: string, text: string): Promise<true> {
  await using handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    // A full disk must not be filled further with what nobody will read.
    await realDisk.removeFile(file);
    throw error;
  }
  return true;
}

export async function syncFolder(folder: string): Promise<true> {
  await using handle = await open(folder, 'r');
  await handle.sync();
  return true;
}
