// Questions that decision and import ask of an AS_PATH (RFC 4271 §5.1.2, RFC 5065).
import type { AsPath } from '../message.ts';

/**
 * The AS that the route was learned from, which MED is compared within (RFC 4271 §9.1.2.2 c): the first of the path,
 * confederation segments apart. 0 when the path begins in our own AS or with a set.
 */
export function neighbourAs(path: AsPath): number {
  for (const { type, asns } of path) {
    if (type === 'sequence') return asns[0] ?? 0;
    if (type === 'set') return 0;
  }
  return 0;
}

/** How often the AS stands in the path, in whatever kind of segment (RFC 4271 §9.1.2, RFC 5065 §4). */
export function occurrences(path: AsPath, asn: number): number {
  let count = 0;
  for (const { asns } of path) for (const each of asns) if (each === asn) count++;
  return count;
}
