// From the cluster's resources to the table of one node. Pure.
import { type Address, type Prefix, readAddress } from '#ip';
import { addressesOf, speakingNodes } from '../desired/speaking-node.ts';
import { type ClusterView, felixConfiguration } from '../desired/view.ts';
import type { FelixConfigurationSpec } from '../resources/types.ts';
import type { Problem } from '../store/port.ts';
import type { NatSettings, TableWish } from './compile.ts';

export interface NftBasis {
  readonly view: ClusterView;
  /** The node that the table is of. */
  readonly node: string;
  /** What this node announces for Services. */
  readonly services: readonly Prefix[];
  /** Who translates packets to Services: kube-proxy in a cluster, nobody that we know of elsewhere. */
  readonly translated: boolean;
}

export function tableWish({ view, node, services, translated }: NftBasis): TableWish {
  const felix = felixConfiguration(view, node);
  const loops = loopsOf(felix.serviceLoopPrevention ?? (translated ? 'Drop' : 'Disabled'));
  return {
    pools: view.pools.map(({ spec }) => spec),
    hosts: felix.natOutgoingExclusions === 'IPPoolsAndHostIPs' ? hostsOf(view) : [],
    nat: natSettings(felix),
    services,
    ...(loops !== undefined && { loops }),
  };
}

/** Where nft is missing: whose wish that is, and who can do something about it. */
export function unmetWishes({ pools, services, loops }: TableWish, names: readonly string[]): Problem[] {
  const remedy = 'nft is not installed on this node: install nftables';
  const nat = pools.flatMap(({ natOutgoing }, i): Problem[] => {
    if (!natOutgoing) return [];
    const message = `pods leave with their own addresses, for ${remedy}`;
    return [{ kind: 'IPPool', name: names[i]!, path: 'spec.natOutgoing', message }];
  });
  const message = `packets to addresses that no Service has go back where they came from, for ${remedy}`;
  const circles = loops !== undefined && services.length > 0;
  return [...nat, ...(circles ? [{ kind: 'BGPConfiguration', name: 'default', message }] : [])];
}

function hostsOf(view: ClusterView): Address[] {
  return speakingNodes(view).flatMap(addressesOf);
}

function natSettings({ natOutgoingAddress, natPortRange }: FelixConfigurationSpec): NatSettings {
  const address = natOutgoingAddress === undefined ? undefined : readAddress(natOutgoingAddress);
  const [min, max = min] = String(natPortRange ?? '')
    .split(':')
    .map(Number);
  return {
    ...(address !== undefined && { address }),
    ...(natPortRange !== undefined && min! > 0 && { ports: { min: min!, max: max! } }),
  };
}

function loopsOf(prevention: string): TableWish['loops'] {
  if (prevention === 'Disabled') return undefined;
  return prevention === 'Reject' ? 'reject' : 'drop';
}
