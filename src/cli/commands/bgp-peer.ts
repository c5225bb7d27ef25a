// `manxctl bgp peer NAME`: everything about one session, in the order in which one would ask.
import type {
  FamilyStatus,
  MessageCounter,
  PeerStatus,
  PolicyUse,
  SessionError,
  TimerStatus,
} from '../../../bgp/status.ts';
import { addressText, endpointText } from '../../agent/status.ts';
import { type CapabilityView, type PeerView, familyText } from '../../api/views.ts';
import { agoText, countText, durationText } from '../../text.ts';
import { capabilityRows } from '../capabilities.ts';
import type { Context } from '../context.ts';
import type { View } from '../sessions.ts';
import { NOTHING, table } from '../table.ts';

export async function bgpPeer(context: Context, name: string): Promise<void> {
  const peer = await context.api.get<PeerView>(`/v1/bgp/peers/${encodeURIComponent(name)}`);
  context.show(peer, (view) => renderPeer(peer, { now: context.now(), ...view }));
  if (peer.state !== 'Established' && peer.wish?.shutdown === undefined) context.degraded();
}

/** `bgp peer NAME --refresh` and `--reset`. */
export async function bgpPeerDo(context: Context, name: string, what: 'refresh' | 'reset'): Promise<void> {
  await context.api.send('POST', `/v1/bgp/peers/${encodeURIComponent(name)}/${what}`);
  const done = { refresh: 'asked to send its routes again', reset: 'session reset, it will come back by itself' };
  context.print([`${name}: ${done[what]}`]);
}

export function renderPeer(peer: PeerView, view: View): string[] {
  return [
    `${peer.name}  ${peer.kind}  ${stateText(peer, view)}`,
    ...(peer.reason === undefined ? [] : [`  ${peer.reason}`]),
    '',
    ...identity(peer).map(([label, text]) => `  ${label.padEnd(12)}${text}`),
    ...indented('Capabilities', capabilities(peer.capabilities)),
    ...indented('Timers', timers(peer.timers)),
    ...indented('Messages', messages(peer.messages)),
    ...indented('Families', families(peer.families)),
    ...indented('Policy and terms', terms(peer)),
    ...indented('Routes by rule of import', rules(peer.policies?.import)),
    ...indented('Routes by rule of export', rules(peer.policies?.export)),
    ...indented('Last errors', errors(peer.errors, view)),
  ];
}

function stateText({ state, since, flaps }: PeerView, { now, paint }: View): string {
  const painted = state === 'Established' ? paint.good(state) : paint.bad(state);
  return `${painted} since ${durationText(now - since)}${flaps === 0 ? '' : `, went down ${countText(flaps, 'time')}`}`;
}

function identity(peer: PeerView): [string, string][] {
  const { local, remote, localAsn, asn, peerRouterId, passive, interface: link } = peer;
  const opened = remote === undefined ? '' : `, opened by ${remote.openedBy === 'us' ? 'this node' : 'the peer'}`;
  return [
    ['here', `AS ${localAsn}${local === undefined ? '' : `  ${endpointText(local.address, local.port)}`}`],
    [
      'peer',
      `AS ${asn}  ${remote === undefined ? addressText(peer) : endpointText(remote.address, remote.port)}${opened}`,
    ],
    ...(link === undefined ? [] : [['interface', link] satisfies [string, string]]),
    ...(peerRouterId === undefined ? [] : [['router ID', peerRouterId] satisfies [string, string]]),
    ...(passive ? [['', 'passive: waits for the peer to connect'] satisfies [string, string]] : []),
  ];
}

function indented(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`.trimEnd())];
}

function capabilities({ sent, received }: Record<'sent' | 'received', readonly CapabilityView[]>): string[] {
  if (sent.length === 0 && received.length === 0) return [];
  return table(
    [
      { head: 'CAPABILITY', cell: ({ label }) => label },
      { head: 'OFFERED', cell: ({ offered }) => offered ?? NOTHING },
      { head: 'RECEIVED', cell: ({ received }) => received ?? NOTHING },
      { head: 'AGREED', cell: ({ agreed }) => (agreed ? '✓' : NOTHING) },
    ],
    capabilityRows(sent, received),
  );
}

function timers(all: PeerStatus['timers']): string[] {
  const names = { hold: 'hold', keepalive: 'keepalive', connectRetry: 'connect retry' } as const;
  return (Object.keys(names) as (keyof typeof names)[]).flatMap((name) => {
    const timer: TimerStatus | undefined = all[name];
    return timer === undefined
      ? []
      : [`${names[name]}: ${Math.round(timer.leftSeconds)} of ${Math.round(timer.totalSeconds)} s left`];
  });
}

const messageNames = {
  open: 'OPEN',
  update: 'UPDATE',
  notification: 'NOTIFICATION',
  keepalive: 'KEEPALIVE',
  routeRefresh: 'ROUTE-REFRESH',
} as const satisfies Record<MessageCounter, string>;

function messages(counters: PeerStatus['messages']): string[] {
  return table(
    [
      { head: 'MESSAGE', cell: (name) => messageNames[name] },
      { head: 'SENT', align: 'right', cell: (name) => String(counters.sent[name]) },
      { head: 'RECEIVED', align: 'right', cell: (name) => String(counters.received[name]) },
    ],
    Object.keys(messageNames) as MessageCounter[],
  );
}

function families(all: readonly FamilyStatus[]): string[] {
  return table(
    [
      { head: 'FAMILY', cell: ({ family, negotiated }) => `${familyText(family)}${negotiated ? '' : ' (not agreed)'}` },
      { head: 'RECEIVED', align: 'right', cell: ({ received }) => String(received) },
      { head: 'ACCEPTED', align: 'right', cell: ({ accepted }) => String(accepted) },
      { head: 'ADVERTISED', align: 'right', cell: ({ advertised }) => String(advertised) },
      { head: 'STALE', align: 'right', cell: ({ stale }) => String(stale) },
      { head: 'END-OF-RIB', cell: ({ endOfRib }) => endOfRibText(endOfRib) },
      { head: 'LIMIT', cell: ({ prefixLimit, received }) => limitText(prefixLimit, received) },
    ],
    all,
  );
}

function endOfRibText({ sent, received }: FamilyStatus['endOfRib']): string {
  return [sent && 'sent', received && 'received'].filter((word) => word !== false).join(', ') || NOTHING;
}

function limitText(limit: FamilyStatus['prefixLimit'], received: number): string {
  if (limit === undefined) return 'none';
  const beyond = limit.action === 'close' ? 'then the session closes' : `then discarded (${limit.discarded} so far)`;
  return `${received} of ${limit.max} (${Math.floor((100 * received) / limit.max)} %), ${beyond}`;
}

function terms({ wish }: PeerView): string[] {
  if (wish === undefined) return [];
  const { enabled, restartSeconds, staleSecondsMax, longLivedSeconds } = wish.gracefulRestart;
  const longLived = longLivedSeconds === 0 ? '' : `, long-lived ${longLivedSeconds} s`;
  return [
    `import: ${wish.importPolicy ?? 'accepts everything'}`,
    `export: ${wish.exportPolicy ?? 'announces everything'}`,
    `password: ${wish.password ? 'set (TCP MD5)' : 'none'}`,
    ...(wish.ttlSecurityHops === undefined
      ? []
      : [`TTL security: at most ${countText(wish.ttlSecurityHops, 'hop')} away`]),
    ...(wish.role === undefined ? [] : [`role: ${wish.role}`]),
    ...(wish.routeReflectorClient ? ['route reflector client'] : []),
    enabled
      ? `graceful restart: ${restartSeconds} s, stale paths kept ${staleSecondsMax} s at most${longLived}`
      : 'graceful restart: off',
    ...(wish.shutdown === undefined ? [] : [`shut down by the configuration: ${wish.shutdown}`]),
  ];
}

/** How many idle rules are named. */
const namedMax = 10;

/** Rules that decide about nothing now share a line: a node in a mesh may have hundreds. */
function rules(use: PolicyUse | undefined): string[] {
  if (use === undefined || (use.rules.length === 0 && use.unasked === 0)) return [];
  const { policy, otherwise, unasked } = use;
  const numbered = use.rules.map((rule, i) => ({ ...rule, number: String(i + 1) }));
  const rows = [
    ...numbered.filter(({ routes }) => routes > 0),
    { number: NOTHING, name: 'no rule matches', ...otherwise },
    ...(unasked === 0 ? [] : [{ number: NOTHING, name: 'refused before any rule', action: 'reject', routes: unasked }]),
  ];
  return [
    `filter ${policy}`,
    ...table(
      [
        { head: 'ROUTES', align: 'right', cell: ({ routes }) => String(routes) },
        { head: 'ACTION', cell: ({ action }) => action },
        { head: 'RULE', align: 'right', cell: ({ number }) => number },
        { head: '', cell: ({ name }) => name },
      ],
      rows,
    ),
    ...idle(numbered.filter(({ routes }) => routes === 0)),
  ];
}

function idle(rules: readonly { readonly number: string; readonly name: string }[]): string[] {
  if (rules.length === 0) return [];
  const named = rules.slice(0, namedMax).map(({ number, name }) => `${number} (${name})`);
  const more = rules.length > namedMax ? ` and ${rules.length - namedMax} more` : '';
  return [`decide about no route now: ${named.join(', ')}${more}`];
}

function errors(all: readonly SessionError[], { now }: View): string[] {
  return all.flatMap(({ at, text, data, message }) => [
    `${agoText(now - at)}  ${text}`,
    ...(data === undefined || data === '' ? [] : [`  data     ${data}`]),
    ...(message === undefined || message === '' ? [] : [`  message  ${message}`]),
  ]);
}
