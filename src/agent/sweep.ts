// When routes from before the start may go: the speaker has converged, and what it has learned has come through.
//
// A speaker has heard everything before it has decided everything (a large table takes it seconds), so convergence alone
// is too early: best paths that are still being chosen would be swept, and installed again a moment later.

/** Best paths have stopped changing for this long. */
const QUIET_MS = 1_000;
/** In a network that never rests, what is stale goes all the same. */
const LATEST_MS = 30_000;

export interface Sweep {
  /** The speaker has converged. */
  converged(): void;
  /** A best path has changed. */
  changed(): void;
  cancel(): void;
}

/** @param sweep called once */
export function createSweep(sweep: () => void, { quietMs = QUIET_MS, latestMs = LATEST_MS } = {}): Sweep {
  let quiet: NodeJS.Timeout | undefined;
  let latest: NodeJS.Timeout | undefined;
  const cancel = (): void => {
    clearTimeout(quiet);
    clearTimeout(latest);
    latest = undefined;
  };
  const release = (): void => {
    cancel();
    sweep();
  };
  return {
    converged() {
      quiet = setTimeout(release, quietMs);
      latest = setTimeout(release, latestMs);
    },
    changed() {
      if (latest !== undefined) quiet?.refresh();
    },
    cancel,
  };
}
