import { type Family, parsePrefix } from '#ip';
import { describe, expect, test } from 'vitest';
import { type ServicesInput, servicesAnnouncer } from '../../../src/services/announced.ts';
import type { Endpoint, EndpointSlice, Service } from '../../../src/services/objects.ts';
import type { BGPConfigurationSpec, IPPool } from '../../../src/resources/types.ts';
import { pool } from '../../support/resources.ts';

const cidrs = (...texts: string[]): { cidr: ReturnType<typeof parsePrefix> }[] =>
  texts.map((text) => ({ cidr: parsePrefix(text) }));
const configuration: BGPConfigurationSpec = {
  serviceClusterIPs: cidrs('10.96.0.0/16', 'fd96::/112'),
  serviceExternalIPs: cidrs('198.51.100.0/24', '192.0.2.1/32'),
  serviceLoadBalancerIPs: cidrs('203.0.113.0/24', '192.0.2.2/32'),
};
const apart: BGPConfigurationSpec = { ...configuration, serviceLoadBalancerAggregation: 'Disabled' };

function service(name: string, spec: Service['spec'], ingress: { ip: string; ipMode?: string }[] = []): Service {
  return {
    ...{ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'web' } },
    spec: { type: 'ClusterIP', clusterIPs: ['10.96.0.10'], ...spec },
    status: { loadBalancer: { ingress } },
  };
}

/** Endpoints as words: "here", "there", with "unready", "lasting" (terminating, serving) or "dying" before them. */
function slice(name: string, words: readonly string[], addressType = 'IPv4'): EndpointSlice {
  const conditions: Record<string, NonNullable<Endpoint['conditions']>> = {
    unready: { ready: false },
    lasting: { ready: false, serving: true, terminating: true },
    dying: { ready: false, serving: false, terminating: true },
  };
  return {
    ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType },
    metadata: { name: `${name}-x`, namespace: 'web', labels: { 'kubernetes.io/service-name': name } },
    endpoints: words.map((word) => {
      const [place, state] = word.split(' ').reverse() as [string, string | undefined];
      return { nodeName: place, ...(state !== undefined && { conditions: conditions[state]! }) };
    }),
  };
}

interface Situation {
  readonly services?: readonly Service[];
  readonly slices?: readonly EndpointSlice[];
  readonly configuration?: BGPConfigurationSpec;
  readonly labels?: Record<string, string>;
  readonly families?: readonly Family[];
  readonly networkUnavailable?: boolean;
  readonly pools?: readonly IPPool[];
}
function inputOf({
  services = [],
  slices = [],
  pools = [],
  labels = {},
  families = [4, 6],
  ...more
}: Situation): ServicesInput {
  return {
    ...{ configuration: more.configuration ?? configuration, pools },
    node: { labels, families, networkUnavailable: more.networkUnavailable ?? false },
    known: { services, endpointSlices: slices },
  };
}
const announce = (situation: Situation) => servicesAnnouncer('here')(inputOf(situation));
const addresses = (situation: Situation): readonly string[] => announce(situation).addresses;
const reasonOf = (situation: Situation, address: string): string | undefined =>
  announce(situation).entries.find(({ prefix, use }) => prefix.startsWith(`${address}/`) && use !== 'range')?.reason;

const ranges = ['10.96.0.0/16', 'fd96::/112', '198.51.100.0/24', '203.0.113.0/24'];
const external = (policy: 'Local' | 'Cluster', address = '198.51.100.7'): Service =>
  service('shop', { externalIPs: [address], externalTrafficPolicy: policy });
const balanced = (policy: 'Local' | 'Cluster', address = '203.0.113.7', ipMode = 'VIP'): Service =>
  service('shop', { type: 'LoadBalancer', externalTrafficPolicy: policy }, [{ ip: address, ipMode }]);
const internal = (policy: 'Local' | 'Cluster', clusterIPs = ['10.96.0.10']): Service =>
  service('shop', { clusterIPs, internalTrafficPolicy: policy });

describe('ranges', () => {
  test('are announced whole, but those of one address', () => {
    expect(announce({})).toMatchObject({ ranges, addresses: [] });
  });

  test('are announced whatever their size where nobody knows of Services', () => {
    const { known: _, ...input } = inputOf({});
    expect(servicesAnnouncer('here')(input).ranges).toEqual([
      ...['10.96.0.0/16', 'fd96::/112', '198.51.100.0/24', '192.0.2.1/32', '203.0.113.0/24', '192.0.2.2/32'],
    ]);
  });

  test('of load balancers are not announced where serviceLoadBalancerAggregation is Disabled', () => {
    expect(announce({ configuration: apart }).ranges).toEqual(['10.96.0.0/16', 'fd96::/112', '198.51.100.0/24']);
  });

  test('inside a pool of pods are not announced', () => {
    const pools = [pool('pods', '198.51.0.0/16')];
    expect(announce({ pools }).ranges).not.toContain('198.51.100.0/24');
    expect(announce({ pools }).entries.find(({ prefix }) => prefix === '198.51.100.0/24')).toEqual({
      ...{ prefix: '198.51.100.0/24', use: 'range' },
      reason: 'inside IPPool pods (198.51.0.0/16), whose addresses are those of pods (serviceExternalIPs)',
    });
  });

  test('are announced by nodes with an address of their family', () => {
    expect(announce({ families: [6] }).ranges).toEqual(['fd96::/112']);
  });
});

describe('policy Local', () => {
  test.each([
    ['an external address', external('Local'), '198.51.100.7'],
    ["a load balancer's address", balanced('Local'), '203.0.113.7'],
    ['a cluster address', internal('Local'), '10.96.0.10'],
  ])('%s is announced by itself where a ready endpoint is', (_, one, address) => {
    const at = (words: string[]) => addresses({ services: [one], slices: [slice('shop', words)] });
    expect(at(['here', 'there'])).toEqual([`${address}/32`]);
    expect(at(['there'])).toEqual([]);
    expect(at(['unready here', 'there'])).toEqual([]);
    expect(at([])).toEqual([]);
  });

  test('of external traffic says nothing about the cluster address, and the other way round', () => {
    const both = (policies: Service['spec']) =>
      addresses({
        services: [service('shop', { externalIPs: ['198.51.100.7'], ...policies })],
        slices: [slice('shop', ['here'])],
      });
    expect(both({ externalTrafficPolicy: 'Local' })).toEqual(['198.51.100.7/32']);
    expect(both({ internalTrafficPolicy: 'Local' })).toEqual(['10.96.0.10/32']);
  });

  test.each([
    [['lasting here'], true, 'externalTrafficPolicy Local: no endpoint is ready; 1 here still serving'],
    [['lasting here', 'there'], false, 'externalTrafficPolicy Local: the endpoints here are going away, 1 elsewhere'],
    [['lasting here', 'here'], true, 'externalTrafficPolicy Local: 1 ready endpoint here'],
    [['dying here'], false, 'externalTrafficPolicy Local: no ready endpoint here'],
    [['unready here', 'there', 'there'], false, 'externalTrafficPolicy Local: no ready endpoint here, 2 elsewhere'],
  ])('with endpoints %j: %s, for the reason %j', (words, isAnnounced, reason) => {
    const situation = { services: [external('Local')], slices: [slice('shop', words)] };
    expect(addresses(situation).length > 0).toBe(isAnnounced);
    expect(reasonOf(situation, '198.51.100.7')).toBe(reason);
  });

  test('looks at all slices of a Service', () => {
    const slices = [slice('shop', ['there']), slice('shop', []), slice('shop', ['here'])];
    expect(addresses({ services: [external('Local')], slices })).toEqual(['198.51.100.7/32']);
  });

  test('looks at slices of the family of the address', () => {
    const one = internal('Local', ['10.96.0.10', 'fd96::a']);
    const at = (...slices: EndpointSlice[]) => addresses({ services: [one], slices });
    expect(at(slice('shop', ['here']), slice('shop', ['here'], 'IPv6'))).toEqual(['10.96.0.10/32', 'fd96::a/128']);
    expect(at(slice('shop', ['here'], 'IPv6'))).toEqual(['fd96::a/128']);
    expect(at(slice('shop', ['here'], 'FQDN'))).toEqual([]);
  });

  test('does not mix up Services of one name in two namespaces', () => {
    const elsewhere = { ...slice('shop', ['here']) };
    const slices = [{ ...elsewhere, metadata: { ...elsewhere.metadata, namespace: 'other' } }];
    expect(addresses({ services: [external('Local')], slices })).toEqual([]);
  });
});

describe('policy Cluster', () => {
  test('leaves an address to its range', () => {
    const situation = { services: [external('Cluster')], slices: [slice('shop', ['here'])] };
    expect(addresses(situation)).toEqual([]);
    expect(announce(situation).entries.at(-1)).toEqual({
      ...{ prefix: '198.51.100.7/32', use: 'external', service: 'web/shop', announcedAs: '198.51.100.0/24' },
      reason: 'by its range',
    });
  });

  test.each([
    ['an external range of one address', external('Cluster', '192.0.2.1'), configuration],
    ['a range of one address for load balancers', balanced('Cluster', '192.0.2.2'), configuration],
    ['load balancers without aggregation', balanced('Cluster'), apart],
  ])('%s: announced by every node while an endpoint is ready anywhere', (_, one, spec) => {
    const at = (words: string[]) => addresses({ services: [one], slices: [slice('shop', words)], configuration: spec });
    expect(at(['there'])).toHaveLength(1);
    expect(at(['lasting there'])).toHaveLength(1);
    expect(at(['unready there'])).toEqual([]);
    expect(at([])).toEqual([]);
  });
});

test('an address of two Services is announced as long as one of them wants it', () => {
  const services = [
    service('a', { externalIPs: ['198.51.100.7'], externalTrafficPolicy: 'Local' }),
    service('b', { externalIPs: ['198.51.100.7'], externalTrafficPolicy: 'Local' }),
  ];
  const at = (...slices: EndpointSlice[]) => addresses({ services, slices });
  expect(at(slice('a', ['here']), slice('b', ['here']))).toEqual(['198.51.100.7/32']);
  expect(at(slice('b', ['here']))).toEqual(['198.51.100.7/32']);
  expect(at()).toEqual([]);
});

describe('never announced is', () => {
  const slices = [slice('shop', ['here'])];
  const local = external('Local');

  test('an address outside the ranges for its use', () => {
    const services = [external('Local', '203.0.113.7')]; // a range, but that of load balancers
    expect(addresses({ services, slices })).toEqual([]);
    expect(reasonOf({ services, slices }, '203.0.113.7')).toBe('in none of serviceExternalIPs');
  });

  test('an address of a pool of pods, also where a range contains it; one of a pool for load balancers is', () => {
    const services = [balanced('Local')];
    const at = (pools: IPPool[]) => addresses({ services, slices, pools });
    expect(at([pool('pods', '203.0.113.0/28')])).toEqual([]);
    expect(at([pool('lb', '203.0.113.0/28', { allowedUses: ['LoadBalancer'] })])).toEqual(['203.0.113.7/32']);
  });

  test('anything by a node that is excluded from load balancing', () => {
    const labels = { 'node.kubernetes.io/exclude-from-external-load-balancers': 'true' };
    expect(announce({ services: [local], slices, labels })).toMatchObject({ ranges: [], addresses: [] });
    expect(reasonOf({ services: [local], slices, labels }, '198.51.100.7')).toBe(
      'this node has the label node.kubernetes.io/exclude-from-external-load-balancers',
    );
  });

  test('anything by a node whose network is unavailable', () => {
    const situation = { services: [local], slices, networkUnavailable: true };
    expect(announce(situation)).toMatchObject({ ranges: [], addresses: [] });
  });

  test('the address of a load balancer that translates by itself', () => {
    expect(addresses({ services: [balanced('Local', '203.0.113.7', 'Proxy')], slices })).toEqual([]);
  });

  test("what was a load balancer's before the Service changed its type", () => {
    const was = { ...balanced('Local'), spec: { ...balanced('Local').spec, type: 'NodePort' } };
    expect(addresses({ services: [was], slices })).toEqual([]);
  });

  test('anything of an ExternalName or a headless Service', () => {
    const headless = service('shop', {
      clusterIPs: ['None'],
      externalIPs: ['198.51.100.7'],
      externalTrafficPolicy: 'Local',
    });
    const name = service('shop', {
      type: 'ExternalName',
      externalIPs: ['198.51.100.7'],
      externalTrafficPolicy: 'Local',
    });
    expect(announce({ services: [headless, name], slices }).entries.every(({ use }) => use === 'range')).toBe(true);
  });
});

test('the class of a load balancer does not matter', () => {
  const one = service(
    'shop',
    { type: 'LoadBalancer', loadBalancerClass: 'x', externalTrafficPolicy: 'Local' } as Service['spec'],
    [{ ip: '203.0.113.7' }],
  );
  expect(addresses({ services: [one], slices: [slice('shop', ['here'])] })).toEqual(['203.0.113.7/32']);
});

test('what is remembered of an object is not used for the one that replaces it', () => {
  const announcer = servicesAnnouncer('here');
  const at = (one: Service, endpoints: EndpointSlice) =>
    announcer(inputOf({ services: [one], slices: [endpoints] })).addresses;
  expect(at(external('Local'), slice('shop', ['here']))).toEqual(['198.51.100.7/32']);
  expect(at(external('Local'), slice('shop', ['unready here']))).toEqual([]);
  expect(at(external('Local', '198.51.100.8'), slice('shop', ['here']))).toEqual(['198.51.100.8/32']);
});
