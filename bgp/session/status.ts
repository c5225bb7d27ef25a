// A session in the operator's words and numbers, drawn from what the session holds. Pure.
import { v4FromInt } from '#ip';
import type { PeerStatus, SessionState, TimerStatus } from '../status.ts';
import type { PeerWish } from '../wish.ts';
import type { Attempt } from './attempt.ts';
import type { StateName } from './fsm.ts';
import type { Journal } from './journal.ts';
import { localAsnOf } from './offer.ts';
import type { Clock, Speaker } from './port.ts';
import { placeOf } from './place.ts';

/** A session's part of its peer's status: everything but the tables' counters. */
export type SessionStatus = Omit<PeerStatus, 'families'>;

const names: Readonly<Record<StateName, SessionState>> = {
  idle: 'Idle',
  connect: 'Connect',
  active: 'Active',
  openSent: 'OpenSent',
  openConfirm: 'OpenConfirm',
  established: 'Established',
};

export interface StatusSource {
  readonly wish: PeerWish;
  readonly speaker: Speaker;
  readonly clock: Clock;
  readonly journal: Journal;
  /** Of two tries, the one that has come further. */
  readonly attempt: Attempt;
  /** Why there must be no session at all. */
  readonly barred: string | undefined;
}

export function statusOf(source: StatusSource): SessionStatus {
  const { wish, attempt, journal } = source;
  const reason = reasonFor(source);
  const cause = causeOf(source);
  const { connection, theirs } = attempt;
  return {
    name: wish.name,
    kind: wish.kind,
    address: wish.address,
    ...(wish.interface !== undefined && { interface: wish.interface }),
    asn: wish.asn,
    state: names[attempt.state.name],
    since: Math.round(attempt.since + aheadOf(source.clock)),
    ...(reason !== undefined && { reason }),
    ...(cause !== undefined && { cause }),
    passive: wish.passive,
    ...(connection && { local: connection.local, remote: { ...connection.remote, openedBy: connection.openedBy } }),
    localAsn: localAsnOf(wish, source.speaker),
    ...(theirs && { peerRouterId: v4FromInt(theirs.routerId) }),
    capabilities: { sent: attempt.ours?.capabilities ?? [], received: theirs?.capabilities ?? [] },
    timers: timersOf(attempt),
    messages: { sent: { ...journal.messages.sent }, received: { ...journal.messages.received } },
    flaps: journal.flaps,
    errors: [...journal.errors],
  };
}

/** How far the host's clock is ahead of the session's, which is never set. */
function aheadOf(clock: Clock): number {
  return clock.wall ? clock.wall() - clock.now() : 0;
}

function timersOf({ timers }: Attempt): PeerStatus['timers'] {
  const hold = timers.read('hold');
  const keepalive = timers.read('keepalive');
  const connectRetry = nextTry(timers);
  return { ...(hold && { hold }), ...(keepalive && { keepalive }), ...(connectRetry && { connectRetry }) };
}

function nextTry(timers: Attempt['timers']): TimerStatus | undefined {
  return timers.read('rest') ?? timers.read('connectRetry');
}

function causeOf({ attempt, journal, barred }: StatusSource): string | undefined {
  if (barred !== undefined) return barred;
  return attempt.state.name === 'established' ? undefined : journal.errors[0]?.text;
}

/** Why the session is not up, and what it does about it. */
function reasonFor({ wish, attempt, journal, barred }: StatusSource): string | undefined {
  if (barred !== undefined) return barred;
  const { name } = attempt.state;
  if (name === 'established') return undefined;
  if (name === 'openConfirm') return "OPENs agree, waits for the peer's KEEPALIVE";
  if (name === 'openSent') return "connected, waits for the peer's OPEN";
  const last = journal.errors[0]?.text;
  if (name === 'connect') {
    return `connecting to ${placeOf(wish.address, wish.port, wish.interface)}${last ? ` (before: ${last})` : ''}`;
  }
  const left = nextTry(attempt.timers)?.leftSeconds;
  if (left === undefined) {
    return name === 'idle' ? 'stopped' : `${last ? `${last}; ` : ''}waits for the peer to connect (passive)`;
  }
  const seconds = `in ${Math.ceil(left)} s`;
  if (name === 'idle') return `${last ?? 'resting'}; refuses connections, goes on ${seconds}`;
  return `${last ?? 'no connection yet'}; next try ${seconds}`;
}
