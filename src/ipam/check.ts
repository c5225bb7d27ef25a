// What is wrong in the data of IPAM: the findings of `ipam check`. Pure, and only about what the store alone can tell.
import { type Address, type Prefix, addressAt, containsPrefix } from '#ip';
import type { BlockAffinity, IPAMBlock, IPAMBlockSpec, IPAMHandle } from '../resources/types.ts';
import { allocated, hostOf } from './block.ts';
import { KEEPING_HANDLE } from './kept.ts';
import { handleName } from '../resources/names.ts';
import type { Settings } from './settings.ts';

/**
 * invalid block: its fields contradict one another. leaked: an address of a node that no longer exists. orphan handle:
 * a handle that holds nothing. missing handle: an address that a release by handle would not find. affinity: block and
 * BlockAffinity disagree. lost block: its node no longer exists. outside pools: a block in no pool.
 */
export type FindingKind =
  | 'invalid block'
  | 'leaked'
  | 'orphan handle'
  | 'missing handle'
  | 'affinity'
  | 'lost block'
  | 'outside pools';

export interface Finding {
  readonly kind: FindingKind;
  /** One sentence that stands alone. */
  readonly message: string;
  readonly block?: Prefix;
  readonly address?: Address;
  readonly handle?: string;
  readonly node?: string;
}

export interface IpamData {
  readonly settings: Settings;
  readonly blocks: readonly IPAMBlock[];
  readonly affinities: readonly BlockAffinity[];
  readonly handles: readonly IPAMHandle[];
}

export function check(data: IpamData): Finding[] {
  return [
    ...data.blocks.flatMap(({ spec }) => checkBlock(spec)),
    ...checkPlaces(data),
    ...checkAffinities(data),
    ...checkHandles(data),
    ...checkOwners(data),
  ];
}

/** Contradictions inside one block. */
export function checkBlock(block: IPAMBlockSpec): Finding[] {
  const finding = (message: string): Finding => ({
    kind: 'invalid block',
    block: block.cidr,
    message: `block ${block.cidr}: ${message}`,
  });
  const findings: Finding[] = [];
  const used = new Set(block.allocations);
  for (const [ordinal, index] of block.allocations.entries()) {
    const isQueued = block.unallocated.includes(ordinal);
    if (index !== null && block.attributes[index] === undefined) {
      findings.push(finding(`${addressAt(block.cidr, ordinal)} points to attribute ${index}, which does not exist`));
    }
    if (index !== null && isQueued)
      findings.push(finding(`${addressAt(block.cidr, ordinal)} is both given out and free`));
    if (index === null && !isQueued)
      findings.push(finding(`${addressAt(block.cidr, ordinal)} is neither given out nor free`));
  }
  for (const index of block.attributes.keys()) {
    if (!used.has(index)) findings.push(finding(`attribute ${index} belongs to no address`));
  }
  if (new Set(block.unallocated).size !== block.unallocated.length) findings.push(finding('an address is free twice'));
  return findings;
}

function checkPlaces({ settings, blocks }: IpamData): Finding[] {
  return blocks
    .filter(({ spec }) => !settings.pools.some((pool) => containsPrefix(pool.spec.cidr, spec.cidr)))
    .map(({ spec }) => ({
      kind: 'outside pools',
      block: spec.cidr,
      message: `block ${spec.cidr} is in no pool: nothing new is given out of it`,
    }));
}

function checkAffinities({ settings, blocks, affinities }: IpamData): Finding[] {
  const byCidr = new Map(blocks.map((block) => [block.spec.cidr, block]));
  const claimed = new Set(affinities.map(({ spec }) => `${spec.node} ${spec.cidr}`));
  const stray = affinities.flatMap(({ spec: { cidr, node, state } }): Finding[] => {
    const block = byCidr.get(cidr);
    const owned = block !== undefined && hostOf(block.spec) === node;
    if (owned && state === 'confirmed') return [];
    const message = owned
      ? `the affinity of ${node} to ${cidr} is ${state}: the block is not announced until ${node} confirms it`
      : `${node} has an affinity to ${cidr} but not the block; ${node} removes it when it claims its next block`;
    return [{ kind: 'affinity', block: cidr, node, message }];
  });
  const bare = blocks.flatMap(({ spec }): Finding[] => {
    const node = hostOf(spec);
    if (node === undefined || claimed.has(`${node} ${spec.cidr}`)) return [];
    return [{ kind: 'affinity', block: spec.cidr, node, message: `block ${spec.cidr} of ${node} has no affinity` }];
  });
  const lost = blocks.flatMap(({ spec }): Finding[] => {
    const node = hostOf(spec);
    if (node === undefined || settings.nodes.has(node)) return [];
    const message = `block ${spec.cidr} belongs to ${node}, which no longer exists`;
    return [{ kind: 'lost block', block: spec.cidr, node, message }];
  });
  return [...stray, ...bare, ...lost];
}

function checkHandles({ blocks, handles }: IpamData): Finding[] {
  const held = new Map<string, Map<Prefix, number>>();
  for (const { handle, block } of owners(blocks)) {
    const counts = held.get(handleName(handle)) ?? new Map<Prefix, number>();
    held.set(handleName(handle), counts.set(block, (counts.get(block) ?? 0) + 1));
  }
  const known = new Map(handles.map((handle) => [handle.metadata.name, handle]));
  const orphans = handles.flatMap(({ metadata, spec }): Finding[] => {
    if (held.has(metadata.name)) return [];
    return [{ kind: 'orphan handle', handle: spec.handleID, message: `handle ${spec.handleID} holds no address` }];
  });
  const missing = owners(blocks).flatMap(({ handle, address, block }): Finding[] => {
    if (known.get(handleName(handle))?.spec.block[block] !== undefined) return [];
    const message = `${address} is held under ${handle}, but that handle does not name block ${block}`;
    return [{ kind: 'missing handle', handle, address, block, message }];
  });
  return [...orphans, ...missing];
}

function checkOwners({ settings, blocks }: IpamData): Finding[] {
  return owners(blocks).flatMap(({ handle, address, block, node }): Finding[] => {
    if (node === undefined || settings.nodes.has(node)) return [];
    const message = `${address} is held for ${node}, which no longer exists (handle ${handle})`;
    return [{ kind: 'leaked', handle, address, block, node, message }];
  });
}

function owners(
  blocks: readonly IPAMBlock[],
): { handle: string; address: Address; block: Prefix; node: string | undefined }[] {
  return blocks.flatMap(({ spec }) =>
    [...allocated(spec)].flatMap(({ ordinal, attribute }) => {
      if (attribute?.handle_id === undefined || attribute.releasedAt !== undefined) return [];
      // Addresses set aside, by a Windows host or by us, have no handle of their own; as in Calico's check.
      if (attribute.handle_id === KEEPING_HANDLE) return [];
      const address = addressAt(spec.cidr, ordinal);
      return [{ handle: attribute.handle_id, address, block: spec.cidr, node: attribute.secondary?.['node'] }];
    }),
  );
}
