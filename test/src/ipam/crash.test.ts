// A node may die between any two calls of the store, and during one. Whatever it leaves behind, nobody gets an address
// twice, every block has one owner, and the next start of the node (or the next node that comes by) puts it right.
import { describe, expect, it } from 'vitest';
import type { AddressRequest } from '../../../cni/port.ts';
import { type Ipam, createIpam } from '../../../src/ipam/index.ts';
import type { Store } from '../../../src/store/port.ts';
import { Crash, type MemoryStore, createMemoryStore, mortal } from '../../support/memory-store.ts';
import { node, pool } from '../../support/resources.ts';
import { duplicates } from '../../support/ipam-audit.ts';

const MINUTE = 60_000;

function ask(handle: string): AddressRequest {
  return { handle, families: [4, 6], attributes: { pod: handle, namespace: 'default' } };
}

interface Scene {
  readonly store: MemoryStore;
  readonly ipam: (name: string, store?: Store) => Ipam;
  readonly turn: (ms: number) => void;
}

function scene(): Scene {
  const pools = [pool('four', '10.82.0.0/29', { blockSize: 30 }), pool('six', 'fd82::/125', { blockSize: 126 })];
  const store = createMemoryStore(...pools, node('a'), node('b'));
  let now = Date.parse('2026-11-21T04:00:00Z');
  return {
    store,
    ipam: (name, at = store) => createIpam({ store: at, node: name, clock: () => now, pause: async () => {} }),
    turn: (ms) => (now += ms),
  };
}

/** What node a is about when it dies. `prepare` happens before; the dying one does `act`. */
interface Plot {
  readonly name: string;
  readonly prepare?: (scene: Scene) => Promise<unknown>;
  readonly act: (ipam: Ipam) => Promise<unknown>;
}

const plots: readonly Plot[] = [
  { name: 'claims its first blocks', act: (a) => a.assign(ask('a-1')) },
  {
    name: 'gives out a second address',
    prepare: ({ ipam }) => ipam('a').assign(ask('a-0')),
    act: (a) => a.assign(ask('a-1')),
  },
  {
    name: 'gives an address back',
    prepare: ({ ipam }) => ipam('a').assign(ask('a-1')),
    act: (a) => a.release('a-1'),
  },
  {
    name: 'takes over the empty blocks of another node',
    prepare: async ({ ipam, turn }) => {
      for (const handle of ['b-1', 'b-2', 'b-3', 'b-4']) await ipam('b').assign(ask(handle));
      await ipam('b').assign(ask('b-5'));
      for (const handle of ['b-1', 'b-2', 'b-3', 'b-4', 'b-5']) await ipam('b').release(handle);
      turn(MINUTE);
    },
    act: (a) => a.assign(ask('a-1')),
  },
  {
    name: 'borrows from another node',
    prepare: async ({ ipam }) => {
      for (const handle of ['b-1', 'b-2', 'b-3', 'b-4', 'b-5']) await ipam('b').assign(ask(handle));
    },
    act: (a) => a.assign(ask('a-1')),
  },
  {
    name: 'gives up its blocks',
    prepare: async ({ ipam, store }) => {
      await ipam('a').assign(ask('a-1'));
      await ipam('a').release('a-1');
      for (const present of await store.list('IPPool')) {
        await store.update('IPPool', { ...present, spec: { ...present.spec, nodeSelector: "rack == 'z'" } });
      }
    },
    act: (a) => a.reconcile(),
  },
];

/** Runs the plot with death at call `at`; false when there is no such call. */
async function dies(stage: Scene, plot: Plot, at: number, when: 'before' | 'after'): Promise<boolean> {
  await plot.prepare?.(stage);
  try {
    await plot.act(stage.ipam('a', mortal(stage.store, at, when)));
    return false;
  } catch (error) {
    if (!(error instanceof Crash) && !(error instanceof Error && error.message.includes('died at call'))) throw error;
    return true;
  }
}

async function everyDeath(plot: Plot, aftermath: (stage: Scene, point: string) => Promise<void>): Promise<number> {
  let deaths = 0;
  for (const when of ['before', 'after'] as const) {
    for (let at = 1; ; at++) {
      const stage = scene();
      if (!(await dies(stage, plot, at, when))) break;
      deaths++;
      await aftermath(stage, `${when} call ${at}`);
    }
  }
  return deaths;
}

describe.each(plots)('a node that dies while it $name', (plot) => {
  it('has everything put right by its next start', async () => {
    const deaths = await everyDeath(plot, async (stage, point) => {
      const again = stage.ipam('a');
      await again.reconcile();
      // The other one, whose blocks were being taken, is told by a hint of the store.
      await stage.ipam('b').reconcile();
      // What cni/ does at its start with an ADD or DEL that was cut short.
      await again.release('a-1');
      expect(await again.check(), point).toEqual([]);
      const [used] = (await again.usage()).pools.map(({ inUse }) => inUse);
      const expected = plot.name.includes('second') ? 1n : plot.name.includes('borrows') ? 5n : 0n;
      expect(used, point).toBe(expected);
    });
    expect(deaths).toBeGreaterThan(8);
  });

  it('gets the same pod’s addresses by repeating the ADD', async () => {
    if (plot.name.includes('gives up')) return;
    await everyDeath(plot, async (stage, point) => {
      const again = stage.ipam('a');
      const first = await again.assign(ask('a-1'));
      expect(await again.assign(ask('a-1')), point).toEqual(first);
      await stage.ipam('b').reconcile();
      expect(await again.check(), point).toEqual([]);
    });
  });

  it('leaves no affinity without a block behind once any node has started', async () => {
    await everyDeath(plot, async (stage, point) => {
      await stage.ipam('a').reconcile();
      const blocks = new Set((await stage.store.list('IPAMBlock')).map(({ spec }) => spec.cidr));
      const stray = (await stage.store.list('BlockAffinity')).filter(({ spec }) => !blocks.has(spec.cidr));
      expect(stray, point).toEqual([]);
    });
  });

  it('does not keep another node from its addresses, nor share one with it', async () => {
    if (plot.name.includes('gives up')) return;
    await everyDeath(plot, async (stage, point) => {
      const [a, b] = [stage.ipam('a'), stage.ipam('b')];
      await b.reconcile();
      await b.assign(ask('b-9'));
      await a.assign(ask('a-9'));
      await a.reconcile();
      expect(await duplicates(stage.store), point).toEqual([]);
      const invalid = (await a.check()).filter(({ kind }) => kind !== 'orphan handle');
      expect(invalid, point).toEqual([]);
    });
  });
});
