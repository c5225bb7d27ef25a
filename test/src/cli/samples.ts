// One node's state as the screens are drawn from it: worker-1 with a mesh peer and two top-of-rack routers.
import { parseAddress, parsePrefix } from '../../../src/ip/index.ts';
import type { AgentStatus } from '../../../src/agent/status.ts';
import type { PathView, PeerView } from '../../../src/api/views.ts';
import type { FamilyStatus, PeerStatus } from '../../../bgp/status.ts';
import { plain } from '../../../src/cli/paint.ts';

export const now = Date.UTC(2026, 10, 21, 12);
export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;
export const view = { now, wide: false, paint: plain };

const none = { open: 0, update: 0, notification: 0, keepalive: 0, routeRefresh: 0 };

export function family(counts: Partial<FamilyStatus> = {}): FamilyStatus {
  return {
    family: 'ipv4-unicast',
    negotiated: true,
    received: 0,
    accepted: 0,
    advertised: 0,
    stale: 0,
    endOfRib: { sent: true, received: true },
    ...counts,
  };
}

export function peer(part: Partial<Omit<PeerStatus, 'address' | 'capabilities'>> & { address: string }): PeerView {
  return {
    name: 'tor-a',
    kind: 'global',
    asn: 65001,
    state: 'Established',
    since: now - 3 * day - 4 * hour,
    passive: false,
    localAsn: 64512,
    capabilities: { sent: [], received: [] },
    families: [],
    timers: {},
    messages: { sent: none, received: none },
    flaps: 0,
    errors: [],
    ...part,
    address: parseAddress(part.address),
  };
}

export const peers = [
  peer({
    name: 'worker-2',
    kind: 'node mesh',
    asn: 64512,
    address: '10.250.1.12',
    families: [family({ received: 2, accepted: 2, advertised: 2 })],
  }),
  peer({
    address: '10.250.1.254',
    families: [family({ received: 412, accepted: 410, advertised: 2 })],
    flaps: 1,
    errors: [{ at: now - 9 * hour, text: 'hold timer expired (4/0), sent' }],
  }),
  peer({
    name: 'tor-b',
    kind: 'node specific',
    address: '10.250.1.253',
    state: 'Active',
    since: now - 2 * minute,
    reason: 'connection refused (nothing listens on 10.250.1.253:179)',
    families: [family({ negotiated: false })],
    flaps: 7,
  }),
];

export const status: AgentStatus = {
  node: 'worker-1',
  version: '0.3.0',
  startedAt: now - 3 * day - 4 * hour,
  health: { state: 'degraded', reasons: ['1 of 3 sessions down (tor-b, 2 m)'] },
  parts: { fib: true, cni: true },
  shutDown: [],
  bgp: {
    asn: 64512,
    routerId: parseAddress('10.250.1.11'),
    listening: [],
    peers: peers as unknown as PeerStatus[],
    tables: { 'ipv4-unicast': { prefixes: 412, paths: 414 }, 'ipv6-unicast': { prefixes: 0, paths: 0 } },
  },
  pods: {
    wired: 23,
    adding: 0,
    blocks: [
      { cidr: parsePrefix('10.82.0.64/26'), inUse: 23, total: 64 },
      { cidr: parsePrefix('fd82:0:0:1::/122'), inUse: 23, total: 64 },
    ],
  },
  kernel: {
    desired: 413,
    installed: 412,
    missing: 0,
    stale: 0,
    repairs: 0,
    lastFullCheck: now - 12 * second,
    forwarding: [],
    troubles: [
      {
        prefix: parsePrefix('10.82.9.0/26'),
        metric: 1024,
        trouble: 'foreign',
        reason: 'proto static',
        since: now - hour,
      },
    ],
  },
  store: { kind: 'kubernetes', problems: [], inStepSince: now - 3 * day - 4 * hour },
  troubles: [],
  failures: [],
};

export function path(
  part: Partial<Omit<PathView, 'attributes'>>,
  attributes: Partial<PathView['attributes']> = {},
): PathView {
  return {
    peer: 'tor-a',
    since: now - 9 * hour,
    state: 'valid',
    why: '',
    stale: false,
    ...part,
    attributes: {
      origin: 'IGP',
      asPath: '65001',
      asPathLength: 1,
      nextHop: parseAddress('10.250.1.254'),
      med: 0,
      localPref: 100,
      ...attributes,
    },
  };
}
