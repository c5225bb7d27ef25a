// What an address is good for, by the IANA registries of special-purpose addresses (as the package ip-address has them).
import { Address4, Address6 } from 'ip-address';
import { type Address, type Prefix, familyOf, familyOfPrefix, parsePrefix, prefixesOverlap } from '#ip';

export type AddressClass = 'unspecified' | 'loopback' | 'link-local' | 'multicast' | 'broadcast' | 'unicast';

export function classOf(address: Address): AddressClass {
  const known = familyOf(address) === 4 ? new Address4(address) : new Address6(address);
  if (known.isUnspecified()) return 'unspecified';
  if (known.isLoopback()) return 'loopback';
  if (known.isLinkLocal()) return 'link-local';
  if (known.isMulticast()) return 'multicast';
  if (known instanceof Address4 && known.isBroadcast()) return 'broadcast';
  return 'unicast';
}

/** No pod can have an address of these. */
export const unroutable = {
  loopback: ['127.0.0.0/8', '::1/128'],
  'link-local': ['169.254.0.0/16', 'fe80::/10'],
  multicast: ['224.0.0.0/4', 'ff00::/8'],
} as const;

/** The range of addresses for no host that the prefix reaches into: "link-local (169.254.0.0/16)". */
export function unroutablePart(prefix: Prefix): string | undefined {
  for (const [name, ranges] of Object.entries(unroutable)) {
    const range = parsePrefix(ranges[familyOfPrefix(prefix) === 4 ? 0 : 1]);
    if (prefixesOverlap(range, prefix)) return `${name} (${range})`;
  }
  return undefined;
}
