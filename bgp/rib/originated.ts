// Routes of our own: the wished set against the one in the tables.
import { type Prefix, familyOfPrefix } from '#ip';
import type { AddressFamily, PathAttributes } from '../message.ts';
import type { OriginatedRoute } from '../wish.ts';
import type { AttributeTable } from './attribute-table.ts';
import { unspecified } from './export.ts';
import type { FamilyTable } from './family-table.ts';

export class Originated {
  private readonly tables: Readonly<Record<AddressFamily, FamilyTable>>;
  private readonly attributes: AttributeTable;
  /** The set of each prefix, held. */
  private readonly sets = new Map<Prefix, number>();

  constructor(tables: Readonly<Record<AddressFamily, FamilyTable>>, attributes: AttributeTable) {
    this.tables = tables;
    this.attributes = attributes;
  }

  /** Makes the routes those in the tables. Of two with one prefix the last one counts. */
  apply(routes: readonly OriginatedRoute[], now: number): void {
    const gone = new Set(this.sets.keys());
    for (const route of routes) {
      gone.delete(route.prefix);
      this.put(route, now);
    }
    for (const prefix of gone) this.remove(prefix);
  }

  private put(route: OriginatedRoute, now: number): void {
    const set = this.attributes.intern(attributesOf(route));
    const before = this.sets.get(route.prefix);
    if (before !== undefined) this.attributes.release(before);
    this.sets.set(route.prefix, set);
    if (before === set) return;
    const table = this.tables[familyOf(route.prefix)];
    table.originate(table.prefixes.claimPrefix(route.prefix), set, now);
  }

  private remove(prefix: Prefix): void {
    const table = this.tables[familyOf(prefix)];
    table.withdrawOwn(table.prefixes.findPrefix(prefix));
    this.attributes.release(this.sets.get(prefix)!);
    this.sets.delete(prefix);
  }
}

export function familyOf(prefix: Prefix): AddressFamily {
  return familyOfPrefix(prefix) === 4 ? 'ipv4-unicast' : 'ipv6-unicast';
}

function attributesOf(route: OriginatedRoute): PathAttributes {
  const { med, localPref, communities, largeCommunities } = route;
  return {
    origin: 0,
    asPath: [],
    nextHop: route.nextHop ?? unspecified[familyOf(route.prefix)],
    ...(med !== undefined && { med }),
    ...(localPref !== undefined && { localPref }),
    ...(communities?.length && { communities: [...new Set(communities)].sort((a, b) => a - b) }),
    ...(largeCommunities?.length && { largeCommunities }),
  };
}
