// Two connections with one neighbour: which one stays (RFC 4271 §6.8, RFC 6286 §2.3, RFC 4724 §5). Pure.
import type { Terms } from '../message.ts';
import type { State } from './fsm.ts';

/** What is known about a connection when the neighbour's OPEN arrives on the newer one. */
export interface Rival {
  readonly state: State;
  readonly openedBy: 'us' | 'peer';
  /** How long it has been in its state. */
  readonly seconds: number;
}

export type Collision =
  /** Too early to tell: the other one's OPEN is not in yet. */
  | 'both'
  /** The newcomer stays, the other one gets Cease 7. */
  | 'newcomer'
  /** The other one stays, the newcomer gets Cease 7. */
  | 'other'
  /** The neighbour has restarted: the newcomer stays, the other one is closed silently and its paths are retained. */
  | 'restarted';

/**
 * A session younger than this is no sign of a restart when a second connection shows up: the neighbour dialled it
 * while the first one was still being agreed on, and only the order of our own reading puts it last.
 */
export const settledSeconds = 5;

/**
 * Decides when an OPEN has arrived on `newcomer` while `other` exists.
 * @param terms what the newcomer's two OPENs agree on.
 */
export function collide(newcomer: Pick<Rival, 'openedBy'>, other: Rival, terms: Terms): Collision {
  const { state } = other;
  if (state.name === 'established') return comesBack(newcomer, other, state.terms) ? 'restarted' : 'other';
  if (state.name !== 'openConfirm') return 'both';
  return preferred(newcomer.openedBy, other.openedBy, terms) ? 'newcomer' : 'other';
}

/** The connection that the side with the higher identifier opened is preserved. */
function preferred(newcomer: 'us' | 'peer', other: 'us' | 'peer', terms: Terms): boolean {
  // A neighbour dials once at a time: the newer one means that it has given up the older one.
  if (newcomer === other) return true;
  return newcomer === (weAreHigher(terms) ? 'us' : 'peer');
}

function weAreHigher({ localRouterId, peerRouterId, localAsn, peerAsn }: Terms): boolean {
  // RFC 6286 §2.3: equal identifiers are legal between ASes, and then the larger AS number decides.
  return localRouterId === peerRouterId ? localAsn > peerAsn : localRouterId > peerRouterId;
}

function comesBack(newcomer: Pick<Rival, 'openedBy'>, other: Rival, agreed: Terms): boolean {
  const restarts = agreed.gracefulRestart !== undefined && agreed.gracefulRestart.families.size > 0;
  return restarts && newcomer.openedBy === 'peer' && other.seconds >= settledSeconds;
}
