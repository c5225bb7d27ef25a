// Points in time, in Calico's spelling.
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { readTimestamp, timestamp } from '../../../src/ipam/time.ts';

it('a timestamp reads back to its millisecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e12 }), (ms) => {
      expect(readTimestamp(timestamp(ms))).toBe(ms);
    }),
  );
});

it('a timestamp of Calico’s is read, nanoseconds and all', () => {
  expect(readTimestamp('2026-11-21 03:58:20.154614424 +0000 UTC')).toBe(Date.parse('2026-11-21T03:58:20.154Z'));
});

it.each(['', 'yesterday', '2026-11-21T03:58:20Z', '2026-99-21 03:58:20 +0000 UTC'])('%j is none', (text) => {
  expect(readTimestamp(text)).toBeUndefined();
});
