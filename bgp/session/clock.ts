// The real clock behind the Clock port.
import { performance } from 'node:perf_hooks';
import type { Clock } from './port.ts';

/**
 * Time that is never set: a node that gets its time after boot must not see every hold timer expire at once. Timers
 * do not keep the process alive.
 */
export function systemClock(): Clock {
  return {
    now: () => performance.timeOrigin + performance.now(),
    wall: () => Date.now(),
    after: (ms, callback) => {
      const timer = setTimeout(callback, ms);
      timer.unref();
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
  };
}
