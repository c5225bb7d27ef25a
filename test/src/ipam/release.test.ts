// What is given back, and what becomes of it.
import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '#ip';
import { ask, lab, many } from '../../support/ipam-lab.ts';
import { ipamConfig, node, pool } from '../../support/resources.ts';

describe('release', () => {
  const four = pool('pods', '10.82.0.0/26');

  it('frees the address, deletes the handle and keeps the block', async () => {
    const { store, at } = lab(four, node('w'));
    await at('w').assign(ask('h'));
    await at('w').release('h');
    expect(await at('w').ownBlocks()).toMatchObject([{ inUse: 0 }]);
    expect(await store.list('IPAMHandle')).toEqual([]);
  });
  it('of what is not there is no error', async () => {
    await expect(lab(four, node('w')).at('w').release('never')).resolves.toBeUndefined();
  });
  it('finds the address in the node’s own blocks when the handle is lost', async () => {
    const { store, at } = lab(four, node('w'));
    await at('w').assign(ask('h'));
    await store.delete('IPAMHandle', (await store.get('IPAMHandle', 'h'))!);
    await at('w').release('h');
    expect(await at('w').ownBlocks()).toMatchObject([{ inUse: 0 }]);
  });
  it('puts the address at the end of the queue', async () => {
    const ipam = lab(four, node('w')).at('w');
    const [first] = await many(ipam, 'a', 1);
    await ipam.release('a-0');
    expect(await many(ipam, 'b', 64)).toSatisfy((all: Address[]) => all.at(-1) === first);
  });
  it('lets the address rest for the cooldown', async () => {
    const { at, turn } = lab(
      pool('p', '10.82.0.0/32', { blockSize: 32 }),
      node('w'),
      ipamConfig({ ipCooldownSeconds: 30 }),
    );
    await at('w').assign(ask('a'));
    await at('w').release('a');
    await expect(at('w').assign(ask('b'))).rejects.toMatchObject({ code: 'exhausted' });
    expect((await at('w').lookUp(parseAddress('10.82.0.0'))).state).toBe('resting');
    turn(31_000);
    expect(await at('w').assign(ask('b'))).toEqual({ addresses: ['10.82.0.0'] });
  });
  it('removes a block that nobody owns with its last address', async () => {
    const { store, at } = lab(four, node('w'));
    await at('w').assign(ask('h'));
    const block = (await store.list('IPAMBlock'))[0]!;
    const { affinity: _, ...spec } = block.spec;
    await store.update('IPAMBlock', { ...block, spec });
    await at('w').release('h');
    expect(await store.list('IPAMBlock')).toEqual([]);
  });
  it('of a single address minds the handle', async () => {
    const ipam = lab(four, node('w')).at('w');
    const { addresses } = await ipam.assign(ask('h'));
    const address = addresses[0]!;
    expect(await ipam.releaseAddresses([{ address, handle: 'other' }])).toEqual([]);
    expect(await ipam.releaseAddresses([{ address, handle: 'h' }])).toEqual([address]);
    expect(await ipam.check()).toEqual([]);
  });
});
