// A cursor over complete bytes that checks every bound. Below the framer nothing is partial: running out is an error.

/**
 * Bytes that do not have the shape they should. Never leaves codec/: each decoder turns it into a NotificationError,
 * or into the milder verdict that RFC 7606 asks for. The message is the reason, for the operator.
 */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Octets that are still unread. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next octet, left unread; undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  u8(): number {
    return this.#bytes[this.#advance(1)]!;
  }

  u16(): number {
    return this.#number(2);
  }

  u24(): number {
    return this.#number(3);
  }

  u32(): number {
    return this.#number(4);
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  /** The next `length` octets, as a view. */
  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A reader that is confined to the next `length` octets. */
  slice(length: number): Reader {
    return new Reader(this.take(length));
  }

  rest(): Uint8Array {
    return this.take(this.left);
  }

  /** Reads one thing after the other until nothing is left. */
  all<T>(read: (reader: Reader) => T): T[] {
    const things: T[] = [];
    while (this.left > 0) things.push(read(this));
    return things;
  }

  /** @throws Malformed when something is left over. */
  end(): void {
    if (this.left > 0) throw new Malformed(`${octets(this.left)} left over`);
  }

  #number(length: number): number {
    const start = this.#advance(length);
    let value = 0;
    for (let i = start; i < start + length; i++) value = value * 256 + this.#bytes[i]!;
    return value;
  }

  #advance(length: number): number {
    if (length > this.left) throw new Malformed(`${octets(length)} expected where ${this.left} are left`);
    const start = this.#at;
    this.#at += length;
    return start;
  }
}

export function octets(count: number): string {
  return count === 1 ? '1 octet' : `${count} octets`;
}
