// Objects that Calico has half deleted.
import { describe, expect, it } from 'vitest';
import { ask, lab } from '../../support/ipam-lab.ts';
import { node, pool } from '../../support/resources.ts';

describe('objects that Calico has half deleted', () => {
  it('are not there, and do not stand in the way of a new one', async () => {
    const { store, at } = lab(pool('p', '10.82.0.0/26'), node('a'));
    await at('a').assign(ask('h'));
    for (const block of await store.list('IPAMBlock')) {
      await store.update('IPAMBlock', { ...block, spec: { ...block.spec, deleted: true } });
    }
    for (const affinity of await store.list('BlockAffinity')) {
      await store.update('BlockAffinity', { ...affinity, spec: { ...affinity.spec, deleted: 'true' } });
    }
    for (const handle of await store.list('IPAMHandle')) {
      await store.update('IPAMHandle', { ...handle, spec: { ...handle.spec, deleted: true } });
    }
    expect((await at('a').usage()).pools[0]).toMatchObject({ inUse: 0n, blocks: [] });
    await at('a').assign(ask('h'));
    expect(await at('a').check()).toEqual([]);
    expect(await at('a').ownBlocks()).toMatchObject([{ inUse: 1 }]);
  });
});
