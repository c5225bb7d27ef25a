// IP addresses of both families: parsed strictly, held in one canonical text.
//
// An Address is its canonical text (RFC 5952 for IPv6), so it is a Map key, compares with ===, and prints itself.
// Bytes and integers are there for codecs and tables; ordering and arithmetic go through them.

declare const brand: unique symbol;

const zero = 48;

/** An IPv4 or IPv6 address in canonical text: "10.0.0.1", "fd00::1". Never carries a zone ("%eth0"). */
export type Address = string & { readonly [brand]: 'Address' };

/** 4 or 6: the IP version. */
export type Family = 4 | 6;

/** Text or bytes that are no address, prefix or range. `message` quotes the offending text and stands alone. */
export class IpError extends Error {
  override readonly name = 'IpError';
}

/**
 * Parses an address: IPv4 as four decimal parts without leading zeros, IPv6 as in RFC 4291 §2.2 (all three forms).
 * @throws IpError for anything else, a zone or surrounding space included.
 */
export function parseAddress(text: string): Address {
  const address = readAddress(text);
  if (address === undefined) throw new IpError(`${JSON.stringify(text)} is not an address`);
  return address;
}

/** The same as {@link parseAddress}, with undefined instead of an error. */
export function readAddress(text: string): Address | undefined {
  if (text.includes(':')) {
    const bytes = readV6(text);
    return bytes && addressFromBytes(bytes);
  }
  return readV4(text) === undefined ? undefined : (text as Address);
}

export function familyOf(address: Address): Family {
  return address.includes(':') ? 6 : 4;
}

/** 32 or 128: how many bits an address of this family has. */
export function bitsOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** The address in network byte order: 4 or 16 bytes. */
export function addressToBytes(address: Address): Uint8Array {
  if (familyOf(address) === 6) return readV6(address)!;
  const value = v4ToInt(address);
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

/**
 * The address that 4 or 16 bytes spell.
 * @throws IpError for any other length.
 */
export function addressFromBytes(bytes: Uint8Array): Address {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` as Address;
  if (bytes.length === 16) return printV6(bytes) as Address;
  throw new IpError(`an address has 4 or 16 bytes, not ${bytes.length}`);
}

/** An IPv4 address as an unsigned 32-bit integer. */
export function v4ToInt(address: Address): number {
  return readV4(address)!;
}

/** The IPv4 address of a 32-bit integer, signed or unsigned. */
export function v4FromInt(value: number): Address {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}` as Address;
}

/** The address as an unsigned integer of 32 or 128 bits. */
export function addressToBigInt(address: Address): bigint {
  if (familyOf(address) === 4) return BigInt(v4ToInt(address));
  let value = 0n;
  for (const byte of addressToBytes(address)) value = (value << 8n) | BigInt(byte);
  return value;
}

/**
 * The address of an unsigned integer.
 * @throws IpError when it does not fit the family.
 */
export function addressFromBigInt(value: bigint, family: Family): Address {
  if (value < 0n || value >> BigInt(bitsOf(family)) !== 0n) {
    throw new IpError(`${value} is outside the IPv${family} address space`);
  }
  if (family === 4) return v4FromInt(Number(value));
  const bytes = new Uint8Array(16);
  for (let i = 15, rest = value; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 255n);
  return addressFromBytes(bytes);
}

/** Numeric order, every IPv4 address before every IPv6 one: negative, 0 or positive, for sort(). */
export function compareAddresses(a: Address, b: Address): number {
  if (a === b) return 0;
  const family = familyOf(a);
  if (family !== familyOf(b)) return family - familyOf(b);
  if (family === 4) return v4ToInt(a) - v4ToInt(b);
  return compareBytes(addressToBytes(a), addressToBytes(b));
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** Digit by digit, since a routing table reads its next hops with it. */
function readV4(text: string): number | undefined {
  let value = 0;
  let dots = 0;
  let part = -1;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - zero;
    if (digit >= 0 && digit <= 9) {
      // A part that is 0 so far would get a leading zero.
      if (part === 0) return undefined;
      part = part < 0 ? digit : part * 10 + digit;
      if (part > 255) return undefined;
    } else {
      if (text[i] !== '.' || part < 0 || ++dots > 3) return undefined;
      value = value * 256 + part;
      part = -1;
    }
  }
  return part < 0 || dots < 3 ? undefined : value * 256 + part;
}

function readV6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half, i) => readGroups(half, i === halves.length - 1));
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const rest = tail ?? [];
  const missing = 8 - head.length - rest.length;
  // "::" stands for one group of zeros at least (RFC 4291 §2.2).
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...rest];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

/** Groups between colons; only the very last part of an address may be dotted decimals (RFC 4291 §2.2.3). */
function readGroups(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const embedded = last && i === parts.length - 1 ? readV4(part) : undefined;
    if (embedded === undefined) return undefined;
    groups.push(embedded >>> 16, embedded & 0xffff);
  }
  return groups;
}

/** RFC 5952 §4: lower case, the longest run of zero groups (the first of equals, never a single one) as "::". */
function printV6(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  // RFC 5952 §5: IPv4-mapped addresses end in dotted decimals, as the kernel's tools print them.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${addressFromBytes(bytes.subarray(12))}`;
  }
  const run = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(':');
  return `${hex.slice(0, run.start).join(':')}::${hex.slice(run.start + run.length).join(':')}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
