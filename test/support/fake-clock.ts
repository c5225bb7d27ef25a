// A clock that only moves when a test says so.
import type { Clock } from '../../bgp/session/port.ts';

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  #now: number;
  readonly #timers = new Set<Timer>();
  /** What random() returns: 0.5 unless told otherwise. */
  luck = 0.5;

  constructor(now = Date.UTC(2026, 10, 21)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  random(): number {
    return this.luck;
  }

  /** Timers that are running. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on, calling back whatever is due in its order, and lets settle what each instant sets off. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (let next = this.#next(until); next; next = this.#next(until)) {
      this.#now = Math.max(this.#now, next.at);
      // Timers of one instant fire in one turn, before anybody is told of input.
      for (let due: Timer | undefined = next; due; due = this.#next(this.#now)) {
        this.#timers.delete(due);
        due.callback();
      }
      await settle();
    }
    this.#now = until;
  }

  #next(until: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) if (timer.at <= until && (!first || timer.at < first.at)) first = timer;
    return first;
  }
}

/** Lets everything that is under way in this process come to rest: promises, ticks, immediates, in-memory streams. */
export async function settle(turns = 12): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}
