// NOTIFICATION: its bytes, the words for every code and subcode, and the text of a shutdown (RFC 9003).
import type { Notification } from '../message.ts';
import { nameOfAttribute } from './attribute-table.ts';
import { familyOfAfi } from './family.ts';
import { MAX_LENGTH, HEADER_LENGTH, encodeMessage } from './header.ts';
import { concat } from './writer.ts';

/** The IANA registry "BGP Error (Notification) Codes": words for the code, then for its subcodes. */
const codes: Readonly<Record<number, { readonly name: string; readonly subcodes?: Readonly<Record<number, string>> }>> =
  {
    1: {
      name: 'message header error',
      subcodes: { 1: 'connection not synchronized', 2: 'bad message length', 3: 'bad message type' },
    },
    2: {
      name: 'OPEN message error',
      subcodes: {
        1: 'unsupported version number',
        2: 'bad peer AS',
        3: 'bad BGP identifier',
        4: 'unsupported optional parameter',
        5: 'authentication failure',
        6: 'unacceptable hold time',
        7: 'unsupported capability',
        8: 'grouping conflict',
        9: 'grouping required',
        10: 'capability value mismatch',
        11: 'role mismatch',
      },
    },
    3: {
      name: 'UPDATE message error',
      subcodes: {
        1: 'malformed attribute list',
        2: 'unrecognized well-known attribute',
        3: 'missing well-known attribute',
        4: 'attribute flags error',
        5: 'attribute length error',
        6: 'invalid ORIGIN attribute',
        7: 'AS routing loop',
        8: 'invalid NEXT_HOP attribute',
        9: 'optional attribute error',
        10: 'invalid network field',
        11: 'malformed AS_PATH',
      },
    },
    4: { name: 'hold timer expired' },
    5: {
      name: 'finite state machine error',
      subcodes: {
        1: 'unexpected message in OpenSent',
        2: 'unexpected message in OpenConfirm',
        3: 'unexpected message in Established',
      },
    },
    6: {
      name: 'cease',
      subcodes: {
        1: 'maximum number of prefixes reached',
        2: 'administrative shutdown',
        3: 'peer deconfigured',
        4: 'administrative reset',
        5: 'connection rejected',
        6: 'other configuration change',
        7: 'connection collision resolution',
        8: 'out of resources',
        9: 'hard reset',
        10: 'BFD down',
      },
    },
    7: { name: 'ROUTE-REFRESH message error', subcodes: { 1: 'invalid message length' } },
    8: { name: 'send hold timer expired' },
  };

type Content = Pick<Notification, 'code' | 'subcode' | 'data'>;

/**
 * A NOTIFICATION in words: "hold timer expired (4/0)", 'administrative shutdown (6/2): "maintenance"'. A hard reset is
 * followed by the NOTIFICATION that it wraps (RFC 8538 §3.1). Codes without words are shown as numbers, verbatim.
 */
export function describeNotification(notification: Content): string {
  const { code, subcode } = notification;
  const detail = describeData(notification);
  return `${wordsFor(code, subcode)} (${code}/${subcode})${detail && `: ${detail}`}`;
}

function wordsFor(code: number, subcode: number): string {
  const known = codes[code];
  if (known === undefined) return 'unknown error';
  const words = known.subcodes?.[subcode];
  if (words !== undefined) return words;
  return subcode === 0 ? known.name : `${known.name}, unknown subcode`;
}

function describeData({ code, subcode, data }: Content): string {
  if (data.length === 0) return '';
  const kind = `${code}/${subcode}`;
  if (kind === '1/2' && data.length === 2) return `length ${u16(data, 0)}`;
  if (kind === '1/3' && data.length === 1) return `type ${data[0]}`;
  if (kind === '2/1' && data.length === 2) return `version ${u16(data, 0)} is supported`;
  if (kind === '2/7') return `capability ${data[0]}`;
  // RFC 4271 §6.3: the attribute at fault, with its flags in front.
  if (/^3\/[245689]$/.test(kind) && data.length >= 2) return nameOfAttribute(data[1]!);
  if (kind === '6/1' && data.length >= 7) return describeLimit(data);
  if (kind === '6/2' || kind === '6/4') return describeText(data);
  if (kind === '6/9' && data.length >= 2) return describeNotification(split(data));
  return '';
}

/** RFC 4486 §4: AFI, SAFI and the upper bound. */
function describeLimit(data: Uint8Array): string {
  const [afi, safi] = [u16(data, 0), data[2]!];
  const limit = u16(data, 3) * 65_536 + u16(data, 5);
  return `limit ${limit} for ${familyOfAfi(afi, safi) ?? `AFI ${afi} SAFI ${safi}`}`;
}

/** RFC 9003 §2: one octet of length, then UTF-8. What is not is shown in hex: it must not reach a terminal or a log. */
function describeText(data: Uint8Array): string {
  const text = shutdownText(data);
  if (text !== undefined) return text && quote(text);
  return `not a text: ${Buffer.from(data).toString('hex')}`;
}

/** In quotes, with what would steer a terminal or turn the direction of writing as numbers. */
function quote(text: string): string {
  const escape = (character: string): string => `\\u{${character.codePointAt(0)!.toString(16)}}`;
  return JSON.stringify(text).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escape);
}

/** The text of an administrative shutdown or reset; undefined when the data is not one (RFC 9003 §2). */
export function shutdownText(data: Uint8Array): string | undefined {
  if (data.length === 0) return '';
  if (data[0]! > data.length - 1) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data.subarray(1, 1 + data[0]!));
  } catch (error) {
    // The only error there is: bytes that are not UTF-8.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/**
 * The data of an administrative shutdown or reset (RFC 9003 §2); empty for an empty text. A text of more than `limit`
 * octets is cut between two characters: 255, or 128 for a peer that only knows RFC 8203.
 */
export function shutdownData(text: string, limit = 255): Uint8Array {
  const bytes = new Uint8Array(Math.min(limit, 255));
  const { written } = new TextEncoder().encodeInto(text, bytes);
  return written === 0 ? new Uint8Array(0) : concat([Uint8Array.of(written), bytes.subarray(0, written)]);
}

/** Data of a hard reset: the NOTIFICATION that it wraps (RFC 8538 §3.1). */
export function hardResetData({ code, subcode, data }: Content): Uint8Array {
  return concat([Uint8Array.of(code, subcode), data]);
}

/** Reads the body of a NOTIFICATION, which the framer has found to be two octets at least. Never fails (RFC 4271 §6.4). */
export function decodeNotification(body: Uint8Array): Notification {
  return { type: 'notification', ...split(body) };
}

function split(bytes: Uint8Array): Content {
  return { code: bytes[0] ?? 0, subcode: bytes[1] ?? 0, data: bytes.slice(2) };
}

/** A whole message. Data is cut to what every peer can take, 4096 octets in all. */
export function encodeNotification({ code, subcode, data }: Content): Uint8Array {
  const most = MAX_LENGTH - HEADER_LENGTH - 2;
  return encodeMessage('notification', concat([Uint8Array.of(code, subcode), data.subarray(0, most)]));
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
