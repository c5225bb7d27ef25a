// What is right and what is wrong in a spec, kind by kind, and how it is said.
import { describe, expect, test } from 'vitest';
import { type Kind, kinds, parseResource } from '../../../src/resources/index.ts';
import { peer, wrongSpecs } from '../../support/wrong-specs.ts';

const names: Partial<Record<Kind, string>> = { BGPConfiguration: 'default', IPAMConfig: 'default' };

function parse(kind: Kind, spec: unknown, name = names[kind] ?? 'x') {
  return parseResource({ apiVersion: kinds[kind].apiVersions[0], kind, metadata: { name }, spec });
}

function problemsOf(kind: Kind, spec: unknown, name?: string): string[] {
  return parse(kind, spec, name).problems.map(({ path, message }) => `${path}: ${message}`);
}

describe('defaults', () => {
  test.each<[Kind, object, object]>([
    [
      'IPPool',
      { cidr: '10.82.0.0/16' },
      {
        ...{ cidr: '10.82.0.0/16', blockSize: 26, ipipMode: 'Never', vxlanMode: 'Never', natOutgoing: false },
        ...{ disabled: false, disableBGPExport: false, nodeSelector: 'all()', assignmentMode: 'Automatic' },
        allowedUses: ['Workload', 'Tunnel'],
      },
    ],
    ['IPAMConfig', {}, { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0 }],
    ['BGPConfiguration', {}, { serviceLoadBalancerAggregation: 'Enabled' }],
    ['BGPPeer', peer, peer],
    ['BGPFilter', { importV4: [] }, { importV4: [] }],
    ['PeerOptions', { passive: true }, { passive: true }],
  ])('of %s are filled in where Calico fills them', (kind, spec, expected) => {
    expect(parse(kind, spec)).toEqual({ resource: expect.objectContaining({ spec: expected }), problems: [] });
  });

  test('an IPv6 pool has blocks of /122', () => {
    expect(parse('IPPool', { cidr: 'fd82::/48' }).resource!.spec).toMatchObject({ blockSize: 122 });
  });

  test('a Node and a BGPConfiguration need no spec', () => {
    for (const kind of ['Node', 'BGPConfiguration'] as const) expect(problemsOf(kind, undefined)).toEqual([]);
    expect(problemsOf('IPPool', undefined)).toEqual(['spec: is missing']);
  });
});

describe('canonical texts', () => {
  test.each<[Kind, object, object]>([
    ['IPPool', { cidr: 'FD82:0:0::/48' }, { cidr: 'fd82::/48' }],
    ['BGPPeer', { peerIP: '[FD00::0:1]:1179', asNumber: 1 }, { peerIP: '[fd00::1]:1179' }],
    ['BGPPeer', { ...peer, asNumber: '1.10' }, { asNumber: 65_546 }],
    ['BGPPeer', { ...peer, asNumber: '65001' }, { asNumber: 65_001 }],
    ['BGPPeer', { ...peer, asNumber: 4_294_967_295 }, { asNumber: 4_294_967_295 }],
    ['Node', { bgp: { ipv6Address: 'FD10:0::11/64' } }, { bgp: { ipv6Address: 'fd10::11/64' } }],
    ['Node', { bgp: { ipv4Address: '10.0.0.1' } }, { bgp: { ipv4Address: '10.0.0.1/32' } }],
    ['IPReservation', { reservedCIDRs: ['10.0.0.1', 'FD00::/64'] }, { reservedCIDRs: ['10.0.0.1/32', 'fd00::/64'] }],
  ])('%s %j becomes %j', (kind, spec, expected) => {
    expect(parse(kind, spec).resource!.spec).toMatchObject(expected);
  });
});

test('an integer that came as a bigint is a number where it always fits into one', () => {
  expect(parse('BGPPeer', { ...peer, asNumber: 65_001n }).resource!.spec).toMatchObject({ asNumber: 65_001 });
  expect(problemsOf('BGPPeer', { ...peer, ttlSecurity: 2n ** 64n })).toEqual([
    'spec.ttlSecurity: 18446744073709551616 is not a whole number from 0 to 255',
  ]);
});

describe('what is wrong', () => {
  test.each(wrongSpecs)('%s %j', (kind, spec, problem) => {
    expect(problemsOf(kind, spec)).toEqual([problem]);
  });

  test('every problem is reported, not only the first', () => {
    expect(problemsOf('BGPPeer', { peerIP: 'x', asNumber: -1, pasword: 1, ttlSecurity: '1' })).toHaveLength(4);
  });

  test("a node's own BGPConfiguration says only what is the node's", () => {
    expect(problemsOf('BGPConfiguration', { listenPort: 1179, asNumber: 1 }, 'node.worker-1')).toEqual([
      'spec.asNumber: belongs into BGPConfiguration default, not into that of one node',
    ]);
  });
});

describe('the kinds that concern the cluster as a whole', () => {
  test('keep what Calico has there and we do not know, and read what is about routing', () => {
    const spec = { bpfLogLevel: 'Debug', routeTableRanges: [{ min: 1, max: 250 }], natPortRange: '1024:65535' };
    expect(parse('FelixConfiguration', spec, 'default').resource!.spec).toEqual(spec);
    expect(parse('ClusterInformation', { later: 1 }, 'default').resource!.spec).toEqual({ later: 1 });
    expect(parse('KubeControllersConfiguration', {}, 'default').resource!.spec).toEqual({ controllers: {} });
  });
  test.each<[Kind, object, string, string]>([
    [
      'FelixConfiguration',
      { natPortRange: '9:1' },
      'default',
      'spec.natPortRange: "9:1" is not a range of ports (as in "1024:65535")',
    ],
    [
      'FelixConfiguration',
      { vxlanVNI: 2 ** 24 },
      'node.a',
      'spec.vxlanVNI: 16777216 is not a whole number from 0 to 16777215',
    ],
    ['FelixConfiguration', {}, 'other', 'metadata.name: "other" is neither default nor node.<name of a node>'],
    ['ClusterInformation', {}, 'other', 'metadata.name: "other" is not default, and there is only that one'],
    ['CalicoNodeStatus', {}, 'a', 'spec.node: is missing'],
    ['CalicoNodeStatus', { node: 'a', classes: ['FIB'] }, 'a', 'spec.classes[0]: "FIB" is not Agent, BGP or Routes'],
  ])('%s %j %s: %s', (kind, spec, name, problem) => {
    expect(problemsOf(kind, spec, name)).toEqual([problem]);
  });
});

describe('what surrounds a spec', () => {
  const pool = {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name: 'a' },
    spec: { cidr: '10.0.0.0/8' },
  };
  test.each<[string, unknown, string]>([
    ['a text', 'x', 'undefined: "x" is not a resource (a map with apiVersion, kind, metadata and spec)'],
    ['no kind', { ...pool, kind: undefined }, 'kind: is missing'],
    [
      'a kind that is nearly one',
      { ...pool, kind: 'IpPools' },
      "kind: IpPools is none of Manx's (did you mean IPPool?)",
    ],
    ['no apiVersion', { ...pool, apiVersion: undefined }, 'apiVersion: is missing (projectcalico.org/v3)'],
    [
      'another apiVersion',
      { ...pool, apiVersion: 'v1' },
      'apiVersion: v1 has no IPPool (it is in projectcalico.org/v3)',
    ],
    ['no metadata', { ...pool, metadata: undefined }, 'metadata: is missing'],
    ['no name', { ...pool, metadata: {} }, 'metadata.name: is missing'],
    [
      'a name with blanks',
      { ...pool, metadata: { name: 'my pool' } },
      'metadata.name: "my pool" is not a name (lower-case letters, digits, - and ., at most 253)',
    ],
    [
      'a label that is a number',
      { ...pool, metadata: { name: 'a', labels: { 'a.b/c': 1 } } },
      'metadata.labels["a.b/c"]: 1 is not a text (put it in quotes)',
    ],
    ['a namespace', { ...pool, metadata: { name: 'a', namespace: 'default' } }, 'metadata.namespace: unknown field'],
    ['a field beside the spec', { ...pool, blockSize: 26 }, 'blockSize: unknown field (did you mean spec.blockSize?)'],
  ])('%s', (_, value, problem) => {
    const { problems } = parseResource(JSON.parse(JSON.stringify(value)));
    expect(problems.map(({ path, message }) => `${path}: ${message}`)).toEqual([problem]);
  });

  test('what the cluster adds is taken in or dropped without a word', () => {
    const metadata = { name: 'a', creationTimestamp: null, generation: 3, managedFields: [], resourceVersion: '7' };
    const { resource, problems } = parseResource({ ...pool, metadata, status: { conditions: [] } });
    expect(problems).toEqual([]);
    expect(resource).toEqual({ ...pool, metadata: { name: 'a', resourceVersion: '7' }, spec: expect.anything() });
  });

  test('IPAMConfiguration is the IPAMConfig of v3', () => {
    const value = {
      apiVersion: 'projectcalico.org/v3',
      kind: 'IPAMConfiguration',
      metadata: { name: 'default' },
      spec: {},
    };
    expect(parseResource(value).resource?.kind).toBe('IPAMConfig');
  });

  test('an own __proto__ is a field like any other', () => {
    const value = JSON.parse(`{"__proto__": {"polluted": true}, "kind": "IPPool"}`) as unknown;
    const { problems } = parseResource(value);
    expect(problems.map(({ path }) => path)).toContain('__proto__');
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});
