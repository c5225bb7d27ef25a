// Addresses of pods as the kernel has them: host routes to interfaces named cali…, whoever wired them. A pod that
// Calico's plugin wired has no record of ours, and its address must not be given to another all the same.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Address, addressFromBytes } from '#ip';

/** What Calico and Manx call the host's end of a pod's cable. */
const POD_INTERFACE = /^cali/;

/** @throws when /proc cannot be read: then nobody knows who is alive. */
export async function wiredAddresses(proc = '/proc'): Promise<readonly Address[]> {
  const v4 = (await readFile(join(proc, 'net/route'), 'utf8')).split('\n').flatMap(readV4Route);
  const v6 = (await readFile(join(proc, 'net/ipv6_route'), 'utf8').catch(absent)).split('\n').flatMap(readV6Route);
  return [...v4, ...v6];
}

/** A kernel without IPv6 has no such file. */
function absent(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return '';
  throw error;
}

/** "cali0 0A00520A 00000000 0001 0 0 0 FFFFFFFF …": interface, destination and, eighth, mask, each u32 in host order. */
function readV4Route(line: string): Address[] {
  const words = line.trim().split(/\s+/);
  if (!POD_INTERFACE.test(words[0] ?? '') || words[7] !== 'FFFFFFFF') return [];
  return [addressFromBytes(Uint8Array.of(...Buffer.from(words[1]!, 'hex').reverse()))];
}

/** "fd82…(32 digits) 80 …(8 more) cali0": destination, its length in hex and, last, the interface. */
function readV6Route(line: string): Address[] {
  const words = line.trim().split(/\s+/);
  if (!POD_INTERFACE.test(words[9] ?? '') || words[1] !== '80') return [];
  return [addressFromBytes(Buffer.from(words[0]!, 'hex'))];
}
