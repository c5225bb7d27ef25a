// From routes to UPDATEs: gathers announcements by attribute set and writes as few messages as their limit allows.
//
// Reach and unreach never share a message, and MP attributes stand first (RFC 7606 §5.1), so that whatever is wrong
// with the rest of a message, its routes can be found. Prefixes go from the table into the message without a stop.
//
// Every route has a tag, the index of the peer that it came from, and messages never mix tags: the same bytes go to
// all peers of a group but the one that the route came from.
import { familyOf } from '#ip';
import { Writer, afiSafi, encodeNextHop, writeAttributes } from '../codec/index.ts';
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
  private readonly frame = new Frame();
  /** Encoded attributes, on their way into a frame. */
  private readonly block = new Writer();

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

  private write({ attributes, first, tag }: Bucket, output: Output): void {
    if (attributes === 0) this.frameUnreach();
    else this.frameReach(attributes);
    for (let entry = first; entry >= 0;) entry = this.writeMessage(entry, output, tag);
  }

  /** One message with as many of a bucket's routes as fit. @returns the first that did not, or -1. */
  private writeMessage(first: number, output: Output, tag: number): number {
    const { frame } = this;
    const limit = this.terms.sendLimit;
    const out = output.reserve(limit, tag);
    const start = output.end;
    frame.before.copyTo(out, start);
    const routesAt = start + frame.before.length;
    let at = routesAt;
    const last = start + limit - frame.after.length - this.slots.room;
    let entry = first;
    while (entry >= 0 && at <= last) {
      at = this.slots.write(this.slotOf[entry]!, out, at);
      entry = this.nextOf[entry]!;
    }
    frame.after.copyTo(out, at);
    frame.complete(out, start, at - routesAt);
    output.end = at + frame.after.length;
    return entry;
  }

  private frameUnreach(): void {
    const { family } = this.terms;
    this.frame.clear();
    if (family === 'ipv4-unicast') classicUnreach(this.frame);
    else multiprotocolUnreach(this.frame, family);
  }

  private frameReach(set: number): void {
    const { family, internal, fourOctetAs } = this.terms;
    const attributes = this.attributes.get(set);
    const { nextHop, linkLocalNextHop } = attributes;
    const isClassic = family === 'ipv4-unicast' && familyOf(nextHop) === 4;
    this.frame.clear();
    this.block.clear();
    writeAttributes(this.block, attributes, { internal, fourOctetAs, ...(isClassic && { nextHop }) });
    if (isClassic) classicReach(this.frame, this.block);
    else multiprotocolReach(this.frame, family, encodeNextHop(family, nextHop, linkLocalNextHop), this.block);
  }
}

/** How many octets an UPDATE with these attributes has before its first route. */
export function messageOverhead(attributes: number, nextHop: number): number {
  return headerLength + 4 + attributes + 9 + nextHop;
}

/** A message around a run of routes: what stands before and behind it, and where the lengths go in. */
class Frame {
  readonly before = new Writer();
  readonly after = new Writer();
  /** Where each length that is yet to be known stands, and what it counts besides the routes. */
  private readonly lengths: number[] = [];

  /** Begins another message. */
  clear(): void {
    this.before.clear().bytes(header);
    this.after.clear();
    this.lengths.length = 0;
  }

  /** A length that is known only with the routes: two octets here. @param others what it counts besides. */
  length(others: number): void {
    this.lengths.push(this.before.length, others);
    this.before.u16(0);
  }

  /** @param routes how many octets the routes take. */
  complete(out: Uint8Array, start: number, routes: number): void {
    setU16(out, start + 16, this.before.length + routes + this.after.length);
    const { lengths } = this;
    for (let i = 0; i < lengths.length; i += 2) setU16(out, start + lengths[i]!, lengths[i + 1]! + routes);
  }
}

const header = new Uint8Array(headerLength).fill(0xff, 0, 16);
header[18] = updateType;

function classicReach({ before }: Frame, attributes: Writer): void {
  before.u16(0).u16(attributes.length).append(attributes);
}

function classicUnreach(frame: Frame): void {
  frame.length(0);
  frame.after.u16(0);
}

/** RFC 4760 §3: flags 0x90 are optional with a length of two octets. */
function multiprotocolReach(frame: Frame, family: AddressFamily, nextHop: Uint8Array, attributes: Writer): void {
  const { afi, safi } = afiSafi(family);
  const value = 5 + nextHop.length;
  frame.before.u16(0);
  frame.length(4 + value + attributes.length);
  frame.before.u8(0x90).u8(14);
  frame.length(value);
  frame.before.u16(afi).u8(safi).u8(nextHop.length).bytes(nextHop).u8(0);
  frame.after.append(attributes);
}

/** RFC 4760 §4. */
function multiprotocolUnreach(frame: Frame, family: AddressFamily): void {
  const { afi, safi } = afiSafi(family);
  frame.before.u16(0);
  frame.length(4 + 3);
  frame.before.u8(0x90).u8(15);
  frame.length(3);
  frame.before.u16(afi).u8(safi);
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

function setU16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >> 8;
  out[at + 1] = value & 255;
}

function enlarge(list: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(list.length * 2);
  larger.set(list);
  return larger;
}
