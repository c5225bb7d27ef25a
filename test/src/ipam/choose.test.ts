import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Prefix, containsPrefix, countSubnets, parseAddress, parsePrefix, subnetAt } from '#ip';
import { choosePools, fnv32, nextFreeBlock, poolOf, reservedBy, seedOf } from '../../../src/ipam/choose.ts';
import { pool, prefixes } from '../../support/resources.ts';

const query = { family: 4, node: 'w', nodeLabels: { rack: 'a' }, namespaceLabels: {} } as const;

describe('the choice of pools', () => {
  const pools = [
    pool('disabled', '10.1.0.0/24', { disabled: true }),
    pool('manual', '10.2.0.0/24', { assignmentMode: 'Manual' }),
    pool('other-rack', '10.3.0.0/24', { nodeSelector: "rack == 'b'" }),
    pool('plain', '10.4.0.0/24'),
    pool('six', 'fd00::/64'),
    pool('team', '10.5.0.0/24', { namespaceSelector: "projectcalico.org/name == 'team'" }),
    pool('tunnels', '10.6.0.0/24', { allowedUses: ['Tunnel'] }),
  ];
  const names = (extra: object): string[] =>
    choosePools(pools, { ...query, ...extra }).pools.map(({ metadata }) => metadata.name);

  it('takes those that are enabled, automatic, for pods, and select the node and the namespace', () => {
    expect(names({})).toEqual(['plain']);
  });
  it('takes a pool for the namespace that it selects', () => {
    expect(names({ namespaceLabels: { 'projectcalico.org/name': 'team' } })).toEqual(['plain', 'team']);
  });
  it('takes what is asked for by name or CIDR without regard to selectors', () => {
    expect(names({ requested: ['other-rack', '10.2.0.0/24'] })).toEqual(['manual', 'other-rack']);
  });
  it('never takes a disabled pool, and says so', () => {
    expect(choosePools(pools, { ...query, requested: ['disabled', 'nosuch'] })).toMatchObject({
      pools: [],
      refused: expect.arrayContaining(['pool disabled is disabled', 'pool nosuch does not exist']),
    });
  });
  it('says of each other pool why it is out', () => {
    expect(choosePools(pools, query).refused).toEqual([
      'pool disabled is disabled',
      'pool manual is only used when asked for (assignmentMode Manual)',
      "pool other-rack does not select w (nodeSelector rack == 'b')",
      "pool team does not select the namespace (namespaceSelector projectcalico.org/name == 'team')",
      'pool tunnels is for Tunnel only',
    ]);
  });
  it('takes the older of two pools that overlap, and says so of the other', () => {
    const [narrow, wide] = [pool('narrow', '10.9.0.0/24'), pool('wide', '10.9.0.0/16')].map((one, i) => ({
      ...one,
      metadata: { ...one.metadata, creationTimestamp: `2026-11-${30 - i}T12:00:00Z` },
    }));
    expect(choosePools([narrow!, wide!], { ...query, requested: ['narrow', 'wide'] })).toEqual({
      pools: [wide],
      refused: ['pool narrow overlaps pool wide (10.9.0.0/16), which was there before'],
    });
  });
  it('finds the pool of an address, a manual one too, but no disabled one', () => {
    const found = ['10.2.0.7', '10.1.0.7', '10.9.0.1'].map((text) => poolOf(pools, parseAddress(text))?.metadata.name);
    expect(found).toEqual(['manual', undefined, undefined]);
  });
});

describe('the search for a free block', () => {
  const small = pool('p', '10.82.0.0/24', { blockSize: 29 });

  it('is seeded by FNV-1 of the host name', () => {
    // The published test vectors of FNV-1, 32 bits.
    expect([fnv32(''), fnv32('a'), fnv32('foobar')]).toEqual([0x811c9dc5, 0x050c5d7e, 0x31f0b262]);
  });

  it('visits every block of the pool once, wherever it starts', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (seed) => {
        const found: Prefix[] = [];
        for (let next; (next = nextFreeBlock(small, found, [], seed)) !== undefined;) found.push(next);
        const all = Array.from({ length: 32 }, (_, index) => subnetAt(small.spec.cidr, 29, index));
        expect(new Set(found)).toEqual(new Set(all));
        expect(found).toHaveLength(32);
      }),
      { numRuns: 50 },
    );
  });

  it('starts ten nodes in different places', () => {
    const starts = Array.from({ length: 10 }, (_, i) =>
      nextFreeBlock(pool('p', '10.0.0.0/8'), [], [], fnv32(`node-${i}`)),
    );
    expect(new Set(starts).size).toBe(10);
  });

  it('lets nodes that find a pool nearly full rarely meet', () => {
    const large = pool('p', '10.82.0.0/16', { blockSize: 26 });
    const full = Array.from({ length: 1024 }, (_, i) => subnetAt(large.spec.cidr, 26, i)).slice(0, 900);
    const wanted = Array.from({ length: 20 }, (_, i) => nextFreeBlock(large, full, [], fnv32(`worker-${i}`)));
    // All these blocks lie in one run, to whose end every walk through it leads.
    expect(new Set(wanted).size).toBeGreaterThan(15);
  });

  it('passes over blocks that are reserved as a whole, but not those that are in part', () => {
    const reserved = prefixes('10.82.0.0/25', '10.82.0.128/26', '10.82.0.192/30');
    const found: Prefix[] = [];
    for (let next; (next = nextFreeBlock(small, found, reserved, 1)) !== undefined;) found.push(next);
    expect(found.sort()).toEqual(
      ['10.82.0.192/29', '10.82.0.200/29', '10.82.0.208/29', '10.82.0.216/29', '10.82.0.224/29'].concat([
        '10.82.0.232/29',
        '10.82.0.240/29',
        '10.82.0.248/29',
      ]),
    );
  });

  it('walks around a reservation of more blocks than anybody can count, in no time', () => {
    const six = pool('six', 'fd82::/64', { blockSize: 122 });
    const reserved = prefixes('fd82::/65', 'fd82:0:0:0:8000::/66');
    const free = nextFreeBlock(six, [], reserved, 7)!;
    expect(containsPrefix(parsePrefix('fd82::c000:0:0:0/66'), free)).toBe(true);
  });

  it('finds none in a pool that is reserved altogether', () => {
    expect(nextFreeBlock(small, [], prefixes('10.0.0.0/8'), 3)).toBeUndefined();
  });

  it('keeps clear of blocks of another size', () => {
    const existing = prefixes('10.82.0.0/25', '10.82.0.128/26', '10.82.0.192/27', '10.82.0.224/28', '10.82.0.240/30');
    expect(nextFreeBlock(small, existing, [], 9)).toBe('10.82.0.248/29');
  });

  it('spreads over an IPv6 pool', () => {
    const six = pool('six', 'fd82::/64', { blockSize: 122 });
    const free = nextFreeBlock(six, [], [], fnv32('worker-1'))!;
    expect(countSubnets(parsePrefix('fd82::/64'), 122)).toBe(1n << 58n);
    expect(containsPrefix(parsePrefix('fd82::/112'), free)).toBe(false);
  });

  it('goes by the clock for blocks of one address, where the name would lead all to one place', () => {
    const single = pool('p', '10.0.0.0/24', { blockSize: 32 });
    expect([seedOf('w', single, 5), seedOf('w', small, 5)]).toEqual([5, fnv32('w')]);
  });
});

describe('reservations', () => {
  it('hold for single addresses and for networks', () => {
    const isReserved = reservedBy(prefixes('10.0.0.7/32', '10.0.1.0/24', 'fd00::/120'));
    const texts = ['10.0.0.7', '10.0.0.8', '10.0.1.255', 'fd00::ff', 'fd00::100'];
    expect(texts.map((text) => isReserved(parseAddress(text)))).toEqual([true, false, true, true, false]);
  });
});
