// Where a neighbour is, as text: what Node connects to, and what an operator reads.
import type { Address } from '#ip';

/** "fe80::1%eth0" for a link-local address, which means nothing without its interface. */
export function scoped(address: Address, name: string | undefined): string {
  return name !== undefined && isLinkLocal(address) ? `${address}%${name}` : address;
}

/** fe80::/10. */
export function isLinkLocal(address: Address): boolean {
  return /^fe[89ab]/.test(address);
}

/** "10.0.0.1:179", "[fe80::1%eth0]:179". */
export function placeOf(address: Address, port: number, name?: string): string {
  const host = scoped(address, name);
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
