// What interruptions leave, and who puts it right.
import { describe, expect, it } from 'vitest';
import { parseAddress } from '#ip';
import { ask, lab, many } from '../../support/ipam-lab.ts';
import { node, pool } from '../../support/resources.ts';

describe('collect', () => {
  const four = pool('pods', '10.82.0.0/24');

  it('frees what no attachment has, and nothing else', async () => {
    const { at } = lab(four, node('a'), node('b'));
    const [alive] = await many(at('a'), 'alive', 1);
    await many(at('a'), 'dead', 2);
    await many(at('b'), 'other', 1);
    const freed = await at('a').collect(new Set(['alive-0']));
    expect(freed.map(({ handle }) => handle)).toEqual(['dead-0', 'dead-1']);
    expect((await at('a').lookUp(alive!)).state).toBe('in use');
    expect(await at('a').check()).toEqual([]);
  });
  it('leaves an address that is known to be alive although its handle is not', async () => {
    const ipam = lab(four, node('a')).at('a');
    const addresses = await many(ipam, 'calico', 1);
    expect(await ipam.collect(new Set<string>(addresses))).toEqual([]);
  });
  it('asks who is alive after it has looked, so that an ADD in progress is not robbed', async () => {
    const ipam = lab(four, node('a')).at('a');
    const records = new Set<string>();
    const add = async (handle: string): Promise<void> => {
      records.add(handle);
      await ipam.assign(ask(handle));
    };
    const [freed] = await Promise.all([ipam.collect(async () => new Set(records)), add('h')]);
    expect([freed, (await ipam.ownBlocks())[0]!.inUse]).toEqual([[], 1]);
  });
  it('finds a borrowed address, too', async () => {
    const { at } = lab(pool('p', '10.82.0.0/30', { blockSize: 30 }), node('a'), node('b'));
    await at('a').assign(ask('x'));
    const { addresses } = await at('b').assign(ask('gone'));
    expect(await at('b').collect(new Set())).toEqual([{ address: addresses[0], handle: 'gone' }]);
  });
  it('leaves the node’s tunnel addresses', async () => {
    const ipam = lab(four, node('a')).at('a');
    await ipam.assign(ask('ipip-tunnel-addr-a', { attributes: { type: 'ipipTunnelAddress' } }));
    expect(await ipam.collect(new Set())).toEqual([]);
  });
});

describe('reconcile', () => {
  it('gives up an empty block whose pool has gone, and keeps one in use', async () => {
    const { store, at } = lab(pool('old', '10.82.0.0/25', { blockSize: 26 }), node('a'));
    const ipam = at('a');
    await many(ipam, 'h', 65);
    const [gone] = await ipam.ownBlocks();
    for (let i = 0; i < 65; i++) {
      const inFirst = (await ipam.lookUp(parseAddress(`10.82.0.${i}`))).block === gone!.cidr;
      if (inFirst) await ipam.releaseAddresses([{ address: parseAddress(`10.82.0.${i}`) }]);
    }
    const kept = (await ipam.ownBlocks()).filter(({ inUse }) => inUse > 0);
    await store.delete('IPPool', (await store.list('IPPool'))[0]!);
    await ipam.reconcile();
    expect(await ipam.ownBlocks()).toEqual(kept);
  });
  it('gives a block of ours the affinity that it lacks', async () => {
    const { store, at } = lab(pool('p', '10.82.0.0/24'), node('a'));
    await at('a').assign(ask('h'));
    await store.delete('BlockAffinity', (await store.list('BlockAffinity'))[0]!);
    expect(await at('a').ownBlocks()).toEqual([]);
    await at('a').reconcile();
    expect(await at('a').ownBlocks()).toHaveLength(1);
  });
  it('never announces a block whose affinity is not confirmed', async () => {
    const { store, at } = lab(pool('p', '10.82.0.0/24'), node('a'));
    await at('a').assign(ask('h'));
    const affinity = (await store.list('BlockAffinity'))[0]!;
    await store.update('BlockAffinity', { ...affinity, spec: { ...affinity.spec, state: 'pending' } });
    expect(await at('a').ownBlocks()).toEqual([]);
  });
});
