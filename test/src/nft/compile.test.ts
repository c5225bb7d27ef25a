import { parsePrefix } from '#ip';
import { expect, test } from 'vitest';
import { differences, parseTable, transaction } from '../../../src/nft/table.ts';
import { compile } from '../../../src/nft/compile.ts';
import { tableWish, unmetWishes } from '../../../src/nft/wish.ts';
import type { FelixConfigurationSpec } from '../../../src/resources/types.ts';
import { felixConfiguration, node, pool } from '../../support/resources.ts';

const view = (pools: ReturnType<typeof pool>[], felix: FelixConfigurationSpec) => ({
  felixConfigurations: [felixConfiguration(felix)],
  ...{ pools, nodes: [node('one', { ipv4Address: '10.250.1.11/24', ipv6Address: 'fd10::11/64' })] },
  ...{ bgpConfigurations: [], peers: [], filters: [], peerOptions: [], reservations: [] },
});
const wishOf = (
  pools: ReturnType<typeof pool>[],
  {
    felix = {},
    services = [],
    translated = false,
  }: { felix?: FelixConfigurationSpec; services?: string[]; translated?: boolean } = {},
) => tableWish({ view: view(pools, felix), node: 'one', services: services.map(parsePrefix), translated });
const tableOf = (...args: Parameters<typeof wishOf>) => Object.fromEntries(compile(wishOf(...args)) ?? []);
const rulesOf = (...args: Parameters<typeof wishOf>) => tableOf(...args)['chain nat-outgoing']?.slice(1);

const natted = pool('a', '10.82.0.0/16', { natOutgoing: true });
const plain = pool('b', '10.90.0.0/24', { disabled: true });

test('what leaves a pool with natOutgoing for no pool at all is masqueraded; disabled pools count as pools', () => {
  expect(tableOf([natted, plain])).toEqual({
    'set nat-v4': ['type ipv4_addr', 'flags interval', 'elements = { 10.82.0.0/16 }'],
    'set inside-v4': ['type ipv4_addr', 'flags interval', 'elements = { 10.82.0.0/16, 10.90.0.0/24 }'],
    'chain nat-outgoing': [
      'type nat hook postrouting priority srcnat; policy accept;',
      'ip saddr @nat-v4 ip daddr != @inside-v4 masquerade fully-random',
    ],
  });
});

test('where no pool has natOutgoing there is no table', () => {
  expect(compile(wishOf([plain]))).toBeUndefined();
});

test('each family has its own sets and rule', () => {
  const rules = rulesOf([natted, pool('c', 'fd82::/48', { natOutgoing: true })]);
  expect(rules).toEqual([
    'ip saddr @nat-v4 ip daddr != @inside-v4 masquerade fully-random',
    'ip6 saddr @nat-v6 ip6 daddr != @inside-v6 masquerade fully-random',
  ]);
});

test('pools that overlap are merged: nft would refuse the whole transaction', () => {
  const table = tableOf([natted, pool('d', '10.82.4.0/24', { natOutgoing: true }), pool('e', '10.82.0.0/17')]);
  expect(table['set nat-v4']).toContain('elements = { 10.82.0.0/16 }');
  expect(table['set inside-v4']).toContain('elements = { 10.82.0.0/16 }');
});

test('natOutgoingExclusions IPPoolsAndHostIPs keeps the own address of pods towards nodes, too', () => {
  const table = tableOf([natted], { felix: { natOutgoingExclusions: 'IPPoolsAndHostIPs' } });
  expect(table['set inside-v4']).toContain('elements = { 10.250.1.11, 10.82.0.0/16 }');
});

test('natOutgoingAddress takes the place of the interface address in its own family', () => {
  const pools = [natted, pool('c', 'fd82::/48', { natOutgoing: true })];
  expect(rulesOf(pools, { felix: { natOutgoingAddress: '192.0.2.7' } })).toEqual([
    'ip saddr @nat-v4 ip daddr != @inside-v4 snat ip to 192.0.2.7 fully-random',
    'ip6 saddr @nat-v6 ip6 daddr != @inside-v6 masquerade fully-random',
  ]);
});

test("a node's own FelixConfiguration goes before the cluster's", () => {
  const both = ['default', 'node.one', 'node.two'].map((name, i) =>
    felixConfiguration({ natOutgoingAddress: `192.0.2.${i}`, ...(i === 0 && { natPortRange: 4000 }) }, name),
  );
  const basis = {
    view: { ...view([natted], {}), felixConfigurations: both },
    node: 'one',
    services: [],
    translated: false,
  };
  expect(tableWish(basis).nat).toEqual({ address: '192.0.2.1', ports: { min: 4000, max: 4000 } });
});

test.each([
  [{ natPortRange: '32768:65535' }, 'masquerade to :32768-65535 fully-random'],
  [{ natPortRange: 4000 }, 'masquerade to :4000 fully-random'],
  [{ natPortRange: '1024:2047', natOutgoingAddress: '192.0.2.7' }, 'snat ip to 192.0.2.7:1024-2047 fully-random'],
])('natPortRange %o gives TCP and UDP their source ports, and the rest no port', (felix, verdict) => {
  expect(rulesOf([natted], { felix })![0]).toBe(
    `ip saddr @nat-v4 ip daddr != @inside-v4 meta l4proto { tcp, udp } ${verdict}`,
  );
  expect(rulesOf([natted], { felix })).toHaveLength(2);
});

test("packets from outside to an address announced for Services that nobody translated end here, pods' own go on", () => {
  expect(tableOf([plain], { services: ['10.96.0.0/12', '10.96.7.7/32', 'fd96::1/128'], translated: true })).toEqual({
    'set services-v4': ['type ipv4_addr', 'flags interval', 'elements = { 10.96.0.0/12 }'],
    'set services-v6': ['type ipv6_addr', 'flags interval', 'elements = { fd96::1 }'],
    'chain service-loops': [
      'type filter hook forward priority filter; policy accept;',
      'iifname != "cali*" ip daddr @services-v4 drop',
      'iifname != "cali*" ip6 daddr @services-v6 drop',
    ],
  });
});

test('a range of Services that contains a pool keeps nobody from its pods', () => {
  const table = tableOf([plain], { services: ['0.0.0.0/0'], translated: true });
  expect(table['set pods-v4']).toContain('elements = { 10.90.0.0/24 }');
  expect(table['chain service-loops']).toContain('iifname != "cali*" ip daddr @services-v4 ip daddr != @pods-v4 drop');
});

test('a pool of addresses for load balancers is no reason to let them through', () => {
  const balancers = pool('lb', '203.0.113.0/24', { allowedUses: ['LoadBalancer'] });
  const table = tableOf([balancers], { services: ['203.0.113.0/24'], translated: true });
  expect(table['chain service-loops']![1]).toBe('iifname != "cali*" ip daddr @services-v4 drop');
});

test.each([
  ['without a cluster nobody translates, and ranges may be real networks', {}, false, undefined],
  ['Disabled', { serviceLoopPrevention: 'Disabled' }, true, undefined],
  ['Drop', { serviceLoopPrevention: 'Drop' }, false, 'drop'],
  ['Reject', { serviceLoopPrevention: 'Reject' }, true, 'reject'],
  ['the default in a cluster', {}, true, 'drop'],
])('serviceLoopPrevention: %s', (_, felix, translated, loops) => {
  expect(wishOf([], { felix, translated }).loops).toBe(loops);
});

test('without nft, every pool that wants it says who must act', () => {
  expect(unmetWishes(wishOf([natted, plain]), ['a', 'b'])).toEqual([
    {
      ...{ kind: 'IPPool', name: 'a', path: 'spec.natOutgoing' },
      message: 'pods leave with their own addresses, for nft is not installed on this node: install nftables',
    },
  ]);
});

test('a table that was printed reads back as it was', () => {
  const services = ['10.96.0.0/12', 'fd96::/64'];
  const table = compile(
    wishOf([natted, pool('c', 'fd82::/48', { natOutgoing: true })], { services, translated: true }),
  )!;
  const printed = transaction(table).replace(/^add .*\ndelete .*\n/, '');
  expect(differences(table, parseTable(printed))).toEqual([]);
});

test('what somebody added, changed or took away is a difference by its header', () => {
  const table = compile(wishOf([natted]))!;
  const printed = transaction(table).replace(/^add .*\ndelete .*\n/, '');
  expect(differences(table, parseTable(printed.replace('10.82.0.0/16 }', '10.83.0.0/16 }')))).toEqual(['set nat-v4']);
  expect(differences(table, parseTable(printed.replace(' masquerade', ' accept')))).toEqual(['chain nat-outgoing']);
  const more = printed.replace(/\}\n$/, '\tchain more {\n\t}\n}\n');
  expect(differences(table, parseTable(more))).toEqual(['chain more']);
  expect(differences(table, undefined)).toEqual(['table inet manx']);
});
