// What the Node should say of its addresses, from the wishes, the host and what Nodes say now.
import { describe, expect, test } from 'vitest';
import type { Family } from '#ip';
import { parseInterfaceAddress } from '#ip';
import { decideAddresses } from '../../../src/autodetect/decide.ts';
import { type AddressFlags, type AddressWish, readAddressWish } from '../../../src/autodetect/wish.ts';
import type { NodeResource } from '../../../src/resources/types.ts';
import { node } from '../../support/resources.ts';

const host = {
  interfaces: [{ name: 'eth0', addresses: ['10.0.0.5/24', 'fd00::5/64'].map(parseInterfaceAddress) }],
  internalIps: [],
};
const bare = { interfaces: [], internalIps: [] };

function wish(ip: string | undefined, family: Family = 4, method?: string): AddressWish {
  const reading = readAddressWish({ ip, method }, family);
  if ('refused' in reading) throw new Error(reading.refused);
  return reading.wish;
}

function decide(
  wishes: { 4?: string; 6?: string },
  self: NodeResource = node('a'),
  others: readonly NodeResource[] = [],
  on = host,
) {
  return decideAddresses({
    wishes: { 4: wish(wishes[4], 4), 6: wish(wishes[6], 6) },
    hosts: { 4: on, 6: on },
    self,
    others,
  });
}

describe('without a word', () => {
  test('IPv4 is looked for where the Node says nothing, IPv6 is not', () => {
    expect(decide({})).toEqual({
      ipv4Address: '10.0.0.5/24',
      ipv6Address: undefined,
      states: [{ family: 4, address: '10.0.0.5/24', interface: 'eth0', how: 'first-found' }],
    });
  });
  test('what the Node says stays, though the host has nothing of it', () => {
    const self = node('a', { ipv4Address: '192.0.2.1/24', ipv6Address: 'fd00::5/64' });
    expect(decide({}, self)).toEqual({
      ipv4Address: '192.0.2.1/24',
      ipv6Address: 'fd00::5/64',
      states: [
        { family: 4, address: '192.0.2.1/24', how: 'as the Node says' },
        { family: 6, address: 'fd00::5/64', how: 'as the Node says', interface: 'eth0' },
      ],
    });
  });
});

test('autodetect looks, and corrects the Node', () => {
  const self = node('a', { ipv4Address: '192.0.2.1/24' });
  expect(decide({ 4: 'autodetect', 6: 'autodetect' }, self)).toMatchObject({
    ipv4Address: '10.0.0.5/24',
    ipv6Address: 'fd00::5/64',
  });
});

test('when nothing is found, what was there stays, and the reason is said', () => {
  const self = node('a', { ipv4Address: '192.0.2.1/24' });
  expect(decide({ 4: 'autodetect' }, self, [], bare)).toMatchObject({
    ipv4Address: '192.0.2.1/24',
    states: [{ how: 'not found', problem: 'first-found: no IPv4 address fits (no interface is up)' }],
  });
});

test('none takes the address away, and a given one is written', () => {
  const self = node('a', { ipv4Address: '192.0.2.1/24', ipv6Address: 'fd00::1/64' });
  expect(decide({ 4: 'none', 6: 'fd00::7/64' }, self)).toMatchObject({
    ipv4Address: undefined,
    ipv6Address: 'fd00::7/64',
  });
});

describe('an address that another node has', () => {
  const other = node('b', { ipv4Address: '10.0.0.5/16' });
  test('is not written, and said, with what to do', () => {
    const { ipv4Address, states } = decide({}, node('a'), [other]);
    expect(ipv4Address).toBeUndefined();
    expect(states[0]!.problem).toBe(
      '10.0.0.5 (first-found) is the address of node b already: give one of them another, or delete Node b if it is gone',
    );
  });
  test('stays where it is written already: taking it back might take the right sessions down', () => {
    const self = node('a', { ipv4Address: '10.0.0.5/24' });
    const { ipv4Address, states } = decide({ 4: 'autodetect' }, self, [other]);
    expect(ipv4Address).toBe('10.0.0.5/24');
    expect(states[0]!.problem).toContain('node b already');
  });
});

test.each<[AddressFlags, Family, string]>([
  [{ ip: 'auto', method: undefined }, 4, 'auto: is neither autodetect nor none nor an IPv4 address'],
  [{ ip: 'fd00::1', method: undefined }, 4, 'fd00::1: is neither autodetect nor none nor an IPv4 address'],
  [{ ip: '127.0.0.1', method: undefined }, 4, '127.0.0.1: is not an address that peers reach'],
  [{ ip: 'autodetect', method: 'eth0' }, 4, 'eth0: is none of first-found,'],
])('%j for IPv%i is refused', (flags, family, why) => {
  expect(readAddressWish(flags, family)).toMatchObject({ refused: expect.stringContaining(why) });
});
