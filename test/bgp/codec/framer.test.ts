import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Framer, encodeKeepalive, encodeMessage } from '../../../bgp/codec/index.ts';
import { hex, kindOf, message, notificationOf, number, toHex } from './bytes.ts';

const marker = 'ff'.repeat(16);
const keepalive = hex(`${marker} 0013 04`);
const open = message(1, '04 fde9 005a 0a000001 00');
const update = message(2, '0000 0000');
const longUpdate = message(2, `0000 0000 ${'20 0a000001'.repeat(400)}`);
const notification = message(3, '06 02');
const refresh = message(5, '0001 00 01');
const stream = Buffer.concat([open, keepalive, longUpdate, update, keepalive, refresh, notification]);
const inStream = ['open', 'keepalive', 'update', 'update', 'keepalive', 'routeRefresh', 'notification'];

/** What comes out of a framer that gets these chunks, drained after each: "type: bytes". */
function frames(chunks: readonly Uint8Array[], framer = new Framer()): string[] {
  return chunks.flatMap((chunk) => {
    framer.push(chunk);
    return drain(framer);
  });
}

function drain(framer: Framer): string[] {
  const seen: string[] = [];
  for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
    expect(frame.body).toEqual(frame.message.subarray(19));
    seen.push(`${frame.type}: ${toHex(frame.message)}`);
  }
  return seen;
}

const whole = frames([stream]);

test('a stream in one chunk becomes its messages', () => {
  expect(whole.map((frame) => frame.split(':')[0])).toEqual(inStream);
});

test('every split of a stream into two chunks gives the same messages', () => {
  for (let at = 0; at <= stream.length; at++) {
    expect(frames([stream.subarray(0, at), stream.subarray(at)]), `split at ${at}`).toEqual(whole);
  }
});

test('a stream that comes octet by octet gives the same messages', () => {
  expect(frames([...stream].map((byte) => Uint8Array.of(byte)))).toEqual(whole);
});

const cuts = fc.uniqueArray(fc.integer({ min: 0, max: stream.length }), { maxLength: 12 });
function cutAt(offsets: readonly number[]): Uint8Array[] {
  const all = [0, ...offsets.toSorted((a, b) => a - b), stream.length];
  return all.slice(1).map((end, i) => stream.subarray(all[i], end));
}

test('any chunking gives the same messages, also when chunks pile up unread', () => {
  fc.assert(
    fc.property(cuts, fc.array(fc.boolean()), (offsets, drains) => {
      const framer = new Framer();
      const seen = cutAt(offsets).flatMap((chunk, i) => {
        framer.push(chunk);
        return drains[i] === true ? drain(framer) : [];
      });
      expect([...seen, ...drain(framer)]).toEqual(whole);
    }),
  );
});

test('a chunk may be overwritten once next() has returned undefined', () => {
  const framer = new Framer();
  const shared = new Uint8Array(50);
  const seen: string[] = [];
  for (let at = 0; at < stream.length; at += shared.length) {
    const length = Math.min(shared.length, stream.length - at);
    shared.set(stream.subarray(at, at + length));
    framer.push(shared.subarray(0, length));
    seen.push(...drain(framer));
    shared.fill(0xee);
  }
  expect(seen).toEqual(whole);
});

test('frames of one chunk are views on it: nothing is copied', () => {
  const framer = new Framer();
  framer.push(stream);
  expect(framer.next()!.message.buffer).toBe(stream.buffer);
});

test('a frame stays as it is until the next push, also while another message waits for its rest', () => {
  const framer = new Framer();
  framer.push(stream.subarray(0, open.length + 5));
  const frame = framer.next()!;
  framer.next();
  expect(frame.message).toEqual(open);
});

test('frames are plain Uint8Arrays whatever was pushed, so that code below sees one kind of array', () => {
  const framer = new Framer();
  framer.push(Buffer.from(keepalive));
  expect(framer.next()!.message.constructor).toBe(Uint8Array);
});

test('nothing comes out of part of a message', () => {
  const framer = new Framer();
  framer.push(update.subarray(0, 22));
  expect(framer.next()).toBeUndefined();
});

test.each(Array.from({ length: 16 }, (_, i) => i))(
  'octet %i of the marker other than ff ends the session with 1/1 (RFC 4271 §6.1)',
  (at) => {
    const broken = keepalive.slice();
    broken[at] = 0xfe;
    expect(notificationOf(() => frames([broken]))).toMatchObject({ kind: '1/1', data: '' });
  },
);

test.each([
  ['any message', 0, 2],
  ['any message', 18, 2],
  ['OPEN', 28, 1],
  ['UPDATE', 22, 2],
  ['NOTIFICATION', 20, 3],
  ['KEEPALIVE', 18, 4],
  ['KEEPALIVE', 20, 4],
  ['ROUTE-REFRESH', 22, 5],
  ['any message', 4097, 2],
  ['NOTIFICATION', 4097, 3],
  ['OPEN', 4097, 1],
  ['a message of an unknown type', 4097, 9],
  ['a message of an unknown type', 18, 9],
])('%s of %i octets ends the session with 1/2 and the length as data (RFC 4271 §6.1)', (_, length, type) => {
  const header = hex(`${marker} ${number(length, 2)} ${number(type, 1)}`);
  const { kind, data } = notificationOf(() => frames([header]));
  expect({ kind, data: data.replace(' ', '') }).toEqual({ kind: '1/2', data: number(length, 2) });
});

test.each([
  ['UPDATE', 4096, 2],
  ['OPEN', 4096, 1],
  ['NOTIFICATION', 21, 3],
  ['OPEN', 29, 1],
  ['UPDATE', 23, 2],
  ['ROUTE-REFRESH', 23, 5],
])('%s of %i octets is a message', (_, length, type) => {
  expect(frames([message(type, '00'.repeat(length - 19))])).toHaveLength(1);
});

test.each([0, 6, 255])('type %i ends the session with 1/3 and the type as data (RFC 4271 §6.1)', (type) => {
  expect(notificationOf(() => frames([message(type)]))).toMatchObject({
    kind: '1/3',
    data: toHex(Uint8Array.of(type)),
  });
});

test('the header is judged before the body has come', () => {
  expect(kindOf(() => frames([message(6, '00'.repeat(100)).subarray(0, 19)]))).toBe('1/3');
});

test('up to 65535 octets are taken once both sides agreed (RFC 8654 §4)', () => {
  const framer = new Framer();
  framer.receiveLimit = 65_535;
  expect(frames([message(2, '00'.repeat(65_535 - 19))], framer)).toHaveLength(1);
});

test.each([
  ['OPEN', 1],
  ['KEEPALIVE', 4],
])('%s is never longer than before (RFC 8654 §4)', (_, type) => {
  const framer = new Framer();
  framer.receiveLimit = 65_535;
  expect(kindOf(() => frames([message(type, '00'.repeat(4097 - 19))], framer))).toBe('1/2');
});

test('a framer that has failed fails again: the stream cannot be read on', () => {
  const framer = new Framer();
  framer.push(Buffer.concat([message(6), keepalive]));
  expect([kindOf(() => framer.next()), kindOf(() => framer.next())]).toEqual(['1/3', '1/3']);
});

test('KEEPALIVE is a header alone (RFC 4271 §4.4)', () => {
  expect(encodeKeepalive()).toEqual(keepalive);
});

test('the header is marker, length, type (RFC 4271 §4.1)', () => {
  expect(encodeMessage('routeRefresh', hex('0001 00 01'))).toEqual(hex(`${marker} 0017 05 0001 00 01`));
});

test('no message is longer than its length can say', () => {
  expect(encodeMessage('update', new Uint8Array(65_516))).toHaveLength(65_535);
  expect(() => encodeMessage('update', new Uint8Array(65_517))).toThrow(RangeError);
});
