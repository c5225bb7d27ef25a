// Well-known communities and what they ask of us.
import type { PathAttributes } from '../message.ts';

/** RFC 1997, 8326, 9494. */
export const wellKnown = {
  gracefulShutdown: 0xffff0000,
  longLivedStale: 0xffff0006,
  noLongLived: 0xffff0007,
  noExport: 0xffffff01,
  noAdvertise: 0xffffff02,
  noExportSubconfed: 0xffffff03,
} as const;

export function hasCommunity({ communities }: PathAttributes, community: number): boolean {
  return communities !== undefined && communities.includes(community);
}
