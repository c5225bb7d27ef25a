// Path attributes: one row per attribute that we know, with its code, its flags, what a malformed one leads to (RFC
// 7606 §7), and how its value is read and written. The rules that are common to all rows are in attributes.ts.
//
// MP_REACH_NLRI and MP_UNREACH_NLRI have no row: update.ts takes them out first, since they carry routes.
import type { Address } from '#ip';
import type { AsPath, Fault, LargeCommunity, Origin } from '../message.ts';
import { encodeAsPath } from './as-path.ts';
import {
  type Aggregator,
  type Neighbour,
  distinct,
  distinctLarge,
  readAggregator,
  readAs4Path,
  readAsPath,
  readOrigin,
  readV4,
  writeAddress,
  writeAggregator,
  writeAsPath,
  writeExtendedCommunities,
} from './attribute-value.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

/** Attribute flags (RFC 4271 §4.3). */
export const OPTIONAL = 0x80;
export const TRANSITIVE = 0x40;
export const PARTIAL = 0x20;
export const EXTENDED_LENGTH = 0x10;

export const MP_REACH_NLRI = 14;
export const MP_UNREACH_NLRI = 15;

/** The values of attributes as they stand on the wire, before RFC 6793 has been undone. */
export interface WireAttributes {
  origin: Origin;
  asPath: AsPath;
  nextHop: Address;
  med: number;
  localPref: number;
  atomicAggregate: true;
  aggregator: Aggregator;
  communities: readonly number[];
  originatorId: Address;
  clusterList: readonly Address[];
  extendedCommunities: readonly bigint[];
  as4Path: AsPath;
  as4Aggregator: Aggregator;
  ipv6ExtendedCommunities: Uint8Array;
  largeCommunities: readonly LargeCommunity[];
  onlyToCustomer: number;
}

/** What a row says about its attribute. */
export interface Rule {
  readonly code: number;
  /** As in the RFC that defines it. */
  readonly name: string;
  readonly flags: number;
  /** What a malformed one leads to, and where that is written. */
  readonly malformed: Fault['action'];
  readonly section: string;
  /** The UPDATE subcode of a malformed value (RFC 4271 §6.3), where the session has to end for it. */
  readonly subcode: number;
  /** How many octets the value has: exactly so many, or a multiple of so many and not none. Absent: any number. */
  readonly length?: { readonly exactly: number | ((terms: Neighbour) => number) } | { readonly multipleOf: number };
  /** From an external peer it is discarded unread (RFC 7606 §7.5, §7.9, §7.10), and to one it is not sent. */
  readonly internalOnly?: true;
  /** From a peer that speaks four-octet AS numbers it is discarded unread (RFC 6793 §6). */
  readonly twoOctetOnly?: true;
}

/** A rule, and how the value is read and written. */
export interface Row<T> extends Rule {
  decode(reader: Reader, terms: Neighbour): T;
  encode(writer: Writer, value: T, to: Neighbour): void;
}

const WELL_KNOWN = TRANSITIVE;
const OPTIONAL_TRANSITIVE = OPTIONAL | TRANSITIVE;

/** Subcodes of an UPDATE error (RFC 4271 §6.3). */
const INVALID_ORIGIN = 6;
const INVALID_NEXT_HOP = 8;
const OPTIONAL_ERROR = 9;
const MALFORMED_AS_PATH = 11;

/** Ascending by code, which is the order in which they are sent (RFC 4271 §5). */
export const table: { readonly [K in keyof WireAttributes]: Row<WireAttributes[K]> } = {
  origin: {
    code: 1,
    name: 'ORIGIN',
    flags: WELL_KNOWN,
    malformed: 'withdraw',
    section: 'RFC 7606 §7.1',
    subcode: INVALID_ORIGIN,
    length: { exactly: 1 },
    decode: readOrigin,
    encode: (w, origin) => w.u8(origin),
  },
  asPath: {
    code: 2,
    name: 'AS_PATH',
    flags: WELL_KNOWN,
    malformed: 'withdraw',
    section: 'RFC 7606 §7.2',
    subcode: MALFORMED_AS_PATH,
    decode: readAsPath,
    encode: writeAsPath,
  },
  nextHop: {
    code: 3,
    name: 'NEXT_HOP',
    flags: WELL_KNOWN,
    malformed: 'withdraw',
    section: 'RFC 7606 §7.3',
    subcode: INVALID_NEXT_HOP,
    length: { exactly: 4 },
    decode: readV4,
    encode: writeAddress,
  },
  med: {
    code: 4,
    name: 'MULTI_EXIT_DISC',
    flags: OPTIONAL,
    malformed: 'withdraw',
    section: 'RFC 7606 §7.4',
    subcode: OPTIONAL_ERROR,
    length: { exactly: 4 },
    decode: (r) => r.u32(),
    encode: (w, med) => w.u32(med),
  },
  localPref: {
    code: 5,
    name: 'LOCAL_PREF',
    flags: WELL_KNOWN,
    malformed: 'withdraw',
    section: 'RFC 7606 §7.5',
    subcode: OPTIONAL_ERROR,
    length: { exactly: 4 },
    internalOnly: true,
    decode: (r) => r.u32(),
    encode: (w, localPref) => w.u32(localPref),
  },
  atomicAggregate: {
    code: 6,
    name: 'ATOMIC_AGGREGATE',
    flags: WELL_KNOWN,
    malformed: 'discard',
    section: 'RFC 7606 §7.6',
    subcode: OPTIONAL_ERROR,
    length: { exactly: 0 },
    decode: () => true,
    encode: () => {},
  },
  aggregator: {
    code: 7,
    name: 'AGGREGATOR',
    flags: OPTIONAL_TRANSITIVE,
    malformed: 'discard',
    section: 'RFC 7606 §7.7',
    subcode: OPTIONAL_ERROR,
    length: { exactly: ({ fourOctetAs }) => (fourOctetAs ? 8 : 6) },
    decode: (r, { fourOctetAs }) => readAggregator(r, fourOctetAs ? 4 : 2),
    encode: (w, aggregator, { fourOctetAs }) => writeAggregator(w, aggregator, fourOctetAs ? 4 : 2),
  },
  communities: {
    code: 8,
    name: 'COMMUNITIES',
    flags: OPTIONAL_TRANSITIVE,
    malformed: 'withdraw',
    section: 'RFC 7606 §7.8',
    subcode: OPTIONAL_ERROR,
    length: { multipleOf: 4 },
    decode: (r) => distinct(r.all(() => r.u32())),
    encode: (w, communities) => communities.forEach((community) => w.u32(community)),
  },
  originatorId: {
    code: 9,
    name: 'ORIGINATOR_ID',
    flags: OPTIONAL,
    malformed: 'withdraw',
    section: 'RFC 7606 §7.9',
    subcode: OPTIONAL_ERROR,
    length: { exactly: 4 },
    internalOnly: true,
    decode: readV4,
    encode: writeAddress,
  },
  clusterList: {
    code: 10,
    name: 'CLUSTER_LIST',
    flags: OPTIONAL,
    malformed: 'withdraw',
    section: 'RFC 7606 §7.10',
    subcode: OPTIONAL_ERROR,
    length: { multipleOf: 4 },
    internalOnly: true,
    decode: (r) => r.all(readV4),
    encode: (w, clusters) => clusters.forEach((cluster) => writeAddress(w, cluster)),
  },
  extendedCommunities: {
    code: 16,
    name: 'EXTENDED COMMUNITIES',
    flags: OPTIONAL_TRANSITIVE,
    malformed: 'withdraw',
    section: 'RFC 7606 §7.14',
    subcode: OPTIONAL_ERROR,
    length: { multipleOf: 8 },
    decode: (r) => distinct(r.all(() => r.u64())),
    encode: writeExtendedCommunities,
  },
  as4Path: {
    code: 17,
    name: 'AS4_PATH',
    flags: OPTIONAL_TRANSITIVE,
    malformed: 'discard',
    section: 'RFC 6793 §6',
    subcode: OPTIONAL_ERROR,
    twoOctetOnly: true,
    decode: readAs4Path,
    encode: (w, path) => encodeAsPath(w, path, 4),
  },
  as4Aggregator: {
    code: 18,
    name: 'AS4_AGGREGATOR',
    flags: OPTIONAL_TRANSITIVE,
    malformed: 'discard',
    section: 'RFC 6793 §6',
    subcode: OPTIONAL_ERROR,
    length: { exactly: 8 },
    twoOctetOnly: true,
    decode: (r) => readAggregator(r, 4),
    encode: (w, aggregator) => writeAggregator(w, aggregator, 4),
  },
  // Its communities are passed on unread, but only if they are whole.
  ipv6ExtendedCommunities: {
    code: 25,
    name: 'IPv6 EXTENDED COMMUNITIES',
    flags: OPTIONAL_TRANSITIVE,
    malformed: 'withdraw',
    section: 'RFC 7606 §7.15',
    subcode: OPTIONAL_ERROR,
    length: { multipleOf: 20 },
    decode: (r) => r.rest().slice(),
    encode: (w, value) => w.bytes(value),
  },
  largeCommunities: {
    code: 32,
    name: 'LARGE_COMMUNITY',
    flags: OPTIONAL_TRANSITIVE,
    malformed: 'withdraw',
    section: 'RFC 8092 §6',
    subcode: OPTIONAL_ERROR,
    length: { multipleOf: 12 },
    decode: (r) => distinctLarge(r.all((): LargeCommunity => [r.u32(), r.u32(), r.u32()])),
    encode: (w, communities) => communities.flat().forEach((part) => w.u32(part)),
  },
  onlyToCustomer: {
    code: 35,
    name: 'OTC',
    flags: OPTIONAL_TRANSITIVE,
    malformed: 'withdraw',
    section: 'RFC 9234 §5',
    subcode: OPTIONAL_ERROR,
    length: { exactly: 4 },
    decode: (r) => r.u32(),
    encode: (w, asn) => w.u32(asn),
  },
};

/** As its RFC calls it; "attribute 99" for one that we do not know. */
export function nameOfAttribute(code: number): string {
  if (code === MP_REACH_NLRI) return 'MP_REACH_NLRI';
  if (code === MP_UNREACH_NLRI) return 'MP_UNREACH_NLRI';
  return Object.values(table).find((row) => row.code === code)?.name ?? `attribute ${code}`;
}
