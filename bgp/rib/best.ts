// Best paths as plain values, for whoever forwards by them.
import type { Address, Prefix } from '#ip';
import type { PathAttributes } from '../message.ts';
import { attributeField } from './attribute-table.ts';
import type { FamilyTable } from './family-table.ts';
import { isLinkLocal } from './import.ts';
import { ownPeer, pathField } from './path-table.ts';

/** What to forward by: no paths means that the prefix has none any more, several that all are used at once. */
export interface BestRoute {
  readonly prefix: Prefix;
  readonly paths: readonly BestPath[];
}

export interface BestPath {
  readonly nextHop: Address;
  /** Where the next hop is, if that is known; always there for a link-local one. */
  readonly interface?: string;
  /** The name of the peer. */
  readonly peer: string;
  readonly attributes: PathAttributes;
}

/** The chosen paths of peers for a prefix; two over one next hop count once. */
export function bestRoute(table: FamilyTable, prefix: number): BestRoute {
  const paths = new Map<string, BestPath>();
  for (const path of table.locRib.selected(prefix)) {
    if (table.paths.get(path, pathField.peer) === ownPeer) break;
    const best = bestPath(table, path);
    const key = `${best.nextHop} ${best.interface}`;
    if (!paths.has(key)) paths.set(key, best);
  }
  return { prefix: table.prefixes.prefixOf(prefix), paths: [...paths.values()] };
}

function bestPath({ view, paths }: FamilyTable, path: number): BestPath {
  const set = paths.get(path, pathField.imported);
  const attributes = view.attributes.get(set);
  const peer = view.peers[paths.get(path, pathField.peer)]!;
  const linkLocal = linkLocalHop(attributes);
  if (linkLocal !== undefined && peer.interface !== undefined) {
    return { nextHop: linkLocal, interface: peer.interface, peer: peer.name, attributes };
  }
  const via = view.nextHops.resolution(view.attributes.field(set, attributeField.nextHop)).interface;
  return { nextHop: attributes.nextHop, ...(via !== undefined && { interface: via }), peer: peer.name, attributes };
}

/** RFC 2545 §3: on the link that we share with the peer its link-local address is the nearer one. */
function linkLocalHop({ nextHop, linkLocalNextHop }: PathAttributes): Address | undefined {
  return linkLocalNextHop ?? (isLinkLocal(nextHop) ? nextHop : undefined);
}
