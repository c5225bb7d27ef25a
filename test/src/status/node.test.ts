// What a node tells the cluster: the facts of `manxctl node status`, and nothing that changes by itself.
import { describe, expect, test } from 'vitest';
import type { PeerStatus } from '../../../bgp/status.ts';
import { bgpPeerOf, nodeRouting } from '../../../src/status/node.ts';
import { family, hour, minute, now, peer, second, status } from '../cli/samples.ts';

const withPeers = (...all: object[]) => ({ ...status, bgp: { ...status.bgp!, peers: all as PeerStatus[] } });
const down = (part: object = {}) =>
  peer({ name: 'tor-b', address: '10.250.1.253', state: 'Active', since: now - second, ...part });

test('a node tells its sessions, routes, pods and health', () => {
  expect(nodeRouting(status, now)).toMatchObject({
    version: '0.3.0',
    writtenAt: '2026-11-21T12:00:00Z',
    bgp: { asn: 64512, routerID: '10.250.1.11' },
    health: { state: 'degraded', summary: '1 of 3 sessions down (tor-b)' },
    sessionsUp: '2/3',
    routes: { installed: 412, refused: 0, missing: 0, foreign: 1 },
    pods: { wired: 23, blocks: [{ cidr: '10.82.0.64/26', inUse: 23, total: 64 }, { cidr: 'fd82:0:0:1::/122' }] },
    store: { inStepSince: '2026-11-18T08:00:00Z' },
    troubles: [],
  });
});

test('a session is told with its last error and what went each way', () => {
  expect(nodeRouting(status, now).sessions[1]).toEqual({
    name: 'tor-a',
    peer: '10.250.1.254',
    type: 'global',
    asn: 65001,
    bgpPeer: 'tor-a',
    state: 'Established',
    since: '2026-11-18T08:00:00Z',
    flaps: 1,
    lastError: { at: '2026-11-21T03:00:00Z', text: 'hold timer expired (4/0), sent' },
    families: [{ family: 'ipv4-unicast', received: 412, accepted: 410, advertised: 2, stale: 0 }],
  });
});

test('a route in trouble is told with its reason', () => {
  expect(nodeRouting(status, now).routes!.troubles).toEqual([
    { prefix: '10.82.9.0/26', trouble: 'foreign', reason: 'proto static', since: '2026-11-21T11:00:00Z' },
  ]);
});

test('nothing is told that changes while nothing happens', () => {
  const later = now + 3 * hour + 7 * minute;
  const { writtenAt: _then, ...then } = nodeRouting(withPeers(down({ reason: 'refused; next try in 4 s' })), now);
  const again = down({ reason: 'refused; next try in 1 s' });
  const { writtenAt: _later, ...same } = nodeRouting(withPeers(again), later);
  expect(same).toEqual(then);
});

test('a session that is down is down since it was up, not since the last try', () => {
  const first = nodeRouting(withPeers(down({ since: now - minute })), now);
  const next = nodeRouting(withPeers(down({ state: 'Connect', since: now })), now, first);
  expect(next.sessions[0]!.since).toBe('2026-11-21T11:59:00Z');
});

test('and one that came up is up since then', () => {
  const first = nodeRouting(withPeers(down({ since: now - minute })), now);
  const next = nodeRouting(withPeers(down({ state: 'Established', since: now })), now, first);
  expect(next.sessions[0]!.since).toBe('2026-11-21T12:00:00Z');
});

test('a session that the configuration shuts down is not wanted, and says so', () => {
  const told = nodeRouting({ ...status, shutDown: ['tor-b'] }, now);
  expect([told.sessionsUp, told.sessions[2]!.shutDown]).toEqual(['2/2', true]);
});

test('a peer beyond its limit is told with the numbers', () => {
  const greedy = peer({
    address: '10.0.0.1',
    families: [family({ prefixLimit: { max: 10, action: 'discard', discarded: 3 } })],
  });
  expect(nodeRouting(withPeers(greedy), now).sessions[0]!.families[0]).toMatchObject({ limit: 10, discarded: 3 });
});

test('the addresses of the node are told with how they were found', () => {
  const addresses = [
    { family: 4, address: '10.250.1.11/24', interface: 'eth0', how: 'first-found of 2 addresses' },
    { family: 6, how: 'first-found', problem: 'no address was found' },
  ] as const;
  expect(nodeRouting({ ...status, addresses }, now).addresses).toEqual([
    { family: 'IPv4', address: '10.250.1.11/24', interface: 'eth0', method: 'first-found of 2 addresses' },
    { family: 'IPv6', method: 'first-found', reason: 'no address was found' },
  ]);
});

test('problems of the configuration are told where it cannot be had', () => {
  const trouble = { kind: 'BGPPeer', name: 'tor-a', path: 'spec.password', message: 'no Secret' };
  expect(nodeRouting({ ...status, troubles: [trouble] }, now).troubles).toEqual([trouble]);
});

describe('the BGPPeer of a session', () => {
  test.each([
    ['tor-a', 'global', 'tor-a'],
    ['rack/worker-2', 'node specific', 'rack'],
    ['rack/worker-2/v6', 'node specific', 'rack'],
    ['worker-2/node-specific', 'node specific', 'worker-2'],
    ['pods 10.0.0.1', 'global', 'pods'],
    ['worker-2', 'node mesh', undefined],
  ])('of %s (%s) is %s', (name, kind, expected) => {
    expect(bgpPeerOf({ name, kind })).toBe(expected);
  });
});
