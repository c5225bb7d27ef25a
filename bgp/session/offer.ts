// What we offer a neighbour: the OPEN that a wish comes to. Pure.
import { v4ToInt } from '#ip';
import { afiSafi } from '../codec/index.ts';
import type { AddressFamily, Capability, Open, Role } from '../message.ts';
import type { PeerWish } from '../wish.ts';
import type { Speaker } from './port.ts';

/** What the owner says about our own restart; see SessionOwner.restartState. */
export interface RestartState {
  readonly restarting: boolean;
  readonly forwarding: readonly AddressFamily[];
}

/** Stands in the 2-octet field for a number that does not fit (RFC 6793 §9). */
export const asTrans = 23456;
/** RFC 4724 §3: the restart time has twelve bits. */
const restartSecondsMax = 4095;

/** RFC 9234 §4.1. */
export const roleCodes = {
  provider: 0,
  routeServer: 1,
  routeServerClient: 2,
  customer: 3,
  peer: 4,
} as const satisfies Record<Role, number>;

export function localAsnOf(wish: Pick<PeerWish, 'localAsn'>, speaker: Speaker): number {
  return wish.localAsn ?? speaker.asn;
}

/** The OPEN that offers a neighbour everything that is wished for. */
export function offer(wish: PeerWish, speaker: Speaker, restart: RestartState): Open {
  const asn = localAsnOf(wish, speaker);
  return {
    type: 'open',
    version: 4,
    asn: asn > 0xffff ? asTrans : asn,
    holdSeconds: wish.holdSeconds,
    routerId: v4ToInt(speaker.routerId),
    capabilities: capabilities(wish, asn, restart),
  };
}

function capabilities(wish: PeerWish, asn: number, restart: RestartState): Capability[] {
  const tuples = wish.families.map(afiSafi);
  const offered: Capability[] = tuples.map((tuple) => ({ name: 'multiprotocol', ...tuple }));
  offered.push({ name: 'routeRefresh' }, { name: 'enhancedRouteRefresh' }, { name: 'extendedMessage' });
  offered.push({ name: 'fourOctetAs', asn });
  if (wish.extendedNextHop && wish.families.includes('ipv4-unicast')) {
    // RFC 8950 knows only this direction: IPv4 prefixes behind an IPv6 next hop.
    offered.push({ name: 'extendedNextHop', families: [{ ...afiSafi('ipv4-unicast'), nextHopAfi: 2 }] });
  }
  const addPath = { receive: wish.addPath.receive, send: wish.addPath.send > 0 };
  if (addPath.receive || addPath.send) {
    offered.push({ name: 'addPath', families: tuples.map((tuple) => ({ ...tuple, ...addPath })) });
  }
  // RFC 9234 §4.1: roles are for external sessions only.
  if (wish.role && asn !== wish.asn) offered.push({ name: 'role', role: roleCodes[wish.role] });
  if (wish.gracefulRestart.enabled) offered.push(...restartCapabilities(wish, restart));
  return offered;
}

function restartCapabilities({ families, gracefulRestart }: PeerWish, restart: RestartState): Capability[] {
  const covered = families.map((family) => ({ ...afiSafi(family), forwarding: restart.forwarding.includes(family) }));
  const offered: Capability[] = [
    {
      name: 'gracefulRestart',
      restarting: restart.restarting,
      notification: true,
      restartSeconds: Math.min(gracefulRestart.restartSeconds, restartSecondsMax),
      families: covered,
    },
  ];
  // As helper only: without families it asks nobody to keep our own paths that long (RFC 9494 §3.1).
  if (gracefulRestart.longLivedSeconds > 0) offered.push({ name: 'longLivedGracefulRestart', families: [] });
  return offered;
}
