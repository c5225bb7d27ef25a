// TCP without a network: connections in memory, with flow control, chunking, FIN and RST.
import { Duplex } from 'node:stream';
import { type Address, parseAddress } from '#ip';
import type { Connection, DialTarget, Dialer } from '../../bgp/session/port.ts';

export interface WireOptions {
  /** Delivers in pieces of so many bytes. */
  readonly chunkBytes?: number;
  /** How much one direction holds before the writer has to wait. */
  readonly windowBytes?: number;
}

/** One end of a wire. What is written comes out of the other end, a turn later, piece by piece. */
export class WireEnd extends Duplex {
  other!: WireEnd;
  readonly #chunkBytes: number;
  #waiting: (() => void) | undefined;
  #blocked = false;
  #delivered: Promise<void> = Promise.resolve();

  constructor({ chunkBytes = Infinity, windowBytes = 64 * 1024 }: WireOptions) {
    // As net.Socket does: who is told that the other side has ended, ends too.
    super({ allowHalfOpen: false, readableHighWaterMark: windowBytes, writableHighWaterMark: 16 * 1024 });
    this.#chunkBytes = chunkBytes;
    this.on('error', () => undefined);
  }

  override _read(): void {
    this.#blocked = false;
    this.other.#go();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    // The reader gets memory of its own, as from a socket.
    const delivery = this.#deliver(Buffer.from(chunk));
    this.#delivered = delivery.catch(() => undefined);
    void delivery.then(() => done(), done);
  }

  override _writev(chunks: readonly { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'utf8', done);
  }

  override _final(done: () => void): void {
    setImmediate(() => {
      if (!this.other.destroyed) this.other.push(null);
      done();
    });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // Closing with everything sent is a FIN; with an error it is a reset.
    const unread = this.readableLength > 0;
    // What was written before is still sent, as from a kernel's buffer.
    void this.#delivered.then(() => {
      if (this.other.destroyed) return;
      if (error || unread) this.other.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
      else if (!this.other.readableEnded) this.other.push(null);
      this.other.#go();
    });
    done(error);
  }

  /** Breaks the connection as a lost RST would: both ends see a reset. */
  reset(): void {
    this.destroy(new Error('reset'));
  }

  async #deliver(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += this.#chunkBytes) {
      await new Promise((resolve) => setImmediate(resolve));
      while (this.other.#blocked && !this.other.destroyed) {
        await new Promise<void>((resolve) => (this.#waiting = resolve));
      }
      if (this.other.destroyed) throw Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
      if (!this.other.push(bytes.subarray(at, Math.min(bytes.length, at + this.#chunkBytes)))) {
        this.other.#blocked = true;
      }
    }
  }

  #go(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }
}

/** A connection as its two sides see it. */
export interface Wire {
  readonly dialled: Connection & { readonly stream: WireEnd };
  readonly accepted: Connection & { readonly stream: WireEnd };
}

type End = Connection['local'];

export function createWire(from: End, to: End, options: WireOptions = {}): Wire {
  const [a, b] = [new WireEnd(options), new WireEnd(options)];
  [a.other, b.other] = [b, a];
  return {
    dialled: { stream: a, local: from, remote: to, openedBy: 'us', destroy: () => a.destroy() },
    accepted: { stream: b, local: to, remote: from, openedBy: 'peer', destroy: () => b.destroy() },
  };
}

/** Hosts that reach each other by address. Nobody listens until they say so. */
export class MemoryNetwork {
  readonly #listeners = new Map<string, (connection: Connection) => void>();
  readonly #options: WireOptions;
  #port = 50_000;
  /** Every wire ever made, the newest last. */
  readonly wires: Wire[] = [];
  /** Every try to dial, including those in vain: who and to where. */
  readonly dials: string[] = [];
  /** While set, dialling neither succeeds nor fails. */
  silent = false;
  /** How many are dialling in silence and have not given up. */
  hanging = 0;

  constructor(options: WireOptions = {}) {
    this.#options = options;
  }

  /** Takes connections to an address. Returns the stop. */
  listen(address: string, onConnection: (connection: Connection) => void, port = 179): () => void {
    const place = `${parseAddress(address)} ${port}`;
    this.#listeners.set(place, onConnection);
    return () => this.#listeners.delete(place);
  }

  /** A dialer of the host with this address. */
  dialer(address: string): Dialer {
    const local = parseAddress(address);
    return { dial: (to, signal) => this.#dial(local, to, signal) };
  }

  /** Connects from one address to another and gives the raw dialled side. @throws when nobody listens there. */
  async connect(from: string, to: string, port = 179): Promise<Wire['dialled']> {
    const dialled = await this.#dial(
      parseAddress(from),
      { address: parseAddress(to), port },
      new AbortController().signal,
    );
    return dialled as Wire['dialled'];
  }

  async #dial(local: Address, to: DialTarget, signal: AbortSignal): Promise<Connection> {
    const place = `${to.address} ${to.port}`;
    this.dials.push(`${local} ${place}`);
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.silent) await this.#hang(signal);
    const listener = this.#listeners.get(place);
    if (!listener) throw new Error(`connection refused (nothing listens on ${to.address}:${to.port})`);
    const wire = createWire(
      { address: local, port: this.#port++ },
      { address: to.address, port: to.port },
      this.#options,
    );
    this.wires.push(wire);
    setImmediate(() => listener(wire.accepted));
    return wire.dialled;
  }

  async #hang(signal: AbortSignal): Promise<never> {
    this.hanging++;
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    this.hanging--;
    throw new Error('given up');
  }
}
