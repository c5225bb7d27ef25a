// What is printed, version by version.
import { expect, test } from 'vitest';
import { parseAddress } from '#ip';
import { CniError } from '../../cni/error.ts';
import type { Attachment } from '../../cni/port.ts';
import { type Attached, addResult, errorResult, parsePrevResult, versionsResult } from '../../cni/result.ts';
import { versions } from '../../cni/version.ts';
import { planWiring } from '../../cni/wiring.ts';

const attachment: Attachment = {
  network: 'pods',
  containerId: 'c0ffee',
  ifname: 'eth0',
  state: 'wired',
  handle: 'pods.c0ffee',
  netns: '/var/run/netns/cni-1',
  hostInterface: 'cali0761ccbeace',
  addresses: ['10.82.0.72', 'fd82::72'].map(parseAddress),
  mtu: 1450,
  podMac: '52:3f:d3:4e:34:fc',
  createdAt: 0,
};
const plan = planWiring({ ...attachment, podMac: attachment.podMac!, allowIpForwarding: false, protocol: 201 });
const attached: Attached = { attachment, routes: plan.pod.routes };

const v6Gateway = 'fe80::ecee:eeff:feee:eeee';

test('1.1.0 has the MTU of interfaces and the scope of routes', () => {
  expect(addResult('1.1.0', attached)).toEqual({
    cniVersion: '1.1.0',
    interfaces: [
      { name: 'cali0761ccbeace', mac: 'ee:ee:ee:ee:ee:ee', mtu: 1450 },
      { name: 'eth0', mac: '52:3f:d3:4e:34:fc', mtu: 1450, sandbox: '/var/run/netns/cni-1' },
    ],
    ips: [
      { address: '10.82.0.72/32', gateway: '169.254.1.1', interface: 1 },
      { address: 'fd82::72/128', gateway: v6Gateway, interface: 1 },
    ],
    routes: [
      { dst: '169.254.1.1/32', scope: 253 },
      { dst: '0.0.0.0/0', gw: '169.254.1.1' },
      { dst: '::/0', gw: v6Gateway },
    ],
  });
});

test('1.0.0 has neither', () => {
  expect(addResult('1.0.0', attached)).toEqual({
    cniVersion: '1.0.0',
    interfaces: [
      { name: 'cali0761ccbeace', mac: 'ee:ee:ee:ee:ee:ee' },
      { name: 'eth0', mac: '52:3f:d3:4e:34:fc', sandbox: '/var/run/netns/cni-1' },
    ],
    ips: [
      { address: '10.82.0.72/32', gateway: '169.254.1.1', interface: 1 },
      { address: 'fd82::72/128', gateway: v6Gateway, interface: 1 },
    ],
    routes: [{ dst: '169.254.1.1/32' }, { dst: '0.0.0.0/0', gw: '169.254.1.1' }, { dst: '::/0', gw: v6Gateway }],
  });
});

test.each(['0.3.0', '0.3.1', '0.4.0'] as const)('%s says the version of each address', (version) => {
  expect(addResult(version, attached)).toMatchObject({
    cniVersion: version,
    ips: [
      { version: '4', address: '10.82.0.72/32', interface: 1 },
      { version: '6', address: 'fd82::72/128', interface: 1 },
    ],
  });
});

const previous = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'br0' }, { name: 'vethX' }, { name: 'net0', sandbox: '/var/run/netns/cni-1' }],
  ips: [{ address: '192.0.2.2/24', interface: 2 }],
  routes: [{ dst: '192.0.2.0/24' }],
  dns: { nameservers: ['192.0.2.53'] },
};

test.each(versions)('every index in ips of %s is in range and names the interface of the pod', (version) => {
  for (const before of [undefined, {}, previous]) {
    const result = addResult(version, attached, before) as unknown as {
      interfaces: { name: string; sandbox?: string }[];
      ips: { address: string; interface: number }[];
    };
    const ours = result.ips.filter(({ address }) => address.endsWith('/32') || address.endsWith('/128'));
    expect(ours.map((ip) => result.interfaces[ip.interface])).toEqual(
      ours.map(() => expect.objectContaining({ name: 'eth0', sandbox: '/var/run/netns/cni-1' })),
    );
  }
});

test('a chained result keeps what the plugin before made, unchanged and in front', () => {
  const result = addResult('1.0.0', attached, previous) as unknown as typeof previous;
  expect(result.interfaces.slice(0, 3)).toEqual(previous.interfaces);
  expect(result.ips[0]).toEqual(previous.ips[0]);
  expect(result.routes[0]).toEqual(previous.routes[0]);
  expect(result.dns).toEqual(previous.dns);
});

test('routes that another interface of the pod has already are not claimed', () => {
  expect(addResult('1.0.0', { attachment, routes: [] })['routes']).toEqual([]);
});

test('dns is passed on', () => {
  expect(addResult('1.0.0', attached, undefined, { nameservers: ['10.96.0.10'] })['dns']).toEqual({
    nameservers: ['10.96.0.10'],
  });
});

test.each([['x'], [7], [{ ips: {} }], [{ interfaces: ['eth0'] }]])('the prevResult %j is code 7', (prevResult) => {
  expect(() => parsePrevResult({ prevResult })).toThrow(expect.objectContaining({ code: 7 }));
});

test('an error has version, code, sentence and details', () => {
  const error = new CniError(102, 'the kernel refused', { details: 'ip link add' });
  expect(errorResult('0.4.0', error, 'ADD')).toEqual({
    cniVersion: '0.4.0',
    code: 102,
    msg: 'the kernel refused',
    details: 'ip link add',
  });
});

test('a failed DEL never says the words that containerd takes for success', () => {
  const error = new CniError(5, 'the lease was not found', { details: 'Not Found' });
  expect(JSON.stringify(errorResult('1.0.0', error, 'DEL'))).not.toMatch(/not found/i);
  expect(errorResult('1.0.0', error, 'ADD')['msg']).toBe('the lease was not found');
});

test('VERSION echoes and lists', () => {
  expect(versionsResult('1.0.0')).toEqual({
    cniVersion: '1.0.0',
    supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
  });
});
