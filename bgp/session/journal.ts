// What a session remembers for its operator: the last errors in words, flaps, and messages by type.
import { type MessageType, describeNotification, messageTypes } from '../codec/index.ts';
import type { Direction, MessageCounter, SessionError } from '../status.ts';
import type { Words } from './cease.ts';

const errorsKept = 5;
/** Of an offending message, so many octets: every message of a speaker without RFC 8654. */
const octetsKept = 4096;

type Counters = Record<MessageCounter, number>;

export class Journal {
  #errors: SessionError[] = [];
  flaps = 0;
  readonly messages: Readonly<Record<Direction, Counters>> = { sent: zeros(), received: zeros() };

  /** The newest first. */
  get errors(): readonly SessionError[] {
    return this.#errors;
  }

  record(error: SessionError): void {
    const [newest] = this.#errors;
    // A neighbour that is down refuses us every few seconds; that must not push out why it went down.
    const again = newest && newest.text === error.text && newest.message === error.message;
    this.#errors = [error, ...(again ? this.#errors.slice(1) : this.#errors)].slice(0, errorsKept);
  }

  count(direction: Direction, type: MessageType): void {
    this.messages[direction][type]++;
  }

  /** Counts whole messages that go out in one piece. */
  countSent(messages: Uint8Array): void {
    for (let at = 0; at < messages.length; at += (messages[at + 16]! << 8) | messages[at + 17]!) {
      const type = typesByNumber[messages[at + 18]!];
      if (type === undefined) throw new RangeError('sending something that is not a run of BGP messages');
      this.messages.sent[type]++;
    }
  }
}

/** A NOTIFICATION as an entry: "hold timer expired (4/0), sent". */
export function errorOf(words: Words, direction: Direction, at: number, message?: Uint8Array): SessionError {
  const { code, subcode, data, reason } = words;
  return {
    at,
    text: `${describeNotification(words)}, ${direction}${reason ? `: ${reason}` : ''}`,
    code,
    subcode,
    direction,
    ...(data.length > 0 && { data: hex(data) }),
    ...(message && { message: hex(message.subarray(0, octetsKept)) }),
  };
}

const typesByNumber: readonly (MessageType | undefined)[] = Object.entries(messageTypes).reduce<MessageType[]>(
  (types, [type, number]) => {
    types[number] = type as MessageType;
    return types;
  },
  [],
);

function zeros(): Counters {
  return { open: 0, update: 0, notification: 0, keepalive: 0, routeRefresh: 0 };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
