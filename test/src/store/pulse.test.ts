// When the store looks again: no hint is lost, and without any it looks all the same.
import { expect, test } from 'vitest';
import { Pulse } from '../../../src/store/pulse.ts';

test('hints are gathered, and one that comes meanwhile comes next', async () => {
  const pulse = new Pulse(['a', 'b', 'c'], 60_000, 0);
  pulse.hint('a');
  pulse.hint('b', 'a');
  expect(await pulse.next()).toEqual(new Set(['a', 'b']));
  pulse.hint('c');
  expect(await pulse.next()).toEqual(new Set(['c']));
});

test('a hint ends the waiting', async () => {
  const pulse = new Pulse(['a', 'b'], 60_000, 0);
  const next = pulse.next();
  setImmediate(() => pulse.hint('b'));
  expect(await next).toEqual(new Set(['b']));
});

test('without a hint, everything is looked at after a while', async () => {
  expect(await new Pulse(['a', 'b'], 5, 1).next()).toEqual(new Set(['a', 'b']));
});

test('hints are gathered for a while after each look, so that a busy neighbour does not keep us looking', async () => {
  const pulse = new Pulse(['a', 'b'], 60_000, 50);
  const started = performance.now();
  pulse.hint('a');
  const next = pulse.next();
  setImmediate(() => pulse.hint('b'));
  expect(await next).toEqual(new Set(['a', 'b']));
  expect(performance.now() - started).toBeGreaterThan(40);
});

test('after the end there is nothing more, also for who is waiting', async () => {
  const pulse = new Pulse(['a'], 60_000, 60_000);
  const next = pulse.next();
  pulse.hint('a');
  pulse.end();
  expect(await next).toBeUndefined();
  expect(await pulse.next()).toBeUndefined();
});
