import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { FibError } from '../../fib/error.ts';
import { ArrayReader } from '../../fib/json-stream.ts';

/** Everything that a reader gives for a text in pieces, and how many of the pieces ended an array. */
function readIn(pieces: readonly string[]): { objects: unknown[]; ends: number } {
  const reader = new ArrayReader();
  const answers = pieces.map((piece) => reader.push(piece));
  return { objects: answers.flatMap(({ objects }) => objects), ends: answers.filter(({ ended }) => ended).length };
}

const routes = [
  { dst: '10.82.0.0/24', flags: [], via: { family: 'inet6', host: 'fd01::2' } },
  { dev: 'a"]}\\', nexthops: [{ flags: ['dead'] }, {}] },
  { dst: 'default' },
];

test('an array that is cut in two anywhere gives the same objects', () => {
  const text = `${JSON.stringify(routes)}\n`;
  for (let cut = 0; cut <= text.length; cut++) {
    expect(readIn([text.slice(0, cut), text.slice(cut)])).toEqual({ objects: routes, ends: 1 });
  }
});

test('objects are given out as soon as they are whole', () => {
  const reader = new ArrayReader();
  expect(reader.push('[{"dst":"a"},{"dst"')).toEqual({ objects: [{ dst: 'a' }], ended: false });
});

test('an empty array ends at once', () => {
  expect(readIn(['[', ' ]\n'])).toEqual({ objects: [], ends: 1 });
});

test('one reader takes array after array', () => {
  expect(readIn(['[{"a":1}]\n', '[{"b":2}', ']\n'])).toEqual({ objects: [{ a: 1 }, { b: 2 }], ends: 2 });
});

test('any list of objects in any pieces is read as JSON.parse reads it', () => {
  const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }));
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 });
  fc.assert(
    fc.property(fc.array(object), sizes, (objects, cuts) => {
      const text = JSON.stringify(objects);
      const pieces: string[] = [];
      let rest = text;
      for (const cut of cuts) {
        pieces.push(rest.slice(0, cut));
        rest = rest.slice(cut);
      }
      expect(readIn([...pieces, rest]).objects).toEqual(JSON.parse(text));
    }),
  );
});

test.each(['Cannot open netlink socket\n', '[nonsense]{', '{"dst":', '[{"dst":}]'])('%j is refused', (text) => {
  expect(() => readIn([text, '}'])).toThrow(FibError);
});
