// One TCP connection as messages: read in slices, written in bunches, bounded both ways.
//
// Reading: one chunk of the socket a turn, and of that at most some milliseconds at once, so that a full table never
// keeps timers waiting; what is unread stays in the kernel, whose window then slows the neighbour down. Writing: what
// is sent within a turn goes out together; beyond a high-water mark the sender is told to wait, so that a neighbour
// that does not read costs no memory.
import { performance } from 'node:perf_hooks';
import { type Frame, Framer, NotificationError } from '../codec/index.ts';
import type { Clock, Connection } from './port.ts';
import { closingInWords } from './transport-error.ts';

/** Calls come synchronously and in order, and never after finish() or destroy(). */
export interface LinkEvents {
  /** The frame's bytes are only valid during the call. */
  frame(frame: Frame): void;
  /** The stream cannot be cut into messages any more. */
  fault(error: NotificationError): void;
  /** The connection is gone, in words; everything that was received before has been handed over. */
  gone(reason: string): void;
  /** Output has begun, or got on: the neighbour reads. */
  moving(): void;
  /** Output that was refused with `false` may go on. */
  drained(): void;
}

/** One turn's work at most; the chunk that a turn reads has 64 KiB (Node's own buffer). */
const sliceMilliseconds = 5;
/** How many messages are read between two looks at the clock. */
const sliceMessages = 16;
/** How much is handed to the kernel at once, and from where on the sender has to wait, and may go on. */
const bunchBytes = 64 * 1024;
const highWaterBytes = 256 * 1024;
const lowWaterBytes = 64 * 1024;
/** How long a neighbour has to take the last words before the connection is torn down. */
const lingerMilliseconds = 2000;

export class Link {
  readonly connection: Connection;
  readonly #events: LinkEvents;
  readonly #clock: Clock;
  readonly #framer = new Framer();
  #queue: Uint8Array[] = [];
  #queued = 0;
  #inFlight = 0;
  #full = false;
  #flushing = false;
  /** Received messages wait for the next turn. */
  #backlog = false;
  /** Set when the stream has ended while messages were still unread. */
  #ending: string | undefined;
  #closed = false;
  readonly #over = Promise.withResolvers<void>();

  constructor(connection: Connection, events: LinkEvents, clock: Clock) {
    this.connection = connection;
    this.#events = events;
    this.#clock = clock;
    const { stream } = connection;
    stream.on('data', (chunk: Uint8Array) => this.#read(chunk));
    stream.on('end', () => this.#end('connection closed by the peer'));
    stream.on('error', (error) => this.#end(closingInWords(error)));
    stream.on('close', () => {
      this.#end('connection closed by the peer');
      this.#over.resolve();
    });
    if (stream.destroyed) this.#over.resolve();
  }

  /** The largest message that we have agreed to take (RFC 8654). */
  set receiveLimit(octets: number) {
    this.#framer.receiveLimit = octets;
  }

  /** Output waits for the neighbour. */
  get pending(): boolean {
    return this.#queued + this.#inFlight > 0;
  }

  /** Queues whole messages. Returns false when the sender has to wait for drained(); they are queued all the same. */
  send(messages: Uint8Array): boolean {
    if (this.#closed) return false;
    if (!this.pending) this.#events.moving();
    this.#queue.push(messages);
    this.#queued += messages.length;
    if (!this.#flushing) {
      this.#flushing = true;
      process.nextTick(() => this.#flush());
    }
    this.#full ||= this.#queued + this.#inFlight >= highWaterBytes;
    return !this.#full;
  }

  /**
   * Closes in order: what the kernel has not got yet is dropped, the last words are sent, and the neighbour gets
   * a moment to read them. Resolves when the connection is gone.
   */
  async finish(words?: Uint8Array): Promise<void> {
    const { stream } = this.connection;
    this.#shut();
    stream.end(words);
    // Closing a socket with unread input resets it, and the reset may overtake the last words: read on, into nothing.
    stream.resume();
    const cancel = this.#clock.after(lingerMilliseconds, () => this.connection.destroy());
    await this.#over.promise;
    cancel();
  }

  /** Closes at once, without a word. Resolves when the connection is gone. */
  destroy(): Promise<void> {
    this.#shut();
    this.connection.destroy();
    return this.#over.promise;
  }

  #shut(): void {
    this.#closed = true;
    this.#queue = [];
    this.#queued = 0;
  }

  #read(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.connection.stream.pause();
    this.#framer.push(chunk);
    this.#slice();
  }

  /** Reads messages until there are none or the time is up; either way the rest waits for the next turn. */
  #slice(): void {
    const until = performance.now() + sliceMilliseconds;
    for (let count = 1; !this.#closed; count++) {
      const frame = this.#next();
      if (frame === undefined) break;
      this.#events.frame(frame);
      if (count % sliceMessages === 0 && performance.now() > until) {
        this.#backlog = true;
        setImmediate(() => this.#slice());
        return;
      }
    }
    this.#backlog = false;
    if (this.#closed) return;
    if (this.#ending !== undefined) this.#gone(this.#ending);
    else setImmediate(() => this.connection.stream.resume());
  }

  #next(): Frame | undefined {
    try {
      return this.#framer.next();
    } catch (error) {
      if (!(error instanceof NotificationError)) throw error;
      this.#events.fault(error);
      return undefined;
    }
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#ending ??= reason;
    if (!this.#backlog) this.#gone(this.#ending);
  }

  #gone(reason: string): void {
    this.#shut();
    this.#events.gone(reason);
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#closed || this.#inFlight > 0 || this.#queued === 0) return;
    const { stream } = this.connection;
    const bunch = this.#take();
    stream.cork();
    for (const messages of bunch.slice(0, -1)) stream.write(messages);
    stream.write(bunch.at(-1), (error) => {
      // An error of the stream comes as its 'error' event too, which says that the connection is gone.
      if (!error) this.#written();
    });
    stream.uncork();
  }

  #take(): Uint8Array[] {
    let count = 0;
    while (count < this.#queue.length && this.#inFlight < bunchBytes) this.#inFlight += this.#queue[count++]!.length;
    this.#queued -= this.#inFlight;
    return this.#queue.splice(0, count);
  }

  #written(): void {
    this.#inFlight = 0;
    if (this.#closed) return;
    this.#events.moving();
    if (this.#full && this.#queued < lowWaterBytes) {
      this.#full = false;
      this.#events.drained();
    }
    this.#flush();
  }
}
