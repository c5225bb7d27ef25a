// One node at a time: what is given out, in which order, and with how many writes.
import { describe, expect, it } from 'vitest';
import { createIpam } from '../../../src/ipam/index.ts';
import { StoreError } from '../../../src/store/port.ts';
import { NOW, ask, lab, many, writes } from '../../support/ipam-lab.ts';
import { createMemoryStore, seenThrough } from '../../support/memory-store.ts';
import { node, pool } from '../../support/resources.ts';

describe('the first address of a node', () => {
  it('comes from a block that is claimed for it, and leaves exactly what Calico leaves', async () => {
    const { store, at } = lab(pool('pods', '10.82.0.64/26'), node('w'));
    const { addresses } = await at('w').assign(ask('net.C0'));
    expect(addresses).toEqual(['10.82.0.64']);
    expect((await store.list('IPAMBlock'))[0]!.spec).toMatchObject({
      cidr: '10.82.0.64/26',
      affinity: 'host:w',
      affinityClaimTime: '2026-11-21T04:00:00Z',
      sequenceNumber: BigInt(NOW) * 1_000_000n + 1n,
      sequenceNumberForAllocation: { 0: BigInt(NOW) * 1_000_000n },
      attributes: [
        {
          handle_id: 'net.C0',
          secondary: { namespace: 'default', node: 'w', pod: 'net.C0', timestamp: '2026-11-21 04:00:00 +0000 UTC' },
        },
      ],
    });
    expect((await store.list('BlockAffinity'))[0]).toMatchObject({
      metadata: { labels: { 'projectcalico.org/affinity-type': 'host', 'projectcalico.org/ip-version': '4' } },
      spec: { cidr: '10.82.0.64/26', node: 'w', state: 'confirmed', type: 'host', deleted: 'false' },
    });
    expect((await store.list('IPAMHandle'))[0]).toMatchObject({
      metadata: { name: 'net.c0' },
      spec: { handleID: 'net.C0', block: { '10.82.0.64/26': 1 }, deleted: false },
    });
  });

  it('is written in this order: pending affinity, block, confirmed affinity, handle, block', async () => {
    const { store, at } = lab(pool('pods', '10.82.0.64/26'), node('w'));
    await at('w').assign(ask('net.c0'));
    expect(writes(store.calls).map((call) => call.split(' ').slice(0, 2).join(' '))).toEqual([
      'create BlockAffinity',
      'create IPAMBlock',
      'update BlockAffinity',
      'create IPAMHandle',
      'update IPAMBlock',
    ]);
  });
});

describe('a dual-stack request', () => {
  const pools = [pool('four', '10.82.0.0/24'), pool('six', 'fd82::/64')];

  it('gets one address of each family, in the order asked for, with one write of the handle', async () => {
    const { store, at } = lab(...pools, node('w'));
    const { addresses } = await at('w').assign(ask('h', { families: [6, 4] }));
    expect(addresses.map((address) => address.includes(':'))).toEqual([true, false]);
    expect(writes(store.calls).filter((call) => call.includes('IPAMHandle'))).toEqual(['create IPAMHandle h']);
  });

  it('gets nothing, and leaves nothing taken, when one family has none', async () => {
    const { store, at } = lab(pool('four', '10.82.0.0/24'), pool('six', 'fd82::/127', { blockSize: 128 }), node('w'));
    const ipam = at('w');
    await ipam.assign(ask('a', { families: [6] }));
    await ipam.assign(ask('b', { families: [6] }));
    await expect(ipam.assign(ask('c', { families: [4, 6] }))).rejects.toThrow(/^no free address: pool six/);
    expect((await ipam.usage()).pools.map(({ inUse }) => inUse)).toEqual([0n, 2n]);
    expect((await store.list('IPAMHandle')).map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
  });

  it('gives back the family that it got when the write of the other fails', async () => {
    const memory = createMemoryStore(...pools, node('w'));
    const store = seenThrough(memory, {
      before: ({ verb, name }) => {
        if (verb === 'update' && name.startsWith('fd82')) throw new StoreError('unavailable', 'gone fishing');
      },
    });
    const ipam = createIpam({ store, node: 'w', pause: async () => {} });
    await expect(ipam.assign(ask('h', { families: [4, 6] }))).rejects.toThrow('gone fishing');
    expect((await ipam.usage()).pools.map(({ inUse }) => inUse)).toEqual([0n, 0n]);
    expect(await memory.list('IPAMHandle')).toEqual([]);
  });
});

describe('a repeated request', () => {
  it('gets the same addresses, and writes nothing', async () => {
    const { store, at } = lab(pool('four', '10.82.0.0/24'), pool('six', 'fd82::/64'), node('w'));
    const first = await at('w').assign(ask('h', { families: [4, 6] }));
    const before = store.calls.length;
    expect(await at('w').assign(ask('h', { families: [4, 6] }))).toEqual(first);
    expect(writes(store.calls.slice(before))).toEqual([]);
  });

  it('gets the same addresses when both arrive at once', async () => {
    const ipam = lab(pool('four', '10.82.0.0/24'), node('w')).at('w');
    const [a, b] = await Promise.all([ipam.assign(ask('h')), ipam.assign(ask('h'))]);
    expect(a).toEqual(b);
  });

  it('keeps what an earlier one gave when it asks for more in vain', async () => {
    const ipam = lab(pool('four', '10.82.0.0/24'), node('w')).at('w');
    await ipam.assign(ask('h'));
    await expect(ipam.assign(ask('h', { families: [4, 6] }))).rejects.toThrow('no IPv6 pool');
    expect((await ipam.usage()).pools[0]).toMatchObject({ inUse: 1n });
    expect(await ipam.check()).toEqual([]);
  });

  it('finds what a write gave whose answer was lost', async () => {
    const memory = createMemoryStore(pool('four', '10.82.0.0/24'), node('w'));
    let lost = 0;
    const store = seenThrough(memory, {
      after: ({ verb, kind }) => {
        if (verb === 'update' && kind === 'IPAMBlock' && lost++ === 0) throw new StoreError('conflict', 'perhaps');
      },
    });
    const ipam = createIpam({ store, node: 'w', pause: async () => {} });
    await ipam.assign(ask('h'));
    expect((await ipam.usage()).pools[0]).toMatchObject({ inUse: 1n });
  });
});

describe('a burst', () => {
  it('of fifty costs one write for each handle and one for the block', async () => {
    const { store, at } = lab(pool('four', '10.82.0.0/26'), node('w'));
    const ipam = at('w');
    await ipam.assign(ask('first'));
    const before = store.calls.length;
    expect(new Set(await many(ipam, 'h', 50)).size).toBe(50);
    const burst = writes(store.calls.slice(before));
    expect(burst.filter((call) => call.includes('IPAMHandle'))).toHaveLength(50);
    expect(burst.filter((call) => call.includes('IPAMBlock'))).toHaveLength(1);
  });

  it('of releases costs one write of the block, too', async () => {
    const { store, at } = lab(pool('four', '10.82.0.0/26'), node('w'));
    const ipam = at('w');
    await many(ipam, 'h', 50);
    const before = store.calls.length;
    await Promise.all(Array.from({ length: 50 }, (_, i) => ipam.release(`h-${i}`)));
    expect(writes(store.calls.slice(before)).filter((call) => call.includes('IPAMBlock'))).toHaveLength(1);
    expect((await ipam.usage()).pools[0]).toMatchObject({ inUse: 0n });
  });

  it('of more than a block holds claims the next one', async () => {
    const ipam = lab(pool('four', '10.82.0.0/24'), node('w')).at('w');
    expect(new Set(await many(ipam, 'h', 100)).size).toBe(100);
    expect(await ipam.ownBlocks()).toHaveLength(2);
  });

  it('mixed with releases of the same handles keeps the order of each handle', async () => {
    const ipam = lab(pool('four', '10.82.0.0/26'), node('w')).at('w');
    await Promise.all([ipam.assign(ask('h')), ipam.release('h'), ipam.assign(ask('h')), ipam.release('h')]);
    expect((await ipam.usage()).pools[0]).toMatchObject({ inUse: 0n });
  });
});
