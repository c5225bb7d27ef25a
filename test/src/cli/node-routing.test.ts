// How a node does, from what its agent has told the cluster.
import { expect, test } from 'vitest';
import { renderNodeRouting, renderNodes } from '../../../src/cli/commands/node-routing.ts';
import type { NodeRouting } from '../../../src/status/model.ts';
import { day, hour, minute, now, second, view } from './samples.ts';

const at = (ago: number): string => `${new Date(now - ago).toISOString().slice(0, 19)}Z`;
const counts = { family: 'ipv4-unicast', received: 412, accepted: 410, advertised: 2, stale: 0 } as const;
const routing: NodeRouting = {
  version: '0.3.0',
  startedAt: at(3 * day + 4 * hour),
  writtenAt: at(12 * second),
  health: { state: 'degraded', reasons: ['1 of 2 sessions down (tor-b)'], summary: '1 of 2 sessions down (tor-b)' },
  bgp: { asn: 64512, routerID: '10.250.1.12' },
  sessionsUp: '1/2',
  sessions: [
    {
      ...{ name: 'tor-a', peer: '10.250.1.254', type: 'global', asn: 65001, bgpPeer: 'tor-a', state: 'Established' },
      ...{ since: at(9 * hour), flaps: 1, families: [counts] },
      lastError: { at: at(9 * hour), text: 'hold timer expired (4/0), sent' },
    },
    {
      ...{ name: 'tor-b', peer: 'fe80::1%eth1', type: 'global', asn: 65001, bgpPeer: 'tor-b', state: 'Active' },
      ...{ since: at(2 * minute), flaps: 7, families: [], cause: 'connection refused' },
    },
  ],
  routes: { desired: 413, installed: 412, missing: 1, stale: 0, refused: 0, foreign: 1, repairs: 0, troubles: [] },
  pods: { wired: 23, blocks: [{ cidr: '10.82.0.64/26', inUse: 23, total: 64 }] },
  store: { inStepSince: at(3 * day) },
  troubles: [{ kind: 'BGPPeer', name: 'tor-c', path: 'spec.password', message: 'no such Secret' }],
};

test('reads like the status of this node, and says when it was said', () => {
  expect(`\n${renderNodeRouting('worker-2', routing, view).join('\n')}\n`).toBe(`
worker-2  AS 64512  router ID 10.250.1.12  manx 0.3.0, up 3d 4h
degraded: 1 of 2 sessions down (tor-b) (said 12 s ago)

  pods     23 wired, blocks 10.82.0.64/26 (23 of 64)
  kernel   412 routes, 0 refused, 1 missing, 1 foreign in the way
  store    in step since 3d 0h

The configuration asks for what cannot be had:
  BGPPeer tor-c spec.password: no such Secret

IPv4 BGP status
PEER          NAME   TYPE    AS     STATE        SINCE  RECEIVED  ACCEPTED  ADVERTISED  FLAPS  LAST ERROR
10.250.1.254  tor-a  global  65001  Established  9 h         412       410           2      1  9 h ago: hold timer expired (4/0), sent

IPv6 BGP status
PEER          NAME   TYPE    AS     STATE   SINCE  RECEIVED  ACCEPTED  ADVERTISED  FLAPS  LAST ERROR
fe80::1%eth1  tor-b  global  65001  Active  2 m           –         –           –      7  now: connection refused
`);
});

test('an agent that has not been heard of for longer than it is ever silent is away', () => {
  const [, ...lines] = renderNodeRouting('worker-2', { ...routing, writtenAt: at(12 * minute) }, view);
  expect(lines.slice(0, 2)).toEqual([
    'away: no word from this agent for 12 m; what follows is its last',
    'then degraded: 1 of 2 sessions down (tor-b)',
  ]);
});

test('all nodes are one line each', () => {
  const well = { ...routing, health: { state: 'good', reasons: [], summary: '' } } as const;
  const nodes = [
    { node: 'worker-1', status: well },
    { node: 'worker-2', status: routing },
    { node: 'worker-3', status: { ...well, writtenAt: at(hour) } },
  ];
  expect(renderNodes(nodes, view)).toEqual([
    'NODE      HEALTH    SESSIONS  ROUTES  PODS  VERSION  SAID      WHY',
    'worker-1  good           1/2     412    23  0.3.0    12 s ago',
    'worker-2  degraded       1/2     412    23  0.3.0    12 s ago  1 of 2 sessions down (tor-b)',
    'worker-3  away           1/2     412    23  0.3.0    1 h ago',
  ]);
});
