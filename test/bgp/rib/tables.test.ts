// The packed tables against Maps of objects, over generated runs; and what they give back in the end.
import type { Address, Prefix } from '#ip';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PathAttributes } from '../../../bgp/index.ts';
import { encodePrefix } from '../../../bgp/codec/index.ts';
import { AttributeCache } from '../../../bgp/rib/attribute-cache.ts';
import { AttributeTable, attributeField } from '../../../bgp/rib/attribute-table.ts';
import { NextHopTable } from '../../../bgp/rib/next-hop-table.ts';
import { PathTable, pathField } from '../../../bgp/rib/path-table.ts';
import { PrefixTable } from '../../../bgp/rib/prefix-table.ts';
import { Queue, Records, pageSize } from '../../../bgp/rib/records.ts';
import { attributes, path } from '../stage.ts';

const v4Prefix = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 32 }))
  .map(([a, b, length]) => ({ bytes: [length, a, b, a, b].slice(0, 1 + ((length + 7) >> 3)), length }));

test('a prefix has one id as long as it is in use, whatever its host bits, and is read back as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), v4Prefix), { maxLength: 400 }), (steps) => {
      const table = new PrefixTable('ipv4-unicast');
      const known = new Map<string, number>();
      for (const [adds, { bytes, length }] of steps) {
        const text = naivePrefix(bytes, length);
        const encoded = Uint8Array.of(99, ...bytes);
        expect(table.find(encoded, 1)).toBe(known.get(text) ?? 0);
        if (adds && !known.has(text)) {
          const id = table.claim(encoded, 1);
          table.retain(id);
          expect([...known.values()]).not.toContain(id);
          known.set(text, id);
        } else if (!adds && known.has(text)) {
          table.release(known.get(text)!);
          known.delete(text);
        }
      }
      expect(table.count).toBe(known.size);
      for (const [text, id] of known) {
        expect([table.prefixOf(id), table.findPrefix(text as Prefix)]).toEqual([text, id]);
        const out = new Uint8Array(6);
        const end = table.write(id, out, 1);
        expect(out.subarray(1, end)).toEqual(encodePrefix(text as Prefix));
      }
    }),
  );
});

/** Host bits zero, in plain arithmetic. */
function naivePrefix(bytes: readonly number[], length: number): string {
  const bits = bytes
    .slice(1)
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('')
    .slice(0, length)
    .padEnd(32, '0');
  return `${bits
    .match(/.{8}/g)!
    .map((octet) => Number.parseInt(octet, 2))
    .join('.')}/${length}`;
}

test.each(['::/0', 'fd00::/8', '2001:db8::/32', '2001:db8:0:1::/64', 'fd00::1:2:3:0/112', '2001:db8::1/128'])(
  'the IPv6 prefix %s keeps all of its bits',
  (text) => {
    const table = new PrefixTable('ipv6-unicast');
    const id = table.claimPrefix(text as Prefix);
    expect([table.prefixOf(id), table.claimPrefix(text as Prefix), table.findPrefix('10.0.0.0/8' as Prefix)]).toEqual([
      text,
      id,
      0,
    ]);
  },
);

test('a hundred thousand prefixes are all found again after all the growing, and after half of them have gone', () => {
  const table = new PrefixTable('ipv4-unicast');
  const encoded = (i: number): Uint8Array => Uint8Array.of(24 + (i & 7), i >>> 16, i >>> 8, i, 0);
  const all = Array.from({ length: 100_000 }, (_, i) => encoded(i * 37));
  const ids = all.map((each) => table.claim(each, 0));
  for (const id of ids) table.retain(id);
  for (const [i, id] of ids.entries()) if (i % 2 === 1) table.release(id);
  expect(all.every((each, i) => table.find(each, 0) === (i % 2 === 0 ? ids[i] : 0))).toBe(true);
  expect(table.count).toBe(50_000);
});

test('records are given out again when they have come back, empty', () => {
  const records = new Records(3);
  const ids = Array.from({ length: pageSize + 5 }, () => records.claim());
  for (const id of ids) records.set(id, 2, id);
  records.free(ids[7]!);
  records.free(ids[pageSize]!);
  const again = [records.claim(), records.claim(), records.claim()];
  expect(again).toEqual([ids[pageSize], ids[7], ids.at(-1)! + 1]);
  expect(again.map((id) => [0, 1, 2].map((field) => records.get(id, field)))).toEqual([
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ]);
  expect(records.count).toBe(pageSize + 6);
});

test('a queue gives back what went in, in order, over many pages', () => {
  const queue = new Queue();
  const out: number[] = [];
  for (let i = 1; i <= 3 * pageSize; i++) {
    queue.push(i);
    if (i % 3 === 0) out.push(queue.shift());
  }
  while (queue.length > 0) out.push(queue.shift());
  expect(out).toEqual(Array.from({ length: 3 * pageSize }, (_, i) => i + 1));
});

function createTable(): AttributeTable {
  return new AttributeTable(new NextHopTable(() => ({ reachable: true })));
}

test('equal attributes have one id, and different ones never, down to each field', () => {
  const table = createTable();
  const full = attributes({
    ...{ med: 1, localPref: 2, atomicAggregate: true, communities: [1, 2], extendedCommunities: [3n] },
    ...{ aggregator: { asn: 4, address: '10.0.0.4' as Address }, largeCommunities: [[5, 6, 7]] },
    ...{ originatorId: '10.0.0.5' as Address, clusterList: ['10.0.0.6' as Address], onlyToCustomer: 7 },
    ...{
      linkLocalNextHop: 'fe80::1' as Address,
      partial: [8],
      unknown: [{ code: 99, flags: 0xc0, value: Uint8Array.of(1) }],
    },
  });
  const others: Partial<PathAttributes>[] = [
    { origin: 1 },
    { asPath: path(65_001, 1) },
    { asPath: [{ type: 'set', asns: [65_001] }] },
    { nextHop: '192.0.2.9' as Address },
    { linkLocalNextHop: 'fe80::2' as Address },
    { med: 2 },
    { localPref: 3 },
    { aggregator: { asn: 4, address: '10.0.0.5' as Address } },
    { aggregator: { asn: 5, address: '10.0.0.4' as Address } },
    { communities: [1, 3] },
    { communities: [1] },
    { extendedCommunities: [4n] },
    { largeCommunities: [[5, 6, 8]] },
    { originatorId: '10.0.0.6' as Address },
    { clusterList: ['10.0.0.7' as Address] },
    { onlyToCustomer: 8 },
    { partial: [16] },
    { unknown: [{ code: 99, flags: 0xe0, value: Uint8Array.of(1) }] },
    { unknown: [{ code: 99, flags: 0xc0, value: Uint8Array.of(2) }] },
    { unknown: [{ code: 98, flags: 0xc0, value: Uint8Array.of(1) }] },
  ];
  const { atomicAggregate: _, ...lesser } = full;
  const variants = [full, lesser, ...others.map((other) => ({ ...full, ...other }))];
  const ids = variants.map((set) => table.intern(set));
  expect(new Set(ids).size).toBe(variants.length);
  expect(variants.map((set) => table.intern(structuredClone(set)))).toEqual(ids);
});

test('a set goes with its last user, and its id then counts as another one', () => {
  const table = createTable();
  const id = table.intern(attributes({ med: 1 }));
  table.retain(id);
  table.release(id);
  expect([table.count, table.generation(id)]).toEqual([1, 0]);
  table.release(id);
  const other = table.intern(attributes({ med: 2 }));
  expect([table.count, other, table.generation(id), table.field(other, attributeField.med)]).toEqual([1, id, 1, 2]);
});

test('thousands of sets survive the growing of the table', () => {
  const table = createTable();
  const ids = Array.from({ length: 5000 }, (_, i) => table.intern(attributes({ med: i })));
  expect(ids.map((id) => table.get(id).med)).toEqual(ids.map((_, i) => i));
  expect(ids.map((_, i) => table.intern(attributes({ med: i })))).toEqual(ids);
});

const raw = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

test('the cache knows a set by its bytes and next hop together, and where the one ends and the other begins', () => {
  const table = createTable();
  const cache = new AttributeCache(table);
  const ids = [1, 2, 3].map((med) => table.intern(attributes({ med })));
  cache.add(raw(1, 2, 3, 4), undefined, ids[0]!);
  cache.add(raw(1, 2), raw(3, 4), ids[1]!);
  cache.add(raw(1, 2, 3), raw(4), ids[2]!);
  expect([cache.find(raw(1, 2, 3, 4)), cache.find(raw(1, 2), raw(3, 4)), cache.find(raw(1, 2, 3), raw(4))]).toEqual(
    ids,
  );
  expect([cache.find(raw(1, 2, 3)), cache.find(raw(1, 2, 3, 5)), cache.find(raw(), raw(1, 2, 3, 4))]).toEqual([
    0, 0, 0,
  ]);
});

test('the cache forgets a set that has gone, also when its id is in use again', () => {
  const table = createTable();
  const cache = new AttributeCache(table);
  const id = table.intern(attributes({ med: 1 }));
  cache.add(raw(1), undefined, id);
  table.release(id);
  table.intern(attributes({ med: 2 }));
  expect(cache.find(raw(1))).toBe(0);
});

test('the cache stays within its bounds and keeps what is still heard', () => {
  const table = createTable();
  const cache = new AttributeCache(table, 100);
  const id = table.intern(attributes());
  cache.add(raw(7, 7, 7), undefined, id);
  const seen: number[] = [];
  for (let i = 0; i < 1000; i++) {
    cache.add(raw(i >> 8, i & 255), undefined, id);
    seen.push(cache.find(raw(7, 7, 7)));
  }
  expect(new Set(seen)).toEqual(new Set([id]));
  expect([cache.find(raw(0, 1)), cache.find(raw(999 >> 8, 999 & 255))]).toEqual([0, id]);
});

test('paths of a prefix and of a peer are found, listed and taken out as a list of objects would have it', () => {
  const step = fc.record({
    prefix: fc.integer({ min: 1, max: 4 }),
    peer: fc.integer({ min: 1, max: 3 }),
    pathId: fc.integer({ min: 0, max: 1 }),
    med: fc.integer({ min: 0, max: 3 }),
    adds: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const sets = createTable();
      const prefixes = new PrefixTable('ipv4-unicast');
      const paths = new PathTable(prefixes, sets);
      const known = new Map<string, { id: number; med: number }>();
      for (const { prefix, peer, pathId, med, adds } of steps) {
        const id = prefixes.claim(raw(8, prefix), 0);
        const found = paths.find(id, peer, pathId);
        const key = `${prefix} ${peer} ${pathId}`;
        expect(found).toBe(known.get(key)?.id ?? 0);
        if (adds) {
          const mine = found || paths.add(id, peer, pathId);
          const set = sets.intern(attributes({ med }));
          expect(paths.setAttributes(mine, set, set)).toBe(known.get(key)?.med !== med);
          sets.release(set);
          known.set(key, { id: mine, med });
        } else if (found !== 0) {
          paths.remove(found);
          known.delete(key);
        } else prefixes.dropIfUnused(id);
      }
      expect(paths.count).toBe(known.size);
      for (const peer of [1, 2, 3]) {
        const listed = Array.from({ length: paths.countOf(peer) }, (_, place) => paths.at(peer, place));
        const mine = [...known].filter(([key]) => key.split(' ')[1] === String(peer)).map(([, { id }]) => id);
        expect(new Set(listed)).toEqual(new Set(mine));
        expect(listed).toHaveLength(mine.length);
      }
      for (const { id, med } of known.values()) expect(sets.get(paths.get(id, pathField.imported)).med).toBe(med);
      // Nothing is left behind: every set and every prefix belongs to a path.
      expect(sets.count).toBe(new Set([...known.values()].map(({ med }) => med)).size);
      expect(prefixes.count).toBe(new Set([...known.keys()].map((key) => key.split(' ')[0])).size);
    }),
  );
});
