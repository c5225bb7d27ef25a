// From the attribute bytes of an UPDATE to the id of the set that they spell, without decoding what was seen before.
//
// One cache serves all sessions whose terms decode alike. It holds no set alive: an entry remembers the generation of
// its id and counts as absent once that has moved on. Its size is bounded by two halves: when the young one is full, the
// old one is thrown away and the young one takes its place, so what is still heard stays and nothing is ever searched.
import type { AttributeTable } from './attribute-table.ts';

const entries = 32_768;
const arenaSize = 4 * 1024 * 1024;
const stride = 6;

interface Half {
  /** Entries it has room for; they are numbered from 1. */
  readonly room: number;
  /** Heads of the chains. */
  readonly buckets: Int32Array;
  /** Per entry: next in chain, hash, start in the arena, octets of attributes and of next hop, and id, generation. */
  readonly records: Int32Array;
  readonly arena: Uint8Array;
  count: number;
  end: number;
}

const noBytes = new Uint8Array(0);

export class AttributeCache {
  private readonly table: AttributeTable;
  private readonly limit: number;
  private young: Half;
  private old: Half | undefined;

  /** @param limit entries in each half. */
  constructor(table: AttributeTable, limit = entries) {
    this.table = table;
    this.limit = limit;
    this.young = createHalf(Math.min(limit, 256), 16_384);
  }

  /** The id of a set that was heard in these very bytes and is still in use, or 0. */
  find(raw: Uint8Array, nextHop: Uint8Array = noBytes): number {
    const hash = hashBytes(raw, nextHop);
    const id = this.look(this.young, hash, raw, nextHop);
    if (id !== 0 || this.old === undefined) return id;
    const older = this.look(this.old, hash, raw, nextHop);
    if (older !== 0) this.put(hash, raw, nextHop, older);
    return older;
  }

  add(raw: Uint8Array, nextHop: Uint8Array | undefined, id: number): void {
    this.put(hashBytes(raw, nextHop ?? noBytes), raw, nextHop ?? noBytes, id);
  }

  private look(half: Half, hash: number, raw: Uint8Array, nextHop: Uint8Array): number {
    const { records } = half;
    let entry = half.buckets[hash & (half.buckets.length - 1)]!;
    for (; entry !== 0; entry = records[entry * stride]!) {
      if (records[entry * stride + 1] !== hash || !sameBytes(half, entry, raw, nextHop)) continue;
      const id = records[entry * stride + 4]!;
      if (this.table.generation(id) === records[entry * stride + 5]) return id;
    }
    return 0;
  }

  private put(hash: number, raw: Uint8Array, nextHop: Uint8Array, id: number): void {
    const size = raw.length + nextHop.length;
    if (this.isFull(size)) this.turn();
    if (this.young.count === this.young.room || this.young.end + size > this.young.arena.length) {
      this.young = enlarge(this.young, size);
    }
    const half = this.young;
    const entry = ++half.count;
    const bucket = hash & (half.buckets.length - 1);
    half.arena.set(raw, half.end);
    half.arena.set(nextHop, half.end + raw.length);
    const { records } = half;
    const start = entry * stride;
    records[start] = half.buckets[bucket]!;
    records[start + 1] = hash;
    records[start + 2] = half.end;
    records[start + 3] = (raw.length << 8) | nextHop.length;
    records[start + 4] = id;
    records[start + 5] = this.table.generation(id);
    half.end += size;
    half.buckets[bucket] = entry;
  }

  private isFull(size: number): boolean {
    return this.young.count === this.limit || (this.young.count > 0 && this.young.end + size > arenaSize);
  }

  private turn(): void {
    this.old = this.young;
    this.young = createHalf(this.young.room, this.young.arena.length);
  }
}

function createHalf(room: number, arenaSize: number): Half {
  return {
    room,
    buckets: new Int32Array(1 << (32 - Math.clz32(room))),
    records: new Int32Array((room + 1) * stride),
    arena: new Uint8Array(arenaSize),
    count: 0,
    end: 0,
  };
}

/** A copy with twice the room, so that a node with few routes does not pay for a full table. */
function enlarge(half: Half, size: number): Half {
  const larger = createHalf(half.room * 2, Math.max(half.arena.length, half.end + size) * 2);
  larger.records.set(half.records);
  larger.arena.set(half.arena.subarray(0, half.end));
  for (let entry = 1; entry <= half.count; entry++) {
    const bucket = larger.records[entry * stride + 1]! & (larger.buckets.length - 1);
    larger.records[entry * stride] = larger.buckets[bucket]!;
    larger.buckets[bucket] = entry;
  }
  return Object.assign(larger, { count: half.count, end: half.end });
}

function sameBytes({ records, arena }: Half, entry: number, raw: Uint8Array, nextHop: Uint8Array): boolean {
  if (records[entry * stride + 3] !== ((raw.length << 8) | nextHop.length)) return false;
  const start = records[entry * stride + 2]!;
  for (let i = 0; i < raw.length; i++) if (arena[start + i] !== raw[i]) return false;
  const behind = start + raw.length;
  for (let i = 0; i < nextHop.length; i++) if (arena[behind + i] !== nextHop[i]) return false;
  return true;
}

function hashBytes(raw: Uint8Array, nextHop: Uint8Array): number {
  let hash = raw.length;
  for (let i = 0; i < raw.length; i++) hash = Math.imul(hash ^ raw[i]!, 0x01000193);
  for (let i = 0; i < nextHop.length; i++) hash = Math.imul(hash ^ nextHop[i]!, 0x01000193);
  return hash ^ (hash >>> 15);
}
