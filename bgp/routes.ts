// The tables as an operator asks for them: routes with every path and its reason, and what is forwarded by.
import { type Prefix, comparePrefixes } from '#ip';
import type { AddressFamily } from './message.ts';
import type { Neighbour } from './neighbour.ts';
import { type BestRoute, bestRoute } from './rib/best.ts';
import { explainPaths } from './rib/explain.ts';
import type { FamilyTable } from './rib/family-table.ts';
import type { LocalFacts } from './rib/import.ts';
import { pathField } from './rib/path-table.ts';
import { prefixField } from './rib/prefix-table.ts';
import { type Rib, families } from './rib/rib.ts';
import type { ExportStatus, RouteStatus } from './status.ts';

export interface RouteQuery {
  readonly prefix?: Prefix;
  readonly family?: AddressFamily;
  /** Only routes for which this peer has announced a path. */
  readonly peer?: string;
  readonly limit?: number;
}

/** Up to so many prefixes are listed in order; more come as they are stored. */
const sortedMax = 20_000;

/** The routes that a query asks for. Lazy: nothing is explained that is not taken. */
export function* routesOf(
  rib: Rib,
  neighbours: readonly Neighbour[],
  local: LocalFacts,
  { prefix, family, peer, limit = Infinity }: RouteQuery,
): Generator<RouteStatus> {
  const from = neighbours.find(({ wish }) => wish.name === peer)?.peer.index ?? -1;
  let left = limit;
  for (const each of family === undefined ? families : [family]) {
    const table = rib.tables[each];
    for (const id of prefix === undefined ? prefixesOf(table) : [table.prefixes.findPrefix(prefix)]) {
      if (left <= 0) return;
      if (id === 0 || !hasPath(table, id, peer === undefined ? undefined : from)) continue;
      left--;
      const route = describeRoute(table, id, neighbours, local);
      yield prefix === undefined ? route : { ...route, exports: exportsOf(table.family, id, neighbours) };
    }
  }
}

/** Every prefix that is forwarded by paths of peers. Lazy. */
export function* bestRoutes(rib: Rib): Generator<BestRoute> {
  for (const family of families) {
    const table = rib.tables[family];
    for (const id of prefixesOf(table)) {
      const route = bestRoute(table, id);
      if (route.paths.length > 0) yield route;
    }
  }
}

function describeRoute(
  table: FamilyTable,
  id: number,
  neighbours: readonly Neighbour[],
  local: LocalFacts,
): RouteStatus {
  return {
    prefix: table.prefixes.prefixOf(id),
    paths: explainPaths(table, id, local),
    announcedTo: neighbours.filter((each) => each.announces(table.family, id)).map(({ wish }) => wish.name),
  };
}

function exportsOf(family: AddressFamily, id: number, neighbours: readonly Neighbour[]): ExportStatus[] {
  return neighbours.flatMap((each) => each.explainExport(family, id) ?? []);
}

/** Prefixes with a path, in order unless there are very many. */
function prefixesOf({ prefixes }: FamilyTable): Iterable<number> {
  const all: number[] = [];
  for (let id = 1; id < prefixes.end; id++) if (prefixes.get(id, prefixField.firstPath) !== 0) all.push(id);
  if (all.length > sortedMax) return all;
  const keyed = all.map((id) => ({ id, prefix: prefixes.prefixOf(id) }));
  return keyed.sort((a, b) => comparePrefixes(a.prefix, b.prefix)).map(({ id }) => id);
}

function hasPath({ locRib, paths }: FamilyTable, prefix: number, peer: number | undefined): boolean {
  for (const path of locRib.pathsOf(prefix)) {
    if (peer === undefined || paths.get(path, pathField.peer) === peer) return true;
  }
  return false;
}
