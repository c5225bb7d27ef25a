// Who wants to be told that kinds may have changed. A hint to look, never the change itself.
import type { Kind } from '../resources/types.ts';

interface Watcher {
  readonly kinds: readonly Kind[];
  readonly look: () => void;
}

export class Audience {
  private readonly watchers = new Set<Watcher>();

  /** Returns the way to stop. */
  add(kinds: readonly Kind[], look: () => void): () => void {
    const watcher = { kinds, look };
    this.watchers.add(watcher);
    return () => {
      this.watchers.delete(watcher);
    };
  }

  wants(kind: Kind): boolean {
    return [...this.watchers].some(({ kinds }) => kinds.includes(kind));
  }

  /** Calls back, soon, whoever watches one of the kinds. */
  tell(changed: Iterable<Kind>): void {
    const all = new Set(changed);
    for (const watcher of this.watchers) {
      if (!watcher.kinds.some((kind) => all.has(kind))) continue;
      queueMicrotask(() => {
        if (this.watchers.has(watcher)) watcher.look();
      });
    }
  }

  clear(): void {
    this.watchers.clear();
  }
}
