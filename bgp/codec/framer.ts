// Cutting a byte stream into messages. Frame first, parse afterwards: what leaves the framer is one complete message
// whose header is in order.
import { HEADER_LENGTH, MAX_EXTENDED_LENGTH, MAX_LENGTH, type MessageType } from './header.ts';
import { NotificationError } from './notification-error.ts';
import { octets } from './reader.ts';

/** One complete message. Both views are valid until the next push(). */
export interface Frame {
  readonly type: MessageType;
  /** Header and body. */
  readonly message: Uint8Array;
  /** What is behind the header. */
  readonly body: Uint8Array;
}

/** Length rules per type number: RFC 4271 §6.1, RFC 2918 §3, RFC 8654 §4 (OPEN and KEEPALIVE are never extended). */
const rules: readonly (undefined | { type: MessageType; min: number; max: number })[] = [
  undefined,
  { type: 'open', min: 29, max: MAX_LENGTH },
  { type: 'update', min: 23, max: MAX_EXTENDED_LENGTH },
  { type: 'notification', min: 21, max: MAX_EXTENDED_LENGTH },
  { type: 'keepalive', min: 19, max: 19 },
  { type: 'routeRefresh', min: 23, max: MAX_EXTENDED_LENGTH },
];

const EMPTY = new Uint8Array(0);

/**
 * Cuts one session's input into messages, however it was chunked. Messages are read in place from the chunk; only a
 * chunk that comes while an older one is unread is copied, once, to stand behind it.
 */
export class Framer {
  /** The largest message that we said we take: 4096, or 65535 once both sides agreed (RFC 8654). */
  receiveLimit = MAX_LENGTH;

  #bytes: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;
  /** `#bytes` is ours to write to, not a caller's chunk. */
  #owned = false;

  /** Takes the next bytes of the stream. They must stay as they are until next() has returned undefined. */
  push(chunk: Uint8Array): void {
    if (this.#start < this.#end) {
      this.#append(chunk);
      return;
    }
    // Plain Uint8Array even for a Buffer: one kind of array below keeps property access monomorphic, and fast.
    this.#bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#start = 0;
    this.#end = chunk.length;
    this.#owned = false;
  }

  /**
   * The next complete message, or undefined until more is pushed.
   * @throws NotificationError 1/1 to 1/3; the stream cannot be read any further.
   */
  next(): Frame | undefined {
    const have = this.#end - this.#start;
    if (have < HEADER_LENGTH) return this.#wait();
    const rule = checkHeader(this.#bytes, this.#start, this.receiveLimit);
    const length = readLength(this.#bytes, this.#start);
    if (have < length) return this.#wait();
    const message = this.#bytes.subarray(this.#start, this.#start + length);
    this.#start += length;
    return { type: rule.type, message, body: message.subarray(HEADER_LENGTH) };
  }

  /** Moves what is left of a chunk into memory of our own, so that the chunk's may be used again. */
  #wait(): undefined {
    if (this.#start === this.#end) this.#bytes = EMPTY;
    else if (!this.#owned) this.#append(EMPTY);
  }

  #append(chunk: Uint8Array): void {
    const left = this.#bytes.subarray(this.#start, this.#end);
    const length = left.length + chunk.length;
    if (!this.#owned || length > this.#bytes.length) {
      this.#bytes = new Uint8Array(Math.max(MAX_LENGTH, length));
      this.#owned = true;
    }
    this.#bytes.set(left, 0);
    this.#bytes.set(chunk, left.length);
    this.#start = 0;
    this.#end = length;
  }
}

/** RFC 4271 §6.1, in its order: marker, length, type. */
function checkHeader(bytes: Uint8Array, at: number, limit: number): { type: MessageType; min: number; max: number } {
  for (let i = at; i < at + 16; i++) {
    if (bytes[i] !== 0xff) throw new NotificationError(1, 1, EMPTY, 'the marker is not all ones');
  }
  const length = readLength(bytes, at);
  const type = bytes[at + 18]!;
  const rule = rules[type];
  if (length < (rule?.min ?? HEADER_LENGTH) || length > Math.min(rule?.max ?? limit, limit)) {
    const what = rule ? `a message of type ${rule.type}` : `a message of the unknown type ${type}`;
    throw new NotificationError(1, 2, bytes.slice(at + 16, at + 18), `${what} says that it has ${octets(length)}`);
  }
  if (rule === undefined) throw new NotificationError(1, 3, Uint8Array.of(type), `${type} is no message type`);
  return rule;
}

function readLength(bytes: Uint8Array, at: number): number {
  return (bytes[at + 16]! << 8) | bytes[at + 17]!;
}
