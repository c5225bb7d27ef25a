// PeerOptions (projectmanx.org/v1): what Calico's BGPPeer has no field for.
import { parseDuration } from '../duration.ts';
import type { SpecReport } from '../kinds.ts';
import type { Path } from '../read.ts';
import { type FieldsOf, boolean, choice, integer, list, object, text } from '../schema.ts';
import type { PeerOptionsSpec } from '../types.ts';
import { UINT32_MAX } from './common.ts';

export const peerOptionsSpec = object({
  peers: { says: 'the BGPPeers it is for, by name', schema: list(text('resourceName'), { min: 1, unique: true }) },
  peerSelector: { says: 'the BGPPeers it is for, by their labels', schema: text('selector') },
  mesh: { says: 'true: it is for the node-to-node mesh', schema: boolean },
  passive: { says: 'the peer opens the session, never we', schema: boolean },
  holdTime: { says: '0s, or 3s to 65535s (RFC 4271)', schema: text('duration') },
  connectRetryTime: { says: 'between attempts', schema: text('duration') },
  families: {
    says: 'what the session carries',
    schema: list(choice('ipv4-unicast', 'ipv6-unicast'), { min: 1, unique: true }),
  },
  prefixLimit: {
    says: 'how many prefixes the peer may announce',
    schema: object({
      max: { says: 'per family', required: true, schema: integer(1, UINT32_MAX) },
      warnPercent: { says: 'when to warn', schema: integer(1, 100) },
      action: { says: 'what happens to those beyond', schema: choice('Discard', 'Close') },
      idleTime: { says: 'after Close: how long the session rests', schema: text('duration') },
    }),
  },
  gracefulRestart: {
    says: 'RFC 4724 and RFC 9494',
    schema: object({
      enabled: { says: 'whether we offer it', schema: boolean },
      staleTimeMax: { says: 'how long we keep routes of a peer that restarts', schema: text('duration') },
      longLivedStaleTime: { says: 'how much longer at the lowest preference', schema: text('duration') },
    }),
  },
  role: {
    says: 'ours in this session (RFC 9234)',
    schema: choice('Provider', 'RouteServer', 'RouteServerClient', 'Customer', 'Peer'),
  },
  addPath: {
    says: 'RFC 7911',
    schema: object({
      receive: { says: 'take several paths of a prefix', schema: boolean },
      send: { says: 'announce as many', schema: integer(0, 255) },
    }),
  },
  extendedNextHop: { says: 'IPv4 routes with IPv6 next hops (RFC 8950)', schema: boolean },
  interface: { says: 'the peer is whoever answers on this link', schema: text('interfaceName') },
  dynamicPrefix: { says: 'whoever connects from here is a peer', schema: text('prefix') },
  maxDynamicPeers: { says: 'how many of them', schema: integer(1, 65_535) },
  passwordFile: { says: 'TCP MD5: the file with the password, relative to the configuration folder', schema: text() },
  // RFC 9003 §2: at most 255 octets of UTF-8.
  shutdown: { says: 'keeps the session down, and tells the peer why', schema: text(undefined, 255) },
  requirePolicy: { says: 'no routes without a filter (RFC 8212)', schema: boolean },
} satisfies FieldsOf<PeerOptionsSpec>);

/** What a duration must lie between, in seconds. */
export const bounds: readonly {
  readonly path: Path;
  readonly min: number;
  readonly max: number;
  readonly orZero?: true;
}[] = [
  // RFC 4271 §4.2: zero, or at least three seconds, in 16 bits.
  { path: ['holdTime'], min: 3, max: 0xffff, orZero: true },
  { path: ['connectRetryTime'], min: 1, max: 0xffff },
  { path: ['prefixLimit', 'idleTime'], min: 1, max: 7 * 24 * 3600 },
  { path: ['gracefulRestart', 'staleTimeMax'], min: 1, max: 24 * 3600 },
  // RFC 9494 §3.1: 24 bits.
  { path: ['gracefulRestart', 'longLivedStaleTime'], min: 0, max: 0xff_ffff },
];

export function checkPeerOptions(
  spec: Partial<PeerOptionsSpec>,
  report: SpecReport,
  { given }: { readonly given: readonly string[] },
): void {
  const targets = ['peers', 'peerSelector', 'mesh'].filter((field) => given.includes(field));
  for (const field of targets.slice(1)) report([field], `cannot stand beside ${targets[0]}`);
  if (spec.mesh === false) report(['mesh'], 'is true or left out (none of peers, peerSelector, mesh: every peer)');
  for (const bound of bounds) checkSeconds(spec, bound, report);
  checkWhoever(spec, report, given);
}

function checkSeconds(spec: object, { path, min, max, orZero }: (typeof bounds)[number], report: SpecReport): void {
  const value = path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], spec);
  if (typeof value !== 'string') return;
  const seconds = parseDuration(value) / 1000;
  if ((orZero && seconds === 0) || (Number.isInteger(seconds) && seconds >= min && seconds <= max)) return;
  report(path, `${value} is not ${orZero ? '0s or ' : ''}whole seconds from ${min}s to ${max}s`);
}

/** interface and dynamicPrefix say who the peer is: that is for particular BGPPeers. */
function checkWhoever(spec: Partial<PeerOptionsSpec>, report: SpecReport, given: readonly string[]): void {
  for (const field of ['interface', 'dynamicPrefix']) {
    if (!given.includes(field)) continue;
    if (!given.includes('peers') && !given.includes('peerSelector')) {
      report([field], 'needs peers or peerSelector: it says who particular peers are');
    }
  }
  if (given.includes('interface') && given.includes('dynamicPrefix')) {
    report(['dynamicPrefix'], 'cannot stand beside interface');
  }
  if (given.includes('maxDynamicPeers') && spec.dynamicPrefix === undefined && !given.includes('dynamicPrefix')) {
    report(['maxDynamicPeers'], 'needs dynamicPrefix');
  }
}
