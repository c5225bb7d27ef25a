// IP prefixes: an address with its host bits zero, and a length.
//
// A Prefix is its canonical text ("10.0.0.0/8"), for the same reasons as an Address.

import {
  type Address,
  type Family,
  IpError,
  addressFromBigInt,
  addressFromBytes,
  addressToBigInt,
  addressToBytes,
  bitsOf,
  compareAddresses,
  familyOf,
  parseAddress,
  readAddress,
} from './address.ts';

declare const brand: unique symbol;

/** A prefix in canonical text, host bits zero: "10.0.0.0/8", "fd00::/64". */
export type Prefix = string & { readonly [brand]: 'Prefix' };

/** An address together with the network that it is on, as on an interface: "10.250.1.11/24". */
export interface InterfaceAddress {
  readonly address: Address;
  readonly prefix: Prefix;
}

/**
 * Parses "address/length" whose host bits are zero.
 * @throws IpError that says what is wrong; for stray host bits it names the prefix that was probably meant.
 */
export function parsePrefix(text: string): Prefix {
  const { address, prefix } = parseInterfaceAddress(text);
  if (address !== addressOf(prefix)) {
    throw new IpError(`${JSON.stringify(text)} has host bits set (did you mean ${prefix}?)`);
  }
  return prefix;
}

/** The same as {@link parsePrefix}, with undefined instead of an error. */
export function readPrefix(text: string): Prefix | undefined {
  const parsed = readInterfaceAddress(text);
  return parsed && parsed.address === addressOf(parsed.prefix) ? parsed.prefix : undefined;
}

/**
 * Parses "address/length", host bits allowed.
 * @throws IpError for anything else.
 */
export function parseInterfaceAddress(text: string): InterfaceAddress {
  const parsed = readInterfaceAddress(text);
  if (parsed === undefined) throw new IpError(`${JSON.stringify(text)} is not a prefix (address/length)`);
  return parsed;
}

function readInterfaceAddress(text: string): InterfaceAddress | undefined {
  const slash = text.indexOf('/');
  const address = readAddress(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (slash < 0 || address === undefined || !/^(0|[1-9]\d{0,2})$/.test(length)) return undefined;
  if (Number(length) > bitsOf(familyOf(address))) return undefined;
  return { address, prefix: prefixFrom(address, Number(length)) };
}

/**
 * The prefix of this length that the address lies in: host bits are masked away.
 * @throws IpError when the length does not fit the family.
 */
export function prefixFrom(address: Address, length: number): Prefix {
  const bits = bitsOf(familyOf(address));
  if (!Number.isInteger(length) || length < 0 || length > bits) {
    throw new IpError(`/${length} is no prefix length for ${address}`);
  }
  if (length === bits) return `${address}/${length}` as Prefix;
  const bytes = addressToBytes(address);
  maskBytes(bytes, length);
  return `${addressFromBytes(bytes)}/${length}` as Prefix;
}

/** The /32 or /128 of one address. */
export function hostPrefix(address: Address): Prefix {
  return `${address}/${bitsOf(familyOf(address))}` as Prefix;
}

/** Sets every bit behind the first `length` ones to zero, in place. */
export function maskBytes(bytes: Uint8Array, length: number): void {
  const whole = length >> 3;
  if (whole >= bytes.length) return;
  bytes[whole]! &= 0xff00 >> (length & 7);
  bytes.fill(0, whole + 1);
}

/** The network address of the prefix, which is also its first address. */
export function addressOf(prefix: Prefix): Address {
  return prefix.slice(0, prefix.indexOf('/')) as Address;
}

export function lengthOf(prefix: Prefix): number {
  return Number(prefix.slice(prefix.indexOf('/') + 1));
}

export function familyOfPrefix(prefix: Prefix): Family {
  return prefix.includes(':') ? 6 : 4;
}

export function isHostPrefix(prefix: Prefix): boolean {
  return lengthOf(prefix) === bitsOf(familyOfPrefix(prefix));
}

/** How many addresses the prefix has: 1 to 2^128. */
export function sizeOf(prefix: Prefix): bigint {
  return 1n << BigInt(bitsOf(familyOfPrefix(prefix)) - lengthOf(prefix));
}

export function lastAddressOf(prefix: Prefix): Address {
  return addressAt(prefix, sizeOf(prefix) - 1n);
}

/**
 * The address at an offset from the first one.
 * @throws IpError when the offset lies outside the prefix.
 */
export function addressAt(prefix: Prefix, offset: bigint | number): Address {
  const index = BigInt(offset);
  if (index < 0n || index >= sizeOf(prefix)) throw new IpError(`${prefix} has no address number ${index}`);
  return addressFromBigInt(addressToBigInt(addressOf(prefix)) + index, familyOfPrefix(prefix));
}

/**
 * Where the address stands in the prefix, counted from 0.
 * @throws IpError when it lies outside.
 */
export function offsetOf(prefix: Prefix, address: Address): bigint {
  if (!containsAddress(prefix, address)) throw new IpError(`${address} is not in ${prefix}`);
  return addressToBigInt(address) - addressToBigInt(addressOf(prefix));
}

export function containsAddress(prefix: Prefix, address: Address): boolean {
  return familyOf(address) === familyOfPrefix(prefix) && prefixFrom(address, lengthOf(prefix)) === prefix;
}

/** Whether every address of `inner` is in `outer`; a prefix contains itself. */
export function containsPrefix(outer: Prefix, inner: Prefix): boolean {
  return lengthOf(inner) >= lengthOf(outer) && containsAddress(outer, addressOf(inner));
}

export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return containsPrefix(a, b) || containsPrefix(b, a);
}

/** By family, then address, then length, the shorter first: for sort(). */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  return compareAddresses(addressOf(a), addressOf(b)) || lengthOf(a) - lengthOf(b);
}

/** Parses an address or a prefix; an address becomes its host prefix. @throws IpError */
export function parsePrefixOrAddress(text: string): Prefix {
  return text.includes('/') ? parsePrefix(text) : hostPrefix(parseAddress(text));
}

/** 32 or 128: the address bits of the prefix's family. */
export function bitsOfPrefix(prefix: Prefix): 32 | 128 {
  return bitsOf(familyOfPrefix(prefix));
}
