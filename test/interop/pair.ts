// One daemon and our speaker on a cable: what every interop test starts from.
//
// The daemon lives in a host of its own; the speaker runs in the test's process, in the lab's outer namespace.
import { type Address, type Prefix, parsePrefix } from '#ip';
import { type Speaker, createSpeaker } from '../../bgp/index.ts';
import type { OriginatedRoute, PeerWish, SpeakerWish } from '../../bgp/wish.ts';
import { peerDefaults } from '../../bgp/wish.ts';
import type { PeerStatus } from '../../bgp/status.ts';
import { type Host, createHost, run } from '../lab/host.ts';
import { until } from '../lab/until.ts';
import type { Daemon, RunningDaemon, SessionSetting } from './daemons/daemon.ts';

/** What the daemon announces, and what we do. */
export const theirs = { 4: '192.0.2.0/24', 6: '2001:db8:1::/48' } as const;
export const ours = { 4: '198.51.100.0/24', 6: '2001:db8:2::/48' } as const;

export interface PairOptions {
  readonly family: 4 | 6;
  readonly internal: boolean;
  /** Who dials. */
  readonly dialer: 'us' | 'them';
  /** We know only the network that they come from. */
  readonly dynamic?: boolean;
  readonly peer?: Partial<PeerWish>;
  readonly speaker?: Partial<SpeakerWish>;
  readonly daemon?: Partial<SessionSetting>;
  readonly originated?: Partial<OriginatedRoute>;
}

export interface Pair extends AsyncDisposable {
  readonly speaker: Speaker;
  readonly wish: SpeakerWish;
  readonly daemon: RunningDaemon;
  readonly host: Host;
  readonly localAddress: Address;
  readonly peerAddress: Address;
  status(): PeerStatus;
  /** Starts the daemon anew after it was stopped. */
  restartDaemon(): Promise<RunningDaemon>;
}

let serial = 0;

/** Starts both sides. `lane` keeps the addresses of test files that run side by side apart. */
export async function pair(daemon: Daemon, lane: number, options: PairOptions): Promise<Pair> {
  const number = ++serial;
  const name = `ip${lane}x${number}`;
  await using started = new AsyncDisposableStack();
  const host = started.use(await createHost(name));
  await run('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host.name]);
  started.defer(async () => void (await run('ip', ['link', 'del', name])));
  const [localAddress, peerAddress] = addresses(options.family, lane, number);
  const length = options.family === 4 ? 24 : 64;
  const flags = options.family === 6 ? ['nodad'] : [];
  await run('ip', ['addr', 'add', `${localAddress}/${length}`, 'dev', name, ...flags]);
  await run('ip', ['link', 'set', name, 'up']);
  await host.ip(['addr add', `${peerAddress}/${length}`, 'dev eth0', ...flags].join(' '));
  await host.ip('link set eth0 up');

  const localAsn = 4_200_000_001; // four octets, as data centres have them
  const peerAsn = options.internal ? localAsn : 65_100;
  const setting: SessionSetting = {
    family: options.family,
    localAddress: peerAddress,
    peerAddress: localAddress,
    localAsn: peerAsn,
    peerAsn: localAsn,
    routerId: '10.0.0.2',
    passive: options.dialer === 'us',
    holdSeconds: 9,
    announce: [theirs[options.family]],
    ...options.daemon,
  };
  const terms = {
    ...peerDefaults,
    ...{ name: daemon.name, kind: 'interop', localAddress, asn: peerAsn, holdSeconds: 9, connectRetrySeconds: 1 },
    families: [options.family === 4 ? 'ipv4-unicast' : 'ipv6-unicast'],
    ...options.peer,
  } satisfies Partial<PeerWish>;
  const network = parsePrefix(
    `${options.family === 4 ? peerAddress.replace(/\d+$/, '0') : peerAddress.replace(/\d+$/, '')}/${length}`,
  );
  const wish: SpeakerWish = {
    asn: localAsn,
    routerId: '10.0.0.1' as Address,
    listen: [{ address: localAddress, port: 179 }],
    multipath: 1,
    originated: [{ prefix: ours[options.family] as Prefix, ...options.originated }],
    peers: options.dynamic ? [] : [{ ...terms, address: peerAddress, passive: options.dialer === 'them' }],
    dynamicPeers: options.dynamic ? [{ ...terms, prefix: network, maxPeers: 2 }] : [],
    ...options.speaker,
  };
  const start = (): Promise<RunningDaemon> => daemon.start(host, `/run/lab/interop/${name}`, setting);
  const speaker = createSpeaker({ events: {} });
  started.defer(() => speaker.close('shutdown'));
  // Whoever is dialled comes first: some wait for half a minute before they dial again.
  if (options.dialer === 'them') speaker.apply(wish);
  const running = await start();
  speaker.apply(wish);
  const kept = started.move();
  return {
    speaker,
    wish,
    daemon: running,
    host,
    localAddress,
    peerAddress,
    status: () => speaker.status().peers[0]!,
    restartDaemon: start,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function addresses(family: 4 | 6, lane: number, number: number): readonly [Address, Address] {
  const network = family === 4 ? `10.${100 + lane}.${number}.` : `fd${lane}0:${number}::`;
  return [`${network}1` as Address, `${network}2` as Address];
}

/** Resolves when both sides say Established; the error has both sides' words. */
export async function established(two: Pair, daemon = two.daemon, withinMs = 20_000): Promise<void> {
  try {
    await until(
      'both are Established',
      async () => (await daemon.established()) && two.status().state === 'Established',
      withinMs,
      50,
    );
  } catch (cause) {
    const { state, reason, errors } = two.status();
    throw new Error(`we: ${JSON.stringify({ state, reason, errors }, undefined, 1)}\nthey: ${daemon.log()}`, { cause });
  }
}

/** What we know of a prefix: its paths, best first. */
export function pathsTo(
  two: Pair,
  prefix: string,
): ReturnType<Speaker['routes']> extends Iterable<infer R> ? R | undefined : never {
  return [...two.speaker.routes({ prefix: prefix as Prefix })][0];
}
