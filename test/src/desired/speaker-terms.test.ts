// On which terms a node has its sessions, what it announces, and peers that are found on a link.
import { describe, expect, it } from 'vitest';
import { type Prefix, parseAddress } from '#ip';
import { type ClusterView, type SpeakerInput } from '../../../src/desired/index.ts';
import { bgpConfiguration, bgpPeer, node, peerOptions, pool, prefixes } from '../../support/resources.ts';
import { desired, noMesh, only, peers, tor, wish } from './stage.ts';

describe('a password', () => {
  const secret = bgpPeer('tor', { ...tor.spec, password: { secretKeyRef: { name: 'bgp', key: 'tor' } } });
  const ask = (password: SpeakerInput['password'], view: Partial<ClusterView> = {}) =>
    desired({ peers: [secret], bgpConfigurations: [noMesh], ...view }, 'w1', { password });

  it('goes into the session', () => {
    expect(ask(() => ({ password: 'geheim' })).wish!.peers[0]!.password).toBe('geheim');
  });
  it.each([
    ['cannot be had', { problem: 'ask Ann' }, 'until there is its password: ask Ann'],
    ['is empty', { password: '' }, 'key tor of Secret bgp is empty'],
    ['is longer than the kernel takes', { password: 'x'.repeat(81) }, 'key tor of Secret bgp has 81 bytes'],
  ])('that %s leaves no session, and a trouble that says who must act', (_, password, text) => {
    const { wish: found, troubles } = ask(() => password);
    expect(found!.peers).toEqual([]);
    expect(troubles).toMatchObject([{ kind: 'BGPPeer', name: 'tor', message: expect.stringContaining(text) }]);
  });
  it('from a file is used instead of the Secret', () => {
    const options = peerOptions('o', { peers: ['tor'], passwordFile: 'secrets/tor' });
    const { wish: found } = ask((where) => ('file' in where ? { password: where.file } : { problem: 'no' }), {
      peerOptions: [options],
    });
    expect(found!.peers[0]!.password).toBe('secrets/tor');
  });
  it('of the mesh that cannot be had leaves no mesh', () => {
    const configuration = bgpConfiguration({ nodeMeshPassword: { secretKeyRef: { name: 'mesh', key: 'k' } } });
    const { wish: found, troubles } = desired({ bgpConfigurations: [configuration] });
    expect([found!.peers, troubles.map(({ path }) => path)]).toEqual([[], Array(3).fill('spec.nodeMeshPassword')]);
  });
});

describe('PeerOptions', () => {
  const labelled = bgpPeer('tor', tor.spec, { side: 'left' });
  const all = [
    peerOptions('a-by-name', { peers: ['tor'], holdTime: '9s' }),
    peerOptions('b-by-label', { peerSelector: "side == 'left'", holdTime: '30s', connectRetryTime: '7s' }),
    peerOptions('c-default', { holdTime: '60s', connectRetryTime: '8s', passive: true }),
    peerOptions('d-mesh', { mesh: true, holdTime: '20s' }),
  ];

  it('hold field by field, the more particular one first', () => {
    const peer = only({ peers: [labelled], peerOptions: all });
    expect(peer).toMatchObject({ holdSeconds: 9, connectRetrySeconds: 7, passive: true });
  });
  it('for the mesh are for the mesh, over the default', () => {
    expect(peers({ peerOptions: all })[0]).toMatchObject({ holdSeconds: 20, connectRetrySeconds: 8 });
  });
  it('for other peers do not apply', () => {
    const others = all.filter(({ spec }) => spec.peers ?? spec.peerSelector);
    expect(only({ peers: [bgpPeer('else', tor.spec)], peerOptions: others }).holdSeconds).toBe(90);
  });
  it('of equal rank: the later name wins', () => {
    const twice = [peerOptions('b', { holdTime: '2s' }), peerOptions('a', { holdTime: '1s' })];
    expect(only({ peers: [tor], peerOptions: twice }).holdSeconds).toBe(2);
  });
  it('reach every term of the session', () => {
    const options = peerOptions('o', {
      families: ['ipv4-unicast', 'ipv6-unicast'],
      prefixLimit: { max: 10, warnPercent: 50, action: 'Close', idleTime: '1m' },
      gracefulRestart: { enabled: false, staleTimeMax: '4m', longLivedStaleTime: '1h' },
      role: 'RouteServerClient',
      addPath: { receive: false, send: 2 },
      extendedNextHop: true,
      interface: 'eth1',
      shutdown: 'moving house',
    });
    expect(only({ peers: [tor], peerOptions: [options] })).toMatchObject({
      families: ['ipv4-unicast', 'ipv6-unicast'],
      nextHopAddress: { 'ipv4-unicast': '10.0.0.9', 'ipv6-unicast': 'fd00::9' },
      prefixLimit: { max: 10, warnPercent: 50, action: 'close', idleSeconds: 60 },
      gracefulRestart: { enabled: false, restartSeconds: 120, staleSecondsMax: 240, longLivedSeconds: 3600 },
      role: 'routeServerClient',
      addPath: { receive: false, send: 2 },
      extendedNextHop: true,
      interface: 'eth1',
      shutdown: 'moving house',
    });
  });
  it('make peers come from anywhere in a prefix', () => {
    const [prefix] = prefixes('10.9.0.0/24') as [Prefix];
    const options = peerOptions('o', { peers: ['any'], dynamicPrefix: prefix, maxDynamicPeers: 5 });
    const { peers: found, dynamicPeers } = wish({
      peers: [bgpPeer('any', { asNumber: 65001 })],
      peerOptions: [options],
      bgpConfigurations: [noMesh],
    });
    expect(found).toEqual([]);
    expect(dynamicPeers).toMatchObject([{ name: 'any', prefix, maxPeers: 5, asn: 65001, families: ['ipv4-unicast'] }]);
  });
});

describe('what a node announces', () => {
  const pools = [pool('pods', '10.82.0.0/16')];
  const ownBlocks = prefixes('10.82.0.64/26');
  const ownAddresses = ['10.82.0.65', '10.82.7.1', '10.99.0.1'].map(parseAddress);
  const announced = (view: Partial<ClusterView>) =>
    wish({ pools, ...view }, 'w1', { ownBlocks, ownAddresses }).originated;

  it('is its blocks, and single addresses only out of others’ blocks in a pool', () => {
    expect(announced({}).map(({ prefix }) => prefix)).toEqual(['10.82.0.64/26', '10.82.7.1/32']);
  });
  it('has Calico’s LOCAL_PREF, so that a mixed cluster prefers neither kind of node', () => {
    expect(announced({})[0]!.localPref).toBe(2_147_482_623);
  });
  it('has another LOCAL_PREF where the priority is set', () => {
    const configuration = bgpConfiguration({ ipv4NormalRoutePriority: 2000 });
    expect(announced({ bgpConfigurations: [configuration] })[0]!.localPref).toBe(2_147_483_647 - 2000);
  });
  it('carries the communities of prefixAdvertisements, by value and by name', () => {
    const configuration = bgpConfiguration({
      communities: [{ name: 'gold', value: '64512:300:100' }],
      prefixAdvertisements: [{ cidr: pools[0]!.spec.cidr, communities: ['gold', '64512:120'] }],
    });
    expect(announced({ bgpConfigurations: [configuration] })[0]).toMatchObject({
      communities: [((64512 << 16) >>> 0) + 120],
      largeCommunities: [[64512, 300, 100]],
    });
  });
  it('takes the node’s own prefixAdvertisements, and reports a community that has no value', () => {
    const cluster = bgpConfiguration({ prefixAdvertisements: [{ cidr: pools[0]!.spec.cidr, communities: ['1:1'] }] });
    const own = bgpConfiguration(
      { prefixAdvertisements: [{ cidr: pools[0]!.spec.cidr, communities: ['gold'] }] },
      'node.w1',
    );
    const view = { pools, bgpConfigurations: [cluster, own] };
    expect(announced(view)[0]!.communities).toBeUndefined();
    expect(desired(view).troubles).toMatchObject([{ message: expect.stringContaining('no community named "gold"') }]);
  });
  it('includes the ranges of services, but not on a node that takes no part in load balancing', () => {
    const [cidr, balanced] = prefixes('10.96.0.0/16', '203.0.113.0/24') as [Prefix, Prefix];
    const configuration = bgpConfiguration({
      serviceClusterIPs: [{ cidr }],
      serviceLoadBalancerIPs: [{ cidr: balanced }],
    });
    const label = { 'node.kubernetes.io/exclude-from-external-load-balancers': 'true' };
    const excluded = node('w1', { ipv4Address: '10.0.0.9/24' }, label);
    const ranges = (view: Partial<ClusterView>): Prefix[] =>
      announced({ pools: [], bgpConfigurations: [configuration], ...view }).map(({ prefix }) => prefix);
    expect([ranges({}), ranges({ nodes: [excluded] })]).toEqual([['10.82.0.64/26', cidr, balanced], ['10.82.0.64/26']]);
  });
  it('leaves out the range of load balancers without aggregation', () => {
    const [cidr] = prefixes('203.0.113.0/24') as [Prefix];
    const configuration = bgpConfiguration({
      serviceLoadBalancerIPs: [{ cidr }],
      serviceLoadBalancerAggregation: 'Disabled',
    });
    expect(announced({ bgpConfigurations: [configuration] }).map(({ prefix }) => prefix)).not.toContain(cidr);
  });
});

describe('an unnumbered peer', () => {
  const options = peerOptions('leaf', { peers: ['leaf'], interface: 'eth1' });
  const leaf = bgpPeer('leaf', { asNumber: 65001 });
  const found = { neighbour: parseAddress('fe80::1'), local: parseAddress('fe80::9') };
  const unnumbered = (extra: Partial<SpeakerInput> = {}, view: Partial<ClusterView> = {}) =>
    desired({ peers: [leaf], peerOptions: [options], bgpConfigurations: [noMesh], ...view }, 'w3', extra);
  const there = { sighting: () => ({ found }) };

  it('is looked for on its link, and there alone', () => {
    const links: string[] = [];
    const sighting = (link: string): object => {
      links.push(link);
      return {};
    };
    expect(unnumbered({ sighting }).links).toEqual(['eth1']);
    expect(new Set(links)).toEqual(new Set(['eth1']));
    expect(desired({ peers: [tor] }).links).toEqual([]);
  });
  it('that has not been found has a wish that says so, and no trouble', () => {
    const { wish: drawn, troubles } = unnumbered({ sighting: () => ({ reason: 'nobody is there' }) });
    expect(drawn!.peers).toMatchObject([{ name: 'leaf', address: '::', interface: 'eth1', absent: 'nobody is there' }]);
    expect(troubles).toEqual([]);
  });
  it('that has been found has a session between the two link-local addresses', () => {
    const [peer] = unnumbered(there).wish!.peers;
    expect(peer).toMatchObject({
      address: 'fe80::1',
      localAddress: 'fe80::9',
      interface: 'eth1',
      port: 179,
      asn: 65001,
    });
    expect(peer).not.toHaveProperty('absent');
  });
  it('carries both families, IPv4 by our link-local next hop (RFC 8950)', () => {
    const [peer] = unnumbered(there).wish!.peers;
    expect(peer).toMatchObject({ families: ['ipv4-unicast', 'ipv6-unicast'], extendedNextHop: true });
    expect(peer).not.toHaveProperty('nextHopAddress');
  });
  it('carries what it is told to', () => {
    const only4 = {
      ...options,
      spec: { ...options.spec, families: ['ipv4-unicast' as const], extendedNextHop: false },
    };
    expect(unnumbered(there, { peerOptions: [only4] }).wish!.peers).toMatchObject([
      { families: ['ipv4-unicast'], extendedNextHop: false },
    ]);
  });
  it('about which there is something to see to is reported, and has its session all the same', () => {
    const { wish: drawn, troubles } = unnumbered({ sighting: () => ({ found, trouble: 'two routers' }) });
    expect(drawn!.peers).toMatchObject([{ address: 'fe80::1' }]);
    expect(troubles).toEqual([{ kind: 'BGPPeer', name: 'leaf', message: 'two routers' }]);
  });
  it('needs an AS number', () => {
    const { wish: drawn, troubles } = unnumbered(there, { peers: [bgpPeer('leaf', {})] });
    expect([drawn!.peers, troubles]).toMatchObject([[], [{ path: 'spec.asNumber' }]]);
  });
  it('is one session, whoever asks for it', () => {
    const again = bgpPeer('again', { asNumber: 65001, node: 'w3' });
    const both = { ...options, spec: { ...options.spec, peers: ['leaf', 'again'] } };
    expect(unnumbered(there, { peers: [leaf, again], peerOptions: [both] }).wish!.peers).toMatchObject([
      { name: 'leaf' },
    ]);
  });
  it('comes to a node that has no IPv6 address of its own', () => {
    expect(unnumbered(there).wish!.listen.map(({ address }) => address)).toEqual(['0.0.0.0', '::']);
    expect(desired({ peers: [tor] }, 'w3').wish!.listen.map(({ address }) => address)).toEqual(['0.0.0.0']);
  });
  it('comes to our link-local address, where the node listens on its own addresses alone', () => {
    const bgpConfigurations = [bgpConfiguration({ nodeToNodeMeshEnabled: false, bindMode: 'NodeIP' })];
    expect(unnumbered(there, { bgpConfigurations }).wish!.listen).toEqual([
      { address: '10.0.0.13', port: 179 },
      { address: 'fe80::9', port: 179, interface: 'eth1' },
    ]);
    expect(unnumbered({}, { bgpConfigurations }).wish!.listen).toHaveLength(1);
  });
  it('hears where the node is, if that is on no subnet', () => {
    const prefixesOf = (ipv4Address: string, view: Partial<ClusterView> = {}): string[] =>
      unnumbered(there, { nodes: [node('w3', { ipv4Address })], ...view }).wish!.originated.map(({ prefix }) => prefix);
    expect(prefixesOf('192.0.2.13/32')).toEqual(['192.0.2.13/32']);
    expect(prefixesOf('192.0.2.13/24')).toEqual([]);
    expect(prefixesOf('192.0.2.13/32', { peers: [tor] })).toEqual([]);
  });
});
