// The store goes away and comes back, and pods come and go meanwhile.
import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '#ip';
import { type Conflict, type Ipam, createIpam } from '../../../src/ipam/index.ts';
import { KEEPING_HANDLE } from '../../../src/ipam/kept.ts';
import type { Kind, Kinds } from '../../../src/resources/types.ts';
import { StoreError } from '../../../src/store/port.ts';
import { holders } from '../../support/ipam-audit.ts';
import { ask } from '../../support/ipam-lab.ts';
import { memoryJournal } from '../../support/memory-journal.ts';
import { type MemoryStore, createMemoryStore, seenThrough } from '../../support/memory-store.ts';
import { ipamConfig, node, pool, reservation } from '../../support/resources.ts';

const MINUTE = 60_000;
const four = pool('four', '10.82.0.0/24');
const six = pool('six', 'fd82::/64');

interface Scene {
  readonly store: MemoryStore;
  readonly journal: ReturnType<typeof memoryJournal>;
  readonly conflicts: Conflict[];
  /** The node's agent; a new one has forgotten everything but the journal. */
  readonly start: (keep?: number) => Ipam;
  readonly other: Ipam;
  isAway: boolean;
  /** How often the store was asked in vain. */
  refused: number;
  readonly pass: (ms: number) => void;
}

function scene(...resources: readonly Kinds[Kind][]): Scene {
  const store = createMemoryStore(...resources, node('a'), node('b'));
  const journal = memoryJournal();
  let now = Date.parse('2026-11-30T12:00:00Z');
  const stage: Scene = {
    store,
    journal,
    conflicts: [],
    isAway: false,
    refused: 0,
    pass: (ms) => (now += ms),
    other: createIpam({ store, node: 'b', clock: () => now, pause: async () => {} }),
    start: (keep = 8) =>
      createIpam({
        store: seenThrough(store, {
          before: ({ kind }) => {
            if (!stage.isAway || !/^(IPAMBlock|BlockAffinity|IPAMHandle)$/.test(kind)) return;
            stage.refused++;
            throw new StoreError('unavailable', 'connection refused');
          },
        }),
        node: 'a',
        journal,
        keep,
        onConflict: (conflict) => stage.conflicts.push(conflict),
        clock: () => now,
        uptime: () => now,
        pause: async () => {},
      }),
  };
  return stage;
}

async function podsOf(store: MemoryStore): Promise<Map<Address, string>> {
  return new Map([...(await holders(store))].filter(([, handle]) => handle !== KEEPING_HANDLE));
}

/** What is kept is taken after the answer. */
async function atRest(ipam: Ipam): Promise<void> {
  await ipam.settle();
}

async function away(...resources: readonly Kinds[Kind][]): Promise<Scene & { ipam: Ipam; before: Address }> {
  return goAway(scene(...resources), 8);
}

async function goAway(stage: Scene, keep: number): Promise<Scene & { ipam: Ipam; before: Address }> {
  const ipam = stage.start(keep);
  const { addresses } = await ipam.assign(ask('before'));
  await atRest(ipam);
  stage.isAway = true;
  return Object.assign(stage, { ipam, before: addresses[0]! });
}

describe('while the store answers', () => {
  it('a node keeps addresses in a block that is in use, and calicoctl’s check takes them for what they are', async () => {
    const { store, journal, start } = scene(four);
    const ipam = start();
    await ipam.assign(ask('h'));
    await atRest(ipam);
    const [block] = await store.list('IPAMBlock');
    expect(block!.spec.attributes[1]).toEqual({
      handle_id: 'windows-reserved-ipam-handle',
      secondary: { node: 'a', note: 'kept by manx for pods that come while the API server is away' },
    });
    expect(journal.state?.kept).toHaveLength(8);
    expect(await start().check()).toEqual([]);
  });

  it('most ADDs cost no more than without that', async () => {
    const { store, journal, start } = scene(four);
    const ipam = start();
    await ipam.assign(ask('first'));
    await atRest(ipam);
    const [calls, writes] = [store.calls.length, journal.writes];
    await ipam.assign(ask('second'));
    await atRest(ipam);
    expect(store.calls.slice(calls).filter((call) => /IPAM(Block|Handle)/.test(call))).toHaveLength(2);
    expect(journal.writes).toBe(writes);
  });

  it('no more than an eighth of a node’s addresses is kept', async () => {
    const { journal, start } = scene(pool('p', '10.82.0.0/24', { blockSize: 28 }));
    const ipam = start();
    await ipam.assign(ask('h'));
    await atRest(ipam);
    expect(journal.state?.kept).toHaveLength(2);
  });

  it('what is kept goes with the last pod of the block: for Calico a block with nothing else is empty', async () => {
    const { store, journal, start } = scene(four);
    const ipam = start();
    await ipam.assign(ask('h'));
    await atRest(ipam);
    expect(journal.state?.kept).toHaveLength(8);
    await ipam.release('h');
    expect((await store.list('IPAMBlock'))[0]!.spec.attributes).toEqual([]);
    expect(journal.state?.kept).toEqual([]);
  });

  it('what is kept is given out before a pod is refused', async () => {
    const { store, start } = scene(pool('p', '10.82.0.0/28', { blockSize: 28 }));
    const ipam = start();
    for (let i = 0; i < 16; i++) await ipam.assign(ask(`h-${i}`));
    expect((await podsOf(store)).size).toBe(16);
    await expect(ipam.assign(ask('more'))).rejects.toMatchObject({ code: 'exhausted' });
  });

  it('what a crash left in the store and not in the journal is found, unless a pod has it', async () => {
    const { journal, start } = scene(four);
    const ipam = start();
    await ipam.assign(ask('h'));
    await atRest(ipam);
    const [wired] = journal.state!.kept;
    journal.state = undefined;
    await start().collect(new Set<string>(['h', wired!.address]));
    expect(journal.state!).toMatchObject({ kept: expect.not.arrayContaining([wired]) });
    expect(journal.state!).toMatchObject({ kept: { length: 7 } });
  });
});

describe('while the store is away', () => {
  it('a pod gets an address, the same one when it asks again, and another than the next pod', async () => {
    const { ipam } = await away(four);
    const first = await ipam.assign(ask('x'));
    expect(await ipam.assign(ask('x'))).toEqual(first);
    expect(await ipam.assign(ask('y'))).not.toEqual(first);
    expect(await ipam.pending()).toEqual({ given: 2, released: 0 });
  });

  it('a pod that had its address before keeps it', async () => {
    const { ipam, before } = await away(four);
    expect(await ipam.assign(ask('before'))).toEqual({ addresses: [before] });
  });

  it('pods come and go for as long as one likes', async () => {
    const { ipam } = await away(four);
    for (let i = 0; i < 100; i++) {
      await ipam.assign(ask(`h-${i}`));
      await ipam.release(`h-${i}`);
    }
    await ipam.release('before');
    expect(await ipam.pending()).toMatchObject({ given: 0 });
  });

  it('an address rests as long as others are free', async () => {
    const { ipam } = await away(four);
    const first = await ipam.assign(ask('x'));
    await ipam.release('x');
    for (let i = 0; i < 7; i++) expect(await ipam.assign(ask(`h-${i}`))).not.toEqual(first);
    expect(await ipam.assign(ask('last'))).toEqual(first);
  });

  it('what has run out is said', async () => {
    const { ipam } = await away(four);
    for (let i = 0; i < 8; i++) await ipam.assign(ask(`h-${i}`));
    await expect(ipam.assign(ask('more'))).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the datastore is away, and of the addresses kept for that no IPv4 address that more may have is left',
    });
  });

  it('a dual-stack pod gets both or nothing', async () => {
    const { ipam, journal } = await away(four, six);
    await expect(ipam.assign(ask('x', { families: [4, 6] }))).rejects.toMatchObject({ code: 'unavailable' });
    expect(journal.state!.kept.filter(({ user }) => user)).toEqual([]);
  });

  it('a disabled pool, a reserved address and a pool that was not asked for give nothing', async () => {
    const { ipam, store } = await away(four);
    await expect(ipam.assign(ask('x', { pools: ['other'] }))).rejects.toMatchObject({ code: 'pool' });
    store.seed(reservation('r', '10.82.0.0/24'));
    await expect(ipam.assign(ask('x'))).rejects.toMatchObject({ code: 'unavailable' });
    store.seed({ ...four, spec: { ...four.spec, disabled: true } });
    await expect(ipam.assign(ask('x'))).rejects.toMatchObject({ code: 'pool' });
  });

  it('an address by name is given if it is kept', async () => {
    const { ipam, journal } = await away(four);
    const { address } = journal.state!.kept[3]!;
    expect(await ipam.assign(ask('x', { addresses: [address] }))).toEqual({ addresses: [address] });
    await expect(ipam.assign(ask('y', { addresses: [address] }))).rejects.toMatchObject({ code: 'unavailable' });
    await expect(ipam.assign(ask('z', { addresses: [parseAddress('10.82.0.200')] }))).rejects.toThrow('10.82.0.200');
  });

  it('the store is not asked for every pod', async () => {
    const stage = await away(four);
    for (let i = 0; i < 5; i++) await stage.ipam.assign(ask(`h-${i}`));
    expect(stage.refused).toBeLessThan(4);
  });

  it('an agent that starts anew goes on from its journal', async () => {
    const { ipam, start } = await away(four);
    const { addresses } = await ipam.assign(ask('x'));
    const again = start();
    expect(await again.assign(ask('x'))).toEqual({ addresses });
    expect((await again.assign(ask('y'))).addresses).not.toEqual(addresses);
    await again.release('before');
    expect(await again.pending()).toEqual({ given: 2, released: 1 });
  });

  it('nothing is given out by a journal that cannot be read', async () => {
    const { journal, start } = await away(four);
    journal.read = async () => {
      throw new Error('the journal of addresses x cannot be read: no JSON');
    };
    await expect(start().assign(ask('x'))).rejects.toThrow('cannot be read');
  });
});

describe('when the store is back', () => {
  it('it says what happened: who came, who went, and that nobody else can have what is in use', async () => {
    const stage = await away(four, ipamConfig({}));
    const { ipam, store } = stage;
    const x = await ipam.assign(ask('x'));
    await ipam.assign(ask('y'));
    await ipam.release('y');
    await ipam.release('before');
    stage.isAway = false;
    stage.pass(MINUTE);
    await ipam.settle();
    expect(await podsOf(store)).toEqual(new Map([[x.addresses[0], 'x']]));
    expect(await ipam.pending()).toEqual({ given: 0, released: 0 });
    expect(await ipam.check()).toEqual([]);
  });

  it('an address is entered with the attributes of its pod, as if the store had been there', async () => {
    const stage = await away(four);
    await stage.ipam.assign(ask('x'));
    stage.isAway = false;
    await stage.ipam.settle();
    const [block] = await stage.store.list('IPAMBlock');
    expect(block!.spec.attributes).toContainEqual({
      handle_id: 'x',
      secondary: { pod: 'x', namespace: 'default', node: 'a', timestamp: '2026-11-30 12:00:00 +0000 UTC' },
    });
    expect(await stage.store.get('IPAMHandle', 'x')).toMatchObject({ spec: { block: { [block!.spec.cidr]: 1 } } });
  });

  it('the next ADD or DEL brings it up to date first', async () => {
    const stage = await away(four);
    const x = await stage.ipam.assign(ask('x'));
    stage.isAway = false;
    stage.pass(MINUTE);
    await stage.ipam.assign(ask('z'));
    expect((await podsOf(stage.store)).get(x.addresses[0]!)).toBe('x');
  });

  it('what the cut-off attempt had got is freed, and what was given in its place stays', async () => {
    const stage = scene(four);
    const ipam = stage.start();
    await ipam.assign(ask('before'));
    await atRest(ipam);
    // The write happens, and its answer is lost.
    const update = stage.store.update.bind(stage.store);
    stage.store.update = async (kind, resource) => {
      const done = await update(kind, resource);
      if (kind !== 'IPAMBlock') return done;
      stage.isAway = true;
      throw new StoreError('unavailable', 'connection reset');
    };
    const x = await ipam.assign(ask('x'));
    stage.store.update = update;
    expect([...(await podsOf(stage.store)).values()].filter((handle) => handle === 'x')).toHaveLength(1);
    stage.isAway = false;
    stage.pass(MINUTE);
    await ipam.settle();
    expect([...(await podsOf(stage.store))].filter(([, handle]) => handle === 'x')).toEqual([[x.addresses[0], 'x']]);
    expect(await ipam.check()).toEqual([]);
  });

  it('a container that came again under its old name keeps its new address', async () => {
    const stage = await away(four);
    await stage.ipam.release('before');
    const anew = await stage.ipam.assign(ask('before'));
    stage.isAway = false;
    await stage.ipam.settle();
    expect(await podsOf(stage.store)).toEqual(new Map([[anew.addresses[0], 'before']]));
  });

  it('it may go away again at any point of that', async () => {
    for (let at = 1; at < 30; at++) {
      const stage = await goAway(scene(four, six), 3);
      const { ipam, store } = stage;
      const x = await ipam.assign(ask('x'));
      await ipam.assign(ask('y'));
      await ipam.release('before');
      stage.isAway = false;
      let calls = 0;
      const dying = seenThrough(store, {
        before: ({ kind }) => {
          if (/^(IPAMBlock|BlockAffinity|IPAMHandle)$/.test(kind) && ++calls >= at) {
            throw new StoreError('unavailable', 'gone again');
          }
        },
      });
      const again = createIpam({ store: dying, node: 'a', journal: stage.journal, keep: 3, pause: async () => {} });
      await again.settle().catch(() => undefined);
      // Meanwhile one of them goes, and others come: as many as there is room for, which may be its address or not.
      await again.release('y');
      const pods = new Map([[x.addresses[0], 'x']]);
      for (const handle of ['z', 'w']) {
        const { addresses } = await again.assign(ask(handle)).catch(() => ({ addresses: [] }));
        if (addresses.length > 0) pods.set(addresses[0], handle);
      }
      expect(pods.size).toBeGreaterThan(1);
      const last = stage.start(3);
      await last.settle();
      expect(await podsOf(store), `cut off at call ${at}`).toEqual(pods);
      expect(stage.conflicts).toEqual([]);
      expect(await last.check()).toEqual([]);
    }
  });

  it('a node that was taken for gone, and lost its addresses, says which pod has to go', async () => {
    const stage = await away(pool('p', '10.82.0.0/26'));
    const x = await stage.ipam.assign(ask('x'));
    const y = await stage.ipam.assign(ask('y'));
    for (const kind of ['IPAMBlock', 'BlockAffinity', 'IPAMHandle'] as const) {
      for (const one of await stage.store.list(kind)) await stage.store.delete(kind, one);
    }
    await stage.other.assign(ask('thief', { addresses: x.addresses }));
    stage.isAway = false;
    await stage.ipam.settle();
    expect(stage.conflicts).toEqual([{ address: x.addresses[0], handle: 'x' }]);
    expect((await podsOf(stage.store)).get(y.addresses[0]!)).toBe('y');
  });
});
