// Graceful restart (RFC 4724, 8538, 9494) as decisions: what a helper keeps and for how long, and whom a restarting
// speaker waits for. Pure; neighbour.ts and deferral.ts carry the timers.
import type { AddressFamily, Terms } from './message.ts';
import type { PeerWish } from './wish.ts';

/** How this speaker came to be: options of createSpeaker. */
export interface RestartOptions {
  /** We were here a moment ago, and neighbours may be keeping our paths. */
  readonly restarting: boolean;
  /** Families whose routes the kernel has kept meanwhile. */
  readonly forwarding: readonly AddressFamily[];
  /** How long to wait for neighbours at most before selecting without them (Selection_Deferral_Timer). */
  readonly deferralSeconds: number;
}

/**
 * A neighbour that has not come up by then is taken for dead and not waited for. Long enough for two tries to connect
 * and a neighbour's own back-off, short enough that one dead node does not hold up a restart.
 */
export const deadPeerSeconds = 20;
/** A neighbour that does not promise End-of-RIB is given this long to send its routes. */
export const quietSeconds = 3;

/** Families whose paths are kept when the session ends in a way that says so: those of the peer's capability. */
export function keptFamilies({ gracefulRestart, families }: Terms): readonly AddressFamily[] {
  return families.filter((family) => gracefulRestart?.families.has(family));
}

/** Whether stale paths of a family stay when the peer is back: RFC 4724 §4.2, it must have kept forwarding. */
export function staysOnReturn({ gracefulRestart, families }: Terms, family: AddressFamily): boolean {
  return families.includes(family) && gracefulRestart?.families.get(family)?.forwarding === true;
}

/** How long the paths of a peer that has gone are kept for its return, in seconds. */
export function restartSeconds({ gracefulRestart }: Terms, { staleSecondsMax }: PeerWish['gracefulRestart']): number {
  return Math.min(gracefulRestart?.restartSeconds ?? 0, staleSecondsMax);
}

/** How long they are kept after that as a last resort (RFC 9494 §4.2), in seconds; 0 for not at all. */
export function longLivedSeconds(
  { longLived }: Terms,
  { longLivedSeconds }: PeerWish['gracefulRestart'],
  family: AddressFamily,
): number {
  return Math.min(longLived.get(family) ?? 0, longLivedSeconds);
}

/** What is known about a neighbour by somebody who waits for it. Times in ms. */
export interface Progress {
  readonly name: string;
  /** Families that it is wished to have. */
  readonly families: readonly AddressFamily[];
  readonly internal: boolean;
  readonly client: boolean;
  /** Taking no part on purpose. */
  readonly shutdown: boolean;
  /** Established now, since then. */
  readonly up?: { readonly since: number; readonly terms: Terms; readonly endOfRib: readonly AddressFamily[] };
  /** It was Established before, and is expected back until then. */
  readonly expectedUntil?: number;
  /** It has been Established since our start. */
  readonly seen: boolean;
}

/** Whether a restarting speaker waits for this neighbour's routes of a family (RFC 4724 §4.1). */
export function isAwaited(peer: Progress, family: AddressFamily, began: number, now: number): boolean {
  if (peer.shutdown || !peer.families.includes(family)) return false;
  if (peer.up === undefined) {
    return peer.seen ? now < (peer.expectedUntil ?? 0) : now < began + deadPeerSeconds * 1000;
  }
  const { terms, endOfRib, since } = peer.up;
  if (!terms.families.includes(family) || endOfRib.includes(family)) return false;
  const { gracefulRestart } = terms;
  // One that restarts itself may be waiting for us: RFC 4724 §4.1 counts it out.
  const promises = gracefulRestart !== undefined && !gracefulRestart.restarting;
  return promises || now < since + quietSeconds * 1000;
}

/** Whether routes of one neighbour may go to another: not between internal ones, unless one is a client. */
export function passesOn(
  from: Pick<Progress, 'internal' | 'client'>,
  to: Pick<Progress, 'internal' | 'client'>,
): boolean {
  return !(from.internal && to.internal) || from.client || to.client;
}
