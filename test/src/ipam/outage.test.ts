// Generated lives of a node that loses its store again and again, beside a node that does not, and beside Calico, which
// borrows, and takes blocks over that are empty in its eyes. Whatever the order: no address is ever in two pods, and
// when the store is back it says what is so.
import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Address } from '#ip';
import { allocate, free, freeOrdinals, nextRevision } from '../../../src/ipam/block.ts';
import { type Ipam, createIpam } from '../../../src/ipam/index.ts';
import { KEEPING_HANDLE, isIdle } from '../../../src/ipam/kept.ts';
import { type Store, StoreError } from '../../../src/store/port.ts';
import { duplicates, holders } from '../../support/ipam-audit.ts';
import { Crash, type MemoryStore, createMemoryStore, mortal, seenThrough } from '../../support/memory-store.ts';
import { memoryJournal } from '../../support/memory-journal.ts';
import { node, pool } from '../../support/resources.ts';

const agents = /^(IPAMBlock|BlockAffinity|IPAMHandle)$/;

/** What node a, its neighbour b or Calico's node c does next. `n` chooses among pods, calls and blocks. */
interface Act {
  readonly who: 'a' | 'b' | 'c';
  readonly does: 'add' | 'del' | 'lose' | 'find' | 'crash' | 'collect' | 'take' | 'borrow' | 'return';
  readonly n: number;
}

const acts = (who: Act['who'], ...does: readonly Act['does'][]): fc.Arbitrary<Act> =>
  fc.record({ who: fc.constant(who), does: fc.constantFrom(...does), n: fc.nat(40) });

/** What happens at once. */
const step = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: acts('a', 'add', 'add', 'del', 'lose', 'find', 'crash', 'collect') },
    { weight: 2, arbitrary: acts('b', 'add', 'del') },
    { weight: 2, arbitrary: acts('c', 'take', 'borrow', 'return') },
  ),
  { minLength: 1, maxLength: 3 },
);

class Play {
  readonly memory: MemoryStore = createMemoryStore(
    pool('p', '10.82.0.0/27', { blockSize: 28 }),
    ...['a', 'b', 'c'].map((name) => node(name)),
  );
  readonly journal = memoryJournal();
  readonly pods = new Map<Address, string>();
  readonly wired = { a: new Map<string, Address>(), b: new Map<string, Address>(), c: new Map<string, Address>() };
  /** Handles whose ADD or DEL was cut short: their DEL comes again. */
  readonly doubtful = new Set<string>();
  readonly accidents: string[] = [];
  isLost = false;
  served = 0;
  #now = Date.parse('2026-11-30T12:00:00Z');
  #count = 0;
  #a: Ipam;
  readonly #b: Ipam;

  constructor() {
    this.#a = this.#start(this.memory);
    this.#b = createIpam({ store: this.memory, node: 'b', clock: () => this.#now, pause: () => turn() });
  }

  async perform(together: readonly Act[]): Promise<void> {
    this.#now += 30_000;
    const [deaths, others] = [
      together.filter(({ does }) => does === 'crash'),
      together.filter(({ does }) => does !== 'crash'),
    ];
    await Promise.all(others.map((act) => this.#perform(act)));
    // By itself: a node has one agent at a time.
    for (const death of deaths) await this.#perform(death);
  }

  /** The store is there for good, and everybody ends what was begun. */
  async end(): Promise<void> {
    this.isLost = false;
    this.#now += 600_000;
    this.#a = this.#start(this.memory);
    for (const handle of this.doubtful) await this.#a.release(handle);
    await this.#a.reconcile();
    await this.#a.collect(async () => this.#alive());
  }

  #perform({ who, does, n }: Act): Promise<unknown> {
    if (who === 'c') return this.#calico(does, n);
    const ipam = who === 'a' ? this.#a : this.#b;
    if (does === 'add') return this.#add(who, ipam);
    if (does === 'del') return this.#del(who, ipam, n);
    if (does === 'crash') return this.#restart(n);
    if (does === 'collect') return ipam.collect(async () => this.#alive()).catch(tolerate);
    this.isLost = does === 'lose';
    return Promise.resolve();
  }

  #alive(): Set<string> {
    return new Set<string>([...this.wired.a.keys(), ...this.wired.a.values(), ...this.doubtful]);
  }

  async #add(who: 'a' | 'b', ipam: Ipam): Promise<void> {
    const handle = `${who}-${this.#count++}`;
    if (who === 'a') this.doubtful.add(handle);
    try {
      const wasLost = this.isLost;
      const { addresses } = await ipam.assign({ handle, families: [4], attributes: { pod: handle, namespace: 'x' } });
      if (who === 'a' && wasLost) this.served++;
      this.#wire(who, handle, addresses[0]!);
      this.doubtful.delete(handle);
    } catch (error) {
      tolerate(error);
    }
  }

  async #del(who: 'a' | 'b', ipam: Ipam, n: number): Promise<void> {
    const handle = [...this.wired[who].keys()].at(n % Math.max(1, this.wired[who].size));
    if (handle === undefined) return;
    this.pods.delete(this.wired[who].get(handle)!);
    this.wired[who].delete(handle);
    if (who === 'a') this.doubtful.add(handle);
    await ipam.release(handle).then(() => this.doubtful.delete(handle), tolerate);
  }

  #wire(who: 'a' | 'b' | 'c', handle: string, address: Address): void {
    const other = this.pods.get(address);
    if (other !== undefined) this.accidents.push(`${address}: ${other} and ${handle}`);
    this.pods.set(address, handle);
    this.wired[who].set(handle, address);
  }

  /** The agent dies at its n-th call of the store from now, and its successor knows what is on disk. */
  async #restart(n: number): Promise<void> {
    const dying = this.#start(mortal(this.memory, 1 + (n % 12), n % 2 === 0 ? 'before' : 'after'));
    this.#a = dying;
    const doubtful = [...this.doubtful];
    await Promise.all([
      ...doubtful.map((handle) => dying.release(handle).then(() => this.doubtful.delete(handle), tolerate)),
      dying.collect(async () => this.#alive()).catch(tolerate),
      this.#add('a', dying),
      this.#add('a', dying),
    ]);
    this.#a = this.#start(this.memory);
  }

  #start(store: Store): Ipam {
    const slow = seenThrough(store, {
      before: async ({ kind }) => {
        for (let i = this.#count % 3; i > 0; i--) await turn();
        if (this.isLost && agents.test(kind)) throw new StoreError('unavailable', 'partitioned');
      },
      after: ({ verb, kind }) => {
        // The answer of a write may be lost as well.
        if (this.isLost && agents.test(kind) && verb !== 'list') throw new StoreError('unavailable', 'cut off');
      },
    });
    return createIpam({
      ...{ store: slow, node: 'a', journal: this.journal, keep: 3 },
      onConflict: ({ address, handle }) => this.accidents.push(`${address} of ${handle} was taken`),
      clock: () => this.#now,
      uptime: () => this.#now,
      pause: () => turn(),
    });
  }

  /** As Calico does: an empty block (what is set aside counts for nothing) goes, a free address is anybody's. */
  async #calico(does: Act['does'], n: number): Promise<void> {
    const blocks = await this.memory.list('IPAMBlock');
    const block = blocks[n % Math.max(1, blocks.length)];
    if (block === undefined) return;
    try {
      if (does === 'take' && isIdle(block.spec) && block.spec.affinity !== 'host:b') {
        await this.memory.delete('IPAMBlock', block);
        return;
      }
      if (does === 'borrow') {
        const [ordinal] = freeOrdinals(block.spec, () => false);
        if (ordinal === undefined) return;
        const handle = `c-${this.#count++}`;
        const owner = { handle, secondary: { node: 'c', pod: handle, namespace: 'x' } };
        const spec = nextRevision(allocate(block.spec, [{ ordinal, owner }]));
        await this.memory.create('IPAMHandle', {
          apiVersion: 'crd.projectcalico.org/v1',
          kind: 'IPAMHandle',
          metadata: { name: handle },
          spec: { handleID: handle, block: { [block.spec.cidr]: 1 }, deleted: false },
        });
        await this.memory.update('IPAMBlock', { ...block, spec });
        this.#wire('c', handle, (await this.#addressOf(handle))!);
      }
      if (does === 'return') await this.#calicoReturns(n);
    } catch (error) {
      tolerate(error);
    }
  }

  async #calicoReturns(n: number): Promise<void> {
    const handle = [...this.wired.c.keys()].at(n % Math.max(1, this.wired.c.size));
    if (handle === undefined) return;
    const address = this.wired.c.get(handle)!;
    for (const block of await this.memory.list('IPAMBlock')) {
      const index = block.spec.attributes.findIndex(({ handle_id }) => handle_id === handle);
      if (index < 0) continue;
      await this.memory.update('IPAMBlock', {
        ...block,
        spec: nextRevision(free(block.spec, [block.spec.allocations.indexOf(index)])),
      });
      await this.memory.delete('IPAMHandle', (await this.memory.get('IPAMHandle', handle))!);
      this.pods.delete(address);
      this.wired.c.delete(handle);
    }
  }

  async #addressOf(handle: string): Promise<Address | undefined> {
    return [...(await holders(this.memory))].find(([, holder]) => holder === handle)?.[0];
  }
}

function tolerate(error: unknown): void {
  const isExpected = error instanceof Crash || (error instanceof Error && /IpamError|StoreError/.test(error.name));
  if (!isExpected) throw error;
}

describe('a node that loses its store at any time', () => {
  it('never shares an address, and the store learns in the end who has which', async () => {
    let served = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 40 }), async (steps) => {
        const play = new Play();
        for (const together of steps) await play.perform(together);
        expect(play.accidents).toEqual([]);
        await play.end();
        expect(play.accidents).toEqual([]);
        expect(await duplicates(play.memory)).toEqual([]);
        const held = [...(await holders(play.memory))].filter(([, handle]) => handle !== KEEPING_HANDLE);
        expect(new Map(held)).toEqual(play.pods);
        const { kept, released } = play.journal.state ?? { kept: [], released: [] };
        expect([kept.filter(({ user }) => user), released]).toEqual([[], []]);
        served += play.served;
      }),
      { numRuns: 150 },
    );
    // The play is about something: about 120 as a rule.
    expect(served).toBeGreaterThan(50);
  });
});
