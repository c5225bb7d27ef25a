// Files that change at once or not at all, whatever happens meanwhile.
import { randomBytes } from 'node:crypto';
import { open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder, unless } from './disk.ts';

/**
 * Gives a file new content, durably. Mode and owner stay; a link stays one, and what it leads to is replaced.
 * @throws the system's errors
 */
export async function writeAtomically(file: string, text: string): Promise<void> {
  const target = (await unless(['ENOENT'], realpath(file))) ?? file;
  const before = await unless(['ENOENT'], stat(target));
  // Hidden, so that no reader of the folder takes it for configuration.
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}`);
  try {
    await using handle = await open(temporary, 'wx', (before?.mode ?? 0o644) & 0o777);
    if (before !== undefined) {
      await handle.chmod(before.mode & 0o7777);
      // Only root can give a file away; whoever else may write here becomes its owner.
      await unless(['EPERM'], handle.chown(before.uid, before.gid));
    }
    await handle.writeFile(text);
    await handle.sync();
    await rename(temporary, target);
  } catch (error) {
    await unless(['ENOENT'], unlink(temporary));
    throw error;
  }
  await syncFolder(dirname(target));
}

/** Removes a file (of a link: the link), durably. @throws the system's errors */
export async function removeDurably(file: string): Promise<void> {
  await unlink(file);
  await syncFolder(dirname(file));
}
