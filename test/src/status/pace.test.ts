// How often a node writes: a thousand of them share one API server.
import { describe, expect, test } from 'vitest';
import type { PeerStatus } from '../../../bgp/status.ts';
import { Bucket } from '../../../src/status/bucket.ts';
import { COUNTERS_MS, HEARTBEAT_MS, NEWS, SPACING_MS, waitMs } from '../../../src/status/pace.ts';
import { nodeRouting } from '../../../src/status/node.ts';
import { family, hour, minute, now, peer, second, status } from '../cli/samples.ts';

const free = { news: { waitMs: () => 0 }, spread: 0 };
const withPeer = (part: object) => {
  const peers = [peer({ address: '10.0.0.1', ...part })] as unknown as PeerStatus[];
  return nodeRouting({ ...status, bgp: { ...status.bgp!, peers } }, now);
};
const told = (part: object = {}, at = now) => ({ status: withPeer(part), at });

describe('a node writes', () => {
  test('at once when it has never written', () => {
    expect(waitMs(undefined, withPeer({}), now, free)).toBe(0);
  });

  test('at once when a session goes down', () => {
    expect(waitMs(told(), withPeer({ state: 'Idle' }), now + hour, free)).toBe(0);
  });

  test('but not twice within a second', () => {
    expect(waitMs(told(), withPeer({ state: 'Idle' }), now + 300, free)).toBe(SPACING_MS - 300);
  });

  test('numbers once a minute', () => {
    const families = [family({ received: 3 })];
    expect(waitMs(told(), withPeer({ families }), now + second, free)).toBe(COUNTERS_MS - second);
  });

  test('every five minutes when nothing has changed', () => {
    expect(waitMs(told(), withPeer({}), now + second, free)).toBe(HEARTBEAT_MS - second);
  });

  test('a little earlier than others that started with it', () => {
    expect(waitMs(told(), withPeer({}), now, { ...free, spread: 1 })).toBe(HEARTBEAT_MS * 0.8);
  });

  test('at once when the clock was set back', () => {
    expect(waitMs(told({}, now + hour), withPeer({}), now, free)).toBe(0);
  });
});

describe('no news is', () => {
  const down = { state: 'Active', cause: 'connection refused' };

  test.each([
    ['another try of a session that is down', { ...down, state: 'Connect' }],
    ['the same error again', { ...down, errors: [{ at: now, text: 'connection refused' }] }],
  ])('%s', (_what, part) => {
    expect(waitMs(told(down), withPeer(part), now + minute, free)).toBe(HEARTBEAT_MS - minute);
  });

  test('how many prefixes beyond the limit were discarded', () => {
    const greedy = (discarded: number) => ({
      families: [family({ prefixLimit: { max: 10, action: 'discard', discarded } })],
    });
    expect(waitMs(told(greedy(3)), withPeer(greedy(4)), now, free)).toBe(COUNTERS_MS);
  });
});

test('a session that goes up and down for an hour costs at most two writes a minute', () => {
  const news = new Bucket(NEWS);
  let last = told({ flaps: 0 });
  let writes = 0;
  for (let at = now; at < now + hour; at += 500) {
    const next = withPeer({ flaps: at });
    if (waitMs(last, next, at, { news, spread: 0 }) > 0) continue;
    news.take(at);
    last = { status: next, at };
    writes++;
  }
  expect(writes).toBe(NEWS.burst + 120 - 1);
});
