// Attribute sets as integers: each distinct set is held once, whoever sent it, and what the decision ladder looks at is
// unpacked into a record of integers beside it.
//
// Sets are counted by their users and go with the last one. An id is then used again for another set; whoever keeps ids
// without holding them (a cache) compares generations.
import { v4ToInt } from '#ip';
import { asPathLength } from '../codec/index.ts';
import type { PathAttributes } from '../message.ts';
import { neighbourAs } from './as-path.ts';
import { hasCommunity, wellKnown } from './community.ts';
import { hashAttributes, sameAttributes } from './attribute-identity.ts';
import type { NextHopTable } from './next-hop-table.ts';
import { Column, Records } from './records.ts';

/** What the ladder reads. All are unsigned 32-bit integers: read them with `>>> 0`. */
export const attributeField = {
  localPref: 3,
  pathLength: 4,
  origin: 5,
  med: 6,
  neighbourAs: 7,
  nextHop: 8,
  /** ORIGINATOR_ID, 0 when there is none (RFC 4456 §9). */
  originatorId: 9,
  clusterLength: 10,
  /** 1: carries LLGR_STALE (RFC 9494 §4.5). */
  longLivedStale: 11,
} as const;

const chain = 0;
const uses = 1;
const hashField = 2;
const stride = 12;
const initialBuckets = 256;

/** RFC 4271 §5.1.5 leaves the degree of preference of an eBGP route to policy; 100 is everybody's default. */
export const defaultLocalPref = 100;

export class AttributeTable {
  private readonly nextHops: NextHopTable;
  private readonly records = new Records(stride);
  private readonly sets: (PathAttributes | undefined)[] = [undefined];
  private readonly generations = new Column();
  private buckets = new Int32Array(initialBuckets);

  constructor(nextHops: NextHopTable) {
    this.nextHops = nextHops;
  }

  /** Distinct sets in use. */
  get count(): number {
    return this.records.count;
  }

  /** The id of the set, held for the caller, who gives it back with {@link release}. */
  intern(attributes: PathAttributes): number {
    const hash = hashAttributes(attributes);
    let id = this.buckets[hash & (this.buckets.length - 1)]!;
    while (id !== 0) {
      const page = this.records.page(id);
      const start = this.records.start(id);
      if (page[start + hashField] === hash && sameAttributes(this.sets[id]!, attributes)) {
        page[start + uses]!++;
        return id;
      }
      id = page[start + chain]!;
    }
    return this.insert(attributes, hash);
  }

  get(id: number): PathAttributes {
    return this.sets[id]!;
  }

  field(id: number, field: number): number {
    return this.records.get(id, field);
  }

  /** Counts up whenever the id becomes another set's. */
  generation(id: number): number {
    return this.generations.get(id);
  }

  retain(id: number): void {
    this.records.add(id, uses, 1);
  }

  release(id: number): void {
    if (this.records.add(id, uses, -1) === 0) this.remove(id);
  }

  private insert(attributes: PathAttributes, hash: number): number {
    if (this.records.count >= this.buckets.length) this.grow();
    const { records } = this;
    const id = records.claim();
    const bucket = hash & (this.buckets.length - 1);
    this.sets[id] = attributes;
    records.set(id, chain, this.buckets[bucket]!);
    this.buckets[bucket] = id;
    records.set(id, uses, 1);
    records.set(id, hashField, hash);
    this.unpack(id, attributes);
    return id;
  }

  private unpack(id: number, attributes: PathAttributes): void {
    const { records } = this;
    records.set(id, attributeField.localPref, attributes.localPref ?? defaultLocalPref);
    records.set(id, attributeField.pathLength, asPathLength(attributes.asPath));
    records.set(id, attributeField.origin, attributes.origin);
    records.set(id, attributeField.med, attributes.med ?? 0);
    records.set(id, attributeField.neighbourAs, neighbourAs(attributes.asPath));
    records.set(id, attributeField.nextHop, this.nextHops.claim(attributes.nextHop));
    if (attributes.originatorId) records.set(id, attributeField.originatorId, v4ToInt(attributes.originatorId));
    if (attributes.clusterList) records.set(id, attributeField.clusterLength, attributes.clusterList.length);
    if (hasCommunity(attributes, wellKnown.longLivedStale)) records.set(id, attributeField.longLivedStale, 1);
  }

  private remove(id: number): void {
    const { records } = this;
    const bucket = records.get(id, hashField) & (this.buckets.length - 1);
    const after = records.get(id, chain);
    let before = this.buckets[bucket]!;
    if (before === id) this.buckets[bucket] = after;
    else {
      while (records.get(before, chain) !== id) before = records.get(before, chain);
      records.set(before, chain, after);
    }
    this.nextHops.release(records.get(id, attributeField.nextHop));
    this.sets[id] = undefined;
    this.generations.add(id, 0, 1);
    records.free(id);
  }

  /** Doubles the buckets. One integer per set: a hundred thousand sets move in about a millisecond. */
  private grow(): void {
    const buckets = new Int32Array(this.buckets.length * 2);
    for (let head of this.buckets) {
      while (head !== 0) {
        const after = this.records.get(head, chain);
        const bucket = this.records.get(head, hashField) & (buckets.length - 1);
        this.records.set(head, chain, buckets[bucket]!);
        buckets[bucket] = head;
        head = after;
      }
    }
    this.buckets = buckets;
  }
}
