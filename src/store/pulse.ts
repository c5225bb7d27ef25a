// When to look again: as soon as somebody hints at something, and at everything every so often.

export class Pulse<T> {
  private readonly everything: readonly T[];
  private readonly periodMs: number;
  private readonly gapMs: number;
  private hinted = new Set<T>();
  private wake: (() => void) | undefined;
  private ended = false;

  /** @param gapMs how long to gather hints after the last look: a busy neighbour must not keep us looking */
  constructor(everything: readonly T[], periodMs: number, gapMs: number) {
    this.everything = everything;
    this.periodMs = periodMs;
    this.gapMs = gapMs;
  }

  /** Never lost: what is hinted at while the last hint is being looked at comes next. */
  hint(...what: readonly T[]): void {
    for (const one of what) this.hinted.add(one);
    this.wake?.();
  }

  end(): void {
    this.ended = true;
    this.wake?.();
  }

  /** What to look at next; undefined after the end. */
  async next(): Promise<ReadonlySet<T> | undefined> {
    await this.rest(this.gapMs, () => this.ended);
    const hinted = await this.rest(Math.max(0, this.periodMs - this.gapMs), () => this.ended || this.hinted.size > 0);
    if (!hinted) this.hint(...this.everything);
    if (this.ended) return undefined;
    const what = this.hinted;
    this.hinted = new Set();
    return what;
  }

  /** Waits for a time, or until something is so: true then. */
  private async rest(ms: number, enough: () => boolean): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wake = () => enough() && resolve();
    const timer = setTimeout(resolve, ms);
    // An idle store keeps no process alive.
    timer.unref();
    this.wake();
    await promise;
    clearTimeout(timer);
    this.wake = undefined;
    return enough();
  }
}
