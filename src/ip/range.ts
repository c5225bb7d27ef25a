// Walking through addresses and sub-prefixes without holding them all.

import { type Address, IpError } from './address.ts';
import { type Prefix, addressAt, bitsOfPrefix, lengthOf, prefixFrom, sizeOf } from './prefix.ts';

/**
 * How many prefixes of a length fit into the prefix.
 * @throws IpError when the length is shorter than the prefix's own or too long for the family.
 */
export function countSubnets(prefix: Prefix, length: number): bigint {
  if (length < lengthOf(prefix) || length > bitsOfPrefix(prefix)) {
    throw new IpError(`${prefix} cannot be cut into prefixes of /${length}`);
  }
  return 1n << BigInt(length - lengthOf(prefix));
}

/**
 * The sub-prefix at an index, counted from 0.
 * @throws IpError when there is none.
 */
export function subnetAt(prefix: Prefix, length: number, index: bigint | number): Prefix {
  if (BigInt(index) >= countSubnets(prefix, length)) throw new IpError(`${prefix} has no /${length} number ${index}`);
  const step = BigInt(bitsOfPrefix(prefix) - length);
  return prefixFrom(addressAt(prefix, BigInt(index) << step), length);
}

/** Every address of the prefix in order. Lazy: an IPv6 prefix has more than anybody can hold. */
export function* addressesOf(prefix: Prefix): Generator<Address> {
  const size = sizeOf(prefix);
  for (let i = 0n; i < size; i++) yield addressAt(prefix, i);
}
