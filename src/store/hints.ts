// Hints between processes on one file system: whoever has written touches a file per kind, the kernel tells the others.
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataKind } from './datastore.ts';
import { codeOf, unless } from './disk.ts';

/** Says in the folder that a kind has changed. A hint that gets lost costs time only: the others look by themselves. */
export async function leaveHint(folder: string, kind: DataKind): Promise<void> {
  try {
    const now = new Date();
    const file = join(folder, kind);
    if (
      await unless(
        ['ENOENT'],
        utimes(file, now, now).then(() => true),
      )
    )
      return;
    await mkdir(folder, { recursive: true });
    await writeFile(file, '');
  } catch (error) {
    // The write that it tells of has succeeded: it must not be reported as failed.
    if (codeOf(error) === undefined) throw error;
  }
}
