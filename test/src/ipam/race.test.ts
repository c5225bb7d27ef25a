// Ten nodes race for the blocks of a pool that is too small for them, and die at random calls of the store.
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Address } from '#ip';
import { type Ipam, IpamError, createIpam } from '../../../src/ipam/index.ts';
import type { Store } from '../../../src/store/port.ts';
import { duplicates, holders } from '../../support/ipam-audit.ts';
import { Crash, type MemoryStore, createMemoryStore, mortal, seenThrough } from '../../support/memory-store.ts';
import { node, pool } from '../../support/resources.ts';

const NODES = Array.from({ length: 10 }, (_, i) => `node-${i}`);

/** What is true in the world: which pod answers to which address. An address with two pods is the accident. */
class World {
  readonly pods = new Map<Address, string>();
  readonly accidents: string[] = [];

  wire(handle: string, addresses: readonly Address[]): void {
    for (const address of addresses) {
      const other = this.pods.get(address);
      if (other !== undefined && other !== handle) this.accidents.push(`${address}: ${other} and ${handle}`);
      this.pods.set(address, handle);
    }
  }

  unwire(handle: string): void {
    for (const [address, owner] of this.pods) if (owner === handle) this.pods.delete(address);
  }
}

function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Race {
  readonly world: World;
  readonly memory: MemoryStore;
  now: number;
  deaths: number;
  refusals: number;
}

/** The life of one node: ADDs and DELs, several at once, and a death every now and then. */
async function live(race: Race, name: string, dice: (below: number) => number, rounds: number): Promise<void> {
  const wired = new Set<string>();
  const doubtful = new Set<string>();
  for (let i = 0; i < rounds; i++) {
    race.now += dice(20_000);
    const ipam = createIpam({ store: fated(race, dice), node: name, clock: () => race.now, pause: () => turn() });
    try {
      await ipam.reconcile();
      for (const handle of doubtful) await undo(race, ipam, handle, doubtful);
      await Promise.all(busyness(race, ipam, name, i, dice, wired, doubtful));
    } catch (error) {
      if (!isDeath(error)) throw error;
      race.deaths++;
    }
  }
  const survivor = createIpam({ store: race.memory, node: name, clock: () => race.now, pause: () => turn() });
  await survivor.reconcile();
  for (const handle of doubtful) await undo(race, survivor, handle, doubtful);
}

function busyness(
  race: Race,
  ipam: Ipam,
  name: string,
  round: number,
  dice: (below: number) => number,
  wired: Set<string>,
  doubtful: Set<string>,
): Promise<void>[] {
  const gone = [...wired].filter(() => dice(3) === 0);
  const coming = Array.from({ length: dice(5) }, (_, i) => `${name}.${round}-${i}`);
  return [
    ...gone.map(async (handle) => {
      wired.delete(handle);
      doubtful.add(handle);
      await undo(race, ipam, handle, doubtful);
    }),
    ...coming.map(async (handle) => {
      doubtful.add(handle);
      try {
        const { addresses } = await ipam.assign({ handle, families: [4], attributes: { pod: handle, namespace: 'x' } });
        race.world.wire(handle, addresses);
        wired.add(handle);
        doubtful.delete(handle);
      } catch (error) {
        if (!(error instanceof IpamError) || isDeath(error)) throw error;
        race.refusals++;
      }
    }),
  ];
}

async function undo(race: Race, ipam: Ipam, handle: string, doubtful: Set<string>): Promise<void> {
  race.world.unwire(handle);
  await ipam.release(handle);
  doubtful.delete(handle);
}

function fated(race: Race, dice: (below: number) => number): Store {
  const slow = seenThrough(race.memory, {
    before: async () => {
      for (let i = dice(3); i > 0; i--) await turn();
    },
  });
  return dice(2) === 0 ? slow : mortal(slow, 1 + dice(60), dice(2) === 0 ? 'before' : 'after');
}

function isDeath(error: unknown): boolean {
  return error instanceof Crash || (error instanceof Error && error.message.includes('died at call'));
}

describe('ten nodes that race and die', () => {
  // Room for all in small blocks, so that they are taken over; and four blocks for ten, so that addresses are borrowed.
  const pools = {
    roomy: pool('p', '10.82.0.0/25', { blockSize: 29 }),
    tight: pool('p', '10.82.0.0/26', { blockSize: 28 }),
  };
  const cases = [1, 2, 3, 4].flatMap((seed) => [
    { seed, size: 'roomy' as const },
    { seed, size: 'tight' as const },
  ]);

  it.each(cases)(
    'never share an address or a block, and leave no litter (seed $seed, $size)',
    async ({ seed, size }) => {
      const memory = createMemoryStore(pools[size], ...NODES.map((name) => node(name)));
      const race: Race = {
        world: new World(),
        memory,
        now: Date.parse('2026-11-21T04:00:00Z'),
        deaths: 0,
        refusals: 0,
      };
      await Promise.all(NODES.map((name, i) => live(race, name, random(seed * 1000 + i), 25)));

      expect(race.deaths).toBeGreaterThan(20);
      expect(race.world.accidents).toEqual([]);
      expect(await duplicates(memory)).toEqual([]);
      for (const name of NODES) await createIpam({ store: memory, node: name, clock: () => race.now }).reconcile();
      const judge = createIpam({ store: memory, node: 'judge' });
      expect(await judge.check()).toEqual([]);
      expect(await holders(memory)).toEqual(race.world.pods);
    },
  );
});
