// A neighbour that does exactly what a test writes: frames in, bytes out, no state machine.
import {
  type MessageType,
  Framer,
  decodeNotification,
  decodeOpen,
  describeNotification,
  encodeKeepalive,
  encodeMessage,
  encodeNotification,
  encodeOpen,
} from '../../bgp/codec/index.ts';
import type { Capability, Notification, Open } from '../../bgp/message.ts';
import type { Connection } from '../../bgp/session/port.ts';

interface Heard {
  readonly type: MessageType;
  readonly body: Uint8Array;
}

export class RawPeer {
  readonly connection: Connection;
  /** Everything that came, in order. */
  readonly heard: Heard[] = [];
  /** The other side has closed its direction, or the connection is gone. */
  ended = false;
  readonly #framer = new Framer();
  #wake: (() => void) | undefined;
  #read = 0;

  constructor(connection: Connection) {
    this.connection = connection;
    this.#framer.receiveLimit = 65_535;
    const { stream } = connection;
    stream.on('error', () => this.#end());
    stream.on('end', () => this.#end());
    stream.on('close', () => this.#end());
    stream.on('data', (chunk: Uint8Array) => {
      this.#framer.push(chunk);
      for (let frame = this.#framer.next(); frame; frame = this.#framer.next()) {
        this.heard.push({ type: frame.type, body: frame.body.slice() });
      }
      this.#wake?.();
    });
  }

  write(bytes: Uint8Array): void {
    this.connection.stream.write(bytes);
  }

  /** Says an OPEN; by default as AS 65001 with hold time 90 s, IPv4 and 4-octet AS numbers. */
  open(other: Partial<Open> = {}): void {
    this.write(encodeOpen(someOpen(other)));
  }

  keepalive(): void {
    this.write(encodeKeepalive());
  }

  /** An UPDATE of nothing: the End-of-RIB marker of IPv4. */
  update(body: Uint8Array = new Uint8Array(4)): void {
    this.write(encodeMessage('update', body));
  }

  notify(code: number, subcode: number, data: Uint8Array = new Uint8Array()): void {
    this.write(encodeNotification({ code, subcode, data }));
  }

  /** The next message that has not been asked for yet. @throws when the connection ends before one comes. */
  async next(): Promise<Heard> {
    while (this.#read >= this.heard.length) {
      if (this.ended) throw new Error(`the connection ended after ${this.heard.map(({ type }) => type).join(', ')}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.heard[this.#read++]!;
  }

  async nextOpen(): Promise<Open> {
    return decodeOpen((await this.#nextOf('open')).body);
  }

  async nextKeepalive(): Promise<void> {
    await this.#nextOf('keepalive');
  }

  async nextNotification(): Promise<Notification> {
    return decodeNotification((await this.#nextOf('notification')).body);
  }

  /** Goes through a whole handshake, up to the point where both are Established. */
  async handshake(other: Partial<Open> = {}): Promise<Open> {
    this.open(other);
    const theirs = await this.nextOpen();
    await this.nextKeepalive();
    this.keepalive();
    return theirs;
  }

  /** What came in short: "open, keepalive, 6/2". */
  get inShort(): string {
    return this.heard.map(({ type, body }) => (type === 'notification' ? `${body[0]}/${body[1]}` : type)).join(', ');
  }

  async #nextOf(type: MessageType): Promise<Heard> {
    const heard = await this.next();
    if (heard.type === type) return heard;
    const what = heard.type === 'notification' ? describeNotification(decodeNotification(heard.body)) : heard.type;
    throw new Error(`expected ${type}, got ${what}`);
  }

  #end(): void {
    this.ended = true;
    this.#wake?.();
  }
}

export const ipv4: Capability = { name: 'multiprotocol', afi: 1, safi: 1 };
export const ipv6: Capability = { name: 'multiprotocol', afi: 2, safi: 1 };

/** Graceful restart for IPv4, N bit set unless told otherwise. */
export function restarts(other: Partial<Extract<Capability, { name: 'gracefulRestart' }>> = {}): Capability {
  return {
    name: 'gracefulRestart',
    restarting: false,
    notification: true,
    restartSeconds: 120,
    families: [{ afi: 1, safi: 1, forwarding: true }],
    ...other,
  };
}

export function someOpen(other: Partial<Open> = {}): Open {
  const asn = other.asn ?? 65_001;
  return {
    type: 'open',
    version: 4,
    asn,
    holdSeconds: 90,
    routerId: 0x0a000002,
    capabilities: [ipv4, { name: 'fourOctetAs', asn }],
    ...other,
  };
}
