// What the node's table should be: whose packets leave under the node's address, and what is thrown away so that it
// does not go in circles. Pure.
import {
  type Address,
  type Family,
  type Prefix,
  comparePrefixes,
  containsPrefix,
  familyOf,
  familyOfPrefix,
  hostPrefix,
  prefixesOverlap,
} from '#ip';
import type { IPPoolSpec } from '../resources/types.ts';
import { type Table, intervalSet } from './table.ts';

export interface TableWish {
  readonly pools: readonly Pick<IPPoolSpec, 'cidr' | 'natOutgoing' | 'allowedUses'>[];
  /** Addresses that pods are to reach under their own address although they are in no pool. */
  readonly hosts: readonly Address[];
  readonly nat: NatSettings;
  /** What this node announces for Services. */
  readonly services: readonly Prefix[];
  /** What becomes of a packet to one of them that nobody has translated; absent: it is forwarded like any other. */
  readonly loops?: 'drop' | 'reject';
}

/** FelixConfiguration, as far as natOutgoing goes. */
export interface NatSettings {
  /** Under this address instead of that of the interface which they leave by. */
  readonly address?: Address;
  /** TCP and UDP get source ports out of these. */
  readonly ports?: { readonly min: number; readonly max: number };
}

const families = [4, 6] as const;
const words = { 4: 'ip', 6: 'ip6' } as const satisfies Record<Family, string>;
const rejections = { 4: 'icmp host-unreachable', 6: 'icmpv6 addr-unreachable' } as const satisfies Record<
  Family,
  string
>;

/** Undefined where there is nothing to do: then there is to be no table. */
export function compile(wish: TableWish): Table | undefined {
  const nat = merged(wish.pools.filter(({ natOutgoing }) => natOutgoing).map(({ cidr }) => cidr));
  const services = wish.loops === undefined ? [] : merged(wish.services);
  const table = new Map<string, readonly string[]>([
    ...natOutgoing(wish, nat),
    ...serviceLoops(services, podsWithin(wish, services), wish.loops ?? 'drop'),
  ]);
  return table.size === 0 ? undefined : table;
}

type Blocks = [string, readonly string[]][];

/** From a pool with natOutgoing to what is in no pool at all, disabled ones included: their pods are still there. */
function natOutgoing(wish: TableWish, nat: readonly Prefix[]): Blocks {
  const inside = merged([...wish.pools.map(({ cidr }) => cidr), ...wish.hosts.map(hostPrefix)]);
  const active = families.filter((family) => has(nat, family));
  const rules = active.flatMap((family) => natRules(family, wish.nat));
  return [
    ...active.flatMap((family) => [...setOf('nat', nat, family), ...setOf('inside', inside, family)]),
    ...chain('nat-outgoing', 'type nat hook postrouting priority srcnat; policy accept;', rules),
  ];
}

/**
 * Whoever is told of a Service's address sends us its packets. Where kube-proxy translates it, the destination has
 * changed before this chain sees it; where not, the packet would leave by the default route and come back. What pods
 * and the node itself send has not come from outside, and may find another way.
 */
function serviceLoops(services: readonly Prefix[], pods: readonly Prefix[], loops: 'drop' | 'reject'): Blocks {
  const active = families.filter((family) => has(services, family));
  const rules = active.map((family) => {
    const ip = words[family];
    const verdict = loops === 'drop' ? 'drop' : `reject with ${rejections[family]}`;
    const except = has(pods, family) ? `${ip} daddr != @pods-v${family} ` : '';
    return `iifname != "cali*" ${ip} daddr @services-v${family} ${except}${verdict}`;
  });
  return [
    ...active.flatMap((family) => [...setOf('services', services, family), ...setOf('pods', pods, family)]),
    ...chain('service-loops', 'type filter hook forward priority filter; policy accept;', rules),
  ];
}

/** A range of Services as wide as the pods' own must not keep anybody from them. */
function podsWithin({ pools }: TableWish, services: readonly Prefix[]): Prefix[] {
  const pods = pools.filter(({ allowedUses }) => allowedUses.some((use) => use !== 'LoadBalancer'));
  const cidrs = pods.map(({ cidr }) => cidr);
  return merged(cidrs.filter((cidr) => services.some((range) => prefixesOverlap(range, cidr))));
}

function setOf(name: string, prefixes: readonly Prefix[], family: Family): Blocks {
  const own = prefixes.filter((prefix) => familyOfPrefix(prefix) === family);
  return own.length === 0 ? [] : [[`set ${name}-v${family}`, intervalSet(family, own)]];
}

function chain(name: string, hook: string, rules: readonly string[]): Blocks {
  return rules.length === 0 ? [] : [[`chain ${name}`, [hook, ...rules]]];
}

/** fully-random: two flows that get their source port at the same instant must not get the same one. */
function natRules(family: Family, { address, ports }: NatSettings): string[] {
  const ip = words[family];
  const flow = `${ip} saddr @nat-v${family} ${ip} daddr != @inside-v${family}`;
  const own = address !== undefined && familyOf(address) === family ? address : undefined;
  const all = own === undefined ? 'masquerade' : `snat ${ip} to ${own}`;
  const ranged =
    ports && (own === undefined ? `masquerade to :${portsText(ports)}` : `snat ${ip} to ${endpoint(own, ports)}`);
  return [
    ...(ranged === undefined ? [] : [`${flow} meta l4proto { tcp, udp } ${ranged} fully-random`]),
    `${flow} ${all} fully-random`,
  ];
}

function portsText({ min, max }: { readonly min: number; readonly max: number }): string {
  return min === max ? `${min}` : `${min}-${max}`;
}

function endpoint(address: Address, ports: NonNullable<NatSettings['ports']>): string {
  return `${familyOf(address) === 6 ? `[${address}]` : address}:${portsText(ports)}`;
}

function has(prefixes: readonly Prefix[], family: Family): boolean {
  return prefixes.some((prefix) => familyOfPrefix(prefix) === family);
}

/** Without what is contained in another one: two that overlap make nft refuse the whole transaction. */
function merged(prefixes: readonly Prefix[]): Prefix[] {
  const kept: Prefix[] = [];
  for (const prefix of [...prefixes].sort(comparePrefixes)) {
    const last = kept.at(-1);
    if (last === undefined || !containsPrefix(last, prefix)) kept.push(prefix);
  }
  return kept;
}
