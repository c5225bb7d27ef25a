// CHECK's comparison, without a kernel: every difference is found and named, all at once.
import { expect, test } from 'vitest';
import { parseAddress } from '#ip';
import { type Seen, findDifferences } from '../../cni/check.ts';
import type { Attachment } from '../../cni/port.ts';

const attachment: Attachment = {
  network: 'pods',
  containerId: 'c0ffee',
  ifname: 'eth0',
  state: 'wired',
  handle: 'pods.c0ffee',
  netns: '/run/netns/a',
  hostInterface: 'cali1',
  addresses: ['10.82.0.1', 'fd82::1'].map(parseAddress),
  mtu: 1450,
  createdAt: 0,
};
const prevResult = {
  ips: [{ address: '10.82.0.1/32' }, { address: 'fd82::1/128' }],
  routes: [
    { dst: '0.0.0.0/0', gw: '169.254.1.1' },
    { dst: '::/0', gw: 'fe80::ecee:eeff:feee:eeee' },
  ],
};
const whole: Seen = {
  hostLinks: [{ ifname: 'cali1', flags: ['UP'], address: 'ee:ee:ee:ee:ee:ee' }],
  hostRoutes: [{ dst: '10.82.0.1' }, { dst: 'fd82::1/128' }],
  podLinks: [{ ifname: 'eth0', flags: ['UP'], addr_info: [{ local: '10.82.0.1' }, { local: 'fd82::1' }] }],
  podRoutes: [
    { dst: 'default', gateway: '169.254.1.1' },
    { dst: 'default', gateway: 'fe80::ecee:eeff:feee:eeee' },
  ],
};

test('an attachment that is whole has no difference', () => {
  expect(findDifferences(attachment, prevResult, whole)).toEqual([]);
});

test('all that is wrong is said at once', () => {
  const seen: Seen = { hostLinks: [], hostRoutes: [], podLinks: [], podRoutes: [] };
  expect(findDifferences(attachment, {}, seen)).toEqual([
    'prevResult does not have 10.82.0.1',
    'prevResult does not have fd82::1',
    "the host's interface cali1 is missing",
    'the host has no route to 10.82.0.1 by cali1',
    'the host has no route to fd82::1 by cali1',
    "the pod's interface eth0 is missing",
  ]);
});

test('a route to the whole subnet is no route to the pod', () => {
  const hostRoutes = [{ dst: '10.82.0.1/31' }, { dst: 'fd82::1/64' }, { dst: 'default' }];
  expect(findDifferences(attachment, prevResult, { ...whole, hostRoutes })).toHaveLength(2);
});

test('a default route by another gateway is not the one that was made', () => {
  const podRoutes = [{ dst: 'default', gateway: '192.0.2.1' }, whole.podRoutes[1]];
  expect(findDifferences(attachment, prevResult, { ...whole, podRoutes })).toEqual([
    'the pod has no default route via 169.254.1.1 by eth0',
  ]);
});

test('ways out that ADD did not report are not missed', () => {
  expect(findDifferences(attachment, { ...prevResult, routes: [] }, { ...whole, podRoutes: [] })).toEqual([]);
});

test('links that are down, and a changed MAC address of the host', () => {
  const seen = {
    ...whole,
    hostLinks: [{ flags: [], address: '02:00:00:00:00:01' }],
    podLinks: [{ ...(whole.podLinks[0] as object), flags: ['BROADCAST'] }],
  };
  expect(findDifferences(attachment, prevResult, seen)).toEqual([
    "the host's interface cali1 is down",
    "the host's interface cali1 has another MAC address than ee:ee:ee:ee:ee:ee",
    "the pod's interface eth0 is down",
  ]);
});
