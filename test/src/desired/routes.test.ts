// Which routes the kernel should have.
import { describe, expect, it } from 'vitest';
import { parseAddress, parsePrefix } from '#ip';
import type { Attachment } from '../../../cni/port.ts';
import type { Route } from '../../../fib/route.ts';
import {
  type ClusterView,
  type LearnedRoute,
  type RoutesInput,
  desiredRoutes,
  readView,
  routeLearner,
} from '../../../src/desired/index.ts';
import { prefixSet } from '../../../src/desired/prefix-set.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import {
  bgpConfiguration,
  bgpFilter,
  bgpPeer,
  felixConfiguration,
  ipamConfig,
  node,
  peerOptions,
  pool,
  prefixes,
  reservation,
} from '../../support/resources.ts';

const view: ClusterView = {
  nodes: [
    node('w1', { ipv4Address: '10.0.0.11/24', ipv6Address: 'fd00::11/64' }, { rack: 'a' }),
    node('w2', { ipv4Address: '10.0.0.12/24' }),
    node('far', { ipv4Address: '10.7.0.1' }),
  ],
  pools: [pool('pods', '10.82.0.0/16')],
  bgpConfigurations: [bgpConfiguration({ serviceClusterIPs: [{ cidr: parsePrefix('10.96.0.0/16') }] })],
  peers: [],
  filters: [],
  peerOptions: [],
  reservations: [],
};

const pod: Attachment = {
  network: 'k8s-pod-network',
  containerId: 'c0ffee',
  ifname: 'eth0',
  state: 'wired',
  handle: 'k8s-pod-network.c0ffee',
  netns: '/run/netns/x',
  hostInterface: 'cali0761ccbeace',
  addresses: ['10.82.0.65', 'fd82::41'].map(parseAddress),
  mtu: 1500,
  createdAt: 0,
};

function learned(prefix: string, ...nextHops: readonly string[]): LearnedRoute {
  return { prefix: parsePrefix(prefix), paths: nextHops.map((nextHop) => ({ nextHop: parseAddress(nextHop) })) };
}

function routes(input: Partial<RoutesInput>): readonly Route[] {
  return desiredRoutes({ view, node: 'w1', best: [], ownBlocks: [], attachments: [], ...input });
}

describe('pods', () => {
  it('have a host route each, from the moment on when they are being wired', () => {
    for (const state of ['wired', 'adding'] as const) {
      expect(routes({ attachments: [{ ...pod, state }] })).toEqual([
        { prefix: '10.82.0.65/32', kind: 'unicast', metric: 0, nextHops: [{ dev: 'cali0761ccbeace' }] },
        { prefix: 'fd82::41/128', kind: 'unicast', metric: 0, nextHops: [{ dev: 'cali0761ccbeace' }] },
      ]);
    }
  });
});

describe('blocks', () => {
  it('have a blackhole beneath them, unless they are a single address', () => {
    const ownBlocks = prefixes('10.82.0.64/26', '10.82.9.9/32', 'fd82::40/122', 'fd82::9/128');
    expect(routes({ ownBlocks }).map(({ prefix, kind, metric }) => [prefix, kind, metric])).toEqual([
      ['10.82.0.64/26', 'blackhole', 1024],
      ['fd82::40/122', 'blackhole', 1024],
    ]);
  });
});

describe('learned routes', () => {
  it('go by their next hops, several at once, each once', () => {
    expect(routes({ best: [learned('10.82.7.0/26', '10.0.0.12', '10.0.0.254', '10.0.0.12')] })).toEqual([
      {
        prefix: '10.82.7.0/26',
        kind: 'unicast',
        metric: 1024,
        nextHops: [{ via: '10.0.0.12' }, { via: '10.0.0.254' }],
      },
    ]);
  });
  it('go over the interface of a link-local next hop, and of the other family, too', () => {
    const best = [
      { prefix: parsePrefix('10.82.7.0/26'), paths: [{ nextHop: parseAddress('fe80::1'), interface: 'eth1' }] },
    ];
    expect(routes({ best })[0]!.nextHops).toEqual([{ via: 'fe80::1', dev: 'eth1' }]);
  });
  it('never go by ourselves', () => {
    const best = [learned('10.82.7.0/26', '10.0.0.11'), learned('10.82.8.0/26', '10.0.0.11', '10.0.0.12')];
    expect(routes({ best }).map(({ prefix, nextHops }) => [prefix, nextHops])).toEqual([
      ['10.82.8.0/26', [{ via: '10.0.0.12' }]],
    ]);
  });

  const ownBlocks = prefixes('10.82.0.64/26', '10.82.9.9/32');
  it.each([
    ['0.0.0.0/0', true, 'the default route'],
    ['10.82.0.0/16', true, 'an aggregate around our block'],
    ['10.82.0.64/26', false, 'our own block'],
    ['10.82.0.64/27', false, 'a half of our block'],
    ['10.82.0.70/32', true, 'an address of our block that another node has borrowed'],
    ['10.82.0.65/32', false, 'our own pod'],
    ['10.82.9.9/32', false, 'our own block of one address'],
    ['10.0.0.0/24', false, 'our own subnet'],
    ['10.0.0.128/25', false, 'a half of our subnet'],
    ['10.0.0.200/32', true, 'a service address in our subnet'],
    ['10.0.0.12/32', false, 'a node on our subnet'],
    ['10.7.0.1/32', true, 'a node that is somewhere else'],
    ['10.0.0.11/32', false, 'ourselves'],
    ['10.96.0.0/16', false, 'the range of services'],
    ['10.96.0.10/32', false, 'a service'],
    ['169.254.1.0/24', false, 'link-local'],
    ['224.0.0.0/8', false, 'multicast'],
    ['fe80::/64', false, 'link-local, too'],
    ['2001:db8::/32', true, 'an IPv6 network'],
  ])('%s: %o, for it is %s', (prefix, wanted) => {
    const gateway = prefix.includes(':') ? 'fd00::fe' : '10.0.0.254';
    const learn = routeLearner({ view, node: 'w1', ownBlocks, attachments: [pod] });
    expect(learn(learned(prefix, gateway)) !== undefined).toBe(wanted);
  });

  it('that are gone have no route', () => {
    expect(routes({ best: [learned('10.82.7.0/26')] })).toEqual([]);
  });
});

describe('reachableBy', () => {
  const peers = [
    bgpPeer('tor', {
      peerIP: '192.0.2.1:1179',
      asNumber: 65001,
      reachableBy: parseAddress('10.0.0.1'),
      nodeSelector: "rack == 'a'",
    }),
  ];
  it('is a host route to the peer, on the nodes that the BGPPeer is for', () => {
    const of = (name: string): readonly Route[] => routes({ view: { ...view, peers }, node: name });
    expect([of('w1'), of('w2')]).toEqual([
      [{ prefix: '192.0.2.1/32', kind: 'unicast', metric: 1024, nextHops: [{ via: '10.0.0.1' }] }],
      [],
    ]);
  });
  it('is not displaced by what a peer says', () => {
    const best = [learned('192.0.2.1/32', '10.0.0.254')];
    expect(routes({ view: { ...view, peers }, best })).toMatchObject([{ nextHops: [{ via: '10.0.0.1' }] }]);
  });
});

describe('the priority of routes', () => {
  const spec = { ipv4NormalRoutePriority: 512, ipv6NormalRoutePriority: 700 };
  const other = { ...view, bgpConfigurations: [bgpConfiguration(spec)] };
  it('is the metric of blackholes and of what BGP brings, by family, and not that of pods', () => {
    const input = {
      ...{ view: other, ownBlocks: prefixes('10.82.0.64/26', 'fd82::40/122'), attachments: [pod] },
      best: [learned('10.82.7.0/26', '10.0.0.12'), learned('fd82:7::/122', 'fd00::12')],
    };
    const metrics = Object.fromEntries(routes(input).map(({ prefix, metric }) => [prefix, metric]));
    expect(metrics).toEqual({
      ...{ '10.82.0.65/32': 0, 'fd82::41/128': 0 },
      ...{ '10.82.0.64/26': 512, 'fd82::40/122': 700, '10.82.7.0/26': 512, 'fd82:7::/122': 700 },
    });
  });
});

describe('a set of prefixes', () => {
  it('knows the longest one around another', () => {
    const set = prefixSet(prefixes('10.0.0.0/8', '10.1.0.0/16', 'fd00::/8'));
    const around = ['10.1.2.0/24', '10.2.0.0/16', '10.0.0.0/7', 'fd00::1/128', '11.0.0.0/8'].map((text) =>
      set.containing(text === '10.0.0.0/7' ? parsePrefix('10.0.0.0/7') : parsePrefix(text)),
    );
    expect(around).toEqual(['10.1.0.0/16', '10.0.0.0/8', undefined, 'fd00::/8', undefined]);
  });
});

describe('the view', () => {
  it('has everything that the store has', async () => {
    const all = {
      nodes: [node('w1')],
      pools: [pool('p', '10.0.0.0/24')],
      bgpConfigurations: [bgpConfiguration({})],
      peers: [bgpPeer('b', {})],
      filters: [bgpFilter('f', {})],
      peerOptions: [peerOptions('o', {})],
      reservations: [reservation('r', '10.0.0.0/32')],
      felixConfigurations: [felixConfiguration({})],
      ipamConfig: ipamConfig({}),
    };
    const read = await readView(createMemoryStore(...Object.values(all).flat()));
    const named = (found: ClusterView): object =>
      Object.fromEntries(
        Object.entries(found).map(([key, list]) => [key, [list].flat().map(({ metadata }) => metadata.name)]),
      );
    expect(named(read)).toEqual(named(all));
  });
});
