// What nodes leave behind that no longer exist, and what nobody's agent would put right.
import { describe, expect, it } from 'vitest';
import { ClusterCollector, type Ipam, createIpam } from '../../../src/ipam/index.ts';
import { newHandle } from '../../../src/ipam/data.ts';
import type { Kind, Kinds } from '../../../src/resources/types.ts';
import { holders } from '../../support/ipam-audit.ts';
import { ask } from '../../support/ipam-lab.ts';
import { memoryJournal } from '../../support/memory-journal.ts';
import { type MemoryStore, createMemoryStore } from '../../support/memory-store.ts';
import { ipamConfig, node, pool } from '../../support/resources.ts';

const MINUTE = 60_000;

interface Stage {
  readonly store: MemoryStore;
  readonly at: (name: string, journal?: ReturnType<typeof memoryJournal>) => Ipam;
  readonly collector: ClusterCollector;
  readonly pass: (ms: number) => void;
  /** Nodes that the API server knows although no list shows them yet. */
  readonly unheard: Set<string>;
  readonly remove: (name: string) => Promise<void>;
  holdsLease: boolean;
}

function scene(...resources: readonly Kinds[Kind][]): Stage {
  const store = createMemoryStore(...resources, ...['a', 'b', 'c'].map((name) => node(name)));
  let now = Date.parse('2026-11-30T12:00:00Z');
  const unheard = new Set<string>();
  const stage: Stage = {
    store,
    unheard,
    holdsLease: true,
    pass: (ms) => (now += ms),
    at: (name, journal) =>
      createIpam({
        ...{ store, node: name, clock: () => now, uptime: () => now, pause: async () => {}, lookAllWithinMs: 0 },
        ...(journal && { journal }),
      }),
    remove: async (name) => store.delete('Node', (await store.get('Node', name))!),
    collector: new ClusterCollector({
      ...{ store, node: 'a', clock: () => now, uptime: () => now, pause: async () => {} },
      isNode: async (name) => unheard.has(name) || (await store.get('Node', name)) !== undefined,
      mayGoOn: () => stage.holdsLease,
    }),
  };
  return stage;
}

async function left(store: MemoryStore): Promise<number[]> {
  const kinds = ['IPAMBlock', 'BlockAffinity', 'IPAMHandle'] as const;
  return Promise.all(kinds.map(async (kind) => (await store.list(kind)).length));
}

describe('of a node that was deleted', () => {
  const four = pool('p', '10.82.0.0/24', { blockSize: 28 });

  it('everything goes once it has been gone for a while: addresses, tunnels, what it kept, handles, block, affinity', async () => {
    const { store, at, collector, pass, remove } = scene(four);
    const b = at('b', memoryJournal());
    await b.assign(ask('pod-1'));
    await b.assign(ask('vxlan-tunnel-addr-b', { attributes: { type: 'vxlanTunnelAddress' } }));
    await b.settle();
    await remove('b');
    await collector.run();
    pass(4 * MINUTE);
    expect((await collector.run()).addresses).toEqual([]);
    pass(MINUTE);
    const { nodes, addresses, blocks } = await collector.run();
    expect([nodes, addresses.map(({ handle }) => handle), blocks.length]).toEqual([
      ['b'],
      ['pod-1', 'vxlan-tunnel-addr-b'],
      1,
    ]);
    expect(await left(store)).toEqual([0, 0, 0]);
  });

  it('nothing goes when it is there again in between', async () => {
    const { store, at, collector, pass, remove } = scene(four);
    await at('b').assign(ask('pod-1'));
    await remove('b');
    await collector.run();
    pass(4 * MINUTE);
    store.seed(node('b'));
    await collector.run();
    await remove('b');
    pass(2 * MINUTE);
    expect((await collector.run()).addresses).toEqual([]);
  });

  it('nothing goes while the API server knows it, whatever the list says', async () => {
    const { at, collector, pass, remove, unheard } = scene(four);
    await at('b').assign(ask('pod-1'));
    await remove('b');
    unheard.add('b');
    await collector.run();
    pass(10 * MINUTE);
    expect((await collector.run()).addresses).toEqual([]);
  });

  it('a block in which others have addresses is nobody’s, and goes with the last of them', async () => {
    const { store, at, collector, pass, remove } = scene(pool('p', '10.82.0.0/28', { blockSize: 28 }));
    await at('b').assign(ask('b-1'));
    await at('c').assign(ask('c-1'));
    await remove('b');
    await collector.run();
    pass(5 * MINUTE);
    await collector.run();
    expect(new Set((await holders(store)).values())).toEqual(new Set(['c-1']));
    expect((await store.list('IPAMBlock'))[0]!.spec.affinity).toBeUndefined();
    expect(await store.list('BlockAffinity')).toEqual([]);
    await at('c').release('c-1');
    expect(await left(store)).toEqual([0, 0, 0]);
  });

  it('what it borrowed from others goes, and theirs stays', async () => {
    const { store, at, collector, pass, remove } = scene(pool('p', '10.82.0.0/28', { blockSize: 28 }));
    await at('c').assign(ask('c-1'));
    await at('b').assign(ask('b-1'));
    await remove('b');
    await collector.run();
    pass(5 * MINUTE);
    await collector.run();
    expect(new Set((await holders(store)).values())).toEqual(new Set(['c-1']));
    expect(await at('c').check()).toEqual([]);
  });

  it('addresses that rest do not keep its block', async () => {
    const { store, at, collector, pass, remove } = scene(four, ipamConfig({ ipCooldownSeconds: 1200 }));
    await at('b').assign(ask('b-1'));
    await at('b').release('b-1');
    await remove('b');
    await collector.run();
    pass(5 * MINUTE);
    await collector.run();
    expect(await left(store)).toEqual([0, 0, 0]);
  });

  it('nothing goes after another agent has taken over', async () => {
    const stage = scene(four);
    await stage.at('b').assign(ask('pod-1'));
    await stage.remove('b');
    await stage.collector.run();
    stage.pass(5 * MINUTE);
    stage.holdsLease = false;
    await expect(stage.collector.run()).rejects.toThrow('another agent collects now');
    expect(await left(stage.store)).toEqual([1, 1, 1]);
  });
});

describe('of nodes that exist', () => {
  const four = pool('p', '10.82.0.0/24', { blockSize: 28 });

  it('no address is touched, whoever its pod is', async () => {
    const { store, at, collector, pass } = scene(four);
    await at('b').assign(ask('pod-1'));
    await collector.run();
    pass(60 * MINUTE);
    await collector.run();
    expect((await holders(store)).size).toBe(1);
  });

  it('a handle goes that has held nothing for a while, and not one whose ADD is on its way', async () => {
    const { store, collector, pass } = scene(four);
    await store.create('IPAMHandle', newHandle('net.left', { '10.82.0.0/28': 1 }));
    await collector.run();
    pass(4 * MINUTE);
    await store.create('IPAMHandle', newHandle('net.new', { '10.82.0.0/28': 1 }));
    await collector.run();
    pass(MINUTE);
    expect((await collector.run()).handles).toEqual(['net.left']);
    expect((await store.list('IPAMHandle')).map(({ metadata }) => metadata.name)).toEqual(['net.new']);
  });

  it('a block without an affinity gets one, and its owner confirms it', async () => {
    const { store, at, collector } = scene(four);
    const journal = memoryJournal();
    await at('b', journal).assign(ask('pod-1'));
    await store.delete('BlockAffinity', (await store.list('BlockAffinity'))[0]!);
    await collector.run();
    expect(await at('b').ownBlocks()).toEqual([]);
    await at('b', journal).reconcile();
    expect(await at('b').ownBlocks()).toHaveLength(1);
  });
});

describe('a node’s own leaks', () => {
  it('are sought in its own blocks, and in those that it borrowed from, without a list of all', async () => {
    const { store, at } = scene(pool('p', '10.82.0.0/28', { blockSize: 29 }));
    for (const name of ['b', 'c']) await at(name).assign(ask(`${name}-1`));
    const journal = memoryJournal();
    const a = at('a', journal);
    await a.collect(new Set());
    await a.assign(ask('a-1'));
    expect(journal.state?.elsewhere).toHaveLength(1);
    const before = store.calls.length;
    expect((await a.collect(new Set())).map(({ handle }) => handle)).toEqual(['a-1']);
    expect(store.calls.slice(before)).not.toContain('list IPAMBlock');
    expect(journal.state?.elsewhere).toEqual([]);
  });

  it('are sought everywhere once, by an agent whose journal is new', async () => {
    const { at } = scene(pool('p', '10.82.0.0/29', { blockSize: 29 }));
    await at('b').assign(ask('b-1'));
    await at('a', memoryJournal()).assign(ask('a-1'));
    expect((await at('a', memoryJournal()).collect(new Set())).map(({ handle }) => handle)).toEqual(['a-1']);
  });
});

describe('a block that has been empty for ten minutes', () => {
  async function fill(ipam: Ipam, prefix: string, count: number): Promise<void> {
    for (let i = 0; i < count; i++) await ipam.assign(ask(`${prefix}-${i}`));
  }

  it('is given back if another one has room, and not before', async () => {
    const { at, pass } = scene(pool('p', '10.82.0.0/24', { blockSize: 29 }));
    const a = at('a');
    await fill(a, 'x', 12);
    for (let i = 8; i < 12; i++) await a.release(`x-${i}`);
    await a.release('x-0');
    await a.reconcile();
    pass(9 * MINUTE);
    await a.reconcile();
    expect(await a.ownBlocks()).toHaveLength(2);
    pass(MINUTE);
    await a.reconcile();
    expect(await a.ownBlocks()).toMatchObject([{ inUse: 7 }]);
    expect(await a.check()).toEqual([]);
  });

  it('stays if it is the only one with room', async () => {
    const { at, pass } = scene(pool('p', '10.82.0.0/24', { blockSize: 29 }));
    const a = at('a');
    await fill(a, 'x', 9);
    await a.release('x-8');
    await a.reconcile();
    pass(60 * MINUTE);
    await a.reconcile();
    expect(await a.ownBlocks()).toHaveLength(2);
  });
});
