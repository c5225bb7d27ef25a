import * as fc from 'fast-check';
import type { Address, Prefix } from '#ip';
import { expect, test } from 'vitest';
import type { KernelRoute } from '../../fib/port.ts';
import type { Route } from '../../fib/route.ts';
import { type Operation, lineOf, parseMonitorLine } from '../../fib/text.ts';

const hop = (via: string | undefined, dev?: string): { via?: Address; dev?: string } => ({
  ...(via !== undefined && { via: via as Address }),
  ...(dev !== undefined && { dev }),
});
const route = (prefix: string, metric: number, ...nextHops: Route['nextHops']): Route => ({
  prefix: prefix as Prefix,
  kind: nextHops.length === 0 ? 'blackhole' : 'unicast',
  metric,
  nextHops,
});
const held = (wish: Route): KernelRoute => ({ ...wish, protocol: 201 });

const plain = route('10.82.0.0/24', 1024, hop('10.250.1.12', 'eth0'));
const pod = route('10.82.0.72/32', 0, hop(undefined, 'cali12'));
const ecmp = route('fd82::/64', 1024, hop('fe80::1', 'eth0'), hop('fd01::2'));
const lines: [string, Operation, string][] = [
  ['a route', { do: 'add', route: plain }, 'route add 10.82.0.0/24 proto 201 metric 1024 via 10.250.1.12 dev eth0'],
  ['a pod', { do: 'add', route: pod }, 'route add 10.82.0.72/32 proto 201 scope link dev cali12'],
  [
    'an IPv6 pod: metric 0 is 1024 there, and there is no scope',
    { do: 'add', route: route('fd82::7/128', 0, hop(undefined, 'cali12')) },
    'route add fd82::7/128 proto 201 metric 1024 dev cali12',
  ],
  [
    'several next hops',
    { do: 'replace', route: ecmp },
    'route replace fd82::/64 proto 201 metric 1024 nexthop via fe80::1 dev eth0 nexthop via fd01::2',
  ],
  [
    'an IPv4 route by an IPv6 next hop (RFC 8950)',
    { do: 'add', route: route('10.82.0.0/24', 1024, hop('fe80::1', 'eth0')) },
    'route add 10.82.0.0/24 proto 201 metric 1024 via inet6 fe80::1 dev eth0',
  ],
  [
    'a blackhole',
    { do: 'replace', route: route('10.82.0.64/26', 0) },
    'route replace blackhole 10.82.0.64/26 proto 201',
  ],
  [
    'a deletion, which names the next hops',
    { do: 'delete', route: held(plain) },
    'route del 10.82.0.0/24 proto 201 metric 1024 via 10.250.1.12 dev eth0',
  ],
  [
    'a deletion of what has more to it than next hops',
    { do: 'delete', route: { ...held(plain), odd: true } },
    'route del 10.82.0.0/24 proto 201 metric 1024',
  ],
  [
    'a deletion of a blackhole',
    { do: 'delete', route: held(route('fd82::/64', 1024)) },
    'route del blackhole fd82::/64 proto 201 metric 1024',
  ],
];
test.each(lines)('%s in the words of ip', (_, operation, line) => {
  expect(lineOf(operation)).toBe(line);
});

test.each(['eth0 table 7', 'eth0\nroute flush table main', 'a#b', '', "a'b"])(
  'the interface name %j is refused',
  (dev) => {
    expect(() => lineOf({ do: 'add', route: route('10.0.0.0/8', 0, hop(undefined, dev)) })).toThrow(
      'cannot be said to ip',
    );
  },
);

test('whatever the interface is called, a line stays one line of the same words', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (dev) => {
      try {
        const line = lineOf({ do: 'add', route: route('10.0.0.0/8', 0, hop(undefined, dev)) });
        expect(line.split(/\s/).length).toBe(9);
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad-route' });
      }
    }),
  );
});

// Captured from iproute2 6.1.0, `ip -o -N -d monitor route link address`.
const announced: [string, object | undefined][] = [
  [
    '1 10.82.0.0/24 via 10.1.0.2 dev e0 table 254 proto 201 scope 0 metric 1024 ',
    { about: 'route', deleted: false, route: held(route('10.82.0.0/24', 1024, hop('10.1.0.2', 'e0'))) },
  ],
  [
    'Deleted 1 10.82.0.7 dev e0 table 254 proto 201 scope 253 ',
    { about: 'route', deleted: true, route: held(route('10.82.0.7/32', 0, hop(undefined, 'e0'))) },
  ],
  [
    '1 fd82::/64 table 254 proto 201 scope 0 metric 1024 pref medium\\\tnexthop via fd00::2 dev e0 weight 1 \\\tnexthop via fd02::2 dev e2 weight 1 ',
    {
      about: 'route',
      deleted: false,
      route: held(route('fd82::/64', 1024, hop('fd00::2', 'e0'), hop('fd02::2', 'e2'))),
    },
  ],
  [
    '1 10.82.9.0/24 proto 201 scope 0 metric 1024 \\\tnexthop via inet6 fe80::2 dev e0 weight 1 \\\tnexthop via 10.2.0.2 dev e2 weight 1 ',
    {
      about: 'route',
      deleted: false,
      route: held(route('10.82.9.0/24', 1024, hop('fe80::2', 'e0'), hop('10.2.0.2', 'e2'))),
    },
  ],
  [
    '6 fd82::/64 dev lo table 254 proto 201 scope 0 metric 1024 pref medium',
    { about: 'route', deleted: false, route: held(route('fd82::/64', 1024)) },
  ],
  [
    '1 default dev e0 table 254 proto 9 scope 0 metric 1024 pref medium',
    { about: 'route', deleted: false, route: { ...held(route('::/0', 1024, hop(undefined, 'e0'))), protocol: 9 } },
  ],
  ['2 fd00::1 dev e0 table 255 proto 2 scope 0 metric 0 pref medium', undefined],
  ['3: e0@e1: <NO-CARRIER,BROADCAST,MULTICAST,UP,M-DOWN> mtu 1500 qdisc noqueue', { about: 'link' }],
  ['Deleted 2: e1@NONE: <BROADCAST,MULTICAST> mtu 1500', { about: 'link' }],
  ['Deleted 3: e0    inet6 fd00::1/64 scope 0 nodad \\       valid_lft forever', { about: 'address' }],
  ['4: eth0    inet 10.250.1.11/24 scope 0 eth0\\       valid_lft forever', { about: 'address' }],
  ['something new', { about: 'anything' }],
  ['1 10.0.0.0/8 dev e0 table 254', { about: 'anything' }],
];
test.each(announced)('the monitor says %j', (line, hint) => {
  expect(parseMonitorLine(line)).toEqual(hint);
});
