// Records found by a hash: chains that grow by linear hashing.
//
// Each insertion beyond one record per bucket splits a single bucket in two, so that no insertion ever pays for moving
// the others; a table that doubles would stall for tens of milliseconds at a million records.
import { Column, type Records } from './records.ts';

const initialBuckets = 1024;

export class Chains {
  private readonly records: Records;
  private readonly next: number;
  private readonly hashOf: (id: number) => number;
  private readonly buckets = new Column();
  /** Buckets below `split` have been split at this level: they are told apart by one bit more than `mask`. */
  private mask = initialBuckets - 1;
  private split = 0;

  /**
   * @param next the field of a record that links to the next one with its hash.
   * @param hashOf the hash of a record; its low bits choose the bucket.
   */
  constructor(records: Records, next: number, hashOf: (id: number) => number) {
    this.records = records;
    this.next = next;
    this.hashOf = hashOf;
  }

  /** The first record of the chain that a hash belongs to, or 0. */
  first(hash: number): number {
    return this.buckets.get(this.bucketOf(hash));
  }

  /** Enters a record that has just been claimed. */
  link(id: number, hash: number): void {
    if (this.records.count > this.mask + this.split + 1) this.splitBucket();
    this.linkInto(this.bucketOf(hash), id);
  }

  unlink(id: number): void {
    const { records, next } = this;
    const bucket = this.bucketOf(this.hashOf(id));
    const after = records.get(id, next);
    let before = this.buckets.get(bucket);
    if (before === id) {
      this.buckets.set(bucket, 0, after);
      return;
    }
    while (records.get(before, next) !== id) before = records.get(before, next);
    records.set(before, next, after);
  }

  private linkInto(bucket: number, id: number): void {
    this.records.set(id, this.next, this.buckets.get(bucket));
    this.buckets.set(bucket, 0, id);
  }

  /** Distributes the next bucket over itself and a new one at the end. */
  private splitBucket(): void {
    const from = this.split;
    const bit = this.mask + 1;
    let id = this.buckets.get(from);
    this.buckets.set(from, 0, 0);
    while (id !== 0) {
      const after = this.records.get(id, this.next);
      this.linkInto((this.hashOf(id) & bit) === 0 ? from : from + bit, id);
      id = after;
    }
    if (++this.split > this.mask) {
      this.mask = this.mask * 2 + 1;
      this.split = 0;
    }
  }

  private bucketOf(hash: number): number {
    const bucket = hash & this.mask;
    return bucket < this.split ? hash & (this.mask * 2 + 1) : bucket;
  }
}
