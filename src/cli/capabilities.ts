// What each side of a session offered and what both agreed on, one capability a row. Pure.
import type { CapabilityView } from '../api/views.ts';

export interface CapabilityRow {
  readonly label: string;
  readonly offered?: string;
  readonly received?: string;
  /** Both sides sent it, in directions that fit; never for what is only told (a host name) or not known to us. */
  readonly agreed: boolean;
}

export function capabilityRows(
  sent: readonly CapabilityView[],
  received: readonly CapabilityView[],
): readonly CapabilityRow[] {
  const ours = new Map(sent.flatMap(entries).map((entry) => [entry.label, entry]));
  const theirs = new Map(received.flatMap(entries).map((entry) => [entry.label, entry]));
  return [...new Set([...ours.keys(), ...theirs.keys()])].map((label) => {
    const [our, their] = [ours.get(label), theirs.get(label)];
    const agreed = our !== undefined && their !== undefined && (our.fits?.(their) ?? true);
    return { label, agreed, ...(our && { offered: our.text }), ...(their && { received: their.text }) };
  });
}

interface Entry {
  readonly label: string;
  readonly text: string;
  readonly sends?: boolean;
  readonly receives?: boolean;
  readonly fits?: (other: Entry) => boolean;
}

function entries(capability: CapabilityView): Entry[] {
  return (described[capability.name] as (capability: CapabilityView) => Entry[])(capability);
}

const described: {
  readonly [N in CapabilityView['name']]: (capability: Extract<CapabilityView, { name: N }>) => Entry[];
} = {
  multiprotocol: ({ afi, safi }) => [{ label: familyName(afi, safi), text: '✓' }],
  routeRefresh: () => [{ label: 'route refresh', text: '✓' }],
  enhancedRouteRefresh: () => [{ label: 'enhanced route refresh', text: '✓' }],
  extendedMessage: () => [{ label: 'extended messages', text: '✓' }],
  fourOctetAs: ({ asn }) => [{ label: '4-octet AS numbers', text: `AS ${asn}` }],
  // RFC 9234 §4.2: which roles fit is checked when the session opens; one that is up has fitting ones.
  role: ({ role }) => [{ label: 'role', text: roles[role] ?? `role ${role}` }],
  fqdn: ({ host, domain }) => [
    { label: 'host name', text: [host, domain].filter((part) => part !== '').join('.'), fits: () => false },
  ],
  gracefulRestart: (capability) => [{ label: 'graceful restart', text: restartText(capability) }],
  longLivedGracefulRestart: ({ families }) =>
    families.map(({ afi, safi, staleSeconds }) => ({
      label: `long-lived graceful restart, ${familyName(afi, safi)}`,
      text: `${staleSeconds} s`,
    })),
  extendedNextHop: ({ families }) =>
    families.map(({ afi, safi, nextHopAfi }) => ({
      label: `${familyName(afi, safi)} over IPv${nextHopAfi === 2 ? 6 : 4} next hops`,
      text: '✓',
    })),
  addPath: ({ families }) => families.map(addPathEntry),
  unknown: ({ code, value }) => [
    { label: `capability ${code}`, text: value === '' ? '✓' : `0x${value}`, fits: () => false },
  ],
};

// RFC 9234 §4.1, table 1.
const roles = ['provider', 'route server', 'route server client', 'customer', 'peer'];

function familyName(afi: number, safi: number): string {
  const family = { 1: 'IPv4', 2: 'IPv6' }[afi] ?? `AFI ${afi}`;
  return `${family} ${{ 1: 'unicast', 2: 'multicast', 4: 'labels', 128: 'VPN' }[safi] ?? `SAFI ${safi}`}`;
}

function restartText(capability: Extract<CapabilityView, { name: 'gracefulRestart' }>): string {
  const kept = capability.families.filter(({ forwarding }) => forwarding);
  return [
    `${capability.restartSeconds} s`,
    ...(capability.restarting ? ['restarting'] : []),
    ...(capability.notification ? ['also after NOTIFICATIONs'] : []),
    ...(kept.length > 0
      ? [`forwarding kept for ${kept.map(({ afi, safi }) => familyName(afi, safi)).join(' and ')}`]
      : []),
  ].join(', ');
}

/** RFC 7911 §4: a direction is agreed when one side sends and the other receives. */
function addPathEntry(offer: { afi: number; safi: number; receive: boolean; send: boolean }): Entry {
  const directions = [offer.send && 'send', offer.receive && 'receive'].filter((word) => word !== false);
  return {
    label: `ADD-PATH ${familyName(offer.afi, offer.safi)}`,
    text: directions.join(' and ') || 'neither way',
    sends: offer.send,
    receives: offer.receive,
    fits: (other) => (offer.send && other.receives === true) || (offer.receive && other.sends === true),
  };
}
