// Which sessions a node has, and on which terms.
import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '#ip';
import { type SpeakerInput } from '../../../src/desired/index.ts';
import { bgpConfiguration, bgpPeer, node, peerOptions } from '../../support/resources.ts';
import { desired, names, noMesh, nodes, only, peers, tor, wish } from './stage.ts';

describe('the node itself', () => {
  it('has Calico’s AS number, its IPv4 address as router ID, and listens on port 179 everywhere', () => {
    expect(wish({})).toMatchObject({
      asn: 64512,
      routerId: '10.0.0.9',
      listen: [
        { address: '0.0.0.0', port: 179 },
        { address: '::', port: 179 },
      ],
    });
  });
  it('has an AS number of its own where its Node says so, and otherwise the cluster’s', () => {
    const configuration = bgpConfiguration({ asNumber: 64999 });
    const mine = node('w1', { ipv4Address: '10.0.0.9/24', asNumber: 65100 });
    expect(wish({ bgpConfigurations: [configuration] }).asn).toBe(64999);
    expect(wish({ bgpConfigurations: [configuration], nodes: [mine] }).asn).toBe(65100);
  });
  it('listens on its own addresses alone with bindMode NodeIP, and where it is told', () => {
    const configuration = bgpConfiguration({ bindMode: 'NodeIP', listenPort: 1790 });
    const forNode = bgpConfiguration({ listenPort: 1791 }, 'node.w1');
    const ports = (extra: Partial<SpeakerInput>): unknown =>
      wish({ bgpConfigurations: [configuration, forNode] }, 'w1', extra).listen;
    expect(ports({})).toEqual([
      { address: '10.0.0.9', port: 1791 },
      { address: 'fd00::9', port: 1791 },
    ]);
    expect(ports({ listenPort: 0 })).toMatchObject([{ port: 0 }, { port: 0 }]);
  });
  it('has a router ID even without an IPv4 address', () => {
    const six = node('w1', { ipv6Address: 'fd00::9/64' });
    expect(wish({ nodes: [six] }).routerId).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  });
  it('takes the router ID that it is given, and makes one from its name where it is told to', () => {
    const idOf = (routerId: SpeakerInput['routerId'], name = 'w1'): string =>
      wish({}, name, routerId === undefined ? {} : { routerId }).routerId;
    expect(idOf(undefined)).toBe('10.0.0.9');
    expect(idOf('192.0.2.77' as Address)).toBe('192.0.2.77');
    const six = node('w1', { ipv6Address: 'fd00::9/64' });
    expect(idOf('hash')).toBe(wish({ nodes: [six] }).routerId);
    expect(idOf('hash')).not.toBe(idOf('hash', 'w2'));
  });
  it('has no wish, and says why, while there is no such Node or it has no address', () => {
    expect(desired({}, 'nobody')).toEqual({
      links: [],
      troubles: [
        expect.objectContaining({ kind: 'Node', name: 'nobody', message: expect.stringContaining('create it') }),
      ],
    });
    expect(desired({ nodes: [node('w1')] }).troubles[0]!.message).toContain('has no address');
  });
});

describe('the node-to-node mesh', () => {
  it('has one session for each node and family, over that family’s addresses', () => {
    expect(peers({}).map(({ name, address, families }) => [name, address, families])).toEqual([
      ['w2', '10.0.0.12', ['ipv4-unicast']],
      ['w2/v6', 'fd00::12', ['ipv6-unicast']],
      ['w3', '10.0.0.13', ['ipv4-unicast']],
    ]);
  });
  it('is dialled by the side whose address is the larger string, as Calico has it', () => {
    // As strings "10.0.0.9" > "10.0.0.12": w1 dials, although its number is the smaller.
    const passive = (name: string, other: string): boolean =>
      peers({}, name).find((peer) => peer.name === other)!.passive;
    expect([passive('w1', 'w2'), passive('w2', 'w1')]).toEqual([false, true]);
    expect([passive('w2', 'w3'), passive('w3', 'w2')]).toEqual([true, false]);
    expect([passive('w1', 'w2/v6'), passive('w2', 'w1/v6')]).toEqual([false, true]);
  });
  it('uses the node’s own address, the other node’s AS number and port', () => {
    const other = node('w2', { ipv4Address: '10.0.0.12/24', asNumber: 65100 });
    const configuration = bgpConfiguration({ listenPort: 1790 }, 'node.w2');
    const [peer] = peers({ nodes: [nodes[0]!, other], bgpConfigurations: [configuration] });
    expect(peer).toMatchObject({ kind: 'node mesh', asn: 65100, port: 1790, localAddress: '10.0.0.9' });
  });
  it('can be switched off', () => {
    expect(names({ bgpConfigurations: [noMesh] })).toEqual([]);
  });
  it('leaves out route reflectors, which have no mesh themselves', () => {
    const reflector = node('w2', { ipv4Address: '10.0.0.12/24', routeReflectorClusterID: parseAddress('1.0.0.1') });
    const view = { nodes: [nodes[0]!, reflector, nodes[2]!] };
    expect([names(view), names(view, 'w2')]).toEqual([['w3'], []]);
  });
  it('takes its password and restart time from the BGPConfiguration', () => {
    const configuration = bgpConfiguration({
      nodeMeshPassword: { secretKeyRef: { name: 'mesh', key: 'k' } },
      nodeMeshMaxRestartTime: '3m',
    });
    const { peers: found } = wish({ bgpConfigurations: [configuration] }, 'w1', {
      password: () => ({ password: 'secret' }),
    });
    expect(found[0]).toMatchObject({ password: 'secret', gracefulRestart: { restartSeconds: 180 } });
  });
});

describe('a BGPPeer', () => {
  it('is global without a node, and node specific with one or a selector', () => {
    const kinds = (spec: object): string => only({ peers: [bgpPeer('p', { ...tor.spec, ...spec })] }).kind;
    expect([kinds({}), kinds({ node: 'w1' }), kinds({ nodeSelector: 'all()' })]).toEqual([
      'global',
      'node specific',
      'node specific',
    ]);
  });
  it('is for the nodes that it names or selects', () => {
    const rack = bgpPeer('rack', { ...tor.spec, nodeSelector: "rack == 'b'" });
    const one = bgpPeer('one', { peerIP: '10.0.0.253', asNumber: 65002, node: 'w2' });
    const view = { peers: [rack, one], bgpConfigurations: [noMesh] };
    expect([names(view), names(view, 'w2'), names(view, 'w3')]).toEqual([[], ['one'], ['rack']]);
  });
  it('is used once where two say the same address and port: the global one wins', () => {
    const global = bgpPeer('z-global', tor.spec);
    const specific = bgpPeer('a-specific', { ...tor.spec, nodeSelector: 'all()' });
    expect(only({ peers: [specific, global] }).name).toBe('z-global');
  });
  it('is two sessions where the ports differ', () => {
    const other = bgpPeer('other', { peerIP: '10.0.0.254:1179', asNumber: 65001 });
    expect(names({ peers: [tor, other], bgpConfigurations: [noMesh] })).toEqual(['tor', 'other']);
  });
  it.each([
    ['10.0.0.254', '10.0.0.254', 179, 'ipv4-unicast'],
    ['10.0.0.254:1179', '10.0.0.254', 1179, 'ipv4-unicast'],
    ['fd00::fe', 'fd00::fe', 179, 'ipv6-unicast'],
    ['[fd00::fe]:1179', 'fd00::fe', 1179, 'ipv6-unicast'],
  ])('reads the address %s', (peerIP, address, port, family) => {
    const peer = only({ peers: [bgpPeer('p', { peerIP, asNumber: 1 })] });
    expect(peer).toMatchObject({ address, port, families: [family] });
  });
  it('never leads to the node itself', () => {
    const everybody = bgpPeer('p', { peerIP: '10.0.0.9', asNumber: 64512 });
    expect(names({ peers: [everybody], bgpConfigurations: [noMesh] })).not.toContain('p');
  });
  it('takes the place of the mesh session with the same address', () => {
    const explicit = bgpPeer('special', { node: 'w1', peerIP: '10.0.0.12', asNumber: 64512 });
    expect(names({ peers: [explicit] })).toEqual(['w2/v6', 'w3', 'special']);
  });
  it('may be called like a node', () => {
    const namesake = bgpPeer('w2', tor.spec);
    expect(names({ peers: [namesake] })).toEqual(['w2', 'w2/v6', 'w3', 'w2/global']);
  });
  it('for an address family that the node has no address of is reported', () => {
    const six = bgpPeer('six', { peerIP: 'fd00::fe', asNumber: 65001 });
    expect(desired({ peers: [six] }, 'w3').troubles).toEqual([
      {
        kind: 'BGPPeer',
        name: 'six',
        path: 'spec.peerIP',
        message: 'w3 has no IPv6 address: no session with fd00::fe',
      },
    ]);
  });
  it('needs no AS number where its address is a node’s', () => {
    const other = node('w2', { ipv4Address: '10.0.0.12/24', asNumber: 65100 });
    const direct = bgpPeer('direct', { node: 'w1', peerIP: '10.0.0.12' });
    expect(only({ nodes: [nodes[0]!, other], peers: [direct] })).toMatchObject({ name: 'direct', asn: 65100 });
  });
  it('that does not say where it is is reported', () => {
    const { troubles } = desired({ peers: [bgpPeer('link', { asNumber: 65001 })] });
    expect(troubles).toMatchObject([{ name: 'link', message: 'it does not say where the peer is: no session' }]);
  });
  it('on an interface has its link-local address', () => {
    const options = peerOptions('o', { peers: ['link'], interface: 'eth1' });
    const link = bgpPeer('link', { asNumber: 65001, peerIP: 'fe80::1' });
    expect(only({ peers: [link], peerOptions: [options] }, 'w3')).toMatchObject({
      address: 'fe80::1',
      interface: 'eth1',
    });
  });
  it('for workloads is reported, not passed over in silence', () => {
    const workloads = bgpPeer('pods', { localWorkloadSelector: 'all()', asNumber: 65001 });
    expect(desired({ peers: [workloads] }).troubles).toMatchObject([
      { path: 'spec.localWorkloadSelector', message: expect.stringContaining('dynamicPrefix') },
    ]);
  });

  it('carries Calico’s fields into the session', () => {
    const peer = only({
      peers: [
        bgpPeer('p', {
          ...tor.spec,
          localASNumber: 65200,
          sourceAddress: 'None',
          nextHopMode: 'Self',
          keepaliveTime: '10s',
          maxRestartTime: '2m30s',
          numAllowedLocalASNumbers: 2,
          ttlSecurity: 3,
        }),
      ],
    });
    expect(peer).toMatchObject({
      localAsn: 65200,
      nextHop: 'self',
      keepaliveSeconds: 10,
      gracefulRestart: { restartSeconds: 150 },
      allowOwnAs: 2,
      ttlSecurityHops: 3,
      passive: false,
      holdSeconds: 90,
      prefixLimit: { max: 100_000, action: 'discard' },
    });
    expect(peer.localAddress).toBeUndefined();
  });
  it('keeps the next hop with keepOriginalNextHop, but only towards external peers', () => {
    const hop = (asNumber: number): string =>
      only({ peers: [bgpPeer('p', { ...tor.spec, asNumber, keepOriginalNextHop: true })] }).nextHop;
    expect([hop(65001), hop(64512)]).toEqual(['keep', 'auto']);
  });
});

describe('a peerSelector', () => {
  const toRackB = bgpPeer('b', {
    nodeSelector: "rack == 'a'",
    peerSelector: "rack == 'b'",
    localASNumber: 65200,
    numAllowedLocalASNumbers: 3,
  });
  const view = { peers: [toRackB], bgpConfigurations: [noMesh] };

  it('leads to every node that it selects', () => {
    expect(names(view)).toEqual(['b/w3']);
  });
  it('leads back, too, without a BGPPeer that says so', () => {
    expect(peers(view, 'w3').map(({ name, kind, address }) => [name, kind, address])).toEqual([
      ['b/w1', 'node specific', '10.0.0.9'],
      ['b/w2', 'node specific', '10.0.0.12'],
    ]);
  });
  it('does not lead back with reversePeering Manual', () => {
    const manual = bgpPeer('b', { ...toRackB.spec, reversePeering: 'Manual' });
    expect(names({ ...view, peers: [manual] }, 'w3')).toEqual([]);
  });
  it('takes no notice of localASNumber and numAllowedLocalASNumbers', () => {
    expect(peers(view)[0]!.localAsn).toBeUndefined();
    expect(peers(view)[0]!.allowOwnAs).toBe(0);
  });
  it('leads back from a peerIP that is a node’s, if AS number and port are the node’s', () => {
    const direct = (extra: object): string[] =>
      names(
        {
          peers: [bgpPeer('d', { node: 'w1', peerIP: '10.0.0.13', asNumber: 64512, ...extra })],
          bgpConfigurations: [noMesh],
        },
        'w3',
      );
    expect([direct({}), direct({ asNumber: 65001 }), direct({ peerIP: '10.0.0.13:1790' })]).toEqual([['d/w1'], [], []]);
  });
});

describe('a route reflector', () => {
  const clusterId = parseAddress('1.0.0.1');
  const reflector = (name: string, address: string, id = clusterId) =>
    node(name, { ipv4Address: `${address}/24`, routeReflectorClusterID: id }, { reflector: 'true' });
  const view = {
    nodes: [nodes[2]!, reflector('r1', '10.0.0.31'), reflector('r2', '10.0.0.32')],
    peers: [bgpPeer('rr', { nodeSelector: 'all()', peerSelector: "reflector == 'true'" })],
  };

  it('has the other nodes as clients, but not its twin of the same cluster', () => {
    expect(wish(view, 'r1').clusterId).toBe(clusterId);
    expect(peers(view, 'r1').map(({ name, routeReflectorClient }) => [name, routeReflectorClient])).toEqual([
      ['rr/r2', false],
      ['rr/w3', true],
    ]);
  });
  it('takes a reflector of another cluster for a client, as Calico does', () => {
    const other = {
      ...view,
      nodes: [reflector('r1', '10.0.0.31'), reflector('r2', '10.0.0.32', parseAddress('2.0.0.2'))],
    };
    expect(peers(other, 'r1')[0]).toMatchObject({ name: 'rr/r2', routeReflectorClient: true });
  });
  it('has no client in another AS', () => {
    const external = { ...view, peers: [tor] };
    expect(peers(external, 'r1')[0]).toMatchObject({ name: 'tor', routeReflectorClient: false });
  });
  it('is what the other nodes talk to', () => {
    expect(names(view, 'w3')).toEqual(['rr/r1', 'rr/r2']);
  });
});
