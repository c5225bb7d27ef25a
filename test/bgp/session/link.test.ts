import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { parseAddress } from '#ip';
import { type Frame, encodeKeepalive, encodeMessage } from '../../../bgp/codec/index.ts';
import { Link } from '../../../bgp/session/link.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

/** A link over a stream that a test fills, and what it tells. */
function linkOver(stream: Duplex): { link: Link; frames: Frame['type'][]; told: string[] } {
  const frames: Frame['type'][] = [];
  const told: string[] = [];
  const place = { address: parseAddress('10.0.0.1'), port: 179 };
  const link = new Link(
    { stream, local: place, remote: place, openedBy: 'us', destroy: () => stream.destroy() },
    {
      frame: ({ type }) => frames.push(type),
      fault: ({ code, subcode }) => told.push(`${code}/${subcode}`),
      gone: (reason) => told.push(reason),
      moving: () => told.push('moving'),
      drained: () => told.push('drained'),
    },
    new FakeClock(),
  );
  return { link, frames, told };
}

test('one chunk is read a turn, however many there are', async () => {
  const chunks = Array.from({ length: 20 }, () => Buffer.concat([encodeKeepalive(), encodeKeepalive()]));
  const stream = new Duplex({
    read() {
      const chunk = chunks.shift();
      if (chunk) this.push(chunk);
    },
    write: (_chunk, _encoding, done) => done(),
    readableHighWaterMark: 1,
  });
  const { frames } = linkOver(stream);
  const perTurn: number[] = [];
  for (let before = 0; frames.length < 40; before = frames.length) {
    await new Promise((resolve) => setImmediate(resolve));
    perTurn.push(frames.length - before);
  }
  expect(Math.max(...perTurn)).toBe(2);
});

test('what is sent in one turn is written in one piece', async () => {
  const written: number[] = [];
  const stream = new Duplex({
    read: () => undefined,
    writev: (chunks, done) => {
      written.push(chunks.length);
      done();
    },
  });
  const { link, told } = linkOver(stream);
  for (let n = 0; n < 10; n++) link.send(encodeKeepalive());
  await settle();
  expect([written, told]).toEqual([[10], ['moving', 'moving']]);
});

test('of a queue behind a stuck neighbour only one bunch is given away, the rest is dropped at the end', async () => {
  const written: number[] = [];
  const stream = new Duplex({
    read: () => undefined,
    writev: (chunks) => void written.push(chunks.reduce((sum, { chunk }) => sum + (chunk as Buffer).length, 0)),
  });
  const { link } = linkOver(stream);
  const message = encodeMessage('update', new Uint8Array(4077));
  let sent = 1;
  while (link.send(message)) sent++;
  await settle();
  expect([sent, written]).toEqual([64, [64 * 1024]]);
  void link.finish();
  expect(link.pending).toBe(true);
  expect(link.send(message)).toBe(false);
  stream.destroy();
});

test('a stream that cannot be framed any more tells so once', async () => {
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const { link, told, frames } = linkOver(stream);
  stream.push(Buffer.concat([encodeKeepalive(), Buffer.alloc(64)]));
  await settle();
  expect([frames, told]).toEqual([['keepalive'], ['1/1']]);
  await link.destroy();
});

test('after its last words it reads on, into nothing', async () => {
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const { link, frames } = linkOver(stream);
  stream.push(encodeKeepalive());
  await settle();
  stream.pause();
  stream.push(encodeKeepalive());
  const read = frames.length;
  const gone = link.finish(encodeKeepalive());
  stream.push(encodeKeepalive());
  await settle();
  expect([frames.length - read, stream.readableLength]).toEqual([0, 0]);
  stream.destroy();
  await gone;
});

test('nothing is told after the end', async () => {
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const { link, told, frames } = linkOver(stream);
  const gone = link.destroy();
  stream.emit('error', new Error('late'));
  await gone;
  await settle();
  expect([frames, told]).toEqual([[], []]);
});
