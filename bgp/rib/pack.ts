// From routes to UPDATEs: gathers announcements by attribute set and writes as few messages as their limit allows.
//
// Reach and unreach never share a message, and MP attributes stand first (RFC 7606 §5.1), so that whatever is wrong
// with the rest of a message, its routes can be found. Prefixes go from the table into the message without a stop.
//
// Every route has a tag, the index of the peer that it came from, and messages never mix tags: the same bytes go to
// all peers of a group but the one that the route came from.
import { afiSafi, encodeAttributes, encodeNextHop } from '../codec/index.ts';
import type { AddressFamily } from '../message.ts';
import type { AttributeTable } from './attribute-table.ts';
import type { Slots } from './slots.ts';

/** Whole messages, and the index of the peer that they are not for. */
export interface Segment {
  readonly tag: number;
  readonly bytes: Uint8Array;
}

export interface PackTerms {
  readonly family: AddressFamily;
  readonly internal: boolean;
  readonly fourOctetAs: boolean;
  readonly sendLimit: number;
}

/** Routes with one attribute set and one tag, chained through `next`. Attribute set 0: withdrawals. */
interface Bucket {
  readonly attributes: number;
  readonly tag: number;
  first: number;
  last: number;
}

const headerLength = 19;
const updateType = 2;
/** A buffer this big takes the messages of thousands of routes and is cheap to hold for a slow peer. */
const bufferSize = 65_536;
const firstBufferSize = 4096;

export class Packer {
  private readonly terms: PackTerms;
  private readonly slots: Slots;
  private readonly attributes: AttributeTable;
  private buckets: Bucket[] = [];
  private index = new Map<number, Bucket>();
  private recent: Bucket | undefined;
  private slotOf = new Int32Array(256);
  private nextOf = new Int32Array(256);
  private count = 0;

  constructor(terms: PackTerms, slots: Slots, attributes: AttributeTable) {
    this.terms = terms;
    this.slots = slots;
    this.attributes = attributes;
  }

  /** Routes gathered so far. */
  get length(): number {
    return this.count;
  }

  announce(slot: number, attributes: number, tag: number): void {
    this.add(slot, attributes, tag);
  }

  withdraw(slot: number, tag: number): void {
    this.add(slot, 0, tag);
  }

  /** Writes everything gathered, and starts over. */
  finish(): Segment[] {
    if (this.count === 0) return [];
    // Withdrawals first: they make room in the peer's tables. Then tag by tag, so that few segments come out.
    this.buckets.sort((a, b) => a.tag - b.tag || Number(a.attributes !== 0) - Number(b.attributes !== 0));
    const output = new Output();
    for (const bucket of this.buckets) this.write(bucket, output);
    this.buckets = [];
    this.index = new Map();
    this.recent = undefined;
    this.count = 0;
    return output.finish();
  }

  private add(slot: number, attributes: number, tag: number): void {
    const entry = this.append(slot);
    const bucket = this.bucketFor(attributes, tag);
    if (bucket.first < 0) bucket.first = entry;
    else this.nextOf[bucket.last] = entry;
    bucket.last = entry;
  }

  private append(slot: number): number {
    const entry = this.count++;
    if (entry === this.slotOf.length) {
      this.slotOf = enlarge(this.slotOf);
      this.nextOf = enlarge(this.nextOf);
    }
    this.slotOf[entry] = slot;
    this.nextOf[entry] = -1;
    return entry;
  }

  private bucketFor(attributes: number, tag: number): Bucket {
    // Routes with one set mostly come one behind the other.
    const { recent } = this;
    if (recent !== undefined && recent.attributes === attributes && recent.tag === tag) return recent;
    let bucket = this.index.get(attributes);
    if (bucket === undefined || bucket.tag !== tag) {
      bucket = { attributes, tag, first: -1, last: -1 };
      this.buckets.push(bucket);
      this.index.set(attributes, bucket);
    }
    this.recent = bucket;
    return bucket;
  }

  private write(bucket: Bucket, output: Output): void {
    const frame = bucket.attributes === 0 ? this.unreachFrame() : this.reachFrame(bucket.attributes);
    for (let entry = bucket.first; entry >= 0;) entry = this.writeMessage(frame, entry, output, bucket.tag);
  }

  /** One message with as many of a bucket's routes as fit. @returns the first that did not, or -1. */
  private writeMessage(frame: Frame, first: number, output: Output, tag: number): number {
    const limit = this.terms.sendLimit;
    const out = output.reserve(limit, tag);
    const start = output.end;
    out.set(frame.before, start);
    const routesAt = start + frame.before.length;
    let at = routesAt;
    const last = start + limit - frame.after.length - this.slots.room;
    let entry = first;
    while (entry >= 0 && at <= last) {
      at = this.slots.write(this.slotOf[entry]!, out, at);
      entry = this.nextOf[entry]!;
    }
    out.set(frame.after, at);
    frame.complete(out, start, at - routesAt);
    output.end = at + frame.after.length;
    return entry;
  }

  private unreachFrame(): Frame {
    return this.terms.family === 'ipv4-unicast' ? classicUnreach : multiprotocolUnreach(this.terms.family);
  }

  private reachFrame(set: number): Frame {
    const { family, internal, fourOctetAs } = this.terms;
    const attributes = this.attributes.get(set);
    const { nextHop, linkLocalNextHop } = attributes;
    const hop = encodeNextHop(family, nextHop, linkLocalNextHop);
    if (family === 'ipv4-unicast' && hop.length === 4) {
      return classicReach(encodeAttributes(attributes, { internal, fourOctetAs, nextHop }));
    }
    return multiprotocolReach(family, hop, encodeAttributes(attributes, { internal, fourOctetAs }));
  }
}

/** How many octets an UPDATE with these attributes has before its first route. */
export function messageOverhead(attributes: number, nextHop: number): number {
  return headerLength + 4 + attributes + 9 + nextHop;
}

/** A message around a run of routes; lengths are filled in when the run is known. */
interface Frame {
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  /** @param routes how many octets the routes take. */
  complete(out: Uint8Array, start: number, routes: number): void;
}

const nothing = new Uint8Array(0);
const header = new Uint8Array(headerLength).fill(0xff, 0, 16);
header[18] = updateType;

function classicReach(attributes: Uint8Array): Frame {
  const before = joined(header, [0, 0, attributes.length >> 8, attributes.length & 255], attributes);
  return {
    before,
    after: nothing,
    complete: (out, start, routes) => setU16(out, start + 16, before.length + routes),
  };
}

const classicUnreach: Frame = {
  before: joined(header, [0, 0]),
  after: Uint8Array.of(0, 0),
  complete: (out, start, routes) => {
    setU16(out, start + 16, headerLength + 4 + routes);
    setU16(out, start + headerLength, routes);
  },
};

/** RFC 4760 §3: flags 0x90 are optional with a length of two octets. */
function multiprotocolReach(family: AddressFamily, nextHop: Uint8Array, attributes: Uint8Array): Frame {
  const { afi, safi } = afiSafi(family);
  const value = [afi >> 8, afi & 255, safi, nextHop.length, ...nextHop, 0];
  const before = joined(header, [0, 0, 0, 0, 0x90, 14, 0, 0], value);
  return {
    before,
    after: attributes,
    complete: (out, start, routes) => {
      setU16(out, start + 16, before.length + routes + attributes.length);
      setU16(out, start + headerLength + 2, before.length - headerLength - 4 + routes + attributes.length);
      setU16(out, start + headerLength + 6, value.length + routes);
    },
  };
}

/** RFC 4760 §4. */
function multiprotocolUnreach(family: AddressFamily): Frame {
  const { afi, safi } = afiSafi(family);
  const before = joined(header, [0, 0, 0, 0, 0x90, 15, 0, 0], [afi >> 8, afi & 255, safi]);
  return {
    before,
    after: nothing,
    complete: (out, start, routes) => {
      setU16(out, start + 16, before.length + routes);
      setU16(out, start + headerLength + 2, before.length - headerLength - 4 + routes);
      setU16(out, start + headerLength + 6, 3 + routes);
    },
  };
}

/** Messages one behind the other in buffers, cut where the tag changes. */
class Output {
  private readonly segments: Segment[] = [];
  private buffer = new Uint8Array(0);
  private start = 0;
  private tag = -1;
  end = 0;

  /** A buffer with room for one more message at `end`. */
  reserve(room: number, tag: number): Uint8Array {
    if (this.tag !== tag) this.cut();
    this.tag = tag;
    if (this.end + room > this.buffer.length) {
      this.cut();
      // The first message is often the only one.
      const size = this.segments.length === 0 ? Math.max(firstBufferSize, room) : bufferSize + room;
      this.buffer = new Uint8Array(size);
      this.start = this.end = 0;
    }
    return this.buffer;
  }

  finish(): Segment[] {
    this.cut();
    return this.segments;
  }

  private cut(): void {
    if (this.end > this.start) this.segments.push({ tag: this.tag, bytes: this.bytes() });
    this.start = this.end;
  }

  /** A few octets do not keep a whole buffer alive while they wait for a peer. */
  private bytes(): Uint8Array {
    const used = this.end - this.start;
    const { buffer } = this;
    return used * 2 < buffer.length ? buffer.slice(this.start, this.end) : buffer.subarray(this.start, this.end);
  }
}

function joined(...parts: readonly ArrayLike<number>[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function setU16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >> 8;
  out[at + 1] = value & 255;
}

function enlarge(list: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(list.length * 2);
  larger.set(list);
  return larger;
}
