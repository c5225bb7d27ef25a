// The links of this host as discovery needs them: what is up, with its number and addresses.
import { networkInterfaces } from 'node:os';
import { type Address, readAddress } from '#ip';
import { isLinkLocal } from './table.ts';

export interface Link {
  /** Its number in the kernel. */
  readonly index: number;
  /** Its link-local addresses; none where IPv6 is off. */
  readonly addresses: readonly Address[];
  /** "02:00:5e:10:00:01" */
  readonly linkLayer: string;
}

/** Links that are up, with carrier and an IPv6 address, by name. No child process: getifaddrs(3). */
export function readLinks(): ReadonlyMap<string, Link> {
  const links = new Map<string, Link>();
  for (const [name, all = []] of Object.entries(networkInterfaces())) {
    const six = all
      .filter((one) => one.family === 'IPv6')
      .map((one) => ({ ...one, address: readAddress(one.address) }));
    // Only a link-local address comes with the number of its link.
    const local = six.filter(({ address }) => address !== undefined && isLinkLocal(address));
    const [first] = local;
    if (first === undefined) continue;
    const addresses = local.flatMap(({ address }) => address ?? []);
    links.set(name, { index: first.scopeid ?? 0, addresses, linkLayer: first.mac });
  }
  return links;
}
