import type { Address, Prefix } from '#ip';
import { expect, test, vi } from 'vitest';
import type { KernelRoute } from '../../fib/port.ts';
import { type Resolver, createResolver } from '../../fib/resolver.ts';

const hop = (dev: string, extra: object = {}): KernelRoute['nextHops'] => [{ dev, ...extra }];
const kernelRoute = (prefix: string, nextHops: KernelRoute['nextHops'], extra: object = {}): KernelRoute => ({
  ...{ prefix: prefix as Prefix, metric: 0, protocol: 2, kind: 'unicast', nextHops },
  ...extra,
});
const connected = kernelRoute('10.250.1.0/24', hop('eth0'));
const defaultRoute = kernelRoute('0.0.0.0/0', hop('eth9', { via: '192.0.2.1' }));

function resolverWith(...routes: KernelRoute[]): Resolver {
  const resolver = createResolver();
  resolver.update({ routes });
  return resolver;
}
const resolve = (routes: KernelRoute[], nextHop: string, dev?: string): object =>
  resolverWith(...routes).resolve(nextHop as Address, dev);

test('a next hop on a link is reachable over it', () => {
  expect(resolve([connected], '10.250.1.12')).toEqual({ reachable: true, interface: 'eth0' });
});

test('a next hop that no route covers is unreachable', () => {
  expect(resolve([connected], '10.250.2.12')).toEqual({ reachable: false });
});

test('the default route makes nothing reachable', () => {
  expect(resolve([connected, defaultRoute], '10.250.2.12')).toEqual({ reachable: false });
});

test('a link without carrier makes it unreachable, though a shorter route would lead elsewhere', () => {
  const down = kernelRoute('10.250.1.0/24', hop('eth0', { down: true }));
  const shorter = kernelRoute('10.250.0.0/16', hop('eth1'));
  expect(resolve([down, shorter], '10.250.1.12')).toEqual({ reachable: false });
});

test('of two links to one prefix, the one with carrier is used', () => {
  const down = kernelRoute('10.250.1.0/24', hop('eth0', { down: true }), { metric: 100 });
  const up = kernelRoute('10.250.1.0/24', hop('eth1'), { metric: 200 });
  expect(resolve([up, down], '10.250.1.12')).toEqual({ reachable: true, interface: 'eth1' });
});

test('a next hop behind somebody else’s gateway is reachable through it', () => {
  const fixed = kernelRoute('10.9.0.0/16', hop('eth0', { via: '10.250.1.254' }), { protocol: 4 });
  expect(resolve([connected, fixed], '10.9.9.9')).toEqual({
    ...{ reachable: true, interface: 'eth0', gateway: '10.250.1.254' },
  });
});

test('a next hop in a blackhole is unreachable', () => {
  expect(resolve([kernelRoute('10.9.0.0/16', [], { kind: 'blackhole' })], '10.9.9.9')).toEqual({ reachable: false });
});

test('one of our own addresses is no next hop', () => {
  const resolver = resolverWith(connected);
  const address = { address: '10.250.1.11' as Address, prefix: '10.250.1.0/24' as Prefix };
  resolver.update({ links: [{ name: 'eth0', up: true, addresses: [address] }] });
  expect(resolver.resolve('10.250.1.11' as Address)).toEqual({ reachable: false });
});

test('a link-local next hop is reachable over the interface that is named', () => {
  const everywhere = [kernelRoute('fe80::/64', hop('eth0')), kernelRoute('fe80::/64', hop('eth1', { down: true }))];
  expect(resolve(everywhere, 'fe80::1', 'eth0')).toEqual({ reachable: true, interface: 'eth0' });
  expect(resolve(everywhere, 'fe80::1', 'eth1')).toEqual({ reachable: false });
});

test('a link-local next hop without an interface is on some link, and on which is not guessed', () => {
  const everywhere = [kernelRoute('fe80::/64', hop('eth0')), kernelRoute('fe80::/64', hop('eth1'))];
  expect(resolve(everywhere, 'fe80::1')).toEqual({ reachable: true });
  expect(resolve([everywhere[0]!], 'fe80::1')).toEqual({ reachable: true, interface: 'eth0' });
});

test('a change is told only when an answer that was given is another one now', () => {
  const changed = vi.fn<() => void>();
  const resolver = createResolver(changed);
  resolver.update({ routes: [connected] });
  resolver.resolve('10.250.1.12' as Address);
  resolver.update({ routes: [connected, kernelRoute('10.7.0.0/16', hop('eth3'))] });
  expect(changed).not.toHaveBeenCalled();
  resolver.update({ routes: [] });
  expect(changed).toHaveBeenCalledOnce();
  expect(resolver.resolve('10.250.1.12' as Address)).toEqual({ reachable: false });
});
