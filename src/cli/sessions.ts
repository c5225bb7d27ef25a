// The table of sessions, shared by `node status` and `bgp peers`. Pure.
import { familyOf } from '#ip';
import type { FamilyStatus, PeerStatus, SessionError } from '../../bgp/status.ts';
import { addressText, endpointText } from '../agent/status.ts';
import { familyText } from '../api/views.ts';
import { agoText, countText, durationText } from '../text.ts';
import type { Paint } from './paint.ts';
import { type Cell, type Column, NOTHING, table } from './table.ts';

export interface View {
  readonly now: number;
  readonly wide: boolean;
  readonly paint: Paint;
}

/** What a row needs of a session. */
export interface SessionRow extends Pick<
  PeerStatus,
  'name' | 'kind' | 'address' | 'interface' | 'asn' | 'state' | 'since' | 'reason' | 'flaps'
> {
  readonly local?: PeerStatus['local'] | undefined;
  readonly remote?: PeerStatus['remote'] | undefined;
  readonly families: readonly Pick<FamilyStatus, 'family' | 'negotiated' | 'stale' | (typeof counters)[number]>[];
  readonly errors: readonly Pick<SessionError, 'at' | 'text'>[];
}

/** Families of one session share its row: their counts are added up; -o wide has them apart. */
export function sessionTable(all: readonly SessionRow[], family: 4 | 6, view: View): string[] {
  const peers = all.filter(({ address }) => familyOf(address) === family);
  if (peers.length === 0) return [`No IPv${family} peers found.`];
  return [`IPv${family} BGP status`, ...table(columns(view), peers)];
}

function columns({ now, wide, paint }: View): Column<SessionRow>[] {
  const number = (head: string, cell: (peer: SessionRow) => Cell): Column<SessionRow> => ({
    head,
    align: 'right',
    cell,
  });
  return [
    { head: 'PEER', cell: peerText },
    { head: 'NAME', cell: ({ name }) => name },
    { head: 'TYPE', cell: ({ kind }) => kind },
    { head: 'AS', cell: ({ asn }) => String(asn) },
    { head: 'STATE', cell: ({ state }) => ({ text: state, paint: state === 'Established' ? paint.good : paint.bad }) },
    { head: 'SINCE', cell: ({ since }) => durationText(now - since) },
    ...counters.map((counter) => number(counter.toUpperCase(), (peer) => counted(peer, counter))),
    number('FLAPS', ({ flaps }) => String(flaps)),
    ...(wide ? wideColumns : []),
    { head: 'LAST ERROR', cell: (peer) => lastError(peer, now) },
  ];
}

const counters = ['received', 'accepted', 'advertised'] as const;

const wideColumns: readonly Column<SessionRow>[] = [
  { head: 'LOCAL', cell: ({ local }) => (local === undefined ? NOTHING : endpointText(local.address, local.port)) },
  {
    head: 'FAMILIES (RECEIVED/ACCEPTED/ADVERTISED)',
    cell: ({ families }) =>
      families
        .filter(({ negotiated }) => negotiated)
        .map((f) => `${familyText(f.family)} ${counters.map((counter) => f[counter]).join('/')}`)
        .join(', ') || NOTHING,
  },
];

/** The port is only said where it is not BGP's. */
function peerText(peer: SessionRow): string {
  const { address, remote } = peer;
  return remote === undefined || remote.openedBy === 'peer' || remote.port === 179
    ? addressText(peer)
    : endpointText(address, remote.port);
}

/** A session that is down has counts only while paths of before are kept for it. */
function counted(peer: SessionRow, counter: (typeof counters)[number]): string {
  const shown = (family: SessionRow['families'][number]): boolean =>
    peer.state === 'Established' ? family.negotiated : family.stale > 0;
  const families = peer.families.filter(shown);
  return families.length === 0 ? NOTHING : String(families.reduce((sum, family) => sum + family[counter], 0));
}

function lastError(peer: SessionRow, now: number): string {
  const stale = peer.families.reduce((sum, family) => sum + family.stale, 0);
  const kept = stale === 0 ? '' : `; ${countText(stale, 'path')} kept while it restarts`;
  if (peer.state !== 'Established' && peer.reason !== undefined) return `now: ${peer.reason}${kept}`;
  const [newest] = peer.errors;
  return newest === undefined ? kept.slice(2) : `${agoText(now - newest.at)}: ${newest.text}${kept}`;
}
