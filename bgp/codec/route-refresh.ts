// ROUTE-REFRESH (RFC 2918) with its subtypes (RFC 7313).
import type { RouteRefresh } from '../message.ts';
import { encodeMessage } from './header.ts';
import { NotificationError } from './notification-error.ts';
import { octets } from './reader.ts';
import { Writer } from './writer.ts';

/** RFC 7313 §3.2; a message of any other subtype is to be ignored (§5). */
export const refreshSubtypes = { request: 0, beginning: 1, ending: 2 } as const;

/**
 * Reads the body of a ROUTE-REFRESH. A family that we do not route, and a subtype that is none, are the caller's to
 * ignore (RFC 2918 §4, RFC 7313 §5).
 * @throws NotificationError 7/1, with the whole message as data, when a subtype we know has a body of other than four
 *   octets (RFC 7313 §5).
 */
export function decodeRouteRefresh(body: Uint8Array): RouteRefresh {
  const [afiHigh = 0, afiLow = 0, subtype = 0, safi = 0] = body;
  if (body.length !== 4 && (body.length < 4 || subtype <= refreshSubtypes.ending)) {
    throw new NotificationError(7, 1, encodeMessage('routeRefresh', body), `a body of ${octets(body.length)}, not 4`);
  }
  return { type: 'routeRefresh', afi: (afiHigh << 8) | afiLow, safi, subtype };
}

/** A whole message. */
export function encodeRouteRefresh({ afi, safi, subtype }: Omit<RouteRefresh, 'type'>): Uint8Array {
  return encodeMessage('routeRefresh', new Writer().u16(afi).u8(subtype).u8(safi).finish());
}
