import { expect, test } from 'vitest';
import { type Collision, collide, settledSeconds } from '../../../bgp/session/collision.ts';
import { someTerms, restartable } from './terms.ts';

const low = 0x0a000001;
/** Above 2^31: a signed comparison gets it wrong. */
const high = 0xf0000001;

const weAreHigher = someTerms({ localRouterId: high, peerRouterId: low });
const peerIsHigher = someTerms({ localRouterId: low, peerRouterId: high });

test.each<[string, 'us' | 'peer', 'us' | 'peer', typeof weAreHigher, Collision]>([
  ['we are higher, our own is newer', 'us', 'peer', weAreHigher, 'newcomer'],
  ['we are higher, our own is older', 'peer', 'us', weAreHigher, 'other'],
  ['the peer is higher, its own is newer', 'peer', 'us', peerIsHigher, 'newcomer'],
  ['the peer is higher, its own is older', 'us', 'peer', peerIsHigher, 'other'],
])('the higher identifier keeps its connection, compared unsigned: %s (statement 24, 4271 6.8)', (...row) => {
  const [, newcomer, other, terms, verdict] = row;
  const rival = { state: { name: 'openConfirm', failures: 0, terms }, openedBy: other, seconds: 0 } as const;
  expect(collide({ openedBy: newcomer }, rival, terms)).toBe(verdict);
});

test.each([
  [64512, 65001, 'newcomer'],
  [65001, 64512, 'other'],
] as const)('with equal identifiers the higher AS keeps its own (statement 25, 6286 2.3): %d against %d', (...row) => {
  const [localAsn, peerAsn, verdict] = row;
  const terms = someTerms({ localRouterId: low, peerRouterId: low, localAsn, peerAsn });
  const rival = { state: { name: 'openConfirm', failures: 0, terms }, openedBy: 'us', seconds: 0 } as const;
  expect(collide({ openedBy: 'peer' }, rival, terms)).toBe(verdict);
});

test('both sides decide alike, whichever OPEN each of them reads last', () => {
  for (const [a, b] of [
    [low, high],
    [high, low],
  ] as const) {
    const atA = someTerms({ localRouterId: a, peerRouterId: b });
    const atB = someTerms({ localRouterId: b, peerRouterId: a });
    // A reads B's dialled connection last, B reads A's last.
    const rivalAtA = { state: { name: 'openConfirm', failures: 0, terms: atA }, openedBy: 'us', seconds: 0 } as const;
    const rivalAtB = { state: { name: 'openConfirm', failures: 0, terms: atB }, openedBy: 'us', seconds: 0 } as const;
    const keptAtA = collide({ openedBy: 'peer' }, rivalAtA, atA) === 'newcomer' ? 'from B' : 'from A';
    const keptAtB = collide({ openedBy: 'peer' }, rivalAtB, atB) === 'newcomer' ? 'from A' : 'from B';
    expect(keptAtA).toBe(keptAtB);
  }
});

test.each(['idle', 'connect', 'active', 'openSent'] as const)(
  'a twin in %s is kept until its OPEN is in (statement 27, 4271 6.8)',
  (name) => {
    const rival = { state: { name, failures: 0 }, openedBy: 'us', seconds: 100 } as const;
    expect(collide({ openedBy: 'peer' }, rival, peerIsHigher)).toBe('both');
  },
);

test('an Established session beats a newcomer, whatever the identifiers (statement 26)', () => {
  const rival = {
    state: { name: 'established', failures: 0, terms: peerIsHigher },
    openedBy: 'us',
    seconds: 100,
  } as const;
  expect(collide({ openedBy: 'peer' }, rival, peerIsHigher)).toBe('other');
});

test('a peer that restarts gracefully and comes back replaces its Established session (statement 26, 4724 5)', () => {
  const terms = restartable();
  const rival = { state: { name: 'established', failures: 0, terms }, openedBy: 'us', seconds: 100 } as const;
  expect(collide({ openedBy: 'peer' }, rival, terms)).toBe('restarted');
});

test('our own late connection is no sign that the peer has restarted', () => {
  const terms = restartable();
  const rival = { state: { name: 'established', failures: 0, terms }, openedBy: 'peer', seconds: 100 } as const;
  expect(collide({ openedBy: 'us' }, rival, terms)).toBe('other');
});

test('a second connection right after the first was agreed on is a collision, not a restart', () => {
  const terms = restartable();
  const state = { name: 'established', failures: 0, terms } as const;
  expect(collide({ openedBy: 'peer' }, { state, openedBy: 'us', seconds: settledSeconds - 1 }, terms)).toBe('other');
});

test('a peer that gives up its own connection and dials again is believed', () => {
  const rival = {
    state: { name: 'openConfirm', failures: 0, terms: weAreHigher },
    openedBy: 'peer',
    seconds: 9,
  } as const;
  expect(collide({ openedBy: 'peer' }, rival, weAreHigher)).toBe('newcomer');
});
