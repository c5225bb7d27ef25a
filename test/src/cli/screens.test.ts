// The screens, line by line.
import { parseAddress, parsePrefix } from '../../../src/ip/index.ts';
import { describe, expect, test } from 'vitest';
import type { AgentStatus } from '../../../src/agent/status.ts';
import { renderPeer } from '../../../src/cli/commands/bgp-peer.ts';
import { renderPeers } from '../../../src/cli/commands/bgp-peers.ts';
import { renderRoute, renderRoutes } from '../../../src/cli/commands/bgp-routes.ts';
import { renderFibDiff, renderFibRoutes } from '../../../src/cli/commands/fib-routes.ts';
import { renderNodeStatus } from '../../../src/cli/commands/node-status.ts';
import { renderServices } from '../../../src/cli/commands/services.ts';
import type { ServiceEntry } from '../../../src/services/announced.ts';
import { family, hour, minute, now, path, peer, peers, second, status, view } from './samples.ts';

const text = (lines: readonly string[]): string => `\n${lines.join('\n')}\n`;

describe('how a node came to its address', () => {
  const shown = (...addresses: NonNullable<AgentStatus['addresses']>): string[] =>
    renderNodeStatus({ ...status, addresses }, view).filter((line) => /^ {2}IPv[46] /.test(line));
  test('stands above pods and kernel: where it is, by which method, or why there is none', () => {
    expect(
      shown(
        { family: 4, address: '10.250.1.11/24', interface: 'eth0', how: 'first-found of 2 addresses' },
        { family: 6, how: 'not found', problem: 'first-found: no IPv6 address fits (looked at lo, eth0)' },
      ),
    ).toEqual([
      '  IPv4     10.250.1.11/24 on eth0 (first-found of 2 addresses)',
      '  IPv6     none (not found): first-found: no IPv6 address fits (looked at lo, eth0)',
    ]);
  });
});

describe('manxctl node status', () => {
  test('answers first how the node does, then shows pods, kernel, store and every session', () => {
    expect(text(renderNodeStatus(status, view))).toBe(`
worker-1  AS 64512  router ID 10.250.1.11  manx 0.3.0, up 3d 4h
degraded: 1 of 3 sessions down (tor-b, 2 m)

  pods     23 wired, blocks 10.82.0.64/26 (23 of 64), fd82:0:0:1::/122 (23 of 64)
  kernel   412 routes, 0 refused, 0 missing, 1 foreign in the way (manxctl fib diff); checked 12 s ago
  store    kubernetes, in step since 3d 4h

IPv4 BGP status
PEER          NAME      TYPE           AS     STATE        SINCE  RECEIVED  ACCEPTED  ADVERTISED  FLAPS  LAST ERROR
10.250.1.12   worker-2  node mesh      64512  Established  3d 4h         2         2           2      0
10.250.1.254  tor-a     global         65001  Established  3d 4h       412       410           2      1  9 h ago: hold timer expired (4/0), sent
10.250.1.253  tor-b     node specific  65001  Active       2 m           –         –           –      7  now: connection refused (nothing listens on 10.250.1.253:179)

No IPv6 peers found.
`);
  });

  test('says that all is well in as many words', () => {
    const well = {
      ...status,
      health: { state: 'good', reasons: [] },
      bgp: { ...status.bgp!, peers: status.bgp!.peers.slice(0, 2) },
    } as const;
    expect(renderNodeStatus(well, view)[1]).toBe('good: 2 of 2 sessions up');
  });

  test('says which parts were left out', () => {
    const { kernel: _kernel, pods: _pods, ...rest } = status;
    const lines = renderNodeStatus({ ...rest, parts: { fib: false, cni: false } }, view);
    expect(lines.slice(3, 5)).toEqual(['  pods     not wired here (--no-cni)', '  kernel   left alone (--no-fib)']);
  });

  test('shows paths that are kept for a peer that restarts', () => {
    const restarting = peer({
      address: '10.250.1.254',
      state: 'Active',
      since: now - 5 * second,
      reason: 'waits for the peer to restart',
      families: [family({ negotiated: false, received: 9, accepted: 8, stale: 9 })],
    });
    const row = renderPeers([restarting], view)[2];
    expect(row).toBe(
      '10.250.1.254  tor-a  global  65001  Active  5 s           9         8           0      0  now: waits for the peer to restart; 9 paths kept while it restarts',
    );
  });

  test('lists what the configuration asks for and cannot have', () => {
    const trouble = {
      file: 'peers.yaml',
      line: 3,
      kind: 'BGPPeer',
      name: 'tor-b',
      path: 'spec.password',
      message: 'no such Secret',
    };
    expect(renderNodeStatus({ ...status, troubles: [trouble] }, view)).toContain(
      '  peers.yaml:3  BGPPeer tor-b  spec.password: no such Secret',
    );
  });
});

describe('manxctl bgp peers', () => {
  test('adds the families of a session up on its one row, and -o wide has them apart', () => {
    const both = peer({
      address: '10.250.1.254',
      families: [family({ received: 3 }), family({ family: 'ipv6-unicast', received: 4 })],
      local: { address: parseAddress('10.250.1.11'), port: 40000 },
    });
    expect(renderPeers([both], view)[2]).toMatch(/Established {2}3d 4h {9}7 /);
    expect(renderPeers([both], { ...view, wide: true })[2]).toContain(
      '10.250.1.11:40000  IPv4 unicast 3/0/0, IPv6 unicast 4/0/0',
    );
  });

  test('has a table of its own for the peers of each family', () => {
    const lines = renderPeers([...peers, peer({ address: 'fd00::1' })], view);
    expect(lines.filter((line) => line.endsWith('BGP status'))).toEqual(['IPv4 BGP status', 'IPv6 BGP status']);
  });
  test('names the link of a peer that is found on it, and the link alone before that', () => {
    const links = ['eth1', 'eth2'].map((link, i) => peer({ address: ['fe80::1', '::'][i]!, interface: link }));
    const lines = renderPeers([...links, peer({ address: 'fd00::1', interface: 'eth3' })], view);
    expect(lines.flatMap((line) => /^(fe80|eth|fd00)\S*/.exec(line)?.[0] ?? [])).toEqual([
      'fe80::1%eth1',
      'eth2',
      'fd00::1',
    ]);
  });
});

describe('manxctl bgp peer NAME', () => {
  const capabilities = {
    sent: [
      { name: 'multiprotocol', afi: 1, safi: 1 },
      { name: 'multiprotocol', afi: 2, safi: 1 },
      { name: 'fourOctetAs', asn: 64512 },
      { name: 'addPath', families: [{ afi: 1, safi: 1, receive: true, send: false }] },
    ],
    received: [
      { name: 'multiprotocol', afi: 1, safi: 1 },
      { name: 'fourOctetAs', asn: 65001 },
      { name: 'addPath', families: [{ afi: 1, safi: 1, receive: true, send: false }] },
      { name: 'unknown', code: 240, value: 'cafe' },
    ],
  } as const;
  const whole = {
    ...peer({
      address: '10.250.1.254',
      local: { address: parseAddress('10.250.1.11'), port: 40000 },
      remote: { address: parseAddress('10.250.1.254'), port: 179, openedBy: 'us' },
      peerRouterId: parseAddress('10.250.1.254'),
      families: [
        family({
          received: 412,
          accepted: 410,
          advertised: 2,
          prefixLimit: { max: 1000, action: 'discard', discarded: 0 },
        }),
      ],
      timers: { hold: { leftSeconds: 71.4, totalSeconds: 90 } },
      flaps: 1,
      errors: [{ at: now - 9 * hour, text: 'malformed AS_PATH (3/11), sent', data: '0102', message: 'ffff' }],
    }),
    capabilities,
    wish: {
      importPolicy: 'only-pods',
      password: true,
      routeReflectorClient: false,
      gracefulRestart: { enabled: true, restartSeconds: 120, staleSecondsMax: 300, longLivedSeconds: 0 },
    },
  };

  test('counts the routes that each rule decides about now, and names the rules that decide about none', () => {
    const accept = { action: 'accept' } as const;
    const policies = {
      import: {
        policy: 'only-pods',
        rules: [
          { name: 'only-pods rule 1', ...accept, routes: 40 },
          ...Array.from({ length: 12 }, (_, i) => ({ name: `only-pods rule ${i + 2}`, ...accept, routes: 0 })),
        ],
        otherwise: { action: 'reject', routes: 3 },
        unasked: 1,
      },
      export: { policy: 'none', rules: [], otherwise: { ...accept, routes: 5 }, unasked: 0 },
    } as const;
    const screen = text(renderPeer({ ...whole, policies }, view));
    expect(screen).not.toContain('Routes by rule of export');
    expect(screen.slice(screen.indexOf('Routes by rule'), screen.indexOf('Last errors'))).toBe(
      `Routes by rule of import
  filter only-pods
  ROUTES  ACTION  RULE
      40  accept     1  only-pods rule 1
       3  reject     –  no rule matches
       1  reject     –  refused before any rule
  decide about no route now: ${Array.from({ length: 10 }, (_, i) => `${i + 2} (only-pods rule ${i + 2})`).join(', ')} and 2 more

`,
    );
  });

  test('goes from the state to the last errors in the order in which one asks', () => {
    expect(text(renderPeer(whole, view))).toBe(`
tor-a  global  Established since 3d 4h, went down 1 time

  here        AS 64512  10.250.1.11:40000
  peer        AS 65001  10.250.1.254:179, opened by this node
  router ID   10.250.1.254

Capabilities
  CAPABILITY             OFFERED   RECEIVED  AGREED
  IPv4 unicast           ✓         ✓         ✓
  IPv6 unicast           ✓         –         –
  4-octet AS numbers     AS 64512  AS 65001  ✓
  ADD-PATH IPv4 unicast  receive   receive   –
  capability 240         –         0xcafe    –

Timers
  hold: 71 of 90 s left

Messages
  MESSAGE        SENT  RECEIVED
  OPEN              0         0
  UPDATE            0         0
  NOTIFICATION      0         0
  KEEPALIVE         0         0
  ROUTE-REFRESH     0         0

Families
  FAMILY        RECEIVED  ACCEPTED  ADVERTISED  STALE  END-OF-RIB      LIMIT
  IPv4 unicast       412       410           2      0  sent, received  412 of 1000 (41 %), then discarded (0 so far)

Policy and terms
  import: only-pods
  export: announces everything
  password: set (TCP MD5)
  graceful restart: 120 s, stale paths kept 300 s at most

Last errors
  9 h ago  malformed AS_PATH (3/11), sent
    data     0102
    message  ffff
`);
  });
});

describe('manxctl bgp routes PREFIX', () => {
  const prefix = parsePrefix('10.82.1.0/26');
  const route = {
    prefix,
    paths: [
      path(
        {
          state: 'best',
          why: 'best: shorter AS path than tor-b',
          rule: 'accepted by filter only-pods, rule 1 (import)',
        },
        { asPath: '65001 65010', communities: ['64512:120'] },
      ),
      path(
        { peer: 'tor-b', why: 'longer AS path (3 against 2)' },
        { nextHop: parseAddress('10.250.1.253'), asPath: '65001 65002 65010' },
      ),
    ],
    announcedTo: ['worker-2', 'worker-3'],
    exports: [
      ...['worker-2', 'worker-3'].map((name) => ({
        ...{ peer: name, announced: true, why: 'accepted by filter default, rule 4 (inside pool pods-v4) (export)' },
        nextHop: { address: parseAddress('10.250.1.254'), unchanged: true },
      })),
      { peer: 'tor-a', announced: false, why: 'it is the source' },
      { peer: 'tor-b', announced: false, why: 'rejected by filter only-own, rule 2 (export)' },
    ],
    kernel: [
      {
        route: {
          prefix,
          kind: 'unicast',
          metric: 1024,
          nextHops: [{ via: parseAddress('10.250.1.254'), dev: 'eth0' }],
        },
        state: 'installed',
      },
    ],
  } as const;

  test('says for each path why it is where it is, what the kernel has, and who hears of it', () => {
    expect(text(renderRoute(route, view))).toBe(`
10.82.1.0/26  2 paths, best from tor-a
   FROM   NEXT HOP      LOCAL PREF  AS PATH            MED  ORIGIN  COMMUNITIES  AGE  WHY
*> tor-a  10.250.1.254         100  65001 65010          0  i       64512:120    9 h  best: shorter AS path than tor-b
*  tor-b  10.250.1.253         100  65001 65002 65010    0  i                    9 h  longer AS path (3 against 2)
let in:        tor-a (accepted by filter only-pods, rule 1 (import))
in the kernel: via 10.250.1.254 dev eth0 proto manx (201) metric 1024, installed
announced to:  worker-2, worker-3 (next hop unchanged; accepted by filter default, rule 4 (inside pool pods-v4) (export))
not to:        tor-a (it is the source)
not to:        tor-b (rejected by filter only-own, rule 2 (export))
`);
  });

  test('of many peers that fare alike it names the first ten', () => {
    const many = Array.from({ length: 12 }, (_, i) => ({ peer: `w${i}`, announced: false, why: 'NO_EXPORT' }));
    expect(renderRoute({ ...route, exports: many }, view).slice(-2)).toEqual([
      'announced to:  nobody',
      'not to:        w0, w1, w2, w3, w4, w5, w6, w7, w8, w9 and 2 more (NO_EXPORT)',
    ]);
  });

  test('shows a rejected path with what rejected it', () => {
    const rejected = path(
      {
        peer: 'worker-9',
        state: 'rejected',
        since: now - minute,
        why: 'rejected by filter only-pods, rule 2 (import)',
      },
      { asPath: '' },
    );
    const lines = renderRoute({ prefix, paths: [rejected], announcedTo: [] }, view);
    expect(lines[0]).toBe('10.82.1.0/26  1 path, none usable');
    expect(lines[2]).toContain('-  worker-9');
    expect(lines[2]).toContain('rejected by filter only-pods, rule 2 (import)');
    expect(lines.at(-1)).toBe('announced to:  nobody');
  });

  test('without a prefix each route is named once, its further paths beneath it', () => {
    const lines = renderRoutes({ routes: [route], more: true }, view);
    expect(lines.slice(1).map((line) => line.slice(0, 20))).toEqual([
      '*> 10.82.1.0/26  tor',
      '*                tor',
      '… and more: --limit ',
    ]);
  });
});

describe('manxctl fib', () => {
  const prefix = parsePrefix('10.82.9.0/26');
  const wished = {
    prefix,
    kind: 'unicast',
    metric: 1024,
    nextHops: [{ via: parseAddress('10.0.0.1'), dev: 'eth0' }],
  } as const;
  const foreign = {
    route: wished,
    state: 'missing',
    trouble: { prefix, metric: 1024, trouble: 'foreign', reason: 'proto static', since: now - hour },
  } as const;

  test('diff says what is in the way and since when', () => {
    expect(text(renderFibDiff({ status: status.kernel!, routes: [foreign] }, view))).toBe(`
1 difference of 413 wished routes. Checked 12 s ago.

PREFIX        NEXT HOPS              METRIC  STATE    WHY
10.82.9.0/26  via 10.0.0.1 dev eth0    1024  missing  a foreign route is in the way for 1 h (proto static)
`);
  });

  test('diff without differences says that the kernel has everything', () => {
    expect(renderFibDiff({ status: status.kernel!, routes: [] }, view)).toEqual([
      'The kernel has all of 413 routes. Checked 12 s ago.',
    ]);
  });

  test('routes shows every next hop of an ECMP route, and a blackhole as such', () => {
    const ecmp = { ...wished, nextHops: [...wished.nextHops, { via: parseAddress('10.0.0.2'), dev: 'eth0' }] };
    const hole = { prefix: parsePrefix('10.82.0.0/26'), kind: 'blackhole', metric: 0, nextHops: [] } as const;
    const routes = [ecmp, hole].map((route) => ({ route, state: 'installed' }));
    const lines = renderFibRoutes({ status: status.kernel!, routes }, view);
    expect(lines[1]).toContain('via 10.0.0.1 dev eth0, via 10.0.0.2 dev eth0');
    expect(lines[2]).toContain('blackhole');
  });
});

describe('manxctl services', () => {
  const entries: ServiceEntry[] = [
    {
      prefix: parsePrefix('198.51.100.0/24'),
      use: 'range',
      announcedAs: parsePrefix('198.51.100.0/24'),
      reason: 'whole, by every node (serviceExternalIPs)',
    },
    {
      prefix: parsePrefix('198.51.100.7/32'),
      use: 'external',
      service: 'web/shop',
      announcedAs: parsePrefix('198.51.100.7/32'),
      reason: 'externalTrafficPolicy Local: 1 ready endpoint here',
    },
    {
      prefix: parsePrefix('203.0.113.7/32'),
      use: 'loadBalancer',
      service: 'web/shop',
      reason: 'in none of serviceLoadBalancerIPs',
    },
  ];
  const known = { known: true, services: 1, endpointSlices: 1 };

  test('says of every address as what it is announced, or why not', () => {
    expect(text(renderServices({ status: known, entries }, view))).toBe(`
2 of 3 ranges and addresses announced, by 2 routes

ADDRESS          USE            SERVICE   ANNOUNCED AS     WHY
198.51.100.0/24  range          –         198.51.100.0/24  whole, by every node (serviceExternalIPs)
198.51.100.7     external IP    web/shop  198.51.100.7/32  externalTrafficPolicy Local: 1 ready endpoint here
203.0.113.7      load balancer  web/shop  no               in none of serviceLoadBalancerIPs
`);
  });

  test('says first that what it shows may be old', () => {
    const [first] = renderServices({ status: { ...known, error: 'services: connection refused' }, entries }, view);
    expect(first).toBe('not in step: services: connection refused');
  });
});
