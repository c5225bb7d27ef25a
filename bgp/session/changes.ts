// What a changed wish does to a running session: the table of a peer's fields.
//
// Only what the session itself rests on disturbs it; policies, limits and names apply while it runs.
import { isDeepStrictEqual } from 'node:util';
import type { PeerWish } from '../wish.ts';
import { localAsnOf } from './offer.ts';
import type { Speaker } from './port.ts';

/** From nothing to everything. */
export type Disturbance =
  /** Applies as it is, or at the next try. */
  | 'none'
  /** The connection stays, with other keys or hop limits (RFC 2385, 5082). */
  | 'guard'
  /** A session that is up stays; a try that is under way starts anew. */
  | 'attempt'
  /** Cease 6, and a new session with the same neighbour: what it may keep of us, it keeps. */
  | 'reset'
  /** As much, but it is another neighbour, or we are: nothing is to be kept (RFC 8538 hard reset). */
  | 'hardReset';

const order: readonly Disturbance[] = ['none', 'guard', 'attempt', 'reset', 'hardReset'];

type Rule<Value> = Disturbance | ((was: Value, now: Value) => Disturbance);

/** Every field of the wish has a row: a new one does not compile until somebody has decided. */
const table: { readonly [Field in keyof Required<PeerWish>]: Rule<PeerWish[Field]> } = {
  name: 'none',
  kind: 'none',
  // Looked at by Session.apply itself: they stop or start the session.
  shutdown: 'none',
  absent: 'none',

  address: 'hardReset',
  asn: 'hardReset',
  // By way of localAsnOf below, together with the speaker's own.
  localAsn: 'none',
  port: 'reset',
  interface: 'reset',
  localAddress: 'reset',
  password: 'guard',
  ttlSecurityHops: 'guard',
  passive: 'attempt',
  connectRetrySeconds: 'none',

  // What our OPEN says.
  families: (was, now) => (isDeepStrictEqual([...was].sort(), [...now].sort()) ? 'none' : 'reset'),
  holdSeconds: 'reset',
  keepaliveSeconds: 'reset',
  extendedNextHop: 'reset',
  role: 'reset',
  addPath: (was, now) => (was.receive === now.receive && was.send > 0 === now.send > 0 ? 'none' : 'reset'),
  gracefulRestart: (was, now) =>
    was.enabled === now.enabled &&
    was.restartSeconds === now.restartSeconds &&
    was.longLivedSeconds > 0 === now.longLivedSeconds > 0
      ? 'none'
      : 'reset',

  // What only the tables look at.
  nextHop: 'none',
  nextHopAddress: 'none',
  allowOwnAs: 'none',
  routeReflectorClient: 'none',
  prefixLimit: 'none',
  importPolicy: 'none',
  exportPolicy: 'none',
};

/** How far the change reaches. */
export function disturbance(
  was: { readonly wish: PeerWish; readonly speaker: Speaker },
  now: { readonly wish: PeerWish; readonly speaker: Speaker },
): Disturbance {
  const reaches = Object.keys(table).map((field) => reachOf(field as keyof PeerWish, was.wish, now.wish));
  if (localAsnOf(was.wish, was.speaker) !== localAsnOf(now.wish, now.speaker)) reaches.push('hardReset');
  if (was.speaker.routerId !== now.speaker.routerId) reaches.push('reset');
  return reaches.reduce((worst, each) => (order.indexOf(each) > order.indexOf(worst) ? each : worst), 'none');
}

function reachOf(field: keyof PeerWish, was: PeerWish, now: PeerWish): Disturbance {
  if (isDeepStrictEqual(was[field], now[field])) return 'none';
  const rule = table[field] as Rule<unknown>;
  return typeof rule === 'function' ? rule(was[field], now[field]) : rule;
}
