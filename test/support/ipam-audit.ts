// What must be true of IPAM's data whatever has happened, asked of the objects themselves.
import { type Address, prefixesOverlap } from '#ip';
import { KEEPING_HANDLE } from '../../src/ipam/kept.ts';
import { attributesByAddress } from '../../src/ipam/usage.ts';
import type { Store } from '../../src/store/port.ts';

/** Addresses, blocks and affinities that stand where only one of them may. */
export async function duplicates(store: Store): Promise<string[]> {
  const blocks = await store.list('IPAMBlock');
  const affinities = await store.list('BlockAffinity');
  const found: string[] = [];
  for (const [i, a] of blocks.entries()) {
    for (const b of blocks.slice(i + 1)) {
      if (prefixesOverlap(a.spec.cidr, b.spec.cidr)) found.push(`blocks ${a.spec.cidr} and ${b.spec.cidr} overlap`);
    }
  }
  const confirmed = affinities.filter(({ spec }) => spec.state === 'confirmed');
  for (const [cidr, owners] of Map.groupBy(confirmed, ({ spec }) => spec.cidr)) {
    const names = owners.map(({ spec }) => spec.node);
    const truth = blocks.find(({ spec }) => spec.cidr === cidr)?.spec.affinity;
    if (names.length > 1) found.push(`${cidr} is confirmed for ${names.join(' and ')}`);
    for (const name of names)
      if (truth !== `host:${name}`) found.push(`${cidr} is confirmed for ${name}, but ${truth}'s`);
  }
  return found;
}

/** Who holds which address, by the blocks. */
export async function holders(store: Store): Promise<Map<Address, string>> {
  const blocks = await store.list('IPAMBlock');
  return new Map(
    blocks.flatMap((block) =>
      [...attributesByAddress(block)].map(([address, { handle_id }]) => [address, handle_id ?? '?'] as const),
    ),
  );
}

/** Which pod has which address: what is kept for times without a store is no pod's. */
export async function podsOf(store: Store): Promise<Map<string, string>> {
  return new Map([...(await holders(store))].filter(([, handle]) => handle !== KEEPING_HANDLE));
}
