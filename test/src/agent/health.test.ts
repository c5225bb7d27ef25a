// Good or degraded: what counts as a reason, in which words.
import { parseAddress, parsePrefix } from '../../../src/ip/index.ts';
import { describe, expect, test } from 'vitest';
import { assess, reasonsOf } from '../../../src/agent/health.ts';
import type { PeerStatus } from '../../../bgp/status.ts';
import { family, hour, minute, now, peer, peers, second, status } from '../cli/samples.ts';

const well = { ...status, bgp: { ...status.bgp!, peers: peers.slice(0, 2) as unknown as PeerStatus[] } };
const withPeers = (...all: object[]) => ({ ...status, bgp: { ...status.bgp!, peers: all as PeerStatus[] } });

describe('a node is degraded', () => {
  test('when a session is down, named with how long', () => {
    expect(assess(status, now)).toEqual({ state: 'degraded', reasons: ['1 of 3 sessions down (tor-b, 2 m)'] });
  });

  test('when many sessions are down, the first three named', () => {
    const down = [1, 2, 3, 4, 5].map((n) =>
      peer({ name: `tor-${n}`, address: `10.0.0.${n}`, state: 'Active', since: now - n * minute }),
    );
    expect(assess(withPeers(...down), now).reasons).toEqual([
      '5 of 5 sessions down (tor-1, 1 m; tor-2, 2 m; tor-3, 3 m; and 2 more)',
    ]);
  });

  test('when the configuration does not say who the node is', () => {
    const { bgp: _bgp, ...rest } = status;
    expect(assess(rest, now).reasons).toEqual(['no BGP: the configuration does not say who this node is']);
  });

  test('when it cannot listen', () => {
    const listening = [{ address: parseAddress('::'), port: 179, error: 'address in use' }];
    expect(assess({ ...well, bgp: { ...well.bgp, listening } }, now).reasons).toEqual([
      'not listening on [::]:179: address in use',
    ]);
  });

  test('when a peer sends more than its limit', () => {
    const greedy = peer({
      address: '10.0.0.1',
      families: [family({ prefixLimit: { max: 10, action: 'discard', discarded: 3 } })],
    });
    expect(assess(withPeers(greedy), now).reasons).toEqual([
      'tor-a sends more than its limit of 10 ipv4-unicast prefixes: 3 discarded',
    ]);
  });

  test('when the kernel refuses a route or does not forward', () => {
    const refused = {
      prefix: parsePrefix('10.9.0.0/16'),
      metric: 1024,
      trouble: 'refused',
      reason: 'Network is unreachable',
      since: now - second,
    } as const;
    const kernel = { ...status.kernel!, troubles: [refused], forwarding: [{ family: 6, problem: 'EROFS' }] as const };
    expect(assess({ ...well, kernel }, now).reasons).toEqual([
      '1 route refused by the kernel',
      'this node does not forward IPv6: EROFS',
    ]);
  });

  test('when the configuration has problems, or asks for what cannot be had', () => {
    const store = { ...status.store, problems: [{ message: 'x' }, { message: 'y' }] };
    expect(assess({ ...well, store, troubles: [{ message: 'z' }] }, now).reasons).toEqual([
      'the configuration has 2 problems, each resource stays as it was last right',
      '1 wish of the configuration cannot be met',
    ]);
  });

  test('when work of the agent fails, for how long and why', () => {
    const failures = [{ doing: 'reading the store', since: now - hour, error: 'EIO' }];
    expect(assess({ ...well, failures }, now).reasons).toEqual(['reading the store fails for 1 h: EIO']);
  });
});

test('reasons can be had without how long', () => {
  const failures = [{ doing: 'reading the store', since: now - hour, error: 'EIO' }];
  expect(reasonsOf({ ...status, failures })).toEqual(['1 of 3 sessions down (tor-b)', 'reading the store fails: EIO']);
});

describe('a node is good', () => {
  test('when a foreign route is in the way: leaving it alone is what we promise', () => {
    expect(assess(well, now)).toEqual({ state: 'good', reasons: [] });
  });

  test('when the only session that is down was shut down by the configuration', () => {
    expect(assess({ ...status, shutDown: ['tor-b'] }, now).state).toBe('good');
  });
});
