// Somebody else may change which blocks are this node's: take an empty one over, give back an affinity that was lost. The
// store hints at it, and the node looks soon after; otherwise it would not announce a block, or announce one that is no
// longer its own, until its next pod came or five minutes were over.
import { setTimeout as pause } from 'node:timers/promises';
import type { Ipam } from '../ipam/index.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/port.ts';
import { Loop } from './loop.ts';

export interface BlockFollowing extends AsyncDisposable {
  readonly loop: Loop;
}

export interface BlockFollowingOptions {
  readonly store: Pick<Store, 'watch'>;
  readonly ipam: Pick<Ipam, 'follow'>;
  readonly log: Log;
  /** {@link REST_MS} by default. */
  readonly restMs?: number;
}

/**
 * Taking a block over is a few writes. An owner that looked at once would win its empty block back from a node that has no
 * other, in the middle of them; and what this node claims itself is done by then.
 */
const REST_MS = 1000;

export function followBlocks({ store, ipam, log, restMs = REST_MS }: BlockFollowingOptions): BlockFollowing {
  const stop = new AbortController();
  const loop = new Loop({
    doing: 'following what others do with the blocks of this node',
    log,
    work: async () => {
      await pause(restMs, undefined, { signal: stop.signal }).catch(() => undefined);
      if (stop.signal.aborted) return;
      const { gained, lost } = await ipam.follow();
      if (gained.length + lost.length > 0) log.info({ gained, lost }, 'somebody changed which blocks are ours');
    },
  });
  const leave = store.watch(['BlockAffinity'], () => loop.look());
  return {
    loop,
    async [Symbol.asyncDispose]() {
      leave();
      stop.abort();
      await loop.close();
    },
  };
}
