// Prefixes of one family as dense integers: (address, length) → id, read straight from NLRI bytes and written back.
//
// Ids are dense; whatever is kept per prefix is a field of its record, or a column by id.
import { type Prefix, addressFromBytes, addressOf, addressToBytes, bitsOfPrefix, lengthOf, v4ToInt } from '#ip';
import type { AddressFamily } from '../message.ts';
import { Chains } from './chains.ts';
import { Records } from './records.ts';

/** The fields that other tables keep in a prefix's record. */
export const prefixField = {
  /** The first path for it: the head of a chain in the path table. */
  firstPath: 1,
  /** The best path, 0 for none. */
  best: 2,
  flags: 3,
} as const;

const chain = 0;
const uses = 4;
const lengthField = 5;
const firstWord = 6;

export class PrefixTable {
  readonly family: AddressFamily;
  private readonly words: 1 | 4;
  private readonly records: Records;
  private readonly chains: Chains;
  /** The address just read, in 32-bit words, host bits zero. */
  private readonly key: Int32Array;
  private readonly scratch: Int32Array;

  constructor(family: AddressFamily) {
    this.family = family;
    this.words = family === 'ipv4-unicast' ? 1 : 4;
    this.records = new Records(firstWord + this.words);
    this.chains = new Chains(this.records, chain, (id) => this.hashOf(id));
    this.key = new Int32Array(this.words);
    this.scratch = new Int32Array(this.words);
  }

  /** Prefixes in the table. */
  get count(): number {
    return this.records.count;
  }

  /** Every id is below this. */
  get end(): number {
    return this.records.end;
  }

  get(id: number, field: number): number {
    return this.records.get(id, field);
  }

  set(id: number, field: number, value: number): void {
    this.records.set(id, field, value);
  }

  /** The page of a prefix's record and where it begins there, for whoever touches several fields. */
  page(id: number): Int32Array {
    return this.records.page(id);
  }

  start(id: number): number {
    return this.records.start(id);
  }

  length(id: number): number {
    return this.records.get(id, lengthField);
  }

  /** A 32-bit word of the address, as a signed integer: 0 for IPv4, 0 to 3 for IPv6. */
  word(id: number, index: number): number {
    return this.records.get(id, firstWord + index);
  }

  /** The id of the encoded prefix at `at` (RFC 4271 §4.3: length in bits, then as few octets as hold it), or 0. */
  find(bytes: Uint8Array, at: number): number {
    const length = bytes[at]!;
    this.readKey(bytes, at + 1, length);
    return this.lookUp(length, hashWords(this.key, length));
  }

  /** The same, entering the prefix where it is missing. It stays only while it is in use: see {@link retain}. */
  claim(bytes: Uint8Array, at: number): number {
    const length = bytes[at]!;
    this.readKey(bytes, at + 1, length);
    const hash = hashWords(this.key, length);
    return this.lookUp(length, hash) || this.insert(length, hash);
  }

  findPrefix(prefix: Prefix): number {
    const bytes = encodePrefix(prefix);
    return bitsOfPrefix(prefix) === this.words * 32 ? this.find(bytes, 0) : 0;
  }

  claimPrefix(prefix: Prefix): number {
    return this.claim(encodePrefix(prefix), 0);
  }

  prefixOf(id: number): Prefix {
    const bytes = new Uint8Array(this.words * 4);
    for (const i of bytes.keys()) bytes[i] = this.word(id, i >> 2) >>> (24 - ((i & 3) << 3));
    return `${addressFromBytes(bytes)}/${this.length(id)}` as Prefix;
  }

  /** Writes the prefix as NLRI, at most 17 octets. @returns where it ends. */
  write(id: number, out: Uint8Array, at: number): number {
    const page = this.records.page(id);
    const start = this.records.start(id);
    const length = page[start + lengthField]!;
    const octets = (length + 7) >> 3;
    out[at] = length;
    for (let i = 0; i < octets; i++) {
      out[at + 1 + i] = page[start + firstWord + (i >> 2)]! >>> (24 - ((i & 3) << 3));
    }
    return at + 1 + octets;
  }

  /** Holds the id for one more user: a path, an exported route, an entry in a queue. */
  retain(id: number): void {
    this.records.add(id, uses, 1);
  }

  /** Takes a hold back; with the last one the id is free for another prefix. */
  release(id: number): void {
    if (this.records.add(id, uses, -1) <= 0) this.remove(id);
  }

  /** Frees a claimed id that nobody has retained. */
  dropIfUnused(id: number): void {
    if (this.records.get(id, uses) === 0) this.remove(id);
  }

  private readKey(bytes: Uint8Array, at: number, length: number): void {
    const { key } = this;
    for (let word = 0, left = length; word < key.length; word++, left -= 32, at += 4) {
      key[word] = left <= 0 ? 0 : readWord(bytes, at, left);
    }
  }

  private lookUp(length: number, hash: number): number {
    const { records, key } = this;
    const word = key[0]!;
    let id = this.chains.first(hash);
    while (id !== 0) {
      const page = records.page(id);
      const start = records.start(id);
      if (page[start + firstWord] === word && page[start + lengthField] === length && this.sameTail(page, start)) break;
      id = page[start + chain]!;
    }
    return id;
  }

  private sameTail(page: Int32Array, start: number): boolean {
    for (let i = 1; i < this.words; i++) if (page[start + firstWord + i] !== this.key[i]) return false;
    return true;
  }

  private insert(length: number, hash: number): number {
    const id = this.records.claim();
    const page = this.records.page(id);
    const start = this.records.start(id);
    page[start + lengthField] = length;
    for (let i = 0; i < this.words; i++) page[start + firstWord + i] = this.key[i]!;
    this.chains.link(id, hash);
    return id;
  }

  private remove(id: number): void {
    this.chains.unlink(id);
    this.records.free(id);
  }

  private hashOf(id: number): number {
    for (let i = 0; i < this.words; i++) this.scratch[i] = this.word(id, i);
    return hashWords(this.scratch, this.length(id));
  }
}

/**
 * Neighbours share cache lines: the last six bits of the network number are added to the hash of all the rest, so 64
 * prefixes in a row sit in 64 buckets in a row, somewhere. Adding rather than replacing keeps every regular pattern
 * (one prefix in each /16, say) as evenly spread as chance does.
 */
function hashWords(words: Int32Array, length: number): number {
  const last = length === 0 ? 0 : (length - 1) >> 5;
  const number = length === 0 ? 0 : words[last]! >>> (31 - ((length - 1) & 31));
  let hash = mix((number >>> 6) ^ Math.imul(length, 0x9e3779b1));
  for (let i = 0; i < last; i++) hash = mix(hash ^ words[i]!);
  return hash + (number & 63);
}

/** The finalizer of MurmurHash3: every input bit reaches every output bit, so low bits alone can choose a bucket. */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Up to 32 bits of an address at `at`, the bits behind them zero (RFC 4271 §4.3: trailing bits are irrelevant). */
function readWord(bytes: Uint8Array, at: number, bits: number): number {
  if (bits >= 32) return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  let word = bytes[at]! << 24;
  if (bits > 8) word |= bytes[at + 1]! << 16;
  if (bits > 16) word |= bytes[at + 2]! << 8;
  if (bits > 24) word |= bytes[at + 3]!;
  return word & (-1 << (32 - bits));
}

function encodePrefix(prefix: Prefix): Uint8Array {
  const length = lengthOf(prefix);
  const address = addressOf(prefix);
  if (bitsOfPrefix(prefix) === 128) return Uint8Array.of(length, ...addressToBytes(address));
  const word = v4ToInt(address);
  return Uint8Array.of(length, word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255);
}
