// A watch's bytes become lines, wherever they were cut.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineFramer, LineTooLong } from '../../../src/kube/lines.ts';

const text = '{"a":"Grüße, 🐈"}\n{"b":9007199254740993}\n\n{"c":1}\n';
const lines = ['{"a":"Grüße, 🐈"}', '{"b":9007199254740993}', '{"c":1}'];

test('a stream cut at any two places, inside characters too, gives the same lines', () => {
  const bytes = Buffer.from(text);
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const framer = new LineFramer();
      const chunks = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
      expect(chunks.flatMap((chunk) => framer.push(chunk))).toEqual(lines);
      expect(framer.isInside).toBe(false);
    }
  }
});

test('any texts cut into any chunks come out as they went in', () => {
  const line = fc.string({ unit: 'grapheme', minLength: 1 }).filter((one) => !one.includes('\n') && one.trim() !== '');
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 9 })), (written, sizes) => {
      const bytes = Buffer.from(written.map((one) => `${one}\n`).join(''));
      const framer = new LineFramer();
      const read: string[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % (sizes.length || 1)] ?? bytes.length;
        read.push(...framer.push(bytes.subarray(at, at + size)));
        at += size;
      }
      expect(read).toEqual(written);
    }),
  );
});

test('the rest of a line that was cut short is known to be one', () => {
  const framer = new LineFramer();
  framer.push(Buffer.from('{"a":1}\n{"b"'));
  expect(framer.isInside).toBe(true);
});

test('a line without an end is given up before it fills the memory', () => {
  const framer = new LineFramer(10);
  framer.push(Buffer.from('12345\n123456'));
  expect(() => framer.push(Buffer.from('78901'))).toThrow(LineTooLong);
});

test('bytes that are no UTF-8 are no line', () => {
  expect(() => new LineFramer().push(Uint8Array.of(0x22, 0xff, 0x22, 0x0a))).toThrow(TypeError);
});
