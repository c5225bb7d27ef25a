// The node's addresses in the store: found, written, kept, and refused where another node has them.
import { afterEach, expect, test } from 'vitest';
import { parseInterfaceAddress } from '#ip';
import { type Addresses, followAddresses } from '../../../src/agent/addresses.ts';
import type { Host } from '../../../src/autodetect/choose.ts';
import { readAddressWish } from '../../../src/autodetect/wish.ts';
import type { AddressWish } from '../../../src/autodetect/wish.ts';
import { createLog } from '../../../src/log.ts';
import type { Kinds } from '../../../src/resources/types.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { node } from '../../support/resources.ts';

const { log } = createLog({ level: 'fatal', node: 'a' });
const running: Addresses[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one[Symbol.asyncDispose]();
});

function wish(ip: string | undefined, family: 4 | 6, method?: string): AddressWish {
  const reading = readAddressWish({ ip, method }, family);
  if ('refused' in reading) throw new Error(reading.refused);
  return reading.wish;
}

function follow(
  store: ReturnType<typeof createMemoryStore>,
  ip: string | undefined,
  method?: string,
  asNumber?: number,
) {
  const texts = { eth0: ['10.0.0.5/24', 'fd00::5/64'] } as Record<string, string[]>;
  const interfaces = async (): Promise<Host['interfaces']> =>
    Object.entries(texts).map(([name, all]) => ({ name, addresses: all.map(parseInterfaceAddress) }));
  const wishes = { 4: wish(ip, 4, method), 6: wish(undefined, 6) };
  const addresses = followAddresses({ node: 'a', wishes, asNumber, store, log, interfaces });
  running.push(addresses);
  return { addresses, texts };
}

const bgpOf = async (store: ReturnType<typeof createMemoryStore>): Promise<unknown> =>
  (await store.get('Node', 'a'))?.spec.bgp;

test('what was found is written into the Node, and nothing else of it changes', async () => {
  const self = node('a', { asNumber: 64999 }, { rack: 'a' });
  const store = createMemoryStore(self);
  const { addresses } = follow(store, undefined);
  await addresses.settle();
  expect(await store.get('Node', 'a')).toMatchObject({
    metadata: { labels: { rack: 'a' } },
    spec: { bgp: { asNumber: 64999, ipv4Address: '10.0.0.5/24' } },
  });
  expect(addresses.states()).toEqual([{ family: 4, address: '10.0.0.5/24', interface: 'eth0', how: 'first-found' }]);
});

test('the AS number that we were told takes the place of what the Node says', async () => {
  const store = createMemoryStore(node('a', { asNumber: 64_999 }));
  const { addresses } = follow(store, 'autodetect', undefined, 64_513);
  await addresses.settle();
  await addresses.settle();
  expect(await bgpOf(store)).toEqual({ asNumber: 64_513, ipv4Address: '10.0.0.5/24' });
  expect(store.calls.filter((call) => call.startsWith('update'))).toEqual(['update Node a']);
});

test('nothing is written while nothing changes', async () => {
  const store = createMemoryStore(node('a'));
  const { addresses } = follow(store, 'autodetect');
  await addresses.settle();
  await addresses.settle();
  await addresses.settle();
  expect(store.calls.filter((call) => call.startsWith('update'))).toEqual(['update Node a']);
});

test('an address that moves is followed when it is looked at again', async () => {
  const store = createMemoryStore(node('a'));
  const { addresses, texts } = follow(store, 'autodetect');
  await addresses.settle();
  texts['eth0'] = ['10.0.0.77/24'];
  await addresses.settle();
  expect(await bgpOf(store)).toEqual({ ipv4Address: '10.0.0.77/24' });
});

test('an interface that appears later does not take the address away', async () => {
  const store = createMemoryStore(node('a'));
  const { addresses, texts } = follow(store, 'autodetect');
  await addresses.settle();
  texts['eth9'] = ['192.0.2.9/24'];
  await addresses.settle();
  expect(await bgpOf(store)).toEqual({ ipv4Address: '10.0.0.5/24' });
  expect(addresses.states()[0]!.how).toBe('first-found, kept');
});

test('the InternalIP is read from where the Kubernetes store carries it', async () => {
  const self = node('a');
  const addresses = [
    { address: '10.0.0.4/24', type: 'CalicoNodeIP' },
    { address: '10.0.0.5', type: 'InternalIP' },
  ];
  const store = createMemoryStore({ ...self, spec: { ...self.spec, addresses } } as Kinds['Node']);
  const { addresses: found } = follow(store, 'autodetect', 'kubernetes-internal-ip');
  await found.settle();
  expect(await bgpOf(store)).toEqual({ ipv4Address: '10.0.0.5/24' });
});

test('without a Node there is nothing to write to, and that is a failure that is tried again', async () => {
  const store = createMemoryStore();
  const { addresses } = follow(store, 'autodetect');
  await addresses.settle();
  expect(addresses.failures()[0]!.failure?.error).toBe('there is no Node a to write the address to');
});

test('another writer in between costs a second try, and no field', async () => {
  const store = createMemoryStore(node('a'));
  const update = store.update.bind(store);
  let meddled = false;
  store.update = async (kind, resource) => {
    if (!meddled && kind === 'Node') {
      meddled = true;
      const now = (await store.get('Node', 'a'))!;
      await update('Node', { ...now, spec: { bgp: { asNumber: 65_001 } } });
    }
    return update(kind, resource);
  };
  const { addresses } = follow(store, 'autodetect');
  await addresses.settle();
  while (((await bgpOf(store)) as { ipv4Address?: string }).ipv4Address === undefined) await addresses.settle();
  expect(await bgpOf(store)).toEqual({ asNumber: 65_001, ipv4Address: '10.0.0.5/24' });
});
