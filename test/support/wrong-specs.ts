// Specs that are wrong in one way each, and how that is said. Our parser and the API server refuse the same.
import type { Kind } from '../../src/resources/types.ts';

/** A peer that is right. */
export const peer = { peerIP: '10.250.1.254', asNumber: 65001 };

const rule = { action: 'Accept', cidr: '10.0.0.0/8', matchOperator: 'In' };
const community = { communities: [{ name: 'gold', value: '64512:120' }] };
const advertised = (...communities: string[]) => ({ prefixAdvertisements: [{ cidr: '10.0.0.0/8', communities }] });

/** Kind, spec, and the problem with its path. */
export const wrongSpecs: readonly [Kind, unknown, string][] = [
  ['IPPool', {}, 'spec.cidr: is missing'],
  ['IPPool', { cidr: 5 }, 'spec.cidr: 5 is not a text (put it in quotes)'],
  ['IPPool', { cidr: null }, 'spec.cidr: has no value (give it one, or leave the field out)'],
  ['IPPool', { cidr: '' }, 'spec.cidr: is empty'],
  ['IPPool', { cidr: '10.0.0.0/33' }, 'spec.cidr: "10.0.0.0/33" is not a prefix (address/length)'],
  ['IPPool', { cidr: '10.99.0.1/20' }, 'spec.cidr: "10.99.0.1/20" has host bits set (did you mean 10.99.0.0/20?)'],
  ['IPPool', { cidr: '10.0.0.0/8', blockSize: 19 }, 'spec.blockSize: 19 is not a whole number from 20 to 128'],
  [
    'IPPool',
    { cidr: '10.0.0.0/8', blockSize: 33 },
    'spec.blockSize: 33 is not a whole number from 20 to 32, as IPv4 blocks need',
  ],
  [
    'IPPool',
    { cidr: 'fd00::/48', blockSize: 64 },
    'spec.blockSize: 64 is not a whole number from 116 to 128, as IPv6 blocks need',
  ],
  ['IPPool', { cidr: '10.0.0.0/27' }, 'spec.cidr: 10.0.0.0/27 is smaller than one block (blockSize 26)'],
  [
    'IPPool',
    { cidr: '10.0.0.0/8', ipipMode: 'Always' },
    'spec.ipipMode: Always: this build has no tunnels, and pods of this pool would not be reached (set Never)',
  ],
  [
    'IPPool',
    { cidr: '10.0.0.0/8', vxlanMode: 'CrossSubnet' },
    'spec.vxlanMode: CrossSubnet: this build has no tunnels, and pods of this pool would not be reached (set Never)',
  ],
  [
    'IPPool',
    { cidr: '10.0.0.0/8', vxlanMode: 'never' },
    'spec.vxlanMode: "never" is not Never, Always or CrossSubnet (did you mean Never?)',
  ],
  ['IPPool', { cidr: '10.0.0.0/8', natOutgoing: 'yes' }, 'spec.natOutgoing: "yes" is not true or false'],
  ['IPPool', { cidr: '169.254.0.0/24' }, 'spec.cidr: 169.254.0.0/24 overlaps the link-local (169.254.0.0/16) range'],
  ['IPPool', { cidr: 'fe80::/64' }, 'spec.cidr: fe80::/64 overlaps the link-local (fe80::/10) range'],
  ['IPPool', { cidr: '0.0.0.0/0' }, 'spec.cidr: 0.0.0.0/0 overlaps the loopback (127.0.0.0/8) range'],
  ['IPPool', { cidr: '239.0.0.0/16' }, 'spec.cidr: 239.0.0.0/16 overlaps the multicast (224.0.0.0/4) range'],
  [
    'IPPool',
    { cidr: '10.0.0.0/8', allowedUses: ['LoadBalancer', 'Workload'] },
    'spec.allowedUses: LoadBalancer stands alone',
  ],
  [
    'IPPool',
    { cidr: '10.0.0.0/8', allowedUses: ['Workload', 'Workload'] },
    'spec.allowedUses[1]: "Workload" is there twice',
  ],
  ['IPPool', { cidr: '10.0.0.0/8', allowedUses: [] }, 'spec.allowedUses: needs at least one entry'],
  [
    'IPPool',
    { cidr: '10.0.0.0/8', nodeSelector: 'rack =' },
    'spec.nodeSelector: "rack =" is not a selector: expected ==, !=, in, not in, contains, starts with or ends with behind rack at position 6, found "="',
  ],
  ['IPPool', { cidr: '10.0.0.0/8', blokSize: 26 }, 'spec.blokSize: unknown field (did you mean blockSize?)'],
  ['IPPool', { cidr: '10.0.0.0/8', colour: 'red' }, 'spec.colour: unknown field'],
  ['IPPool', ['10.0.0.0/8'], 'spec: a list is not a map'],

  ['IPAMConfig', { autoAllocateBlocks: false }, 'spec.autoAllocateBlocks: false needs strictAffinity: true'],
  ['IPAMConfig', { maxBlocksPerHost: 4 }, 'spec.maxBlocksPerHost: 4 needs strictAffinity: true'],
  ['IPAMConfig', { ipCooldownSeconds: 1201 }, 'spec.ipCooldownSeconds: 1201 is not a whole number from 0 to 1200'],
  ['IPReservation', { reservedCIDRs: '10.0.0.1' }, 'spec.reservedCIDRs: "10.0.0.1" is not a list'],
  [
    'IPReservation',
    { reservedCIDRs: ['10.0.0.1', '10.0.0.300'] },
    'spec.reservedCIDRs[1]: "10.0.0.300" is not an address',
  ],

  ['Node', { bgp: { ipv4Address: 'fd00::1/64' } }, 'spec.bgp.ipv4Address: "fd00::1/64" is not an IPv4 address'],
  ['Node', { bgp: { ipv6Address: '10.0.0.1/24' } }, 'spec.bgp.ipv6Address: "10.0.0.1/24" is not an IPv6 address'],
  [
    'Node',
    { bgp: { ipv4Address: '224.0.0.1/24' } },
    "spec.bgp.ipv4Address: 224.0.0.1 is a multicast address, not a host's",
  ],
  ['Node', { bgp: { asNumber: 0 } }, 'spec.bgp.asNumber: 0 is not an AS number (1 to 4294967295)'],
  ['Node', { bgp: { asNumber: '70000.1' } }, 'spec.bgp.asNumber: "70000.1" is not an AS number (1 to 4294967295)'],
  [
    'Node',
    { bgp: { routeReflectorClusterID: 'fd00::1' } },
    'spec.bgp.routeReflectorClusterID: fd00::1 is not an IPv4 address',
  ],

  ['BGPPeer', { ...peer, peerIP: '10.250.1.300' }, 'spec.peerIP: "10.250.1.300" is not an address'],
  ['BGPPeer', { ...peer, peerIP: '10.250.1.2:0' }, 'spec.peerIP: "10.250.1.2:0" has no port from 1 to 65535'],
  ['BGPPeer', { ...peer, peerIP: 'fd00::1:bgp' }, 'spec.peerIP: "fd00::1:bgp" is not an address'],
  ['BGPPeer', { ...peer, peerIP: '[10.0.0.1]:179' }, 'spec.peerIP: "[10.0.0.1]:179" is not an address with a port'],
  ['BGPPeer', { ...peer, peerIP: 'ff02::1' }, "spec.peerIP: ff02::1 is a multicast address, not a host's"],
  ['BGPPeer', { ...peer, peerIP: '0.0.0.0' }, "spec.peerIP: 0.0.0.0 is the unspecified address, not a host's"],
  ['BGPPeer', { ...peer, node: 'a', nodeSelector: 'all()' }, 'spec.nodeSelector: cannot stand beside node'],
  ['BGPPeer', { peerIP: '10.0.0.1', peerSelector: 'all()' }, 'spec.peerSelector: cannot stand beside peerIP'],
  ['BGPPeer', { peerSelector: 'all()', asNumber: 1 }, 'spec.asNumber: cannot stand beside peerSelector'],
  [
    'BGPPeer',
    { ...peer, nextHopMode: 'Keep', keepOriginalNextHop: true },
    'spec.keepOriginalNextHop: cannot stand beside nextHopMode',
  ],
  ['BGPPeer', { ...peer, localWorkloadSelector: 'all()' }, 'spec.peerIP: cannot stand beside localWorkloadSelector'],
  ['BGPPeer', { localWorkloadSelector: 'all()' }, 'spec.asNumber: is missing: localWorkloadSelector needs it'],
  ['BGPPeer', { peerSelector: 'all()', reachableBy: '10.0.0.1' }, 'spec.reachableBy: needs peerIP'],
  [
    'BGPPeer',
    { ...peer, reachableBy: 'fd00::1' },
    'spec.reachableBy: fd00::1 and peerIP 10.250.1.254 are of different families',
  ],
  ['BGPPeer', { ...peer, ttlSecurity: 256 }, 'spec.ttlSecurity: 256 is not a whole number from 0 to 255'],
  [
    'BGPPeer',
    { ...peer, maxRestartTime: '2' },
    'spec.maxRestartTime: "2" is a duration without a unit (as in 90s or 2m0s)',
  ],
  ['BGPPeer', { ...peer, filters: ['a', 'a'] }, 'spec.filters[1]: "a" is there twice'],
  ['BGPPeer', { ...peer, password: { secretKeyRef: { name: 'bgp' } } }, 'spec.password.secretKeyRef.key: is missing'],
  ['BGPPeer', { ...peer, pasword: {} }, 'spec.pasword: unknown field (did you mean password?)'],

  ['BGPConfiguration', { listenPort: 0 }, 'spec.listenPort: 0 is not a whole number from 1 to 65535'],
  ['BGPConfiguration', { listenPort: 179.5 }, 'spec.listenPort: 179.5 is not a whole number from 1 to 65535'],
  ['BGPConfiguration', community, 'spec.communities: needs prefixAdvertisements, where communities are used'],
  [
    'BGPConfiguration',
    { ...advertised('gold') },
    'spec.prefixAdvertisements[0].communities[0]: "gold" is neither a community nor a name in spec.communities',
  ],
  [
    'BGPConfiguration',
    { communities: [{ name: 'a', value: '70000:1' }], ...advertised('a') },
    'spec.communities[0].value: "70000:1" is not a community (64512:120, or large 64512:300:100)',
  ],
  [
    'BGPConfiguration',
    { communities: [...community.communities, ...community.communities], ...advertised('gold') },
    'spec.communities[1].name: gold is there twice',
  ],
  [
    'BGPConfiguration',
    { nodeToNodeMeshEnabled: false, nodeMeshMaxRestartTime: '2m0s' },
    'spec.nodeMeshMaxRestartTime: needs the mesh, and nodeToNodeMeshEnabled is false',
  ],
  ['BGPConfiguration', { ignoredInterfaces: ['*'] }, 'spec.ignoredInterfaces[0]: "*" would ignore every interface'],
  [
    'BGPConfiguration',
    { serviceClusterIPs: [{ cidr: '10.96.0.0/99' }] },
    'spec.serviceClusterIPs[0].cidr: "10.96.0.0/99" is not a prefix (address/length)',
  ],

  ['BGPFilter', { importV4: [{}] }, 'spec.importV4[0].action: is missing'],
  [
    'BGPFilter',
    { importV4: [{ action: 'Accept', cidr: '10.0.0.0/8' }] },
    'spec.importV4[0].matchOperator: is missing beside cidr',
  ],
  [
    'BGPFilter',
    { importV4: [{ action: 'Accept', matchOperator: 'In' }] },
    'spec.importV4[0].matchOperator: needs cidr',
  ],
  ['BGPFilter', { exportV6: [rule] }, 'spec.exportV6[0].cidr: 10.0.0.0/8 is not an IPv6 prefix'],
  [
    'BGPFilter',
    { exportV4: [{ action: 'Reject', prefixLength: { min: 8 } }] },
    'spec.exportV4[0].prefixLength: needs cidr',
  ],
  [
    'BGPFilter',
    { exportV4: [{ ...rule, prefixLength: { min: 30, max: 24 } }] },
    'spec.exportV4[0].prefixLength.min: 30 is greater than max, 24',
  ],
  [
    'BGPFilter',
    { exportV4: [{ ...rule, prefixLength: { max: 64 } }] },
    'spec.exportV4[0].prefixLength.max: is greater than 32',
  ],
  [
    'BGPFilter',
    { exportV4: [{ ...rule, communities: { values: ['1:1', '1:2'] } }] },
    'spec.exportV4[0].communities.values: has 2 entries (at most 1)',
  ],
  [
    'BGPFilter',
    { exportV4: [{ action: 'Reject', operations: [{ setPriority: { value: 1 } }] }] },
    'spec.exportV4[0].operations: change a route, and Reject drops it',
  ],
  [
    'BGPFilter',
    { exportV4: [{ ...rule, operations: [{}] }] },
    'spec.exportV4[0].operations[0]: needs exactly one of addCommunity, prependASPath, setPriority',
  ],
  [
    'BGPFilter',
    { exportV4: [{ ...rule, operations: Array.from({ length: 11 }, () => ({ setPriority: { value: 1 } })) }] },
    'spec.exportV4[0].operations: has 11 entries (at most 10)',
  ],
  ['BGPFilter', { exportV4: [{ ...rule, source: 'Peers' }] }, 'spec.exportV4[0].source: "Peers" is not RemotePeers'],

  ['PeerOptions', { peers: ['a'], mesh: true }, 'spec.mesh: cannot stand beside peers'],
  ['PeerOptions', { peers: ['a'], peerSelector: 'all()' }, 'spec.peerSelector: cannot stand beside peers'],
  ['PeerOptions', { mesh: false }, 'spec.mesh: is true or left out (none of peers, peerSelector, mesh: every peer)'],
  ['PeerOptions', { holdTime: '2s' }, 'spec.holdTime: 2s is not 0s or whole seconds from 3s to 65535s'],
  ['PeerOptions', { holdTime: '3.5s' }, 'spec.holdTime: 3.5s is not 0s or whole seconds from 3s to 65535s'],
  ['PeerOptions', { connectRetryTime: '0s' }, 'spec.connectRetryTime: 0s is not whole seconds from 1s to 65535s'],
  ['PeerOptions', { prefixLimit: {} }, 'spec.prefixLimit.max: is missing'],
  [
    'PeerOptions',
    { prefixLimit: { max: 1, warnPercent: 101 } },
    'spec.prefixLimit.warnPercent: 101 is not a whole number from 1 to 100',
  ],
  [
    'PeerOptions',
    { gracefulRestart: { longLivedStaleTime: '16777216s' } },
    'spec.gracefulRestart.longLivedStaleTime: 16777216s is not whole seconds from 0s to 16777215s',
  ],
  [
    'PeerOptions',
    { role: 'provider' },
    'spec.role: "provider" is not Provider, RouteServer, RouteServerClient, Customer or Peer (did you mean Provider?)',
  ],
  ['PeerOptions', { families: [] }, 'spec.families: needs at least one entry'],
  [
    'PeerOptions',
    { mesh: true, interface: 'eth0' },
    'spec.interface: needs peers or peerSelector: it says who particular peers are',
  ],
  [
    'PeerOptions',
    { peers: ['a'], interface: 'much-too-long-name' },
    'spec.interface: "much-too-long-name" is not the name of an interface',
  ],
  [
    'PeerOptions',
    { peers: ['a'], interface: 'eth0', dynamicPrefix: '10.0.0.0/8' },
    'spec.dynamicPrefix: cannot stand beside interface',
  ],
  ['PeerOptions', { maxDynamicPeers: 3 }, 'spec.maxDynamicPeers: needs dynamicPrefix'],
  ['PeerOptions', { shutdown: 'ä'.repeat(128) }, 'spec.shutdown: has 256 bytes (at most 255)'],
];
