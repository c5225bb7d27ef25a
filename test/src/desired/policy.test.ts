// What a node takes from a peer and tells it, route by route, asked of the speaker's own policy engine.
import { describe, expect, it } from 'vitest';
import { type Prefix, parseAddress, parsePrefix } from '#ip';
import type { PathAttributes } from '../../../bgp/message.ts';
import type { PeerWish } from '../../../bgp/wish.ts';
import { type ClusterView, type SpeakerInput, desiredSpeaker } from '../../../src/desired/index.ts';
import type { BGPFilterSpec } from '../../../src/resources/types.ts';
import { type Decision, decide } from '../../support/policy.ts';
import { bgpConfiguration, bgpFilter, bgpPeer, node, peerOptions, pool, prefixes } from '../../support/resources.ts';

const pools = [pool('pods', '10.82.0.0/16'), pool('hidden', '10.83.0.0/16', { disableBGPExport: true })];
const ownBlocks = prefixes('10.82.0.64/26', '10.83.0.0/26');
const nodes = [
  node('w1', { ipv4Address: '10.0.0.11/24' }, { gateway: 'true' }),
  node('w2', { ipv4Address: '10.0.0.12/24' }, { gateway: 'true' }),
  node('w3', { ipv4Address: '10.0.0.13/24' }),
];
const tor = bgpPeer('tor', { peerIP: '10.0.0.254', asNumber: 65001 });

const manyNodes = [...nodes, ...Array.from({ length: 50 }, (_, i) => node(`n${i}`, { ipv4Address: `10.0.1.${i}/24` }))];

function peer(name: string, view: Partial<ClusterView> = {}, sighting?: SpeakerInput['sighting']): PeerWish {
  const base = { nodes, pools, bgpConfigurations: [], peers: [tor], filters: [], peerOptions: [], reservations: [] };
  const { wish } = desiredSpeaker({
    view: { ...base, ...view },
    node: 'w1',
    ownBlocks,
    ownAddresses: [],
    password: () => ({ problem: 'nobody knows it' }),
    ...(sighting && { sighting }),
  });
  return wish!.peers.find((each) => each.name === name)!;
}

type Verdict = Decision['verdict'];

function exported(to: PeerWish, prefix: string, attributes: Partial<PathAttributes> | 'local' = {}): Decision {
  const peerType = to.asn === 64512 ? 'iBGP' : 'eBGP';
  const source = attributes === 'local' ? 'Local' : 'RemotePeers';
  return decide(to.exportPolicy!, parsePrefix(prefix), { peerType, source }, attributes === 'local' ? {} : attributes);
}

function imported(from: PeerWish, prefix: string): Decision {
  return decide(from.importPolicy!, parsePrefix(prefix), { peerType: 'eBGP', source: 'RemotePeers' });
}

const via = (address: string): Partial<PathAttributes> => ({ nextHop: parseAddress(address) });

describe('import without a filter', () => {
  it.each<[string, Verdict, string]>([
    ['10.82.0.128/26', 'accept', 'another node’s block'],
    ['0.0.0.0/0', 'accept', 'the default route'],
    ['192.0.2.0/24', 'accept', 'anything from the data centre'],
    ['10.82.0.70/32', 'accept', 'an address that is lent out of our block'],
    ['10.82.0.64/26', 'reject', 'our own block'],
    ['10.0.0.11/32', 'reject', 'our own address'],
  ])('%s: %s, for it is %s', (prefix, verdict) => {
    expect(imported(peer('tor'), prefix).verdict).toBe(verdict);
  });
  it('refuses a service range that this node announces', () => {
    const [cidr] = prefixes('10.96.0.0/16') as [Prefix];
    const from = peer('tor', { bgpConfigurations: [bgpConfiguration({ serviceClusterIPs: [{ cidr }] })] });
    expect(imported(from, '10.96.0.0/16')).toMatchObject({ verdict: 'reject', by: "10.96.0.0/16 is this node's own" });
  });
});

describe('export without a filter', () => {
  it.each<[string, string, Partial<PathAttributes> | 'local', Verdict]>([
    ['our own block', '10.82.0.64/26', 'local', 'accept'],
    ['a borrowed address of ours', '10.82.9.9/32', 'local', 'accept'],
    ['our block of a pool with disableBGPExport', '10.83.0.0/26', 'local', 'reject'],
    ['one of our pods by itself', '10.82.0.70/32', {}, 'reject'],
    ['what the data centre told another peer', '192.0.2.0/24', {}, 'reject'],
    ['the default route', '0.0.0.0/0', {}, 'reject'],
  ])('of %s to the ToR and to the mesh: %s %o %s', (_, prefix, attributes, verdict) => {
    for (const name of ['tor', 'w2'])
      expect([name, exported(peer(name), prefix, attributes).verdict]).toEqual([name, verdict]);
  });

  it('tells a node of the mesh what is learned from inside a pool', () => {
    expect(exported(peer('w2'), '10.82.7.0/26', via('10.0.0.254')).verdict).toBe('accept');
  });
  it('adds the communities of prefixAdvertisements to what is passed on', () => {
    const bgpConfigurations = [
      bgpConfiguration({
        prefixAdvertisements: [
          { cidr: parsePrefix('10.82.0.0/16'), communities: ['64512:1'] },
          { cidr: parsePrefix('10.82.7.0/24'), communities: ['64512:2'] },
        ],
      }),
    ];
    const to = peer('w2', { bgpConfigurations });
    const communities = (prefix: string): unknown =>
      exported(to, prefix).attributes?.communities?.map((c) => c & 0xffff);
    expect([communities('10.82.7.0/26'), communities('10.82.8.0/26')]).toEqual([[1, 2], [1]]);
  });
});

describe('other nodes’ blocks and the ToR', () => {
  it('are left to those nodes when they talk to the ToR themselves', () => {
    expect(exported(peer('tor'), '10.82.7.0/26', via('10.0.0.12')).verdict).toBe('reject');
  });
  it('are announced for a node that has no session with the ToR', () => {
    const gatewaysOnly = { peers: [bgpPeer('tor', { ...tor.spec, nodeSelector: "gateway == 'true'" })] };
    const to = peer('tor', gatewaysOnly);
    const verdicts = ['10.0.0.12', '10.0.0.13'].map((hop) => exported(to, '10.82.7.0/26', via(hop)).verdict);
    expect(verdicts).toEqual(['reject', 'accept']);
  });
  it('are announced for many such nodes with few rules, and nothing that an external peer said', () => {
    const to = peer('tor', {
      nodes: manyNodes,
      peers: [bgpPeer('tor', { ...tor.spec, nodeSelector: "gateway == 'true'" })],
    });
    const verdicts = ['10.0.0.12', '10.0.1.7', '10.0.0.254'].map(
      (hop) => exported(to, '10.82.7.0/26', via(hop)).verdict,
    );
    expect(verdicts).toEqual(['reject', 'accept', 'reject']);
    expect(to.exportPolicy!.rules.length).toBeLessThan(12);
  });
  it('are not announced from one leaf of an unnumbered fabric to another, each node speaking for itself', () => {
    const uplinks = ['eth1', 'eth2'].map((link) => peerOptions(link, { peers: [link], interface: link }));
    const some = { nodeSelector: "gateway == 'true'", asNumber: 65001 };
    const neighbour = (link: string) => parseAddress(link === 'eth1' ? 'fe80::1' : 'fe80::2');
    const view = { nodes: manyNodes, peers: uplinks.map(({ metadata }) => bgpPeer(metadata.name, some)) };
    const to = peer('eth2', { ...view, peerOptions: uplinks }, (link) => ({
      found: { neighbour: neighbour(link), local: parseAddress('fe80::9') },
    }));
    const verdicts = ['fe80::1', 'fe80::2', '10.0.0.12', '10.0.1.7'].map(
      (hop) => exported(to, '10.82.7.0/26', via(hop)).verdict,
    );
    expect(verdicts).toEqual(['reject', 'reject', 'reject', 'accept']);
  });
  it('are announced all the same where a filter says so', () => {
    const all: BGPFilterSpec = {
      exportV4: [{ action: 'Accept', cidr: parsePrefix('10.82.0.0/16'), matchOperator: 'In', source: 'RemotePeers' }],
    };
    const to = peer('tor', {
      filters: [bgpFilter('redundant', all)],
      peers: [bgpPeer('tor', { ...tor.spec, filters: ['redundant'] })],
    });
    expect(exported(to, '10.82.7.0/26', via('10.0.0.12'))).toMatchObject({ verdict: 'accept', by: 'redundant rule 1' });
  });
});

describe('a route reflector', () => {
  it('passes on the ranges of load balancers', () => {
    const [cidr] = prefixes('203.0.113.0/24') as [Prefix];
    const reflector = node('w1', { ipv4Address: '10.0.0.11/24', routeReflectorClusterID: parseAddress('1.0.0.1') });
    const to = peer('rr/w3', {
      nodes: [reflector, nodes[2]!],
      peers: [bgpPeer('rr', { peerSelector: 'all()' })],
      bgpConfigurations: [bgpConfiguration({ serviceLoadBalancerIPs: [{ cidr }] })],
    });
    expect(exported(to, '203.0.113.7/32').verdict).toBe('accept');
    expect(exported(to, '198.51.100.0/24').verdict).toBe('reject');
  });
});

describe('BGPFilters', () => {
  const filtered = (...specs: BGPFilterSpec[]): PeerWish =>
    peer('tor', {
      filters: specs.map((spec, i) => bgpFilter(`f${i}`, spec)),
      peers: [bgpPeer('tor', { ...tor.spec, filters: specs.map((_, i) => `f${i}`) })],
    });
  const cidr = parsePrefix('10.82.0.0/16');

  it('decide before the defaults: an Accept bypasses disableBGPExport', () => {
    const to = filtered({ exportV4: [{ action: 'Accept', cidr: parsePrefix('10.83.0.0/16'), matchOperator: 'In' }] });
    expect(exported(to, '10.83.0.0/26', 'local')).toMatchObject({ verdict: 'accept', by: 'f0 rule 1' });
  });
  it('do not bypass the refusal of our own prefixes', () => {
    const from = filtered({ importV4: [{ action: 'Accept' }] });
    expect(imported(from, '10.82.0.64/26').verdict).toBe('reject');
  });
  it('go on to the next filter, and to the defaults, where no rule matches', () => {
    const from = filtered(
      { importV4: [{ action: 'Reject', cidr, matchOperator: 'Equal' }] },
      { importV4: [{ action: 'Reject', cidr: parsePrefix('192.0.2.0/24'), matchOperator: 'In' }] },
    );
    expect(['10.82.0.0/16', '192.0.2.7/32', '198.51.100.0/24'].map((prefix) => imported(from, prefix).by)).toEqual([
      'f0 rule 1',
      'f1 rule 1',
      '',
    ]);
  });
  it('hold unconditionally without a condition', () => {
    expect(imported(filtered({ importV4: [{ action: 'Reject' }] }), '192.0.2.0/24').verdict).toBe('reject');
  });
  it.each<[string, string, Verdict]>([
    ['Equal', '10.82.0.0/16', 'reject'],
    ['Equal', '10.82.1.0/24', 'accept'],
    ['NotEqual', '10.82.0.0/16', 'accept'],
    ['NotEqual', '192.0.2.0/24', 'reject'],
    ['In', '10.82.1.0/24', 'reject'],
    ['In', '192.0.2.0/24', 'accept'],
    ['NotIn', '192.0.2.0/24', 'reject'],
    ['NotIn', '10.82.1.0/24', 'accept'],
  ])('match a CIDR with %s: %s → %s', (matchOperator, prefix, verdict) => {
    const rule = { action: 'Reject', cidr, matchOperator: matchOperator as 'In' } as const;
    expect(imported(filtered({ importV4: [rule] }), prefix).verdict).toBe(verdict);
  });
  it('match a range of lengths, never shorter than the CIDR', () => {
    const rule = { action: 'Reject', cidr, matchOperator: 'In', prefixLength: { min: 8, max: 24 } } as const;
    const from = filtered({ importV4: [rule] });
    const verdicts = ['10.0.0.0/8', '10.82.0.0/16', '10.82.1.0/24', '10.82.1.0/25'].map(
      (p) => imported(from, p).verdict,
    );
    expect(verdicts).toEqual(['accept', 'reject', 'reject', 'accept']);
  });
  it('translate every other condition and operation', () => {
    const from = filtered({
      importV4: [
        {
          action: 'Accept',
          source: 'RemotePeers',
          interface: 'eth*',
          peerType: 'eBGP',
          communities: { values: ['64512:300:100'] },
          asPathPrefix: [65001, 65002],
          operations: [
            { addCommunity: { value: '64512:7' } },
            { prependASPath: { prefix: [1, 2] } },
            { setPriority: { value: 512 } },
          ],
        },
      ],
    });
    expect(from.importPolicy!.rules.at(-1)).toEqual({
      name: 'f0 rule 1',
      action: 'accept',
      match: {
        source: 'RemotePeers',
        interface: 'eth*',
        peerType: 'eBGP',
        communities: [[64512, 300, 100]],
        asPathPrefix: [65001, 65002],
      },
      operations: [
        { do: 'addCommunity', value: 64512 * 65536 + 7 },
        { do: 'prependAsPath', asns: [1, 2] },
        { do: 'setPriority', value: 512 },
      ],
    });
  });
  it('match a priority by the LOCAL_PREF that Calico makes of it, in both directions', () => {
    const rules = [{ action: 'Reject', priority: 512 } as const, { action: 'Accept' } as const];
    const to = filtered({ importV4: rules, exportV4: rules });
    const verdicts = (localPref: number | undefined) => {
      const attributes = localPref === undefined ? {} : { localPref };
      const heard = decide(to.importPolicy!, parsePrefix('192.0.2.0/24'), from, attributes);
      return [heard.verdict, exported(to, '192.0.2.0/24', attributes).verdict];
    };
    const from = { peerType: 'eBGP', source: 'RemotePeers' } as const;
    expect(verdicts(2_147_483_647 - 512)).toEqual(['reject', 'reject']);
    expect(verdicts(2_147_482_623)).toEqual(['accept', 'accept']);
    expect(verdicts(undefined)).toEqual(['accept', 'accept']);
  });
  it('of one family leave the other alone on a session that carries both', () => {
    const from = peer('tor', {
      filters: [bgpFilter('f', { importV4: [{ action: 'Reject' }] })],
      peers: [bgpPeer('tor', { ...tor.spec, filters: ['f'] })],
      peerOptions: [peerOptions('o', { families: ['ipv4-unicast', 'ipv6-unicast'] })],
    });
    expect(['192.0.2.0/24', '2001:db8::/32'].map((prefix) => imported(from, prefix).verdict)).toEqual([
      'reject',
      'accept',
    ]);
  });
  it('that do not exist let nothing through, in either direction, and are reported', () => {
    const view = { peers: [bgpPeer('tor', { ...tor.spec, filters: ['only-pods'] })] };
    const to = peer('tor', view);
    expect([imported(to, '192.0.2.0/24').verdict, exported(to, '10.82.0.64/26', 'local').verdict]).toEqual([
      'reject',
      'reject',
    ]);
    const { troubles } = desiredSpeaker({
      view: { nodes, pools, bgpConfigurations: [], filters: [], peerOptions: [], reservations: [], ...view },
      node: 'w1',
      ownBlocks,
      ownAddresses: [],
      password: () => ({ problem: 'nobody knows it' }),
    });
    expect(troubles).toMatchObject([{ kind: 'BGPFilter', name: 'only-pods' }]);
  });
  it('are not for the mesh', () => {
    const filters = [bgpFilter('f', { importV4: [{ action: 'Reject' }] })];
    expect(imported(peer('w2', { filters }), '10.82.7.0/26').verdict).toBe('accept');
  });
});

describe('requirePolicy (RFC 8212)', () => {
  const options = { peerOptions: [peerOptions('o', { requirePolicy: true })] };
  it('lets nothing through to or from an external peer without a filter', () => {
    const to = peer('tor', options);
    expect([imported(to, '192.0.2.0/24').verdict, exported(to, '10.82.0.64/26', 'local').verdict]).toEqual([
      'reject',
      'reject',
    ]);
  });
  it('does not concern the mesh', () => {
    expect(exported(peer('w2', options), '10.82.0.64/26', 'local').verdict).toBe('accept');
  });
});

describe('policies of peers that are alike', () => {
  const wishOf = (names: readonly string[], view: Partial<ClusterView>): (PeerWish | undefined)[] => {
    const base = { nodes, pools, bgpConfigurations: [], peers: [tor], filters: [], peerOptions: [], reservations: [] };
    const input = { node: 'w1', ownBlocks, ownAddresses: [], password: () => ({ problem: 'nobody knows it' }) };
    const { wish } = desiredSpeaker({ ...input, view: { ...base, ...view } });
    return names.map((name) => wish!.peers.find((each) => each.name === name));
  };
  it('are the same, so that the speaker can make one stream for all of them', () => {
    const [w2, w3] = wishOf(['w2', 'w3'], {});
    expect(w2!.exportPolicy).toBe(w3!.exportPolicy);
  });
  it('are not confused with those of peers that differ in a filter, or in who else talks to them', () => {
    const other = bgpPeer('other', { peerIP: '10.0.0.253', asNumber: 65001, node: 'w1' });
    const strict = bgpPeer('strict', { peerIP: '10.0.0.252', asNumber: 65001, filters: ['f'] });
    const filters = [bgpFilter('f', { exportV4: [{ action: 'Reject' }] })];
    const all = wishOf(['tor', 'other', 'strict', 'w2'], { peers: [tor, other, strict], filters });
    const verdicts = all.map((each) => exported(each!, '10.82.7.0/26', via('10.0.0.12')).by);
    expect(verdicts).toEqual(['', 'inside pool pods', 'f rule 1', 'inside pool pods']);
  });
});
