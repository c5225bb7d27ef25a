// One walk over a block of path attributes: the rules that hold for every attribute, whatever its row in the table
// says (RFC 7606 §3, §4). Faults are values here; which of them ends a session is for update.ts to say.
import type { Fault, UnknownAttribute } from '../message.ts';
import {
  MP_REACH_NLRI,
  MP_UNREACH_NLRI,
  OPTIONAL,
  PARTIAL,
  EXTENDED_LENGTH,
  type Row,
  type Rule,
  TRANSITIVE,
  type WireAttributes,
  nameOfAttribute,
  table,
} from './attribute-table.ts';
import type { Neighbour } from './attribute-value.ts';
import { Malformed, Reader, octets } from './reader.ts';

/** A fault, and the NOTIFICATION that it is where nothing milder is allowed (RFC 4271 §6.3, RFC 7606 §5.2). */
export interface AttributeFault extends Fault {
  readonly subcode: number;
  /** Flags, code, length and value of the attribute: a view. */
  readonly data: Uint8Array;
}

export interface Found {
  /** The values that are in order. */
  readonly wire: Partial<WireAttributes>;
  /** Codes of all attributes, the malformed ones included. */
  readonly seen: ReadonlySet<number>;
  readonly unknown: readonly UnknownAttribute[];
  /** Codes of known attributes that somebody passed on without knowing them (RFC 4271 §5, the Partial bit). */
  readonly partial: readonly number[];
  readonly faults: readonly AttributeFault[];
}

interface Attribute {
  readonly flags: number;
  readonly code: number;
  readonly value: Uint8Array;
  readonly whole: Uint8Array;
}

type Key = keyof WireAttributes;

/** Subcodes of an UPDATE error (RFC 4271 §6.3). */
const MALFORMED_LIST = 1;
const UNKNOWN_WELL_KNOWN = 2;
const FLAGS_ERROR = 4;
const LENGTH_ERROR = 5;

const keysByCode: ReadonlyMap<number, Key> = new Map(Object.entries(table).map(([key, row]) => [row.code, key as Key]));

/** Whether this speaker recognizes the attribute. */
export function isKnownAttribute(code: number): boolean {
  return keysByCode.has(code) || code === MP_REACH_NLRI || code === MP_UNREACH_NLRI;
}

/** Reads all attributes of a block. Never fails: whatever is wrong is among the faults. */
export function walkAttributes(raw: Uint8Array, terms: Neighbour): Found {
  const walk = new Walk(terms);
  const reader = new Reader(raw);
  try {
    while (reader.left > 0) walk.take(readAttribute(reader, raw));
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    walk.faults.push(overrun(error.message));
  }
  return walk;
}

/** RFC 7606 §4: the last attribute reaches beyond the block, or what is left is too short to be one. */
export function overrun(reason: string): AttributeFault {
  const text = `the path attributes do not fit their total length: ${reason} (RFC 7606 §4)`;
  return { action: 'withdraw', subcode: MALFORMED_LIST, data: new Uint8Array(0), reason: text };
}

/** What of a fault is for the owner of the session. */
export function plainFault({ action, reason, attribute }: AttributeFault): Fault {
  return attribute === undefined ? { action, reason } : { action, reason, attribute };
}

/** RFC 4271 §4.3 */
function readAttribute(reader: Reader, raw: Uint8Array): Attribute {
  const start = raw.length - reader.left;
  const [flags, code] = [reader.u8(), reader.u8()];
  const value = reader.take((flags & EXTENDED_LENGTH) === 0 ? reader.u8() : reader.u16());
  return { flags, code, value, whole: raw.subarray(start, raw.length - reader.left) };
}

class Walk implements Found {
  readonly wire: Partial<WireAttributes> = {};
  readonly seen = new Set<number>();
  readonly unknown: UnknownAttribute[] = [];
  readonly partial: number[] = [];
  readonly faults: AttributeFault[] = [];
  readonly #terms: Neighbour;

  constructor(terms: Neighbour) {
    this.#terms = terms;
  }

  take(attribute: Attribute): void {
    const { code } = attribute;
    const key = keysByCode.get(code);
    // RFC 7606 §3.g: the first one counts, be it in order or not.
    if (this.seen.has(code)) {
      this.#fault(
        'discard',
        attribute,
        MALFORMED_LIST,
        `${nameOfAttribute(code)} occurs again and is ignored (RFC 7606 §3.g)`,
      );
      return;
    }
    this.seen.add(code);
    if (key !== undefined) this.#takeKnown(key, attribute);
    else if (!isKnownAttribute(code)) this.#takeUnknown(attribute);
  }

  #takeKnown(key: Key, attribute: Attribute): void {
    const row: Row<WireAttributes[Key]> = table[key];
    const fault =
      checkSource(row, this.#terms) ?? checkFlags(row, attribute) ?? checkLength(row, attribute, this.#terms);
    if (fault !== undefined) {
      this.#fault(fault.action, attribute, fault.subcode, fault.reason);
      return;
    }
    try {
      const reader = new Reader(attribute.value);
      const value = row.decode(reader, this.#terms);
      reader.end();
      this.#keep(key, value, attribute);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      const reason = `${row.name} is malformed: ${error.message} (${row.section})`;
      this.#fault(row.malformed, attribute, row.subcode, reason);
    }
  }

  #keep<K extends Key>(key: K, value: WireAttributes[K], { code, flags }: Attribute): void {
    // Passed on as it came, but we know what it is: no Partial bit from us.
    if (key === 'ipv6ExtendedCommunities') {
      this.unknown.push({ code, flags: flags & (OPTIONAL | TRANSITIVE | PARTIAL), value: value as Uint8Array });
      return;
    }
    this.wire[key] = value;
    const isPartial = (flags & PARTIAL) !== 0 && table[key].flags === (OPTIONAL | TRANSITIVE);
    if (isPartial && table[key].twoOctetOnly === undefined) this.partial.push(code);
  }

  /** RFC 4271 §5: transitive ones are passed on with the Partial bit set, here and nowhere else; the others end here. */
  #takeUnknown(attribute: Attribute): void {
    const { flags, code, value } = attribute;
    if ((flags & OPTIONAL) === 0) {
      const reason = `attribute ${code} is said to be well-known, but nobody here knows it (RFC 4271 §6.3)`;
      this.#fault('withdraw', attribute, UNKNOWN_WELL_KNOWN, reason);
    } else if ((flags & TRANSITIVE) !== 0) {
      this.unknown.push({ code, flags: OPTIONAL | TRANSITIVE | PARTIAL, value: value.slice() });
    }
  }

  #fault(action: Fault['action'], { code, whole }: Attribute, subcode: number, reason: string): void {
    this.faults.push({ action, reason, attribute: code, subcode, data: whole });
  }
}

type Verdict = Pick<AttributeFault, 'action' | 'subcode' | 'reason'>;

/** Comes before everything else: what must not come from this neighbour at all is discarded unread. */
function checkSource(row: Rule, terms: Neighbour): Verdict | undefined {
  const { name, section } = row;
  const discard = (source: string): Verdict => ({
    action: 'discard',
    subcode: MALFORMED_LIST,
    reason: `${name} from ${source} is ignored (${section})`,
  });
  if (row.internalOnly && !terms.internal) return discard('an external peer');
  if (row.twoOctetOnly && terms.fourOctetAs) return discard('a peer with four-octet AS numbers');
  return undefined;
}

/** RFC 7606 §3.c: only Optional and Transitive can be in conflict; Partial and the low bits cannot. */
function checkFlags(row: Rule, { flags }: Attribute): Verdict | undefined {
  if (((flags ^ row.flags) & (OPTIONAL | TRANSITIVE)) === 0) return undefined;
  const [has, wants] = [describeFlags(flags), describeFlags(row.flags)];
  return { action: 'withdraw', subcode: FLAGS_ERROR, reason: `${row.name} is ${has}, not ${wants} (RFC 7606 §3.c)` };
}

function describeFlags(flags: number): string {
  const optional = (flags & OPTIONAL) === 0 ? 'well-known' : 'optional';
  return `${optional} ${(flags & TRANSITIVE) === 0 ? 'non-transitive' : 'transitive'}`;
}

function checkLength(row: Rule, { value }: Attribute, terms: Neighbour): Verdict | undefined {
  const { length, name, section, malformed: action } = row;
  if (length === undefined) return undefined;
  const wrong = (wanted: string): Verdict => ({
    action,
    subcode: LENGTH_ERROR,
    reason: `${name} has ${octets(value.length)}, not ${wanted} (${section})`,
  });
  if ('multipleOf' in length) {
    const fits = value.length > 0 && value.length % length.multipleOf === 0;
    return fits ? undefined : wrong(`a multiple of ${length.multipleOf}`);
  }
  const exactly = typeof length.exactly === 'number' ? length.exactly : length.exactly(terms);
  return value.length === exactly ? undefined : wrong(String(exactly));
}
