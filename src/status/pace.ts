// When what a node has to tell is written. A thousand nodes share one API server, so: news at once, a few times; numbers
// once a minute; and every five minutes in any case, so that whoever reads knows that the agent is there. Pure.
import type { Bucket, BucketSize } from './bucket.ts';
import type { NodeRouting, NodeSession } from './model.ts';

/** From one write to the next, whatever happens: what happens within it is told at once. */
export const SPACING_MS = 1_000;
/** News that never ends (a session that goes up and down) is told so often. */
export const NEWS: BucketSize = { burst: 5, refillMs: 30_000 };
export const COUNTERS_MS = 60_000;
export const HEARTBEAT_MS = 300_000;
/** Whoever has not written for so long is away: two heartbeats, and some. */
export const SILENCE_MS = 660_000;

export interface Told {
  readonly status: NodeRouting;
  /** ms since the epoch. */
  readonly at: number;
}

/**
 * How long `next` may wait before it is written; 0: it is written now.
 * @param news tells how much news may still be told; nothing is taken from it
 * @param spread from 0 to 1, a number of this agent's own: a thousand that start together do not write together
 */
export function waitMs(
  last: Told | undefined,
  next: NodeRouting,
  now: number,
  { news, spread }: { readonly news: Pick<Bucket, 'waitMs'>; readonly spread: number },
): number {
  if (last === undefined) return 0;
  // A clock that was set back makes no pause of hours.
  const since = now >= last.at ? now - last.at : HEARTBEAT_MS;
  if (isNews(last.status, next)) return Math.max(0, SPACING_MS - since, news.waitMs(now));
  const period = hasChanged(last.status, next) ? COUNTERS_MS : HEARTBEAT_MS;
  return Math.max(0, period * (1 - 0.2 * spread) - since);
}

/** Something that an operator would want to know at once. */
export function isNews(last: NodeRouting, next: NodeRouting): boolean {
  return JSON.stringify(newsOf(last)) !== JSON.stringify(newsOf(next));
}

/** Numbers: they can wait. */
function hasChanged(last: NodeRouting, next: NodeRouting): boolean {
  return JSON.stringify(numbersOf(last)) !== JSON.stringify(numbersOf(next));
}

function newsOf({
  version,
  startedAt,
  health,
  bgp,
  addresses,
  sessions,
  routes,
  pods,
  troubles,
}: NodeRouting): unknown {
  return {
    ...{ version, startedAt, bgp, addresses, troubles },
    // "3 routes refused": that there are some is news, how many is a number.
    health: health.reasons.map((reason) => reason.replaceAll(/\d+/g, '#')),
    sessions: sessions.map(sessionNews),
    routes: routes && { troubles: routes.troubles, error: routes.error },
    blocks: pods?.blocks.map(({ cidr }) => cidr),
  };
}

/** Down is down, in Idle, Connect and Active; and a cause that comes again is no news. */
function sessionNews({ name, peer, type, asn, state, since, cause, shutDown, flaps }: NodeSession): unknown {
  return { name, peer, type, asn, isUp: state === 'Established', since, cause, shutDown, flaps };
}

/** What of the rest is worth a write: not where a session is between two tries, and not the state of the store. */
function numbersOf({ sessions, routes, pods }: NodeRouting): unknown {
  return { families: sessions.map(({ families }) => families), routes, pods };
}
