// Bytes in network order, appended one field after the other. Lengths are written when they are known, never patched.

export class Writer {
  #bytes = new Uint8Array(64);
  #length = 0;

  /** Octets written so far. */
  get length(): number {
    return this.#length;
  }

  /** @throws RangeError, like its sisters, for a number that does not fit: the wire must never carry another one. */
  u8(value: number): this {
    if ((value & 0xff) !== value) throw misfit(value, 1);
    const at = this.#advance(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    if ((value & 0xffff) !== value) throw misfit(value, 2);
    const at = this.#advance(2);
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
    return this;
  }

  u24(value: number): this {
    if ((value & 0xff_ffff) !== value) throw misfit(value, 3);
    return this.u8(value >>> 16).u16(value & 0xffff);
  }

  u32(value: number): this {
    if (value >>> 0 !== value) throw misfit(value, 4);
    const at = this.#advance(4);
    this.#bytes[at] = value >>> 24;
    this.#bytes[at + 1] = value >>> 16;
    this.#bytes[at + 2] = value >>> 8;
    this.#bytes[at + 3] = value;
    return this;
  }

  u64(value: bigint): this {
    return this.u32(Number(value >> 32n)).u32(Number(value & 0xffff_ffffn));
  }

  bytes(bytes: Uint8Array): this {
    const at = this.#advance(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** What another writer has written. Most of it is a few octets, which a loop copies faster than a view would. */
  append(other: Writer): this {
    const at = this.#advance(other.#length);
    for (let i = 0; i < other.#length; i++) this.#bytes[at + i] = other.#bytes[i]!;
    return this;
  }

  /** Copies what was written to where another buffer has room for it. */
  copyTo(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < this.#length; i++) bytes[at + i] = this.#bytes[i]!;
  }

  /** Forgets what was written, for the next use. */
  clear(): this {
    this.#length = 0;
    return this;
  }

  /** What was written: a view on memory that nobody else writes to unless the writer is used again. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes room. @returns where it begins. */
  #advance(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
    }
    return at;
  }
}

function misfit(value: number, octets: number): RangeError {
  return new RangeError(`${value} does not fit into ${octets} octets`);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
