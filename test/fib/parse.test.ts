// The objects are captured from iproute2 6.1.0, `ip -j -N -d`.
import { expect, test } from 'vitest';
import { parseLink, parseRoute } from '../../fib/parse.ts';

const v4 = (object: object): unknown => parseRoute(object, 4);
const v6 = (object: object): unknown => parseRoute(object, 6);

test('a route by a gateway', () => {
  const json = {
    type: '1',
    dst: '10.82.0.0/24',
    gateway: '10.1.0.2',
    dev: 'e0',
    protocol: '201',
    scope: '0',
    metric: 1024,
    flags: [],
  };
  const nextHops = [{ via: '10.1.0.2', dev: 'e0' }];
  expect(v4(json)).toEqual({ prefix: '10.82.0.0/24', metric: 1024, protocol: 201, kind: 'unicast', nextHops });
});

test('a pod: no mask, no metric, scope link', () => {
  const json = { type: '1', dst: '10.82.3.7', dev: 'cali1', protocol: '201', scope: '253', flags: [] };
  const nextHops = [{ dev: 'cali1' }];
  expect(v4(json)).toEqual({ prefix: '10.82.3.7/32', metric: 0, protocol: 201, kind: 'unicast', nextHops });
});

test('several next hops, one by an IPv6 gateway (RFC 8950), one without carrier', () => {
  const nexthops = [
    { via: { family: 'inet6', host: 'fe80::2' }, dev: 'e0', weight: 1, flags: [] },
    { gateway: '10.2.0.2', dev: 'e2', weight: 1, flags: ['dead', 'linkdown'] },
  ];
  const json = { type: '1', dst: '10.82.9.0/24', protocol: '201', scope: '0', metric: 1024, flags: [], nexthops };
  expect(v4(json)).toMatchObject({
    nextHops: [
      { via: 'fe80::2', dev: 'e0' },
      { via: '10.2.0.2', dev: 'e2', down: true },
    ],
  });
});

test('an IPv6 blackhole, which the kernel puts on lo, has no next hop', () => {
  const json = {
    type: '6',
    dst: 'fd82:0:0:2::/64',
    dev: 'lo',
    protocol: '201',
    scope: '0',
    metric: 1024,
    flags: [],
    pref: 'medium',
  };
  expect(v6(json)).toEqual({ prefix: 'fd82:0:0:2::/64', metric: 1024, protocol: 201, kind: 'blackhole', nextHops: [] });
});

test.each([
  [4, '0.0.0.0/0'],
  [6, '::/0'],
] as const)('the default route of IPv%i', (family, prefix) => {
  expect(parseRoute({ dst: 'default', dev: 'e0', protocol: '3' }, family)).toMatchObject({ prefix });
});

test('an IPv6 prefix is brought to its canonical text', () => {
  expect(v6({ dst: '::ffff:0a00:0/104', protocol: '3' })).toMatchObject({ prefix: '::ffff:10.0.0.0/104' });
});

test.each([
  ['an MTU', { metrics: [{ mtu: 1400 }] }],
  ['a source address', { prefsrc: '10.1.0.1' }],
  ['onlink', { flags: ['onlink'] }],
  ['a weight', { nexthops: [{ gateway: '10.1.0.2', dev: 'e0', weight: 2, flags: [] }] }],
  ['a scope that the kernel would not give', { scope: '253' }],
])('a route with %s is odd: no route of ours is like that', (_, extra) => {
  const json = {
    type: '1',
    dst: '10.9.0.0/16',
    gateway: '10.1.0.2',
    dev: 'e0',
    protocol: '201',
    scope: '0',
    flags: [],
    ...extra,
  };
  expect(v4(json)).toMatchObject({ odd: true });
});

test('a route for one type of service says so', () => {
  expect(v4({ dst: '10.98.0.0/24', tos: '0x10', dev: 'e0', protocol: '3', scope: '253' })).toMatchObject({
    tos: '0x10',
  });
});

test.each([
  [{ dst: 'gibberish', protocol: '3' }, 'ip -j route: "gibberish" is no prefix in {"dst":"gibberish","protocol":"3"}'],
  [{ dst: '10.0.0.0/8' }, 'ip -j route: the protocol is no number in {"dst":"10.0.0.0/8"}'],
  [
    { dst: '10.0.0.0/8', protocol: 'kernel' },
    'ip -j route: the protocol is no number in {"dst":"10.0.0.0/8","protocol":"kernel"}',
  ],
  [{}, /^ip -j route: .* in \{\}$/],
])('%j is refused with words that quote it', (json, words) => {
  expect(() => v4(json)).toThrow(words);
});

test('an interface with its addresses, up only with carrier', () => {
  const addresses = [
    { family: 'inet', local: '10.250.1.11', prefixlen: 24, scope: '0' },
    { family: 'inet6', local: 'fe80::1', prefixlen: 64, scope: '253' },
  ];
  const json = { ifindex: 2, ifname: 'eth0', flags: ['UP', 'LOWER_UP'], addr_info: addresses };
  expect(parseLink(json)).toEqual({
    name: 'eth0',
    up: true,
    addresses: [
      { address: '10.250.1.11', prefix: '10.250.1.0/24' },
      { address: 'fe80::1', prefix: 'fe80::/64' },
    ],
  });
  expect(parseLink({ ...json, flags: ['NO-CARRIER', 'UP'] })).toMatchObject({ up: false });
});

test('an interface without a name is refused', () => {
  expect(() => parseLink({ flags: [] })).toThrow('ip -j addr: no ifname in {"flags":[]}');
});
