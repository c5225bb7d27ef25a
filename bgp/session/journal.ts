// What a session remembers for its operator: the last errors in words, flaps, and messages by type.
import { type MessageType, describeNotification, messageTypes } from '../codec/index.ts';
import type { Direction, MessageCounter, SessionError } from '../status.ts';
import type { Words } from './cease.ts';
import type { Clock } from './port.ts';

const errorsKept = 5;
/** Of an offending message, so many octets: every message of a speaker without RFC 8654. */
const octetsKept = 4096;

type Counters = Record<MessageCounter, number>;

export class Journal {
  readonly #clock: Clock;
  #errors: SessionError[] = [];
  #changed = false;
  flaps = 0;
  readonly messages: Readonly<Record<Direction, Counters>> = { sent: zeros(), received: zeros() };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The newest first. */
  get errors(): readonly SessionError[] {
    return this.#errors;
  }

  record(error: Omit<SessionError, 'at'>): void {
    const [newest] = this.#errors;
    // A neighbour that is down refuses us every few seconds; that must not push out why it went down.
    const again = newest && newest.text === error.text && newest.message === error.message;
    const older = again ? this.#errors.slice(1) : this.#errors;
    this.#errors = [{ at: wallTime(this.#clock), ...error }, ...older].slice(0, errorsKept);
    this.#changed = true;
  }

  /**
   * Records a NOTIFICATION: "hold timer expired (4/0), sent".
   * @param message the one that it answers, whole.
   */
  recordWords(words: Words, direction: Direction, message?: Uint8Array): void {
    const { code, subcode, data, reason } = words;
    this.record({
      text: `${describeNotification(words)}, ${direction}${reason ? `: ${reason}` : ''}`,
      code,
      subcode,
      direction,
      ...(data.length > 0 && { data: hex(data) }),
      ...(message && { message: hex(message.subarray(0, octetsKept)) }),
    });
  }

  count(direction: Direction, type: MessageType): void {
    this.messages[direction][type]++;
  }

  /** Counts whole messages that go out in one piece. @throws RangeError when they are something else. */
  countSent(messages: Uint8Array): void {
    for (let at = 0; at < messages.length; at += (messages[at + 16]! << 8) | messages[at + 17]!) {
      const type = typesByNumber[messages[at + 18]!];
      if (type === undefined) throw new RangeError('sending something that is not a run of BGP messages');
      this.messages.sent[type]++;
    }
  }

  /** Marks that status() shows something new. */
  change(): void {
    this.#changed = true;
  }

  /** Whether there was a change since this was last asked. */
  takeChange(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }
}

/** ms since the epoch, as the host's clock has it. */
function wallTime(clock: Clock): number {
  return clock.wall?.() ?? clock.now();
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
