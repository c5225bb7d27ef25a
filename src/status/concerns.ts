// What is wrong on a node at present, one entry each under a name that stays: what came since the last look is an event,
// and of some what went as well. Pure.
import { countText } from '../text.ts';
import type { NodeRouting, NodeSession, Trouble } from './model.ts';

export interface Concern {
  readonly reason: Reason;
  /** Stands alone. */
  readonly message: string;
}

export type Reason =
  | 'BGPSessionDown'
  | 'BGPSessionUp'
  | 'BGPPasswordMissing'
  | 'BGPPrefixLimit'
  | 'RouteRefused'
  | 'ForeignRoute'
  | 'AddressesExhausted'
  | 'ConfigurationProblem'
  | 'BGPPeerReady'
  | 'BGPPeerNotReady';

/** What the Event says. */
export interface Told {
  readonly reason: Reason;
  readonly type: 'Normal' | 'Warning';
  readonly message: string;
}

/** After a start sessions take their time: one that has never been up is missed only after this. */
export const PATIENCE_MS = 60_000;
/** More than these are counted. */
const NAMED = 3;

export function concernsOf({ sessions, routes, troubles }: NodeRouting, now: number): ReadonlyMap<string, Concern> {
  return new Map<string, Concern>([
    ...sessions.filter((session) => isMissed(session, now)).map(sessionConcern),
    ...sessions.flatMap(limitConcerns),
    ...(routes?.troubles ?? []).map(({ prefix, trouble, reason }): [string, Concern] => [
      `${trouble} ${prefix}`,
      trouble === 'refused'
        ? { reason: 'RouteRefused', message: `the kernel refuses ${prefix}: ${reason}` }
        : { reason: 'ForeignRoute', message: `a foreign route is in the way of ${prefix}: ${reason}` },
    ]),
    ...troubles.map(troubleConcern),
  ]);
}

/**
 * From what was wrong at the last look to what is now: one event a reason, however much there is of it.
 * @param flapped sessions that went down and came back between two looks
 */
export function eventsBetween(
  was: ReadonlyMap<string, Concern>,
  is: ReadonlyMap<string, Concern>,
  flapped: readonly NodeSession[] = [],
): Told[] {
  const came = [...is].filter(([name]) => !was.has(name)).map(([, concern]) => concern);
  const went = [...was].filter(([name, { reason }]) => reason === 'BGPSessionDown' && !is.has(name));
  const back = went.map(([name]): Concern => ({ reason: 'BGPSessionUp', message: `${name} is up` }));
  const blinks = flapped.map(({ name, lastError }): Concern => ({
    reason: 'BGPSessionDown',
    message: `session ${name} went down and came back: ${lastError?.text ?? 'no reason was given'}`,
  }));
  const all = [...came, ...blinks, ...back];
  return [...new Set(all.map(({ reason }) => reason))].map((reason) => ({
    reason,
    type: reason === 'BGPSessionUp' ? 'Normal' : 'Warning',
    message: together(all.filter((concern) => concern.reason === reason).map(({ message }) => message)),
  }));
}

/** Up both times, and down in between. */
export function flappedBetween(was: NodeRouting | undefined, is: NodeRouting): NodeSession[] {
  if (was === undefined || was.startedAt !== is.startedAt) return [];
  const before = new Map(was.sessions.map((session) => [session.name, session]));
  return is.sessions.filter(({ name, state, flaps }) => {
    const old = before.get(name);
    return state === 'Established' && old?.state === 'Established' && flaps > old.flaps;
  });
}

function isMissed({ state, shutDown, flaps, since }: NodeSession, now: number): boolean {
  if (state === 'Established' || shutDown === true) return false;
  return flaps > 0 || now - Date.parse(since) >= PATIENCE_MS;
}

function sessionConcern({ name, peer, asn, cause }: NodeSession): [string, Concern] {
  const why = cause === undefined ? '' : `: ${cause}`;
  return [
    `session ${name}`,
    { reason: 'BGPSessionDown', message: `session ${name} (${peer}, AS ${asn}) is down${why}` },
  ];
}

function limitConcerns({ name, families }: NodeSession): [string, Concern][] {
  return families
    .filter(({ discarded = 0 }) => discarded > 0)
    .map(({ family, limit }) => [
      `limit ${name} ${family}`,
      {
        reason: 'BGPPrefixLimit',
        message: `${name} sends more than its limit of ${limit ?? 0} ${family} prefixes; those beyond are discarded`,
      },
    ]);
}

function troubleConcern({ kind, name, path, message }: Trouble): [string, Concern] {
  const place = [kind, name, path].filter((word) => word !== undefined).join(' ');
  const isPassword = path === 'spec.password' || path === 'spec.nodeMeshPassword';
  return [
    `trouble ${place} ${message}`,
    {
      reason: isPassword ? 'BGPPasswordMissing' : 'ConfigurationProblem',
      message: place === '' ? message : `${place}: ${message}`,
    },
  ];
}

function together(messages: readonly string[]): string {
  const more = messages.length - NAMED;
  const named = messages.slice(0, NAMED).join('; ');
  return more > 0 ? `${named}; and ${countText(more, 'more', 'more')}` : named;
}
