// One agent a folder. The lock is the kernel's (SQLite holds it with fcntl on an otherwise empty file): it ends with the
// process however that ends, so it is never stale, and nothing has to be guessed from pids or sockets.
import { mkdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** A folder is another agent's. */
export class FolderTaken extends Error {
  override readonly name = 'FolderTaken';
}

/**
 * Takes each folder for this process alone, making it (0700) where it does not exist. Dispose to give them back.
 * @throws FolderTaken
 */
export async function lockFolders(folders: readonly string[]): Promise<Disposable> {
  using taken = new DisposableStack();
  const seen = new Set<string>();
  for (const folder of folders) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const real = await realpath(folder);
    if (!seen.has(real)) taken.use(await lockFile(join(real, 'lock'), folder));
    seen.add(real);
  }
  return taken.move();
}

async function lockFile(file: string, folder: string): Promise<Disposable> {
  const database = new DatabaseSync(file);
  try {
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw cause;
    throw new FolderTaken(
      `another manxd${await holder(file)} runs on ${folder}: stop it, or give this one folders of its own (--state, --run)`,
      { cause },
    );
  }
  return { [Symbol.dispose]: () => database.close() };
}

const SQLITE_BUSY = 5;

/** " (process 123)", as far as the kernel tells: it shows no process of another PID namespace. */
async function holder(file: string): Promise<string> {
  const { ino } = await stat(file);
  const lines = (await readFile('/proc/locks', 'utf8')).split('\n');
  const pid = lines.map((line) => line.trim().split(/\s+/)).find((words) => words[5]?.endsWith(`:${ino}`))?.[4];
  return pid === undefined || Number(pid) <= 0 ? '' : ` (process ${pid})`;
}
