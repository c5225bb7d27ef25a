// Level-triggered work: "look now" may come at any time and any number of times; the work computes what should be and
// makes it so. Looks that come while it runs cause one more run, and a run that fails is tried again by itself.
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../log.ts';
import type { Failure } from './status.ts';

export interface LoopOptions {
  /** For log and status: "reading the store". */
  readonly doing: string;
  readonly work: () => Promise<void>;
  readonly log: Log;
  /** Look by itself about this long after a run; absent: never. */
  readonly everyMs?: number;
  /** From one failure to the next try, doubled each time up to the longest. */
  readonly firstRetryMs?: number;
  readonly longestRetryMs?: number;
}

export class Loop {
  private readonly options: LoopOptions;
  private readonly stop = new AbortController();
  private running: Promise<void> | undefined;
  private lookAgain = false;
  private timer: NodeJS.Timeout | undefined;
  private failed: Failure | undefined;
  private tries = 0;
  private began: number | undefined;

  constructor(options: LoopOptions) {
    this.options = options;
  }

  /** Asks for a run that begins after this call. */
  look(): void {
    if (this.stop.signal.aborted) return;
    this.lookAgain = true;
    this.running ??= this.run().finally(() => {
      this.running = undefined;
      // A look between the last check and this line has started nothing.
      if (this.lookAgain) this.look();
    });
  }

  /** Looks, and waits until nothing is left to look at. A failure is in `failure`, not thrown. */
  async settle(): Promise<void> {
    this.look();
    while (this.running !== undefined) await this.running;
  }

  /** What fails at present. */
  get failure(): Failure | undefined {
    return this.failed;
  }

  get doing(): string {
    return this.options.doing;
  }

  /** When the run began that is under way: ms of performance.now(), which never steps. */
  get busySince(): number | undefined {
    return this.began;
  }

  /** Ends after the run that is under way. */
  async close(): Promise<void> {
    this.stop.abort();
    clearTimeout(this.timer);
    await this.running;
  }

  private async run(): Promise<void> {
    clearTimeout(this.timer);
    // Whatever else happens in this turn is part of the same look.
    await pause(0);
    while (this.lookAgain && !this.stop.signal.aborted) {
      this.lookAgain = false;
      await this.attempt();
    }
    const next = this.failed === undefined ? this.options.everyMs : this.retryMs();
    if (next !== undefined && !this.stop.signal.aborted) this.timer = setTimeout(() => this.look(), spread(next));
  }

  private async attempt(): Promise<void> {
    const { doing, work, log } = this.options;
    this.began = performance.now();
    try {
      await work();
      if (this.failed !== undefined) log.info({ doing }, 'works again');
      this.failed = undefined;
      this.tries = 0;
    } catch (error) {
      // What was given up because everything ends is neither a failure nor tried again.
      if (this.stop.signal.aborted) return;
      const text = error instanceof Error ? error.message : String(error);
      // The same failure again is no news.
      if (this.failed?.error !== text) log.error({ error, doing }, 'failed, will be tried again');
      this.failed = { doing, since: this.failed?.since ?? Date.now(), error: text };
      this.tries++;
    } finally {
      this.began = undefined;
    }
  }

  private retryMs(): number {
    const { firstRetryMs = 500, longestRetryMs = 10_000 } = this.options;
    return Math.min(longestRetryMs, firstRetryMs * 2 ** (this.tries - 1));
  }
}

/** A thousand agents that start together, or lose one server together, do not look at one moment ever after. */
function spread(ms: number): number {
  return ms * (0.8 + 0.4 * Math.random());
}
