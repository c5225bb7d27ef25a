// Node: who a router is. Calico's v3 Node; what it keeps there for its tunnels is carried along.
import type { NodeSpec } from '../types.ts';
import { type FieldsOf, any, asNumber, object, text } from '../schema.ts';

type Bgp = NonNullable<NodeSpec['bgp']>;

const bgp = {
  asNumber: { says: "the node's own AS, instead of BGPConfiguration's", schema: asNumber },
  ipv4Address: { says: 'address with the length of its subnet', schema: text('nodeAddressV4') },
  ipv6Address: { says: 'address with the length of its subnet', schema: text('nodeAddressV6') },
  routeReflectorClusterID: { says: 'makes the node a route reflector', schema: text('addressV4') },
} satisfies FieldsOf<Bgp>;

const spec = {
  bgp: {
    says: 'how the node speaks BGP',
    schema: object({ ...bgp, ipv4IPIPTunnelAddr: { says: "Calico's", schema: any } }),
  },
} satisfies FieldsOf<NodeSpec>;

const carried = [
  'addresses',
  'orchRefs',
  'ipv4VXLANTunnelAddr',
  'ipv6VXLANTunnelAddr',
  'vxlanTunnelMACAddr',
  'vxlanTunnelMACAddrV6',
  'wireguard',
  'interfaces',
];

export const nodeSpec = object({
  ...spec,
  ...Object.fromEntries(carried.map((name) => [name, { says: "Calico's", schema: any }])),
});
