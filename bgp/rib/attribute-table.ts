// Attribute sets as integers: each distinct set is held once, whoever sent it, and what the decision ladder looks at is
// unpacked into a record of integers beside it.
//
// Sets are counted by their users and go with the last one. An id is then used again for another set; whoever keeps ids
// without holding them (a cache) compares generations.
import { v4ToInt } from '#ip';
import { asPathLength } from '../codec/index.ts';
import type { PathAttributes } from '../message.ts';
import { defaultLocalPref } from '../policy/match.ts';
import { neighbourAs } from './as-path.ts';
import { Chains } from './chains.ts';
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

export class AttributeTable {
  private readonly nextHops: NextHopTable;
  private readonly records = new Records(stride);
  private readonly sets: (PathAttributes | undefined)[] = [undefined];
  private readonly generations = new Column();
  private readonly chains = new Chains(this.records, chain, (id) => this.records.get(id, hashField));

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
    let id = this.chains.first(hash);
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
    const id = this.records.claim();
    this.sets[id] = attributes;
    this.chains.link(id, hash);
    const page = this.records.page(id);
    const start = this.records.start(id);
    page[start + uses] = 1;
    page[start + hashField] = hash;
    this.unpack(page, start, attributes);
    return id;
  }

  private unpack(page: Int32Array, start: number, attributes: PathAttributes): void {
    const { originatorId, clusterList } = attributes;
    page[start + attributeField.localPref] = attributes.localPref ?? defaultLocalPref;
    page[start + attributeField.pathLength] = asPathLength(attributes.asPath);
    page[start + attributeField.origin] = attributes.origin;
    page[start + attributeField.med] = attributes.med ?? 0;
    page[start + attributeField.neighbourAs] = neighbourAs(attributes.asPath);
    page[start + attributeField.nextHop] = this.nextHops.claim(attributes.nextHop);
    if (originatorId !== undefined) page[start + attributeField.originatorId] = v4ToInt(originatorId);
    if (clusterList !== undefined) page[start + attributeField.clusterLength] = clusterList.length;
    if (hasCommunity(attributes, wellKnown.longLivedStale)) page[start + attributeField.longLivedStale] = 1;
  }

  private remove(id: number): void {
    const { records } = this;
    this.chains.unlink(id);
    this.nextHops.release(records.get(id, attributeField.nextHop));
    this.sets[id] = undefined;
    this.generations.add(id, 0, 1);
    records.free(id);
  }
}
