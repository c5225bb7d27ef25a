// The addresses of this host, without a child process: getifaddrs(3) for those that are up, /proc/net for their order
// and for what IPv6 addresses are worth.
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { addressFromBytes, parseInterfaceAddress } from '#ip';
import type { HostAddress, HostInterface } from './choose.ts';

/** Interfaces that are up, in the kernel's order. */
export async function readInterfaces(proc = '/proc'): Promise<readonly HostInterface[]> {
  const order = await readLines(join(proc, 'net/dev'), (line) => /^\s*([^:\s]+):/.exec(line)?.[1]);
  const fleeting = new Set(await readLines(join(proc, 'net/if_inet6'), fleetingAddress));
  const interfaces = Object.entries(networkInterfaces()).map(([name, all = []]): HostInterface => {
    const addresses = all.flatMap(({ cidr }) => (cidr === null ? [] : [parseInterfaceAddress(cidr)]));
    return {
      name,
      addresses: addresses.map((one): HostAddress => (fleeting.has(one.address) ? { ...one, fleeting: true } : one)),
    };
  });
  return interfaces.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
}

// linux/if_addr.h: temporary, no duplicate address detection has passed yet, it failed, deprecated.
const FLEETING = 0x01 | 0x40 | 0x08 | 0x20;

/** "fd82…(32 digits) 02 40 00 80 eth0": address, number of the interface, length, scope, flags, name; all hex. */
function fleetingAddress(line: string): string | undefined {
  const [address = '', , , , flags = '0'] = line.trim().split(/\s+/);
  if (address.length !== 32 || (Number.parseInt(flags, 16) & FLEETING) === 0) return undefined;
  return addressFromBytes(Buffer.from(address, 'hex'));
}

/** A kernel without IPv6 has no if_inet6. */
async function readLines<T>(file: string, read: (line: string) => T | undefined): Promise<T[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').flatMap((line) => read(line) ?? []);
}
