// One node at a time: what is given out, in which order, with how many writes, and what is said when it cannot be.
import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '#ip';
import type { AddressRequest } from '../../../cni/port.ts';
import { type Ipam, IpamError, createIpam } from '../../../src/ipam/index.ts';
import type { Kind, Kinds } from '../../../src/resources/types.ts';
import { StoreError } from '../../../src/store/port.ts';
import { type MemoryStore, createMemoryStore, seenThrough } from '../../support/memory-store.ts';
import { ipamConfig, node, pool, prefixes, reservation } from '../../support/resources.ts';

const NOW = Date.parse('2026-11-21T04:00:00Z');

function ask(handle: string, extra: Partial<AddressRequest> = {}): AddressRequest {
  return { handle, families: [4], attributes: { pod: handle, namespace: 'default' }, ...extra };
}

/** Nodes on one store and one clock that can be turned. */
function lab(...resources: readonly Kinds[Kind][]): {
  store: MemoryStore;
  at: (name: string) => Ipam;
  turn: (ms: number) => void;
} {
  const store = createMemoryStore(...resources);
  let now = NOW;
  return {
    store,
    at: (name) => createIpam({ store, node: name, clock: () => now, pause: async () => {} }),
    turn: (ms) => (now += ms),
  };
}

async function many(ipam: Ipam, prefix: string, count: number): Promise<Address[]> {
  const answers = await Promise.all(Array.from({ length: count }, (_, i) => ipam.assign(ask(`${prefix}-${i}`))));
  return answers.flatMap(({ addresses }) => addresses);
}

const writes = (calls: readonly string[]): string[] => calls.filter((call) => !/^(get|list|names)/.test(call));

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

describe('when the node has no room left', () => {
  const tiny = pool('pods', '10.82.0.0/29', { blockSize: 30 });

  it('an empty block of another node is taken over, but not in its first minute', async () => {
    const { at, turn } = lab(tiny, node('a'), node('b'));
    const [a, b] = [at('a'), at('b')];
    await a.assign(ask('x'));
    await b.assign(ask('y'));
    await a.release('x');
    await many(b, 'b', 3);
    turn(59_000);
    const borrowed = await b.assign(ask('early'));
    expect((await b.usage()).borrowed).toMatchObject([{ address: borrowed.addresses[0], blockOwner: 'a' }]);
    await b.release('early');
    turn(1000);
    await b.assign(ask('late'));
    expect(await b.ownBlocks()).toHaveLength(2);
    expect(await a.ownBlocks()).toEqual([]);
    expect(await b.check()).toEqual([]);
  });

  it('an address is borrowed from a block in use', async () => {
    const { at } = lab(tiny, node('a'), node('b'));
    const [a, b] = [at('a'), at('b')];
    await a.assign(ask('a-1'));
    await many(b, 'b', 5);
    expect((await b.usage()).borrowed).toMatchObject([
      { borrowingNode: 'b', blockOwner: 'a', type: 'pod', allocatedTo: 'default/b-4' },
    ]);
    expect(await b.check()).toEqual([]);
  });

  it('nothing is borrowed under strict affinity, and the error says so', async () => {
    const { at } = lab(tiny, node('a'), node('b'), ipamConfig({ strictAffinity: true }));
    await at('a').assign(ask('a-1'));
    await many(at('b'), 'b', 4);
    await expect(at('b').assign(ask('b-4'))).rejects.toThrow(
      'no free address: pool pods (10.82.0.0/29) has 3 of 8 left; ' +
        'strictAffinity forbids borrowing from blocks of other nodes',
    );
  });

  it('the error says how full each pool is, and which blocks are lost', async () => {
    const { at } = lab(tiny, node('b'));
    for (const name of ['a', 'b']) await many(at(name), name, 4);
    const error = await at('b')
      .assign(ask('more'))
      .catch((thrown: IpamError) => thrown);
    expect(error).toMatchObject({
      code: 'exhausted',
      mayPass: true,
      message:
        'no free address: pool pods (10.82.0.0/29) has 0 of 8 left; ' +
        '1 block belongs to nodes that no longer exist (manxctl ipam check)',
    });
  });

  it('the limit of blocks is an error rather than a borrowed address', async () => {
    const { at } = lab(pool('pods', '10.82.0.0/28', { blockSize: 30 }), node('a'), ipamConfig({ maxBlocksPerHost: 2 }));
    await expect(many(at('a'), 'a', 9)).rejects.toMatchObject({ code: 'limit' });
  });

  it('Calico’s limit of twenty blocks holds where none is set', async () => {
    const ipam = lab(pool('pods', '10.82.0.0/24', { blockSize: 32 }), node('a')).at('a');
    await many(ipam, 'a', 20);
    await expect(ipam.assign(ask('more'))).rejects.toMatchObject({ code: 'limit' });
  });

  it('no block is claimed while autoAllocateBlocks is off', async () => {
    const { at } = lab(tiny, node('a'), ipamConfig({ autoAllocateBlocks: false }));
    await expect(at('a').assign(ask('h'))).rejects.toThrow('autoAllocateBlocks is off');
  });
});

describe('an address by name', () => {
  const four = pool('pods', '10.82.0.0/24', { blockSize: 29 });
  const wanted = { addresses: [parseAddress('10.82.0.77')] };

  it('is given out of a block that is claimed for it', async () => {
    const ipam = lab(four, node('w')).at('w');
    expect(await ipam.assign(ask('h', wanted))).toEqual({ addresses: ['10.82.0.77'] });
    expect(await ipam.ownBlocks()).toMatchObject([{ cidr: '10.82.0.72/29', inUse: 1, free: 7 }]);
  });
  it('is borrowed where the block is another node’s', async () => {
    const { at } = lab(four, node('a'), node('b'));
    await at('a').assign(ask('x', { addresses: [parseAddress('10.82.0.73')] }));
    await at('b').assign(ask('h', wanted));
    expect((await at('b').usage()).borrowed).toMatchObject([{ address: '10.82.0.77', blockOwner: 'a' }]);
  });
  it('is not borrowed under strict affinity', async () => {
    const { at } = lab(four, node('a'), node('b'), ipamConfig({ strictAffinity: true }));
    await at('a').assign(ask('x', { addresses: [parseAddress('10.82.0.73')] }));
    await expect(at('b').assign(ask('h', wanted))).rejects.toThrow('strictAffinity forbids borrowing');
  });
  it('is given although it is reserved: reservations are for addresses that nobody asked for', async () => {
    const { at } = lab(four, node('w'), reservation('r', '10.82.0.77/32'));
    expect(await at('w').assign(ask('h', wanted))).toEqual({ addresses: ['10.82.0.77'] });
  });
  it('is refused when somebody has it, and the error names the pod', async () => {
    const ipam = lab(four, node('w')).at('w');
    await ipam.assign(ask('web', wanted));
    await expect(ipam.assign(ask('h', wanted))).rejects.toMatchObject({
      code: 'taken',
      message: expect.stringContaining('10.82.0.77 is taken by pod default/web'),
    });
    expect(await ipam.check()).toEqual([]);
  });
  it('is given to one of two who ask at once', async () => {
    const ipam = lab(four, node('w')).at('w');
    const answers = await Promise.allSettled([ipam.assign(ask('a', wanted)), ipam.assign(ask('b', wanted))]);
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });
  it('is refused outside every pool', async () => {
    const ipam = lab(four, node('w')).at('w');
    await expect(ipam.assign(ask('h', { addresses: [parseAddress('10.9.0.1')] }))).rejects.toMatchObject({
      code: 'pool',
      mayPass: false,
    });
  });
});

describe('reservations', () => {
  it('are passed over', async () => {
    const { at } = lab(pool('pods', '10.82.0.0/29', { blockSize: 29 }), node('w'), reservation('r', '10.82.0.0/30'));
    expect(await many(at('w'), 'h', 4)).toEqual(['10.82.0.4', '10.82.0.5', '10.82.0.6', '10.82.0.7']);
  });
  it('that together cover a block lead on to the next one', async () => {
    const reserved = reservation('r', '10.82.0.0/30', '10.82.0.4/30');
    const { at } = lab(pool('pods', '10.82.0.0/28', { blockSize: 29 }), node('w'), reserved);
    expect((await many(at('w'), 'h', 8)).every((address) => Number(address.split('.')[3]) >= 8)).toBe(true);
  });
});

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

describe('while the store is away', () => {
  const away = seenThrough(createMemoryStore(), {
    before: () => {
      throw new StoreError('unavailable', 'connection refused');
    },
  });
  const ipam = createIpam({ store: away, node: 'w', pause: async () => {} });
  const actions: [string, () => Promise<unknown>][] = [
    ['assign', () => ipam.assign(ask('h'))],
    ['release', () => ipam.release('h')],
    ['ownBlocks', () => ipam.ownBlocks()],
    ['reconcile', () => ipam.reconcile()],
    ['collect', () => ipam.collect(new Set())],
    ['usage', () => ipam.usage()],
  ];
  it.each(actions)('%s says so', async (_, act) => {
    await expect(act()).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the datastore cannot be used: connection refused',
    });
  });
});

describe('collect', () => {
  const four = pool('pods', '10.82.0.0/24');

  it('frees what no attachment has, and nothing else', async () => {
    const { at } = lab(four, node('a'), node('b'));
    const [alive] = await many(at('a'), 'alive', 1);
    await many(at('a'), 'dead', 2);
    await many(at('b'), 'other', 1);
    const freed = await at('a').collect(new Set(['alive-0']));
    expect(freed.map(({ handle }) => handle)).toEqual(['dead-0', 'dead-1']);
    expect((await at('a').lookUp(alive!)).state).toBe('in use');
    expect(await at('a').check()).toEqual([]);
  });
  it('leaves an address that is known to be alive although its handle is not', async () => {
    const ipam = lab(four, node('a')).at('a');
    const addresses = await many(ipam, 'calico', 1);
    expect(await ipam.collect(new Set<string>(addresses))).toEqual([]);
  });
  it('asks who is alive after it has looked, so that an ADD in progress is not robbed', async () => {
    const ipam = lab(four, node('a')).at('a');
    const records = new Set<string>();
    const add = async (handle: string): Promise<void> => {
      records.add(handle);
      await ipam.assign(ask(handle));
    };
    const [freed] = await Promise.all([ipam.collect(async () => new Set(records)), add('h')]);
    expect([freed, (await ipam.ownBlocks())[0]!.inUse]).toEqual([[], 1]);
  });
  it('finds a borrowed address, too', async () => {
    const { at } = lab(pool('p', '10.82.0.0/30', { blockSize: 30 }), node('a'), node('b'));
    await at('a').assign(ask('x'));
    const { addresses } = await at('b').assign(ask('gone'));
    expect(await at('b').collect(new Set())).toEqual([{ address: addresses[0], handle: 'gone' }]);
  });
  it('leaves the node’s tunnel addresses', async () => {
    const ipam = lab(four, node('a')).at('a');
    await ipam.assign(ask('ipip-tunnel-addr-a', { attributes: { type: 'ipipTunnelAddress' } }));
    expect(await ipam.collect(new Set())).toEqual([]);
  });
});

describe('reconcile', () => {
  it('gives up an empty block whose pool has gone, and keeps one in use', async () => {
    const { store, at } = lab(pool('old', '10.82.0.0/25', { blockSize: 26 }), node('a'));
    const ipam = at('a');
    await many(ipam, 'h', 65);
    const [gone] = await ipam.ownBlocks();
    for (let i = 0; i < 65; i++) {
      const inFirst = (await ipam.lookUp(parseAddress(`10.82.0.${i}`))).block === gone!.cidr;
      if (inFirst) await ipam.releaseAddresses([{ address: parseAddress(`10.82.0.${i}`) }]);
    }
    const kept = (await ipam.ownBlocks()).filter(({ inUse }) => inUse > 0);
    await store.delete('IPPool', (await store.list('IPPool'))[0]!);
    await ipam.reconcile();
    expect(await ipam.ownBlocks()).toEqual(kept);
  });
  it('gives a block of ours the affinity that it lacks', async () => {
    const { store, at } = lab(pool('p', '10.82.0.0/24'), node('a'));
    await at('a').assign(ask('h'));
    await store.delete('BlockAffinity', (await store.list('BlockAffinity'))[0]!);
    expect(await at('a').ownBlocks()).toEqual([]);
    await at('a').reconcile();
    expect(await at('a').ownBlocks()).toHaveLength(1);
  });
  it('never announces a block whose affinity is not confirmed', async () => {
    const { store, at } = lab(pool('p', '10.82.0.0/24'), node('a'));
    await at('a').assign(ask('h'));
    const affinity = (await store.list('BlockAffinity'))[0]!;
    await store.update('BlockAffinity', { ...affinity, spec: { ...affinity.spec, state: 'pending' } });
    expect(await at('a').ownBlocks()).toEqual([]);
  });
});

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

describe('pools', () => {
  it('that do not select the node are named in the error', async () => {
    const { at } = lab(pool('rack-b', '10.1.0.0/24', { nodeSelector: "rack == 'b'" }), node('w', {}, { rack: 'a' }));
    await expect(at('w').assign(ask('h'))).rejects.toThrow(
      "no pool gives w an IPv4 address: pool rack-b does not select w (nodeSelector rack == 'b')",
    );
  });
  it('select namespaces by the labels that are known, and by name', async () => {
    const gold = pool('gold', '10.1.0.0/24', { namespaceSelector: "tier == 'gold'" });
    const shop = pool('shop', '10.2.0.0/24', { namespaceSelector: "kubernetes.io/metadata.name == 'shop'" });
    const ipam = lab(gold, shop, node('w')).at('w');
    const named = await ipam.assign(ask('a', { attributes: { namespace: 'shop' } }));
    const labelled = await ipam.assign(ask('b', { namespaceLabels: { tier: 'gold' } }));
    expect([named, labelled].map(({ addresses }) => addresses[0]!.split('.')[1])).toEqual(['2', '1']);
    await expect(ipam.assign(ask('c'))).rejects.toThrow('pool gold does not select the namespace');
  });
  it('that a pod asks for are the only ones used', async () => {
    const { at } = lab(pool('a', '10.1.0.0/24'), pool('b', '10.2.0.0/24'), node('w'));
    expect((await at('w').assign(ask('h', { pools: ['b'] }))).addresses[0]).toMatch(/^10\.2\./);
  });
  it('of a blocks list keep the order of addresses', async () => {
    const { at } = lab(pool('a', '10.1.0.0/24'), node('w'));
    await many(at('w'), 'h', 130);
    const cidrs = (await at('w').usage()).pools[0]!.blocks.map(({ cidr }) => cidr);
    expect(
      prefixes('10.1.0.0/26', '10.1.0.64/26', '10.1.0.128/26', '10.1.0.192/26').filter((c) => cidrs.includes(c)),
    ).toEqual(cidrs);
  });
});
