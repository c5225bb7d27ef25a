// The last words of a session: NOTIFICATIONs that end it on our side's account (RFC 4486, 8538, 9003, 9384, 9687).
import { hardResetData, shutdownData } from '../codec/index.ts';
import type { Notification } from '../message.ts';

/** What a NOTIFICATION says, and for our own operator why, in words that do not go on the wire. */
export interface Words extends Pick<Notification, 'code' | 'subcode' | 'data'> {
  readonly reason?: string;
}

/** RFC 4271 §4.5, and RFC 7313, 9687. */
export const errorCodes = {
  header: 1,
  open: 2,
  update: 3,
  holdTimer: 4,
  fsm: 5,
  cease: 6,
  routeRefresh: 7,
  sendHoldTimer: 8,
} as const;

/** Subcodes of Cease: RFC 4486 §3, 8538 §3.1, 9384 §2. */
export const ceaseCodes = {
  maxPrefixes: 1,
  shutdown: 2,
  deconfigured: 3,
  reset: 4,
  rejected: 5,
  configuration: 6,
  collision: 7,
  outOfResources: 8,
  hardReset: 9,
  bfdDown: 10,
} as const;

const nothing = new Uint8Array();

export const holdTimerExpired: Words = { code: errorCodes.holdTimer, subcode: 0, data: nothing };
export const sendHoldTimerExpired: Words = { code: errorCodes.sendHoldTimer, subcode: 0, data: nothing };

/** What a neighbour reads that knows just RFC 8203; none says whether it knows RFC 9003's 255 octets. */
const textOctets = 128;

/** A Cease. The text goes along only where RFC 9003 §2 gives it a place: with shutdown and reset. */
export function cease(subcode: number, text?: string): Words {
  const carries = subcode === ceaseCodes.shutdown || subcode === ceaseCodes.reset;
  return { code: errorCodes.cease, subcode, data: text && carries ? shutdownData(text, textOctets) : nothing };
}

/** RFC 8538 §3.1: asks for a full reset where a plain NOTIFICATION would be survived. The original goes inside. */
export function hardReset(words: Words): Words {
  return { ...words, code: errorCodes.cease, subcode: ceaseCodes.hardReset, data: hardResetData(words) };
}
