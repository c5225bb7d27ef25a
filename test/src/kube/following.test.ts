// What a reflection does next, for whatever happens.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs, retryAfterMs } from '../../../src/kube/backoff.ts';
import { type Following, type Happening, type Todo, beginning, next, step } from '../../../src/kube/following.ts';
import { KubeError, type KubeErrorCode } from '../../../src/kube/port.ts';

const failed = (code: KubeErrorCode, retryAfter?: number): Happening => ({
  on: 'failed',
  error: new KubeError(code, `it is ${code}`, retryAfter === undefined ? {} : { retryAfterMs: retryAfter }),
});

/** Everything that follows, from the beginning. */
function run(events: readonly Happening[], random = 0.5): { state: Following; todos: Todo[] } {
  let state = beginning;
  const todos: Todo[] = [next(state)];
  for (const event of events) {
    const [after, todo] = step(state, event, random);
    state = after;
    if (todo !== undefined) todos.push(todo);
  }
  return { state, todos };
}

const listed: Happening = { on: 'page', resourceVersion: '7' };
const opened: Happening = { on: 'opened' };

test('the first list takes what the server has in memory, and the watch goes on from it', () => {
  const { state, todos } = run([listed, opened]);
  expect(todos).toEqual([
    { do: 'list', resourceVersion: '0' },
    { do: 'watch', resourceVersion: '7' },
  ]);
  expect(state.inStep).toBe(true);
});

test('a watch that the server ends goes on at once from its last word, bookmarks included', () => {
  const { state, todos } = run([
    listed,
    opened,
    { on: 'event', resourceVersion: '9' },
    { on: 'ended', livedMs: 300_000 },
  ]);
  expect(todos.at(-1)).toEqual({ do: 'watch', resourceVersion: '9' });
  expect(state.inStep).toBe(true);
});

test('a watch that ends as soon as it begins is not hammered', () => {
  const { todos } = run([listed, opened, { on: 'ended', livedMs: 3 }]);
  expect(todos.at(-1)).toMatchObject({ do: 'wait' });
});

test('a connection that breaks is resumed after a wait, without a list, and is out of step only the second time', () => {
  const once = run([listed, opened, failed('unavailable')]);
  expect(once.state).toMatchObject({ inStep: true, resourceVersion: '7' });
  expect(run([listed, opened, failed('unavailable'), { on: 'waited' }]).todos.at(-1)).toEqual({
    do: 'watch',
    resourceVersion: '7',
  });
  const twice = run([listed, opened, failed('unavailable'), { on: 'waited' }, failed('unavailable')]);
  expect(twice.state).toMatchObject({ inStep: false, error: 'it is unavailable' });
});

test('410 of a watch leads to a new list by pages, of what is newest', () => {
  const { todos } = run([
    listed,
    opened,
    failed('gone'),
    { on: 'waited' },
    { on: 'page', resourceVersion: '20', next: 'x' },
  ]);
  expect(todos.slice(-3)).toEqual([
    { do: 'wait', ms: 2500 },
    { do: 'list', limit: 500 },
    { do: 'list', from: 'x', limit: 500 },
  ]);
});

test('pages that expire while they are read are read again in one piece', () => {
  const page: Happening = { on: 'page', resourceVersion: '20', next: 'x' };
  const { todos } = run([listed, opened, failed('gone'), { on: 'waited' }, page, failed('gone')]);
  expect(todos.at(-1)).toEqual({ do: 'list' });
});

test('a version that the server refuses is not asked for again', () => {
  const { todos } = run([listed, opened, failed('invalid'), { on: 'waited' }]);
  expect(todos.at(-1)).toEqual({ do: 'list', limit: 500 });
});

test('Retry-After is a floor for the wait', () => {
  const { todos } = run([failed('unavailable', 60_000)], 0);
  expect(todos.at(-1)).toMatchObject({ do: 'wait', ms: 60_050 });
});

test('whatever happens, there is always one next thing to do, and no failure is followed without a wait', () => {
  const event: fc.Arbitrary<Happening> = fc.oneof(
    fc.constantFrom(listed, opened),
    fc.record({ on: fc.constant('event' as const), resourceVersion: fc.constantFrom('8', undefined) }),
    fc.record({ on: fc.constant('ended' as const), livedMs: fc.integer({ min: 0, max: 400_000 }) }),
    fc
      .constantFrom<KubeErrorCode>('unavailable', 'gone', 'forbidden', 'notFound', 'invalid')
      .map((code) => failed(code)),
  );
  fc.assert(
    fc.property(fc.array(event), fc.double({ min: 0, max: 1, noNaN: true }), (events, random) => {
      let state = beginning;
      let followed: Todo = next(state);
      for (const happening of events) {
        if (followed.do === 'wait') [state, followed] = step(state, { on: 'waited' }, random) as [Following, Todo];
        const before = followed;
        const [after, todo] = step(state, happening, random);
        // The one exception, once per list: pages that have expired.
        const expired = happening.on === 'failed' && happening.error.code === 'gone' && before.do === 'list';
        if (happening.on === 'failed' && !expired) expect(todo?.do).toBe('wait');
        state = after;
        followed = todo ?? followed;
      }
    }),
  );
});

test('waits grow to half a minute at most and are spread over the whole of it', () => {
  expect([1, 2, 3, 20].map((tries) => backoffMs(tries, 1))).toEqual([500, 1000, 2000, 30_000]);
  expect(backoffMs(20, 0)).toBe(50);
  expect(backoffMs(20, 0.5)).toBeGreaterThan(10_000);
});

test.each([
  ['3', 3000],
  ['Mon, 30 Nov 2026 12:00:10 GMT', 10_000],
  ['86400', 300_000],
  ['soon', undefined],
])('Retry-After "%s" is read as RFC 9110 has it', (header, ms) => {
  expect(retryAfterMs(header, Date.parse('2026-11-30T12:00:00Z'))).toBe(ms);
});
