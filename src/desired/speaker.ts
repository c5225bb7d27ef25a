// Resources in, SpeakerWish out: what the speaker of one node should be. Pure, and the whole wish every time; the
// speaker itself works out what changed.
import { type Address, type Prefix, addressFromBytes, familyOf, familyOfPrefix, parseAddress } from '#ip';
import type { AddressFamily, Role } from '../../bgp/message.ts';
import {
  type DynamicPeerWish,
  type Endpoint,
  type PeerWish,
  type PrefixLimit,
  type SpeakerWish,
  peerDefaults,
} from '../../bgp/wish.ts';
import type { Sighting } from '../../fib/neighbours/index.ts';
import { fnv32 } from '../ipam/choose.ts';
import type { PeerOptionsSpec, SecretReference } from '../resources/types.ts';
import { type AnnouncedServices, type ServicesInput, servicesAnnouncer } from '../services/announced.ts';
import type { PasswordReading } from '../store/password-file.ts';
import type { Problem } from '../store/port.ts';
import { parseDuration } from '../resources/duration.ts';
import { readAdvertisements } from './communities.ts';
import { felixTroubles } from './felix.ts';
import { familyAnnounced, originatedRoutes } from './originated.ts';
import { type PolicyContext, policyMaker } from './policy.ts';
import { type SessionPlan, isLinkLocal, planSessions } from './sessions.ts';
import { BGP_PORT, type SpeakingNode, addressesOf, speakingNodes } from './speaking-node.ts';
import { type ClusterView, clusterConfiguration, nodeConfiguration } from './view.ts';

export interface SpeakerInput {
  readonly view: ClusterView;
  readonly node: string;
  /** Blocks of this node whose affinity is confirmed. */
  readonly ownBlocks: readonly Prefix[];
  /** Addresses of the pods that are wired here. */
  readonly ownAddresses: readonly Address[];
  /** What is announced for Services; absent where nobody knows of any: the ranges. */
  readonly services?: Pick<AnnouncedServices, 'ranges' | 'addresses'>;
  /** The password, or why it cannot be had and what to do: then there is no session. */
  readonly password: (where: { readonly file: string } | SecretReference) => PasswordReading;
  /** Who has been found on a link; for unnumbered peers. */
  readonly sighting?: (link: string) => Sighting;
  /** Listen here, whatever the configuration says; 0 for any free port. */
  readonly listenPort?: number;
  /** Instead of the node's IPv4 address; hash: made from the node's name. */
  readonly routerId?: Address | 'hash';
}

export interface DesiredSpeaker {
  /** Absent while the configuration does not say who this node is. */
  readonly wish?: SpeakerWish;
  /** Where unnumbered peers are to be found. */
  readonly links: readonly string[];
  /** What cannot be had as it is wished, one sentence each. */
  readonly troubles: readonly Problem[];
}

/** As many equal paths as BIRD merges for Calico. */
const MULTIPATH = 16;

/** On by default. Ten times the pods of a large cluster, announced one by one, and far from what hurts a node. */
const defaultPrefixLimit: PrefixLimit = { max: 100_000, warnPercent: 80, action: 'discard', idleSeconds: 300 };

/** RFC 2385 keys are kept by the kernel in 80 bytes (TCP_MD5SIG_MAXKEYLEN). */
const PASSWORD_BYTES_MAX = 80;

export function desiredSpeaker(input: SpeakerInput): DesiredSpeaker {
  const { view } = input;
  const nodes = speakingNodes(view);
  const self = nodes.find(({ name }) => name === input.node);
  if (self === undefined || addressesOf(self).length === 0)
    return { links: [], troubles: [unknownNode(input.node, self)] };
  const { advertisements, troubles: communityTroubles } = readAdvertisements(nodeConfiguration(view, self.name));
  const { plans, troubles: planTroubles } = planSessions(view, nodes, self);
  const linkNeighbours = plans
    .filter(({ asn, peer }) => asn !== (peer?.spec.localASNumber ?? self.asn))
    .flatMap((plan) => sightingOf(input, plan)?.found?.neighbour ?? []);
  const services = input.services ?? servicesAnnouncer(self.name)(servicesBasis(view, self));
  const context: PolicyContext = {
    ...{ view, self, nodes, ownBlocks: input.ownBlocks, advertisements, linkNeighbours },
    serviceRanges: services.ranges,
  };
  const policies = policyMaker(context);
  const drawn = plans.map((plan) => drawPeer(input, self, policies, plan));
  const peers = drawn.flatMap(({ peer }) => peer ?? []);
  const dynamicPeers = drawn.flatMap(({ dynamic }) => dynamic ?? []);
  const links = plans.flatMap(({ remote }) => ('link' in remote ? [remote.link] : []));
  const own = {
    ...{ blocks: input.ownBlocks, addresses: input.ownAddresses, unnumbered: links.length > 0 },
    services: [...services.ranges, ...services.addresses],
  };
  return {
    wish: {
      asn: self.asn,
      routerId: routerIdOf(self, input.routerId),
      listen: endpoints(input, self, plans),
      peers,
      ...(dynamicPeers.length > 0 && { dynamicPeers }),
      originated: originatedRoutes(view, self, own, advertisements),
      multipath: MULTIPATH,
      ...(self.clusterId !== undefined && { clusterId: self.clusterId }),
    },
    links,
    troubles: unique([
      ...felixTroubles(view, self.name),
      ...communityTroubles,
      ...planTroubles,
      ...drawn.flatMap(({ troubles }) => troubles),
    ]),
  };
}

/** What the configuration says about Services and the node that is to announce them. */
export function servicesBasis(view: ClusterView, self: SpeakingNode): Omit<ServicesInput, 'known'> {
  const families = addressesOf(self).map(familyOf);
  return {
    configuration: clusterConfiguration(view),
    pools: view.pools,
    node: { labels: self.labels, families },
  };
}

interface Drawn {
  readonly peer?: PeerWish;
  readonly dynamic?: DynamicPeerWish;
  readonly troubles: readonly Problem[];
}

function drawPeer(
  input: SpeakerInput,
  self: SpeakingNode,
  policies: ReturnType<typeof policyMaker>,
  plan: SessionPlan,
): Drawn {
  const password = passwordOf(input, plan);
  if ('trouble' in password) return { troubles: [password.trouble] };
  const { options } = plan;
  const families = options.families ?? familiesOf(plan);
  const localAsn = plan.bySelector ? undefined : plan.peer?.spec.localASNumber;
  const internal = (localAsn ?? self.asn) === plan.asn;
  const { importPolicy, exportPolicy, troubles } = policies({ plan, families, internal });
  const wish: Omit<PeerWish, 'address' | 'port' | 'passive'> = {
    name: plan.name,
    kind: plan.kind,
    asn: plan.asn,
    families,
    ...given({
      interface: options.interface,
      localAddress: localAddress(plan, self),
      localAsn: localAsn === self.asn ? undefined : localAsn,
      shutdown: options.shutdown,
      keepaliveSeconds: seconds(plan.peer?.spec.keepaliveTime),
      password: password.text,
      ttlSecurityHops: plan.peer?.spec.ttlSecurity,
      nextHopAddress: nextHopAddresses(self, plan, families),
      role: options.role && roles[options.role],
    }),
    holdSeconds: seconds(options.holdTime) ?? peerDefaults.holdSeconds,
    connectRetrySeconds: seconds(options.connectRetryTime) ?? peerDefaults.connectRetrySeconds,
    nextHop: nextHopOf(plan, internal),
    allowOwnAs: (plan.bySelector ? undefined : plan.peer?.spec.numAllowedLocalASNumbers) ?? peerDefaults.allowOwnAs,
    gracefulRestart: gracefulRestart(input.view, plan),
    routeReflectorClient: internal && self.clusterId !== undefined && plan.node?.clusterId !== self.clusterId,
    addPath: {
      receive: options.addPath?.receive ?? peerDefaults.addPath.receive,
      send: options.addPath?.send ?? peerDefaults.addPath.send,
    },
    extendedNextHop: extendedNextHop(plan),
    prefixLimit: prefixLimit(options),
    importPolicy,
    exportPolicy,
  };
  const { remote } = plan;
  if ('prefix' in remote) {
    return { dynamic: { ...wish, prefix: remote.prefix, maxPeers: options.maxDynamicPeers ?? 100 }, troubles };
  }
  const passive = options.passive ?? isPassive(plan, self);
  if ('link' in remote) {
    const { place, trouble } = drawLink(input, plan);
    return {
      peer: { ...wish, ...place, passive },
      troubles: trouble === undefined ? troubles : [...troubles, trouble],
    };
  }
  return { peer: { ...wish, address: remote.address, port: remote.port, passive }, troubles };
}

/** Where an unnumbered peer is, or why nobody knows. Calico's port in peerIP has no counterpart here: it is BGP's. */
function drawLink(
  input: SpeakerInput,
  plan: SessionPlan,
): {
  readonly place: Pick<PeerWish, 'address' | 'port' | 'localAddress' | 'absent'>;
  readonly trouble: Problem | undefined;
} {
  const { found, reason, trouble } = sightingOf(input, plan) ?? {};
  const absent = reason ?? 'neighbours on links are not looked for';
  return {
    place: found
      ? { address: found.neighbour, port: BGP_PORT, localAddress: found.local }
      : { address: ANY_V6, port: BGP_PORT, absent },
    trouble: trouble === undefined ? undefined : { kind: 'BGPPeer', name: plan.name, message: trouble },
  };
}

function sightingOf({ sighting }: SpeakerInput, { remote }: SessionPlan): Sighting | undefined {
  return 'link' in remote ? sighting?.(remote.link) : undefined;
}

/** What a session carries that is not told what to: what its addresses are of; over a link without any, both. */
function familiesOf({ remote }: SessionPlan): readonly AddressFamily[] {
  if ('link' in remote) return ['ipv4-unicast', 'ipv6-unicast'];
  const family = 'prefix' in remote ? familyOfPrefix(remote.prefix) : familyOf(remote.address);
  return [family === 4 ? 'ipv4-unicast' : 'ipv6-unicast'];
}

/** Over a link without IPv4 addresses there is no other next hop for IPv4. */
function extendedNextHop({ options, remote }: SessionPlan): boolean {
  return options.extendedNextHop ?? ('link' in remote || peerDefaults.extendedNextHop);
}

/**
 * In the mesh one side dials: the one whose address is the larger as a string. Both sides must compare alike, and
 * Calico compares strings.
 */
function isPassive({ kind, remote }: SessionPlan, self: SpeakingNode): boolean {
  if (kind !== 'node mesh' || !('address' in remote)) return peerDefaults.passive;
  return remote.address > self.addresses[familyOf(remote.address)]!.address;
}

function localAddress(plan: SessionPlan, self: SpeakingNode): Address | undefined {
  const { remote } = plan;
  if (plan.peer?.spec.sourceAddress === 'None' || !('address' in remote) || plan.options.interface !== undefined) {
    return undefined;
  }
  return self.addresses[familyOf(remote.address)]?.address;
}

/** `nextHopMode`, or the older `keepOriginalNextHop`, which only ever meant external peers. */
function nextHopOf({ peer }: SessionPlan, internal: boolean): PeerWish['nextHop'] {
  const { nextHopMode, keepOriginalNextHop } = peer?.spec ?? {};
  if (nextHopMode !== undefined) return ({ Auto: 'auto', Self: 'self', Keep: 'keep' } as const)[nextHopMode];
  return keepOriginalNextHop === true && !internal ? 'keep' : peerDefaults.nextHop;
}

/**
 * What to announce as next hop for a family that the session's own address is not of. On a link without addresses that
 * is our link-local one for both (RFC 8950, RFC 2545): the node's own addresses are not on it.
 */
function nextHopAddresses(
  self: SpeakingNode,
  plan: SessionPlan,
  families: readonly AddressFamily[],
): PeerWish['nextHopAddress'] {
  if (families.length < 2 || (isOverLink(plan) && extendedNextHop(plan))) return undefined;
  const addresses = addressesOf(self).map((address) => [familyAnnounced(address), address]);
  return Object.fromEntries(addresses) as NonNullable<PeerWish['nextHopAddress']>;
}

function gracefulRestart(view: ClusterView, plan: SessionPlan): PeerWish['gracefulRestart'] {
  const { gracefulRestart: defaults } = peerDefaults;
  const options = plan.options.gracefulRestart ?? {};
  const { nodeMeshMaxRestartTime } = clusterConfiguration(view);
  const restart = plan.kind === 'node mesh' ? nodeMeshMaxRestartTime : plan.peer?.spec.maxRestartTime;
  return {
    enabled: options.enabled ?? defaults.enabled,
    restartSeconds: seconds(restart) ?? defaults.restartSeconds,
    staleSecondsMax: seconds(options.staleTimeMax) ?? defaults.staleSecondsMax,
    longLivedSeconds: seconds(options.longLivedStaleTime) ?? defaults.longLivedSeconds,
  };
}

function prefixLimit({ prefixLimit: limit }: PeerOptionsSpec): PrefixLimit {
  if (limit === undefined) return defaultPrefixLimit;
  return {
    max: limit.max,
    warnPercent: limit.warnPercent ?? defaultPrefixLimit.warnPercent,
    action: limit.action === 'Close' ? 'close' : 'discard',
    idleSeconds: seconds(limit.idleTime) ?? defaultPrefixLimit.idleSeconds,
  };
}

/** A wished password that cannot be had leaves no session: never one without (Calico makes one without). */
function passwordOf(
  { view, password }: SpeakerInput,
  plan: SessionPlan,
): { readonly text: string | undefined } | { readonly trouble: Problem } {
  const { passwordFile } = plan.options;
  const secret = plan.kind === 'node mesh' ? clusterConfiguration(view).nodeMeshPassword : plan.peer?.spec.password;
  const where = passwordFile === undefined ? secret : { file: passwordFile };
  if (where === undefined) return { text: undefined };
  const reading = password(where);
  const problem = 'problem' in reading ? reading.problem : tooLong(where, reading.password);
  if (problem === undefined) return { text: (reading as { readonly password: string }).password };
  const isMesh = plan.peer === undefined;
  return {
    trouble: {
      kind: isMesh ? 'BGPConfiguration' : 'BGPPeer',
      name: plan.peer?.metadata.name ?? 'default',
      path: isMesh ? 'spec.nodeMeshPassword' : 'spec.password',
      message: `no session with ${plan.name} until there is its password: ${problem}`,
    },
  };
}

function tooLong(where: { readonly file: string } | SecretReference, password: string): string | undefined {
  const bytes = Buffer.byteLength(password);
  const place = 'file' in where ? where.file : `key ${where.secretKeyRef.key} of Secret ${where.secretKeyRef.name}`;
  if (bytes === 0) return `${place} is empty`;
  return bytes > PASSWORD_BYTES_MAX
    ? `${place} has ${bytes} bytes (a TCP MD5 key has at most ${PASSWORD_BYTES_MAX})`
    : undefined;
}

/** A node without an IPv6 address has link-local ones all the same, where neighbours on links come to. */
function endpoints(input: SpeakerInput, self: SpeakingNode, plans: readonly SessionPlan[]): Endpoint[] {
  const own = addressesOf(self);
  const port = input.listenPort ?? self.port;
  if (nodeConfiguration(input.view, self.name).bindMode === 'NodeIP') {
    return [...own.map((address) => ({ address, port })), ...linkEndpoints(input, plans, port)];
  }
  const any = new Set(own.map((address) => (familyOf(address) === 4 ? ANY_V4 : ANY_V6)));
  if (plans.some(isOverLink)) any.add(ANY_V6);
  return [...any].map((address) => ({ address, port }));
}

function linkEndpoints(input: SpeakerInput, plans: readonly SessionPlan[], port: number): Endpoint[] {
  return plans.flatMap((plan) => {
    const { found } = sightingOf(input, plan) ?? {};
    if (found === undefined || !('link' in plan.remote)) return [];
    return [{ address: found.local, port, interface: plan.remote.link }];
  });
}

function isOverLink({ remote }: SessionPlan): boolean {
  return 'link' in remote || ('address' in remote && isLinkLocal(remote.address));
}

const ANY_V4 = parseAddress('0.0.0.0');
const ANY_V6 = parseAddress('::');

/** The IPv4 address; for a node without one a number made from its name, as with Calico's `hash` (RFC 6286: not 0). */
function routerIdOf(self: SpeakingNode, wished: SpeakerInput['routerId']): Address {
  const id = wished ?? self.addresses[4]?.address ?? 'hash';
  if (id !== 'hash') return id;
  const hash = fnv32(self.name) || 1;
  return addressFromBytes(Uint8Array.of(hash >>> 24, hash >>> 16, hash >>> 8, hash));
}

function unknownNode(name: string, self: SpeakingNode | undefined): Problem {
  const message =
    self === undefined
      ? `there is no Node of this name: create it, or say with --node which one this is`
      : `has no address: give it spec.bgp.ipv4Address or spec.bgp.ipv6Address`;
  return { kind: 'Node', name, message };
}

const roles = {
  Provider: 'provider',
  RouteServer: 'routeServer',
  RouteServerClient: 'routeServerClient',
  Customer: 'customer',
  Peer: 'peer',
} as const satisfies Record<NonNullable<PeerOptionsSpec['role']>, Role>;

/** Whole seconds of a duration, rounded up: one below a second must not become none. */
function seconds(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : Math.ceil(parseDuration(duration) / 1000);
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The fields that have a value. */
function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;
}

function unique(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}
