// What an address costs the store: a thousand agents ask one API server.
import { describe, expect, it } from 'vitest';
import { nextRevision } from '../../../src/ipam/block.ts';
import { type Ipam, createIpam } from '../../../src/ipam/index.ts';
import { duplicates } from '../../support/ipam-audit.ts';
import { ask } from '../../support/ipam-lab.ts';
import { type MemoryStore, createMemoryStore } from '../../support/memory-store.ts';
import { node, pool } from '../../support/resources.ts';

const agentsKinds = /IPAMBlock|BlockAffinity|IPAMHandle/;

function open(blockSize = 26): { store: MemoryStore; ipam: Ipam; calls: () => string[] } {
  const store = createMemoryStore(pool('pods', '10.82.0.0/24', { blockSize }), node('a'), node('b'));
  const ipam = createIpam({ store, node: 'a', pause: async () => {} });
  let seen = 0;
  return {
    store,
    ipam,
    // Configuration is read from memory on every store.
    calls: () => {
      const fresh = store.calls.slice(seen);
      seen = store.calls.length;
      return fresh.filter((call) => agentsKinds.test(call)).map((call) => call.split(' ').slice(0, 2).join(' '));
    },
  };
}

describe('for a block of its own', () => {
  it('a node looks at the names of the others, writes four objects, and lists nothing', async () => {
    const { ipam, calls } = open();
    await ipam.reconcile();
    calls();
    await ipam.assign(ask('first'));
    expect(calls()).toEqual([
      'list BlockAffinity',
      'get IPAMHandle',
      'names IPAMBlock',
      'create BlockAffinity',
      'create IPAMBlock',
      'update BlockAffinity',
      'create IPAMHandle',
      'update IPAMBlock',
    ]);
  });
});

describe('from a block that the node owns', () => {
  it('an ADD costs one write of the handle and one of the block, and nothing is read', async () => {
    const { ipam, calls } = open();
    await ipam.assign(ask('first'));
    calls();
    await ipam.assign(ask('second'));
    expect(calls()).toEqual(['create IPAMHandle', 'update IPAMBlock']);
  });

  it('a DEL costs as much', async () => {
    const { ipam, calls } = open();
    await ipam.assign(ask('first'));
    calls();
    await ipam.release('first');
    expect(calls()).toEqual(['update IPAMBlock', 'delete IPAMHandle']);
  });

  it('an ADD right after the start reads the node’s own affinities and blocks, once', async () => {
    const { store, ipam, calls } = open();
    await ipam.assign(ask('first'));
    const again = createIpam({ store, node: 'a', pause: async () => {} });
    calls();
    await again.assign(ask('second'));
    expect(store.calls).toContain('list BlockAffinity of a');
    expect(calls()).toEqual([
      'list BlockAffinity',
      'get IPAMBlock',
      'get IPAMHandle',
      'create IPAMHandle',
      'update IPAMBlock',
    ]);
    await again.assign(ask('third'));
    expect(calls()).toEqual(['create IPAMHandle', 'update IPAMBlock']);
  });

  it('what this node may announce is known without a request', async () => {
    const { ipam, calls } = open();
    await ipam.assign(ask('first'));
    calls();
    expect(await ipam.ownBlocks()).toMatchObject([{ inUse: 1 }]);
    expect(calls()).toEqual(['list BlockAffinity']);
  });
});

describe('what is known may be old:', () => {
  async function someoneElseWrites(store: MemoryStore): Promise<void> {
    const [block] = await store.list('IPAMBlock');
    await store.update('IPAMBlock', { ...block!, spec: nextRevision(block!.spec) });
  }

  it('an ADD loses one write and then reads', async () => {
    const { store, ipam, calls } = open();
    await ipam.assign(ask('first'));
    await someoneElseWrites(store);
    calls();
    await ipam.assign(ask('second'));
    expect(calls().filter((call) => call === 'update IPAMBlock')).toHaveLength(2);
    expect(await ipam.check()).toEqual([]);
  });

  it('a DEL loses one write and then reads', async () => {
    const { store, ipam } = open();
    await ipam.assign(ask('first'));
    await someoneElseWrites(store);
    await ipam.release('first');
    expect(await ipam.ownBlocks()).toMatchObject([{ inUse: 0 }]);
    expect(await ipam.check()).toEqual([]);
  });

  it('a block that another node has taken over is given up', async () => {
    const { store, ipam } = open(30);
    await ipam.assign(ask('first'));
    await ipam.release('first');
    for (const kind of ['IPAMBlock', 'BlockAffinity'] as const) {
      for (const one of await store.list(kind)) await store.delete(kind, one);
    }
    const other = createIpam({ store, node: 'b', pause: async () => {} });
    for (let i = 0; i < 64 * 4; i++) await other.assign(ask(`b-${i}`)).catch(() => undefined);
    await ipam.assign(ask('second')).catch(() => undefined);
    expect(await duplicates(store)).toEqual([]);
    expect(await ipam.check()).toEqual([]);
  });

  it('a full block is read before a new one is claimed', async () => {
    const { store, ipam } = open(32);
    const { addresses } = await ipam.assign(ask('first'));
    const elsewhere = createIpam({ store, node: 'a', pause: async () => {} });
    await elsewhere.release('first');
    expect(await ipam.assign(ask('second'))).toEqual({ addresses });
  });

  it('a handle that holds a borrowed address keeps it when its ADD is repeated', async () => {
    const store = createMemoryStore(pool('pods', '10.82.0.0/30', { blockSize: 31 }), node('a'), node('b'));
    const [a, b] = ['a', 'b'].map((name) => createIpam({ store, node: name, pause: async () => {} })) as [Ipam, Ipam];
    await a.assign(ask('a-1'));
    await b.assign(ask('b-1'));
    await b.assign(ask('b-2'));
    const borrowed = await b.assign(ask('b-3'));
    await b.release('b-1');
    expect(await b.assign(ask('b-3'))).toEqual(borrowed);
  });
});
