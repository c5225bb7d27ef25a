// Path attributes from bytes to what decision and policy look at, and back. Called once per distinct block of
// attributes, never per route.
import type { Address } from '#ip';
import type { Fault, PathAttributes, UnknownAttribute } from '../message.ts';
import { AS_TRANS, mergeAs4Path, needsFourOctets, withoutConfederation } from './as-path.ts';
import { EXTENDED_LENGTH, PARTIAL, type Row, type Rule, type WireAttributes, table } from './attribute-table.ts';
import type { Neighbour } from './attribute-value.ts';
import { plainFault, walkAttributes } from './attribute-walk.ts';
import { decodeNextHop } from './next-hop.ts';
import { octets } from './reader.ts';
import { Writer } from './writer.ts';

type Key = keyof WireAttributes;
type NextHops = Pick<PathAttributes, 'nextHop' | 'linkLocalNextHop'>;

const keys = Object.keys(table) as Key[];
const mandatory: readonly Rule[] = [table.origin, table.asPath];
const mandatoryWithNextHop: readonly Rule[] = [...mandatory, table.nextHop];

/**
 * Decodes the path attributes of an UPDATE that announces routes.
 * @param raw `Update.attributes`: without MP_REACH_NLRI and MP_UNREACH_NLRI.
 * @param reachNextHop the next hop of MP_REACH_NLRI: 4, 16 or 32 octets. Undefined for classic NLRI, whose next hop is
 *   attribute 3.
 * @returns `attributes` is absent when a fault says `withdraw`: all routes of the UPDATE are then to be withdrawn (RFC
 *   7606 §2). What was discarded is gone; AS4_PATH and AS4_AGGREGATOR are merged (RFC 6793 §4.2.3). Nothing in the
 *   attributes is a view on `raw`.
 */
export function decodeAttributes(
  raw: Uint8Array,
  reachNextHop: Uint8Array | undefined,
  terms: Neighbour,
): { attributes?: PathAttributes; faults: readonly Fault[] } {
  const { wire, seen, unknown, partial, faults: found } = walkAttributes(raw, terms);
  const faults: Fault[] = found.map(plainFault);
  faults.push(...missingAttributes(seen, reachNextHop === undefined));
  const merged = mergeFourOctets(wire, faults);
  const hops = readNextHops(wire, reachNextHop, faults);
  const { origin, asPath } = merged;
  const withdrawn = strongestAction(faults) === 'withdraw';
  if (withdrawn || origin === undefined || asPath === undefined || hops === undefined) return { faults };
  const attributes: PathAttributes = {
    ...merged,
    origin,
    asPath,
    ...hops,
    ...(unknown.length > 0 && { unknown: unknown.toSorted((a, b) => a.code - b.code) }),
    ...(partial.length > 0 && { partial: partial.toSorted((a, b) => a - b) }),
  };
  return { attributes, faults };
}

/** What all faults together lead to: the strongest action wins (RFC 7606 §3.h). */
export function strongestAction(faults: readonly Fault[]): Fault['action'] | undefined {
  if (faults.some(({ action }) => action === 'withdraw')) return 'withdraw';
  return faults[0]?.action;
}

/** RFC 7606 §3.d; NEXT_HOP only where MP_REACH_NLRI does not bring one (RFC 4760 §3). */
function missingAttributes(seen: ReadonlySet<number>, withNextHop: boolean): Fault[] {
  return (withNextHop ? mandatoryWithNextHop : mandatory)
    .filter(({ code }) => !seen.has(code))
    .map(({ code, name }) => ({ action: 'withdraw', attribute: code, reason: `${name} is missing (RFC 7606 §3.d)` }));
}

type Merged = Omit<Partial<WireAttributes>, 'as4Path' | 'as4Aggregator'>;

/** RFC 6793 §4.2.3: what the attributes for two-octet speakers and those for four-octet ones tell together. */
function mergeFourOctets(wire: Partial<WireAttributes>, faults: Fault[]): Merged {
  if (wire.as4Path === undefined && wire.as4Aggregator === undefined) return wire;
  const { as4Path, as4Aggregator, ...merged } = wire;
  const ignore = ({ code, name }: Rule, why: string): void => {
    faults.push({ action: 'discard', attribute: code, reason: `${name} is ignored: ${why} (RFC 6793 §4.2.3)` });
  };
  if (as4Aggregator !== undefined && merged.aggregator === undefined) {
    ignore(table.as4Aggregator, 'there is no AGGREGATOR');
  } else if (as4Aggregator !== undefined && merged.aggregator?.asn !== AS_TRANS) {
    ignore(table.as4Aggregator, 'AGGREGATOR is not AS_TRANS');
    if (as4Path !== undefined) ignore(table.as4Path, 'AGGREGATOR is not AS_TRANS');
    return merged;
  } else if (as4Aggregator !== undefined) {
    merged.aggregator = as4Aggregator;
  }
  if (as4Path === undefined || merged.asPath === undefined) return merged;
  const path = withoutConfederation(as4Path);
  if (path.length < as4Path.length) ignore(table.as4Path, 'its confederation segments have no place there');
  const asPath = mergeAs4Path(merged.asPath, path);
  if (asPath === undefined) ignore(table.as4Path, 'it is longer than AS_PATH');
  else merged.asPath = asPath;
  return merged;
}

/** NEXT_HOP says nothing where MP_REACH_NLRI brings a next hop (RFC 4760 §3). */
function readNextHops(
  { nextHop }: Partial<WireAttributes>,
  reachNextHop: Uint8Array | undefined,
  faults: Fault[],
): NextHops | undefined {
  if (reachNextHop === undefined) return nextHop && { nextHop };
  const { length } = reachNextHop;
  if (length === 4 || length === 16 || length === 32) return decodeNextHop(reachNextHop);
  faults.push({ action: 'withdraw', reason: `a next hop of ${octets(length)} is none (RFC 7606 §7.11)` });
  return undefined;
}

/** For whom attributes are encoded. */
export interface Recipient extends Neighbour {
  /** Writes NEXT_HOP too: IPv4, for classic NLRI. */
  readonly nextHop?: Address;
}

/**
 * Encodes attributes in ascending order of their codes: all but MP_REACH_NLRI and MP_UNREACH_NLRI, and NEXT_HOP only
 * if asked for. Attributes that are for internal peers only are left out for an external one, as are non-transitive
 * extended communities and confederation segments; a two-octet peer gets AS_TRANS, AS4_PATH and AS4_AGGREGATOR.
 * @throws RangeError when a number does not fit its field.
 */
export function encodeAttributes(attributes: PathAttributes, to: Recipient): Uint8Array {
  const out = new Writer();
  writeAttributes(out, attributes, to);
  return out.finish();
}

/** The same, behind what a writer has already. */
export function writeAttributes(out: Writer, attributes: PathAttributes, to: Recipient): void {
  const wire: Partial<WireAttributes> = to.fourOctetAs
    ? attributes
    : { ...attributes, ...fourOctetAttributes(attributes) };
  const { unknown = [], partial } = attributes;
  const value = new Writer();
  let passed = 0;
  for (const key of keys) {
    const { code, flags } = table[key];
    for (; passed < unknown.length && unknown[passed]!.code < code; passed++) writeUnknown(out, unknown[passed]!);
    if (!writeValue(value.clear(), key, key === 'nextHop' ? to.nextHop : wire[key], to)) continue;
    writeHeader(out, partial?.includes(code) ? flags | PARTIAL : flags, code, value.length).append(value);
  }
  for (; passed < unknown.length; passed++) writeUnknown(out, unknown[passed]!);
}

/** RFC 6793 §4.2.2: only where two octets are not enough. */
function fourOctetAttributes({ asPath, aggregator }: PathAttributes): Partial<WireAttributes> {
  const as4Path = withoutConfederation(asPath);
  return {
    ...(needsFourOctets(as4Path) && { as4Path }),
    ...(aggregator && aggregator.asn > 0xffff && { as4Aggregator: aggregator }),
  };
}

/** @returns false when the attribute is not there, or not for this peer. */
function writeValue(writer: Writer, key: Key, value: WireAttributes[Key] | undefined, to: Recipient): boolean {
  const row: Row<WireAttributes[Key]> = table[key];
  if (value === undefined || (row.internalOnly && !to.internal)) return false;
  row.encode(writer, value, to);
  // An empty list has no encoding (RFC 7606 §4): the attribute is left out.
  return writer.length > 0 || row.length === undefined || !('multipleOf' in row.length);
}

function writeUnknown(writer: Writer, { flags, code, value }: UnknownAttribute): void {
  writeHeader(writer, flags, code, value.length).bytes(value);
}

/** Flags, code, length in one octet or two. */
function writeHeader(writer: Writer, flags: number, code: number, length: number): Writer {
  if (length > 255)
    return writer
      .u8(flags | EXTENDED_LENGTH)
      .u8(code)
      .u16(length);
  return writer
    .u8(flags & ~EXTENDED_LENGTH)
    .u8(code)
    .u8(length);
}

/** One attribute: flags, code, length in one octet or two, value. */
export function encodeAttribute(flags: number, code: number, value: Uint8Array): Uint8Array {
  return writeHeader(new Writer(), flags, code, value.length).bytes(value).finish();
}
