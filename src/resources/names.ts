// What IPAM's objects are called, exactly as Calico calls them: other programs look them up by these names and labels.
import { createHash } from 'node:crypto';
import { type Prefix, familyOfPrefix, readPrefix } from '#ip';

/** The longest name that Kubernetes takes is 253 bytes; Calico keeps affinities below it. */
const AFFINITY_NAME_LIMIT = 253;
const HASH_DIGITS = 11;

/** "10-82-0-72-29", "fd82--40-122": the name of the IPAMBlock of a prefix. */
export function blockName(cidr: Prefix): string {
  return cidr.replaceAll(/[.:/]/g, '-');
}

/** The prefix of a block by its name; undefined when no block is called so. */
export function prefixOfBlock(name: string): Prefix | undefined {
  const [, address, length] = /^(.+)-(\d+)$/.exec(name) ?? [];
  if (address === undefined || length === undefined) return undefined;
  const mark = /^\d+(-\d+){3}$/.test(address) ? '.' : ':';
  const prefix = readPrefix(`${address.replaceAll('-', mark)}/${length}`);
  return prefix !== undefined && blockName(prefix) === name ? prefix : undefined;
}

/**
 * "worker-1-10-82-0-72-29": the name of a node's BlockAffinity. A name of 253 bytes or more is cut in the node's part
 * and ends in 11 digits of a SHA-256, so that two long node names with one beginning stay apart.
 */
export function affinityName(node: string, cidr: Prefix): string {
  const block = blockName(cidr);
  const name = `${node}-${block}`;
  if (Buffer.byteLength(name) < AFFINITY_NAME_LIMIT) return name;
  const digits = createHash('sha256').update(`${node}+${block}`).digest('hex').slice(0, HASH_DIGITS);
  // One byte below the limit, less the block, the digits and the two dashes between the three parts.
  const room = AFFINITY_NAME_LIMIT - 1 - block.length - HASH_DIGITS - 2;
  return `${Buffer.from(node).subarray(0, room).toString()}-${block}-${digits}`;
}

/** The labels without which Calico's look-ups by host do not find a BlockAffinity. */
export function affinityLabels(node: string, cidr: Prefix, type: 'host' | 'virtual' = 'host'): Record<string, string> {
  return {
    'projectcalico.org/affinity-type': type,
    'projectcalico.org/hostname-hash': base32(createHash('sha3-256').update(node).digest()),
    'projectcalico.org/ip-version': String(familyOfPrefix(cidr)),
  };
}

/** The name of the IPAMHandle of a handle ID. */
export function handleName(handleID: string): string {
  return handleID.toLowerCase();
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648 §6, without padding. */
function base32(bytes: Uint8Array): string {
  let text = '';
  let value = 0;
  let bits = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(value >> (bits - 5)) & 31];
  }
  return bits === 0 ? text : text + alphabet[(value << (5 - bits)) & 31];
}
