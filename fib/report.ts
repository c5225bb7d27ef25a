// The table in the words of an operator: counts, troubles, and the state of every route. Also the log's lines.
import type { Prefix } from '#ip';
import type { KernelRoute, Note } from './port.ts';
import type { FibStatus, Route, RouteTrouble } from './route.ts';
import { type Entry, isRight } from './table.ts';

export interface RouteState {
  /** As wished; a stale one as it is. */
  readonly route: Route;
  /** outdated: ours is in, but not as wished. stale: ours from before our start, not wished, kept until release(). */
  readonly state: 'installed' | 'missing' | 'outdated' | 'stale';
  readonly trouble?: RouteTrouble;
}

/** The part of a status that the table knows. */
export function countEntries(
  entries: Iterable<Entry>,
): Pick<FibStatus, 'desired' | 'installed' | 'missing' | 'stale' | 'troubles'> {
  const counts = { desired: 0, installed: 0, missing: 0, stale: 0 };
  const troubles: RouteTrouble[] = [];
  for (const entry of entries) {
    if (entry.wish) counts.desired++;
    const state = stateOf(entry);
    if (state === 'outdated') counts.missing++;
    else if (state) counts[state]++;
    if (entry.trouble) troubles.push(entry.trouble);
  }
  return { ...counts, troubles };
}

export function routeStates(entries: Iterable<Entry>): readonly RouteState[] {
  const states: RouteState[] = [];
  for (const entry of entries) {
    const state = stateOf(entry);
    const route = entry.wish ?? (entry.own && toRoute(entry.own));
    if (state && route) states.push({ route, state, ...(entry.trouble && { trouble: entry.trouble }) });
  }
  return states;
}

function stateOf(entry: Entry): RouteState['state'] | undefined {
  if (!entry.wish) return entry.own ? 'stale' : undefined;
  if (!entry.own) return 'missing';
  return isRight(entry) ? 'installed' : 'outdated';
}

function toRoute({ prefix, kind, metric, nextHops }: KernelRoute): Route {
  return { prefix, metric, kind: kind === 'blackhole' ? kind : 'unicast', nextHops };
}

/** Gathers what happened to many routes in one look or write into one line of the log, with the first as an example. */
export class Remarks {
  private readonly remarks = new Map<string, { count: number; prefix: Prefix; reason?: string }>();

  add(message: string, prefix: Prefix, reason?: string): void {
    const known = this.remarks.get(message) ?? { count: 0, prefix, ...(reason !== undefined && { reason }) };
    this.remarks.set(message, { ...known, count: known.count + 1 });
  }

  tell(note: ((note: Note) => void) | undefined): void {
    for (const [message, { count, ...first }] of this.remarks) note?.({ message, count, ...first });
    this.remarks.clear();
  }
}
