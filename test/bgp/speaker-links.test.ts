// Peers on links, which are found, lost and found elsewhere.
import type { Address } from '#ip';
import { expect, test } from 'vitest';
import type { PeerWish } from '../../bgp/index.ts';
import { Player, Stage, attributes, ipv6, ourAddress, path, peerWish, restartsBoth, settle, v6 } from './stage.ts';

const S = 'fd01::/64';
const nowhere = { address: '::' as Address, absent: 'no router has been heard on eth1 yet' };
const found = peerWish('leaf', 'fe80::1', 65_001, { families: [v6], interface: 'eth1' });
const lost = { ...found, ...nowhere };
const heard = attributes({ nextHop: 'fe80::1' as Address });

async function find(stage: Stage, address = 'fe80::1', ...others: PeerWish[]): Promise<void> {
  await stage.apply({ peers: [{ ...found, address: address as Address }, ...others] });
}

test('a peer that has not been found is down, and says why', async () => {
  const stage = new Stage({ peers: [{ ...lost, passive: false }] });
  await settle();
  expect(stage.session('leaf')).toMatchObject({ state: 'Idle', reason: nowhere.absent, interface: 'eth1' });
});

test('a restart waits for a peer that has not been found as for any other', async () => {
  const restart = { restarting: true, forwarding: [v6], deferralSeconds: 60 };
  const stage = new Stage({ peers: [lost] }, { restart });
  await settle();
  expect(stage.converged).toBe(0);
  await find(stage);
  const leaf = await stage.join('leaf', [ipv6, restartsBoth]);
  await leaf.endOfRib(v6);
  await stage.clock.advance(2000);
  expect(stage.converged).toBe(1);
});

test('a peer whose link is gone loses its paths at once, also one that could be restarting, and keeps its history', async () => {
  const stage = new Stage({ peers: [found] });
  await settle();
  const leaf = await stage.join('leaf', [ipv6, restartsBoth]);
  await leaf.announce([S], heard);
  expect(stage.forwarding()).toEqual([`${S} via fe80::1`]);
  await stage.apply({ peers: [lost] });
  expect(stage.forwarding()).toEqual([]);
  expect(stage.session('leaf')).toMatchObject({ state: 'Idle', flaps: 1 });
  expect(stage.session('leaf').errors[0]!.text).toMatch(/sent: no router has been heard on eth1 yet$/);
});

test('a peer that was to come back from a restart and is found at another address has nothing to come back to', async () => {
  const stage = new Stage({ peers: [found] });
  await settle();
  const leaf = await stage.join('leaf', [ipv6, restartsBoth]);
  await leaf.announce([S], heard);
  await leaf.vanish();
  expect(stage.forwarding()).toEqual([`${S} via fe80::1`]);
  await find(stage, 'fe80::2');
  expect(stage.forwarding()).toEqual([]);
  await stage.join('leaf', [ipv6, restartsBoth]);
  expect(stage.session('leaf')).toMatchObject({ state: 'Established', address: 'fe80::2' });
});

test('peers that are found are ranked by their addresses of now (RFC 4271 §9.1.2.2 g)', async () => {
  const other = peerWish('other', 'fe80::5', 65_001, { families: [v6], interface: 'eth2' });
  const stage = new Stage({ peers: [lost, other] });
  await settle();
  await find(stage, 'fe80::9', other);
  for (const address of ['fe80::9', 'fe80::5'] as Address[]) {
    const player = new Player(await stage.network.connect(address, ourAddress), false, [ipv6]);
    await player.handshake({ asn: 65_001, routerId: 7, capabilities: [{ name: 'fourOctetAs', asn: 65_001 }, ipv6] });
    await player.announce([S], attributes({ nextHop: address, asPath: path(65_001) }));
  }
  expect(stage.forwarding()).toEqual([`${S} via fe80::5`]);
});

test('the next hop over a link is the link-local one, though a global one stands before it (RFC 2545 §3)', async () => {
  const global = attributes({ nextHop: '2001:db8::1' as Address, linkLocalNextHop: 'fe80::1' as Address });
  const reachable = (nextHop: Address) => ({ reachable: nextHop === 'fe80::1' });
  const stage = new Stage({ peers: [found] }, { resolve: reachable });
  await settle();
  const leaf = await stage.join('leaf', [ipv6]);
  await leaf.announce([S], global);
  expect([...stage.speaker.best()].flatMap(({ paths }) => paths)).toMatchObject([
    { nextHop: 'fe80::1', interface: 'eth1' },
  ]);
});
