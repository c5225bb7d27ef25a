// Taking everything of ours out of the kernel, for an uninstall: exactly what carries our protocol number.
import type { Batch, Dump, KernelRoute } from './port.ts';
import { diff } from './diff.ts';
import { lineOf } from './text.ts';

export interface CleanupResult {
  readonly removed: number;
  /** What could not be removed, and why. */
  readonly left: readonly { readonly route: KernelRoute; readonly reason: string }[];
}

/**
 * Removes all routes of ours from the main table; others are not touched. An agent that still runs would put them back.
 * @throws FibError when the kernel cannot be asked or told.
 */
export async function cleanup(batch: Batch, dump: Dump): Promise<CleanupResult> {
  const routes: KernelRoute[] = [];
  // Another reader's changes may hide some: asked again until nothing was missed.
  for (let complete = false, round = 0; !complete && round < 5; round++) {
    routes.length = 0;
    ({ complete } = await dump.routes((piece) => void routes.push(...piece)));
  }
  const { operations } = diff([], routes);
  const results = await batch.run(operations.map(lineOf));
  const left = operations.flatMap(({ route }, i) => {
    const result = results[i]!;
    // What has gone by itself meanwhile is gone.
    const gone = result.ok || /No such process/.test(result.error);
    return gone ? [] : [{ route: route as KernelRoute, reason: result.error }];
  });
  return { removed: operations.length - left.length, left };
}
