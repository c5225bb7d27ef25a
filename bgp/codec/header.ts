// The 19-octet header (RFC 4271 §4.1) that every message begins with, as it is written.
import type { Message } from '../message.ts';
import { octets } from './reader.ts';

export type MessageType = Message['type'];

export const HEADER_LENGTH = 19;
/** RFC 4271 §4.1. */
export const MAX_LENGTH = 4096;
/** RFC 8654 §3. */
export const MAX_EXTENDED_LENGTH = 65_535;

/** RFC 4271 §4.1, RFC 2918 §3. */
export const messageTypes: Readonly<Record<MessageType, number>> = {
  open: 1,
  update: 2,
  notification: 3,
  keepalive: 4,
  routeRefresh: 5,
};

/**
 * A whole message: the header for this type, then the body.
 * @throws RangeError when the message would be longer than 65535 octets.
 */
export function encodeMessage(type: MessageType, body: Uint8Array): Uint8Array {
  const length = HEADER_LENGTH + body.length;
  if (length > MAX_EXTENDED_LENGTH) throw new RangeError(`a message of ${octets(length)} does not exist`);
  const message = new Uint8Array(length);
  message.fill(0xff, 0, 16);
  message[16] = length >>> 8;
  message[17] = length & 255;
  message[18] = messageTypes[type];
  message.set(body, HEADER_LENGTH);
  return message;
}

export function encodeKeepalive(): Uint8Array {
  return encodeMessage('keepalive', new Uint8Array(0));
}
