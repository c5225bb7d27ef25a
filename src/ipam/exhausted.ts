// The sentence that says why no address is left. It reaches a human through the events of a pod, so it stands alone.
import { containsPrefix, sizeOf } from '#ip';
import type { IPAMBlock, IPPool } from '../resources/types.ts';
import { freeOrdinals, hostOf } from './block.ts';
import { reservedBy } from './choose.ts';
import { IpamError } from './error.ts';
import type { Settings } from './settings.ts';

/** @param blocks every block there is */
export function exhausted(pools: readonly IPPool[], blocks: readonly IPAMBlock[], settings: Settings): IpamError {
  const counts = pools.map((pool) => describePool(pool, blocks, settings)).join(', ');
  const hints = [forbidden(settings), lostBlocks(pools, blocks, settings)].filter((hint) => hint !== '');
  return new IpamError('exhausted', [`no free address: ${counts}`, ...hints].join('; '));
}

function describePool(pool: IPPool, blocks: readonly IPAMBlock[], settings: Settings): string {
  const inPool = blocks.filter(({ spec }) => containsPrefix(pool.spec.cidr, spec.cidr));
  const reserved = reservedBy(settings.reserved);
  const total = sizeOf(pool.spec.cidr);
  const outside = total - inPool.reduce((sum, { spec }) => sum + sizeOf(spec.cidr), 0n);
  const inside = inPool.reduce((sum, { spec }) => sum + [...freeOrdinals(spec, reserved)].length, 0);
  // Room outside the blocks that could not be claimed is reserved as a whole, or claiming is off.
  const left = BigInt(inside) + (settings.config.autoAllocateBlocks ? 0n : outside);
  return `pool ${pool.metadata.name} (${pool.spec.cidr}) has ${left} of ${total} left`;
}

function forbidden({ config }: Settings): string {
  if (!config.autoAllocateBlocks) return 'autoAllocateBlocks is off, so no block may be claimed';
  return config.strictAffinity ? 'strictAffinity forbids borrowing from blocks of other nodes' : '';
}

function lostBlocks(pools: readonly IPPool[], blocks: readonly IPAMBlock[], settings: Settings): string {
  const lost = blocks.filter(({ spec }) => {
    const host = hostOf(spec);
    const inPool = pools.some((pool) => containsPrefix(pool.spec.cidr, spec.cidr));
    return inPool && host !== undefined && !settings.nodes.has(host);
  });
  if (lost.length === 0) return '';
  const subject = lost.length === 1 ? '1 block belongs' : `${lost.length} blocks belong`;
  return `${subject} to nodes that no longer exist (manxctl ipam check)`;
}
