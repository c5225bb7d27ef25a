// Which of the host's addresses becomes the node's, by each of Calico's methods.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { type Family, parseAddress, parseInterfaceAddress } from '#ip';
import { type Host, detectAddress, locateAddress } from '../../../src/autodetect/choose.ts';
import { methodText, readMethod } from '../../../src/autodetect/method.ts';

const host = (interfaces: Record<string, readonly string[]>, more: Partial<Host> = {}): Host => ({
  interfaces: Object.entries(interfaces).map(([name, texts]) => ({
    name,
    addresses: texts.map((text) =>
      text.endsWith('!')
        ? { ...parseInterfaceAddress(text.slice(0, -1)), fleeting: true }
        : parseInterfaceAddress(text),
    ),
  })),
  internalIps: [],
  ...more,
});

/** As after a while in a cluster. */
const lived = {
  lo: ['127.0.0.1/8', '::1/128', '10.255.0.1/32'],
  eth0: ['10.0.0.5/24', 'fe80::5/64', 'fd00::5/64'],
  eth1: ['192.0.2.5/24', '192.0.2.6/24'],
  docker0: ['172.17.0.1/16'],
  cali12345678901: ['169.254.7.7/32', 'fe80::1/64'],
  'vxlan.calico': ['10.82.0.1/32'],
};

function detect(method: string, on: Host = host(lived), family: Family = 4, present?: string) {
  const reading = readMethod(method, family);
  if ('refused' in reading) throw new Error(reading.refused);
  return detectAddress(reading.method, family, on, present);
}

describe('first-found', () => {
  test('takes the last interface that leads outside, and the first address on it', () => {
    expect(detect('first-found')).toEqual({
      address: '192.0.2.5/24',
      interface: 'eth1',
      how: 'first-found of 3 addresses',
    });
  });
  test('keeps the address that the node has, as long as it is one of those that fit', () => {
    expect(detect('first-found', host(lived), 4, '10.0.0.5/24')).toEqual({
      address: '10.0.0.5/24',
      interface: 'eth0',
      how: 'first-found, kept',
    });
    expect(detect('first-found', host(lived), 4, '10.0.0.99/24')).toMatchObject({ address: '192.0.2.5/24' });
    expect(detect('first-found', host(lived), 4, '172.17.0.1/16')).toMatchObject({ address: '192.0.2.5/24' });
  });
  test('skips link-local, temporary and not yet unique IPv6 addresses', () => {
    const on = host({ eth0: ['fe80::1/64', 'fd00::aaaa/64!', 'fd00::1/64'] });
    expect(detect('first-found', on, 6)).toMatchObject({ address: 'fd00::1/64', interface: 'eth0' });
  });
  test.each([
    'docker0',
    'cbr0',
    'dummy0',
    'virbr0',
    'veth12',
    'lo',
    'cali1',
    'tunl0',
    'flannel.1',
    'kube-ipvs0',
    'cni0',
  ])('does not look at %s', (name) =>
    expect(detect('first-found', host({ [name]: ['10.0.0.1/24'] }))).toHaveProperty('none'),
  );
  test('says what it looked at when there is nothing', () => {
    expect(detect('first-found', host({ lo: ['127.0.0.1/8'], docker0: ['172.17.0.1/16'] }))).toEqual({
      none: 'first-found: no IPv4 address fits (looked at lo, docker0)',
    });
    expect(detect('first-found', host({}))).toEqual({ none: 'first-found: no IPv4 address fits (no interface is up)' });
  });
});

describe('by interface', () => {
  test('takes those that a pattern fits, also the ones that first-found skips', () => {
    expect(detect('interface=eth0,docker.*')).toMatchObject({ address: '172.17.0.1/16', interface: 'docker0' });
    expect(detect('interface=^eth0$')).toMatchObject({ address: '10.0.0.5/24', how: 'interface=^eth0$' });
    expect(detect('interface=bond')).toHaveProperty('none');
  });
  test('or leaves out those that a pattern fits', () => {
    expect(detect('skip-interface=eth1')).toMatchObject({ address: '10.0.0.5/24' });
    expect(detect('skip-interface=eth.*')).toHaveProperty('none');
  });
});

test('cidr= takes an address inside, on whatever interface', () => {
  expect(detect('cidr=10.255.0.0/16, 10.0.0.0/24')).toMatchObject({ address: '10.0.0.5/24' });
  expect(detect('cidr=10.255.0.0/16')).toMatchObject({ address: '10.255.0.1/32', interface: 'lo' });
  expect(detect('cidr=198.51.100.0/24')).toHaveProperty('none');
});

describe('can-reach=', () => {
  const via = (source: Host['source']): Host => host(lived, source === undefined ? {} : { source });
  test('takes the address that packets would leave from', () => {
    expect(detect('can-reach=192.0.2.1', via(parseAddress('192.0.2.6')))).toMatchObject({
      address: '192.0.2.6/24',
      interface: 'eth1',
    });
  });
  test('says why there is none', () => {
    expect(detect('can-reach=192.0.2.1', via({ error: 'connect ENETUNREACH' }))).toEqual({
      none: 'can-reach=192.0.2.1: connect ENETUNREACH',
    });
    expect(detect('can-reach=127.0.0.9', via(parseAddress('127.0.0.1')))).toHaveProperty('none');
  });
});

describe('kubernetes-internal-ip', () => {
  test('takes the InternalIP of the family, with the subnet of the interface that has it', () => {
    const internalIps = ['10.0.0.5', 'fd00::5'].map((text) => parseAddress(text));
    expect(detect('kubernetes-internal-ip', host(lived, { internalIps }))).toMatchObject({ address: '10.0.0.5/24' });
    expect(detect('kubernetes-internal-ip', host(lived, { internalIps }), 6)).toMatchObject({ address: 'fd00::5/64' });
  });
  test('without such an interface it is alone on its subnet', () => {
    const internalIps = [parseAddress('203.0.113.9')];
    expect(detect('kubernetes-internal-ip', host(lived, { internalIps }))).toEqual({
      address: '203.0.113.9/32',
      how: 'kubernetes-internal-ip',
    });
    expect(detect('kubernetes-internal-ip')).toEqual({
      none: 'kubernetes-internal-ip: the Node has no IPv4 InternalIP',
    });
  });
});

test('an address that is given is used even where no interface has it, and that is said', () => {
  expect(locateAddress(parseInterfaceAddress('10.0.0.5/24'), host(lived))).toMatchObject({ interface: 'eth0' });
  expect(locateAddress(parseInterfaceAddress('10.9.9.9/24'), host(lived))).toEqual({
    address: '10.9.9.9/24',
    how: 'given, and on no interface that is up',
  });
});

describe('a method', () => {
  test.each<[string, Family, string]>([
    ['first', 4, 'is none of first-found, can-reach=DESTINATION,'],
    ['cidr=', 4, 'needs a value behind cidr='],
    ['cidr=10.0.0.1', 4, 'names "10.0.0.1", which is not a prefix'],
    ['cidr=fd00::/64', 4, 'names fd00::/64, which is not an IPv4 prefix'],
    ['interface=eth(', 4, 'names "eth(", which is not a regular expression'],
  ])('%s for IPv%i is refused: it %s', (text, family, why) => {
    expect(readMethod(text, family)).toEqual({ refused: expect.stringContaining(why) });
  });
  test.each(['first-found', 'can-reach=a=b', 'interface=eth.*,bond', 'cidr=10.0.0.0/8', 'kubernetes-internal-ip'])(
    '%s is written as it was read',
    (text) => {
      const reading = readMethod(text, 4);
      expect('method' in reading && methodText(reading.method)).toBe(text);
    },
  );
});

test('whatever the host looks like, what is found is an address of the family that the host has', () => {
  const octets = fc.tuple(fc.constantFrom('10.0', '127.0', '169.254', '192.0', '224.0'), fc.nat(3), fc.nat(3));
  const address = octets.map((parts) => `${parts.join('.')}/24`);
  const names = fc.constantFrom('lo', 'eth0', 'eth1', 'cali0', 'docker0', 'bond0');
  fc.assert(
    fc.property(fc.dictionary(names, fc.array(address)), fc.option(address), (interfaces, present) => {
      const found = detect('first-found', host(interfaces), 4, present ?? undefined);
      const fit = Object.entries(interfaces)
        .filter(([name]) => /^(eth|bond)/.test(name))
        .flatMap(([, texts]) => texts)
        .filter((text) => /^(10|192)\./.test(text));
      if ('none' in found) expect(fit).toEqual([]);
      else expect(fit).toContain(found.address);
      if (present !== null && fit.includes(present)) expect(found).toMatchObject({ address: present });
    }),
  );
});
