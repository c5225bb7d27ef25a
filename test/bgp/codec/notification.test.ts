import { expect, test } from 'vitest';
import {
  NotificationError,
  decodeNotification,
  describeNotification,
  encodeNotification,
  hardResetData,
  shutdownData,
  shutdownText,
} from '../../../bgp/codec/index.ts';
import { hex, message, toHex } from './bytes.ts';

test('a NOTIFICATION is code, subcode and data (RFC 4271 §4.5)', () => {
  const notification = { type: 'notification', code: 6, subcode: 2, data: hex('02 4869') };
  expect(decodeNotification(hex('06 02 02 4869'))).toEqual(notification);
  expect(encodeNotification({ code: 6, subcode: 2, data: hex('02 4869') })).toEqual(message(3, '06 02 02 4869'));
});

test('the data of a received NOTIFICATION outlives the message', () => {
  const body = hex('06 02 02 4869');
  const { data } = decodeNotification(body);
  body.fill(0);
  expect(toHex(data)).toBe('02 48 69');
});

test('data that no peer need take is cut: never more than 4096 octets (RFC 8654 §4)', () => {
  expect(encodeNotification({ code: 3, subcode: 9, data: new Uint8Array(60_000) })).toHaveLength(4096);
});

test.each([
  [1, 1, 'connection not synchronized (1/1)'],
  [1, 2, 'bad message length (1/2)'],
  [1, 3, 'bad message type (1/3)'],
  [2, 0, 'OPEN message error (2/0)'],
  [2, 1, 'unsupported version number (2/1)'],
  [2, 2, 'bad peer AS (2/2)'],
  [2, 3, 'bad BGP identifier (2/3)'],
  [2, 4, 'unsupported optional parameter (2/4)'],
  [2, 5, 'authentication failure (2/5)'],
  [2, 6, 'unacceptable hold time (2/6)'],
  [2, 7, 'unsupported capability (2/7)'],
  [2, 8, 'grouping conflict (2/8)'],
  [2, 9, 'grouping required (2/9)'],
  [2, 10, 'capability value mismatch (2/10)'],
  [2, 11, 'role mismatch (2/11)'],
  [3, 1, 'malformed attribute list (3/1)'],
  [3, 2, 'unrecognized well-known attribute (3/2)'],
  [3, 3, 'missing well-known attribute (3/3)'],
  [3, 4, 'attribute flags error (3/4)'],
  [3, 5, 'attribute length error (3/5)'],
  [3, 6, 'invalid ORIGIN attribute (3/6)'],
  [3, 7, 'AS routing loop (3/7)'],
  [3, 8, 'invalid NEXT_HOP attribute (3/8)'],
  [3, 9, 'optional attribute error (3/9)'],
  [3, 10, 'invalid network field (3/10)'],
  [3, 11, 'malformed AS_PATH (3/11)'],
  [4, 0, 'hold timer expired (4/0)'],
  [5, 0, 'finite state machine error (5/0)'],
  [5, 1, 'unexpected message in OpenSent (5/1)'],
  [5, 2, 'unexpected message in OpenConfirm (5/2)'],
  [5, 3, 'unexpected message in Established (5/3)'],
  [6, 0, 'cease (6/0)'],
  [6, 1, 'maximum number of prefixes reached (6/1)'],
  [6, 2, 'administrative shutdown (6/2)'],
  [6, 3, 'peer deconfigured (6/3)'],
  [6, 4, 'administrative reset (6/4)'],
  [6, 5, 'connection rejected (6/5)'],
  [6, 6, 'other configuration change (6/6)'],
  [6, 7, 'connection collision resolution (6/7)'],
  [6, 8, 'out of resources (6/8)'],
  [6, 9, 'hard reset (6/9)'],
  [6, 10, 'BFD down (6/10)'],
  [7, 1, 'invalid message length (7/1)'],
  [8, 0, 'send hold timer expired (8/0)'],
])('code %i subcode %i is described as %s', (code, subcode, words) => {
  expect(describeNotification({ code, subcode, data: new Uint8Array() })).toBe(words);
});

test.each([
  [6, 99, 'cease, unknown subcode (6/99)'],
  [4, 7, 'hold timer expired, unknown subcode (4/7)'],
  [99, 3, 'unknown error (99/3)'],
  [0, 0, 'unknown error (0/0)'],
])('unknown codes are shown verbatim: %i/%i', (code, subcode, words) => {
  expect(describeNotification({ code, subcode, data: new Uint8Array() })).toBe(words);
});

test.each([
  ['1/2', '0012', 'bad message length (1/2): length 18'],
  ['1/3', '09', 'bad message type (1/3): type 9'],
  ['2/1', '0004', 'unsupported version number (2/1): version 4 is supported'],
  ['2/7', '41 04 0000fde9', 'unsupported capability (2/7): capability 65'],
  ['3/5', '80 04 01 00', 'attribute length error (3/5): MULTI_EXIT_DISC'],
  ['3/9', '80 0e 01 00', 'optional attribute error (3/9): MP_REACH_NLRI'],
  ['3/9', '80 0f', 'optional attribute error (3/9): MP_UNREACH_NLRI'],
  ['3/2', '40 63 00', 'unrecognized well-known attribute (3/2): attribute 99'],
  ['3/2', '40', 'unrecognized well-known attribute (3/2)'],
  ['3/10', '18 0a', 'invalid network field (3/10)'],
  ['6/1', '0001 01 00000064', 'maximum number of prefixes reached (6/1): limit 100 for ipv4-unicast'],
  ['6/1', '0019 46 fffffffe', 'maximum number of prefixes reached (6/1): limit 4294967294 for AFI 25 SAFI 70'],
  ['6/2', '0b 6d61696e74656e616e6365', 'administrative shutdown (6/2): "maintenance"'],
  ['6/4', '04 f09f90b1', 'administrative reset (6/4): "🐱"'],
  ['6/2', '00', 'administrative shutdown (6/2)'],
  ['6/9', '06 02 03 627965', 'hard reset (6/9): administrative shutdown (6/2): "bye"'],
  ['6/9', '04 00', 'hard reset (6/9): hold timer expired (4/0)'],
])('data of %s is put into words: %s', (kind, data, words) => {
  const [code, subcode] = kind.split('/').map(Number) as [number, number];
  expect(describeNotification({ code, subcode, data: hex(data) })).toBe(words);
});

test.each([
  ['not UTF-8', '02 fffe', 'administrative shutdown (6/2): not a text: 02fffe'],
  ['longer than the data', '05 61', 'administrative shutdown (6/2): not a text: 0561'],
  ['a control character of the upper half', '02 c29b', String.raw`administrative shutdown (6/2): "\u{9b}"`],
  ['written from right to left', '03 e280ae', String.raw`administrative shutdown (6/2): "\u{202e}"`],
  ['a control sequence', '05 1b5b33316d', String.raw`administrative shutdown (6/2): "\u001b[31m"`],
])('a text that is %s does no harm (RFC 9003 §3)', (_, data, words) => {
  expect(describeNotification({ code: 6, subcode: 2, data: hex(data) })).toBe(words);
});

test('a text may have 255 octets (RFC 9003 §2)', () => {
  expect(shutdownText(hex(`ff ${'61'.repeat(255)}`))).toBe('a'.repeat(255));
});

test('what stands behind a text is no part of it (RFC 9003 §2)', () => {
  expect(shutdownText(hex('02 6869 61'))).toBe('hi');
});

test('a text of our own is length and UTF-8 (RFC 9003 §2)', () => {
  expect([shutdownData('hi 🐱'), shutdownData('')]).toEqual([hex('07 6869 20 f09f90b1'), new Uint8Array()]);
});

test.each([
  ['a'.repeat(300), 255, 255],
  ['a'.repeat(300), 128, 128],
  ['🐱'.repeat(100), 255, 252],
  [`${'a'.repeat(126)}🐱`, 128, 126],
])('a text that is too long is cut between characters', (text, limit, length) => {
  const data = shutdownData(text, limit);
  expect([data[0], data.length, text.startsWith(shutdownText(data)!)]).toEqual([length, length + 1, true]);
});

test('a hard reset wraps the original (RFC 8538 §3.1)', () => {
  expect(hardResetData({ code: 6, subcode: 4, data: hex('02 6869') })).toEqual(hex('06 04 02 6869'));
});

test('an error without data has none', () => {
  expect(new NotificationError(4, 0).data).toEqual(new Uint8Array());
});

test('the error that asks for a NOTIFICATION says which and why', () => {
  expect(new NotificationError(3, 9, hex('00'), 'MED is odd').message).toBe(
    'optional attribute error (3/9): MED is odd',
  );
  expect(new NotificationError(2, 1, hex('0004')).message).toBe(
    'unsupported version number (2/1): version 4 is supported',
  );
  expect(new NotificationError(4, 0).message).toBe('hold timer expired (4/0)');
});
