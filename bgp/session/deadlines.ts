// Named timers that are restarted far more often than they expire: restarting one only moves its deadline.
//
// A full table arrives in hundreds of thousands of UPDATEs, each of which restarts the hold timer (RFC 4271 §8.2.2);
// arming a real timer for each would cost more than reading them.
import type { TimerStatus } from '../status.ts';
import type { Clock } from './port.ts';

interface Entry {
  due: number;
  seconds: number;
  /** When the timer beneath fires; never later than `due`. */
  fires: number;
  cancel: () => void;
}

export class Deadlines<Name extends string> {
  readonly #clock: Clock;
  readonly #expired: (name: Name) => void;
  readonly #entries = new Map<Name, Entry>();

  constructor(clock: Clock, expired: (name: Name) => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  /** Starts the timer anew; 0 seconds stop it. */
  set(name: Name, seconds: number): void {
    if (seconds === 0) {
      this.#drop(name);
      return;
    }
    const due = this.#clock.now() + seconds * 1000;
    const entry = this.#entries.get(name);
    if (entry && entry.fires <= due) {
      entry.due = due;
      entry.seconds = seconds;
      return;
    }
    this.#drop(name);
    this.#arm(name, due, seconds);
  }

  clear(): void {
    for (const name of this.#entries.keys()) this.#drop(name);
  }

  /** Left and total, or undefined when it does not run. */
  read(name: Name): TimerStatus | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    return { leftSeconds: Math.max(0, entry.due - this.#clock.now()) / 1000, totalSeconds: entry.seconds };
  }

  #arm(name: Name, due: number, seconds: number): void {
    const cancel = this.#clock.after(due - this.#clock.now(), () => this.#fire(name));
    this.#entries.set(name, { due, seconds, fires: due, cancel });
  }

  #fire(name: Name): void {
    const { due, seconds } = this.#entries.get(name)!;
    this.#entries.delete(name);
    // A millisecond is what timers are rounded to: they may fire that much early.
    if (due - this.#clock.now() > 1) this.#arm(name, due, seconds);
    else this.#expired(name);
  }

  #drop(name: Name): void {
    this.#entries.get(name)?.cancel();
    this.#entries.delete(name);
  }
}
