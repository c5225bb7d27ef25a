// From the cluster's resources to the table of one node. Pure.
import { type Address, type Prefix, readAddress } from '#ip';
import { addressesOf, speakingNodes } from '../desired/speaking-node.ts';
import type { ClusterView } from '../desired/view.ts';
import type { Problem } from '../store/port.ts';
import type { NatSettings, TableWish } from './compile.ts';

export interface NftBasis {
  readonly view: ClusterView;
  /** What FelixConfiguration `default` says; its fields are read as Calico's Felix reads them. */
  readonly felix: FelixNat;
  /** What this node announces for Services. */
  readonly services: readonly Prefix[];
  /** Who translates packets to Services: kube-proxy in a cluster, nobody that we know of elsewhere. */
  readonly translated: boolean;
}

export interface FelixNat {
  readonly natOutgoingAddress?: string;
  readonly natOutgoingExclusions?: string;
  readonly natPortRange?: number | string;
  readonly serviceLoopPrevention?: string;
}

export function tableWish({ view, felix, services, translated }: NftBasis): TableWish {
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

function natSettings({ natOutgoingAddress, natPortRange }: FelixNat): NatSettings {
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
