// Hints that a folder has changed, from the kernel: quick, but neither complete nor to be relied on.
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { unless } from './disk.ts';

export interface FolderWatch {
  /** Makes sure that the folder that is at the path now is watched: it may have been replaced, or come into being. */
  renew(): Promise<void>;
  close(): void;
}

/** Calls back when something happens in the folder (not below it), which need not exist yet. */
export function watchFolder(folder: string, onHint: (name: string | null) => void): FolderWatch {
  let watcher: FSWatcher | undefined;
  let watched: string | undefined;
  let closed = false;
  const stop = (): void => {
    watcher?.close();
    watcher = undefined;
    watched = undefined;
  };
  return {
    async renew() {
      const stats = await unless(['ENOENT', 'ENOTDIR', 'EACCES'], stat(folder));
      const present = stats && `${stats.dev}:${stats.ino}`;
      if (present === watched || closed) return;
      stop();
      if (present === undefined) return;
      try {
        watcher = watch(folder, { persistent: false }, (_event, name) => onHint(name));
        // No inotify watches left, or the folder went away: renew() tries again, and the slow re-reading goes on.
        watcher.on('error', stop);
        watched = present;
      } catch {
        stop();
      }
    },
    close() {
      closed = true;
      stop();
    },
  };
}
