// One try at a session: a state machine and what it holds, a connection or the dialling of one, and timers.
//
// Knows nothing of the other try that there may be, nor of the owner: session.ts feeds the events to the machine and
// carries out what it asks for with the means here.
import type { Frame, NotificationError } from '../codec/index.ts';
import type { Open } from '../message.ts';
import { Deadlines } from './deadlines.ts';
import { type Event, type State, type TimerName, initial, sendHoldSeconds } from './fsm.ts';
import { Link } from './link.ts';
import type { Clock, Connection, DialTarget, Dialer } from './port.ts';

/** What a try tells its session; never after discard(). */
export interface AttemptEvents {
  happened(attempt: Attempt, event: Event): void;
  /** Dialling failed or the connection is gone, in words. */
  failed(attempt: Attempt, reason: string): void;
  received(attempt: Attempt, frame: Frame): void;
  drained(attempt: Attempt): void;
}

export class Attempt {
  state: State = initial;
  /** When the state was entered, by the clock's now(). */
  since: number;
  /** The OPENs of this try, as far as they are out and in; kept until the next connection for the operator to see. */
  ours: Open | undefined;
  theirs: Open | undefined;
  link: Link | undefined;
  /** The message that is being handled. */
  frame: Frame | undefined;
  readonly timers: Deadlines<TimerName | 'rest'>;
  readonly #clock: Clock;
  readonly #events: AttemptEvents;
  #dialling: AbortController | undefined;
  #discarded = false;

  constructor(clock: Clock, events: AttemptEvents) {
    this.#clock = clock;
    this.#events = events;
    this.since = clock.now();
    this.timers = new Deadlines(clock, (name) => this.#expired(name));
  }

  get discarded(): boolean {
    return this.#discarded;
  }

  get connection(): Connection | undefined {
    return this.link?.connection;
  }

  enter(state: State): void {
    if (state.name !== this.state.name) this.since = this.#clock.now();
    this.state = state;
  }

  /** Opens a connection; its outcome comes as an event, unless close() is called before. */
  async dial(dialer: Dialer, target: DialTarget): Promise<void> {
    const dialling = new AbortController();
    this.#dialling = dialling;
    const outcome = await dialer.dial(target, dialling.signal).catch(reasonOf);
    if (dialling.signal.aborted) {
      if (typeof outcome !== 'string') outcome.destroy();
      return;
    }
    this.#dialling = undefined;
    if (typeof outcome === 'string') {
      this.#events.failed(this, outcome);
      return;
    }
    this.attach(outcome);
    this.#events.happened(this, { on: 'connected' });
  }

  attach(connection: Connection): void {
    this.ours = undefined;
    this.theirs = undefined;
    this.link = new Link(
      connection,
      {
        frame: (frame) => this.#received(frame),
        fault: (say: NotificationError) => this.#events.happened(this, { on: 'headerFault', say }),
        gone: (reason) => this.#events.failed(this, reason),
        moving: () => this.#moving(),
        drained: () => this.#events.drained(this),
      },
      this.#clock,
    );
  }

  /** Gives back everything. Resolves when the connection is gone, after the last words were taken or time is up. */
  async close(words?: Uint8Array): Promise<void> {
    this.timers.clear();
    this.#dialling?.abort();
    this.#dialling = undefined;
    const { link } = this;
    this.link = undefined;
    await (words ? link?.finish(words) : link?.destroy());
  }

  /** Closes silently and says nothing any more. */
  discard(): Promise<void> {
    this.#discarded = true;
    return this.close();
  }

  #received(frame: Frame): void {
    this.frame = frame;
    try {
      this.#events.received(this, frame);
    } finally {
      this.frame = undefined;
    }
  }

  #expired(name: TimerName | 'rest'): void {
    if (name === 'rest') this.#events.happened(this, { on: 'rested' });
    else if (name === 'hold') this.#lookForInput();
    else if (name === 'sendHold' && !this.link?.pending) return;
    else this.#events.happened(this, { on: 'timer', name });
  }

  /**
   * The hold timer has run out: but what the neighbour has sent may lie in the socket because we were busy. It expires
   * when the socket has been read and no message restarted it.
   */
  #lookForInput(): void {
    // Sockets are read once a turn of the event loop, and reading is paused for one turn at most while none of what
    // came is left to read: that would have restarted the timer a moment ago.
    let turns = 2;
    const look = (): void => {
      if (this.#discarded || this.link === undefined || this.timers.read('hold')) return;
      if (turns-- > 0) setImmediate(look);
      else this.#events.happened(this, { on: 'timer', name: 'hold' });
    };
    look();
  }

  /** RFC 9687 §3.1: the timer measures how long output has been stuck, so every step forward starts it anew. */
  #moving(): void {
    if (this.state.name === 'established') this.timers.set('sendHold', sendHoldSeconds(this.state.terms));
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
