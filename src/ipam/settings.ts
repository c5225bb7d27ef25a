// What the configuration says about addresses, read anew for every batch.
import type { Prefix } from '#ip';
import type { IPAMConfigSpec, IPPool } from '../resources/types.ts';
import type { Store } from '../store/port.ts';

export interface Settings {
  readonly pools: readonly IPPool[];
  readonly reserved: readonly Prefix[];
  readonly config: IPAMConfigSpec;
  /** Labels of every node, by name. */
  readonly nodes: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/** Calico's limit for a node and family where the configuration sets none. */
const BLOCKS_PER_HOST = 20;

const defaultConfig: IPAMConfigSpec = { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0 };

/** @throws StoreError */
export async function readSettings(store: Store): Promise<Settings> {
  const [pools, reservations, config, nodes] = await Promise.all([
    store.list('IPPool'),
    store.list('IPReservation'),
    store.get('IPAMConfig', 'default'),
    store.list('Node'),
  ]);
  return {
    pools,
    reserved: reservations.flatMap(({ spec }) => spec.reservedCIDRs),
    config: config?.spec ?? defaultConfig,
    nodes: new Map(nodes.map(({ metadata }) => [metadata.name, metadata.labels ?? {}])),
  };
}

/** How many blocks of one family a node may have. The configuration can only lower Calico's limit. */
export function blockLimit(config: IPAMConfigSpec): number {
  return config.maxBlocksPerHost > 0 ? Math.min(config.maxBlocksPerHost, BLOCKS_PER_HOST) : BLOCKS_PER_HOST;
}

/**
 * The labels that every namespace carries, so that a pool's namespaceSelector can know it by name where nobody knows its
 * other labels: namespaces themselves are not in the store.
 */
export function namespaceLabels(namespace: string | undefined): Readonly<Record<string, string>> {
  return namespace === undefined
    ? {}
    : { 'kubernetes.io/metadata.name': namespace, 'projectcalico.org/name': namespace };
}
