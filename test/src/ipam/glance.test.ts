// A node that needs a block goes by a glance at the blocks' names, which may be old in either direction: blocks that it
// shows may be gone, and others may have come.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyBlock } from '../../../src/ipam/block.ts';
import { newBlock } from '../../../src/ipam/data.ts';
import { type Ipam, createIpam } from '../../../src/ipam/index.ts';
import { blockName } from '../../../src/resources/names.ts';
import type { Store } from '../../../src/store/port.ts';
import { parsePrefix } from '#ip';
import { duplicates } from '../../support/ipam-audit.ts';
import { ask } from '../../support/ipam-lab.ts';
import { type MemoryStore, createMemoryStore } from '../../support/memory-store.ts';
import { node, pool } from '../../support/resources.ts';

const BLOCKS = 16;
const names = Array.from({ length: BLOCKS }, (_, i) => `10-82-0-${i * 4}-30`);

function stores(...pools: readonly ReturnType<typeof pool>[]): MemoryStore {
  const given = pools.length > 0 ? pools : [pool('pods', '10.82.0.0/26', { blockSize: 30 })];
  return createMemoryStore(...given, ...Array.from({ length: BLOCKS }, (_, i) => node(`n${i}`)));
}

/** A store of which somebody sees these names of blocks, whatever is there. */
function glancing(store: Store, seen: readonly string[]): Store {
  return { ...store, names: async (kind) => (kind === 'IPAMBlock' ? seen : store.names(kind)) };
}

function open(store: Store, name: string): Ipam {
  return createIpam({ store, node: name, pause: async () => {} });
}

function owned(store: MemoryStore): Promise<number> {
  return store.list('IPAMBlock').then((blocks) => blocks.filter(({ spec }) => spec.affinity !== undefined).length);
}

describe('a node that needs a block', () => {
  it('gets one of its own as long as there is one, whatever each node sees, and shares none', async () => {
    const glance = fc.subarray(names);
    await fc.assert(
      fc.asyncProperty(fc.array(glance, { minLength: 1, maxLength: BLOCKS }), async (glances) => {
        const store = stores();
        const ipams = glances.map((seen, i) => open(glancing(store, seen), `n${i}`));
        const given = await Promise.all(ipams.map((ipam, i) => ipam.assign(ask(`pod-${i}`))));
        expect(new Set(given.flatMap(({ addresses }) => addresses)).size).toBe(glances.length);
        expect(await owned(store)).toBe(glances.length);
        expect(await duplicates(store)).toEqual([]);
        expect(await ipams[0]!.check()).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('reads all blocks only after it has found what it saw as free taken, time and again', async () => {
    const store = stores();
    for (let i = 0; i < 12; i++) await open(store, `n${i}`).assign(ask(`pod-${i}`));
    const taken = (await store.list('IPAMBlock')).map(({ metadata }) => metadata.name);
    const free = names.filter((name) => !taken.includes(name));
    const before = store.calls.length;
    await open(glancing(store, free), 'n12').assign(ask('late'));
    const calls = store.calls.slice(before);
    const tries = calls.slice(0, calls.indexOf('list IPAMBlock')).filter((call) => call.startsWith('create IPAMBlock'));
    expect(tries).toHaveLength(8);
    expect(await duplicates(store)).toEqual([]);
  });

  it('takes the last block of a pool that looks full, and borrows only where it is full', async () => {
    const store = stores();
    for (let i = 0; i < 15; i++) await open(store, `n${i}`).assign(ask(`pod-${i}`));
    const late = open(glancing(store, names), 'n15');
    await late.assign(ask('late'));
    expect(await owned(store)).toBe(16);
    for (let i = 0; i < 4; i++) await late.assign(ask(`more-${i}`));
    expect(await owned(store)).toBe(16);
    expect(await duplicates(store)).toEqual([]);
  });

  it('goes on to its next pool without reading all blocks, where the first looks full', async () => {
    const store = stores(pool('a', '10.82.0.0/28', { blockSize: 30 }), pool('b', '10.83.0.0/24', { blockSize: 30 }));
    for (let i = 0; i < 4; i++) await open(store, `n${i}`).assign(ask(`pod-${i}`));
    const before = store.calls.length;
    const { addresses } = await open(store, 'n4').assign(ask('more'));
    expect(addresses[0]).toMatch(/^10\.83\./);
    expect(store.calls.slice(before)).not.toContain('list IPAMBlock');
  });

  it('keeps clear of blocks of another size', async () => {
    const store = stores();
    for (const text of ['10.82.0.0/27', '10.82.0.32/28', '10.82.0.48/29']) {
      store.seed(newBlock(emptyBlock(parsePrefix(text), 'host:other', 0)));
    }
    await open(store, 'n0').assign(ask('one'));
    expect(await duplicates(store)).toEqual([]);
    expect((await store.list('IPAMBlock')).map(({ metadata }) => metadata.name)).toContainEqual(
      expect.stringMatching(/^10-82-0-(56|60)-30$/),
    );
  });

  it('trusts no glance in which something is called as no block is', async () => {
    const store = stores();
    const before = store.calls.length;
    await open(glancing(store, ['by-hand', blockName(parsePrefix('10.82.0.0/30'))]), 'n0').assign(ask('one'));
    expect(store.calls.slice(before)).toContain('list IPAMBlock');
  });
});

/** A store whose memory of names is up to so many looks old. */
function remembering(store: Store, looks: number): Store {
  let seen: readonly string[] = [];
  let count = 0;
  return {
    ...store,
    names: async (kind) => {
      const present = await store.names(kind);
      if (count++ % looks === 0) seen = present;
      return seen;
    },
  };
}

describe('nodes that start together', () => {
  it('fill a pool to the last block at a dozen requests each, and hardly one of them lists all blocks', async () => {
    const hosts = Array.from({ length: 256 }, (_, i) => `host-${i}`);
    const store = createMemoryStore(pool('pods', '10.80.0.0/18'), node('host-0'));
    const old = remembering(store, 25);
    await Promise.all(hosts.map((name) => open(old, name).assign(ask(name))));
    expect(await owned(store)).toBe(256);
    expect(await duplicates(store)).toEqual([]);
    const asked = store.calls.filter((call) => /IPAMBlock|BlockAffinity|IPAMHandle/.test(call));
    const own = asked.filter((call) => !call.startsWith('list BlockAffinity of'));
    expect(own.length / hosts.length).toBeLessThan(14);
    expect(own.filter((call) => call === 'list IPAMBlock').length).toBeLessThan(hosts.length / 20);
  });
});
