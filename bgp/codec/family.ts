// AFI and SAFI numbers of the families that this speaker routes (RFC 4760 §3).
import type { AddressFamily } from '../message.ts';

const families: Readonly<Record<AddressFamily, { readonly afi: number; readonly safi: number }>> = {
  'ipv4-unicast': { afi: 1, safi: 1 },
  'ipv6-unicast': { afi: 2, safi: 1 },
};

export function afiSafi(family: AddressFamily): { readonly afi: number; readonly safi: number } {
  return families[family];
}

/** The family of an AFI and SAFI, or undefined when this speaker does not route it. */
export function familyOfAfi(afi: number, safi: number): AddressFamily | undefined {
  if (safi !== 1) return undefined;
  if (afi === 1) return 'ipv4-unicast';
  return afi === 2 ? 'ipv6-unicast' : undefined;
}

/** 32 or 128: the longest prefix of the family. */
export function bitsOfFamily(family: AddressFamily): 32 | 128 {
  return family === 'ipv4-unicast' ? 32 : 128;
}
