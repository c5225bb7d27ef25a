// Bytes in network order, appended one field after the other. Lengths are written when they are known, never patched.

export class Writer {
  #bytes = new Uint8Array(64);
  #length = 0;

  u8(value: number): this {
    return this.#number(value, 1);
  }

  u16(value: number): this {
    return this.#number(value, 2);
  }

  u24(value: number): this {
    return this.#number(value, 3);
  }

  u32(value: number): this {
    return this.#number(value, 4);
  }

  u64(value: bigint): this {
    return this.u32(Number(value >> 32n)).u32(Number(value & 0xffff_ffffn));
  }

  bytes(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** What was written: a view on memory that nobody else writes to. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** @throws RangeError for a number that does not fit: the wire must never carry another one in its place. */
  #number(value: number, length: number): this {
    if (!Number.isInteger(value) || value < 0 || value >= 256 ** length) {
      throw new RangeError(`${value} does not fit into ${length} octets`);
    }
    this.#reserve(length);
    for (let i = this.#length + length - 1, rest = value; i >= this.#length; i--, rest = Math.floor(rest / 256)) {
      this.#bytes[i] = rest % 256;
    }
    this.#length += length;
    return this;
  }

  #reserve(length: number): void {
    if (this.#length + length <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
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
