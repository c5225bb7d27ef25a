// Which addresses of Services a node announces, and why each is or is not. Pure.
//
// BGPConfiguration names ranges. A range is announced whole, by every node; single addresses in it where that says
// more: where only some nodes serve it (policy Local), where the range is that one address, or where the operator wants
// no ranges for load balancers. Nothing outside the ranges is ever announced, and nothing of a pool of pods.
import { type Family, type Prefix, familyOfPrefix, hostPrefix, isHostPrefix, readAddress } from '#ip';
import { type PrefixSet, prefixSet } from '../desired/prefix-set.ts';
import type { BGPConfigurationSpec, IPPool } from '../resources/types.ts';
import { countText } from '../text.ts';
import { type Backends, type BackendsByService, backendsCounter, backendsKey, noBackends } from './backends.ts';
import { type EndpointSlice, type Service, fullName } from './objects.ts';

export interface ServicesInput {
  readonly configuration: BGPConfigurationSpec;
  readonly pools: readonly IPPool[];
  readonly node: ServingNode;
  /** Absent where nobody knows of Services: then the ranges are announced, whole, whatever their size. */
  readonly known?: { readonly services: readonly Service[]; readonly endpointSlices: readonly EndpointSlice[] };
}

export interface ServingNode {
  readonly labels: Readonly<Record<string, string>>;
  /** Families that it has an address of. */
  readonly families: readonly Family[];
  /** The condition NetworkUnavailable of the cluster's Node. */
  readonly networkUnavailable?: boolean;
}

export interface AnnouncedServices {
  /** Ranges as a whole. */
  readonly ranges: readonly Prefix[];
  /** Single addresses. */
  readonly addresses: readonly Prefix[];
  /** Every range, and every address of a Service that a range could be meant for. */
  readonly entries: readonly ServiceEntry[];
}

/** What an address is to its Service; `range` for the entry of a range itself. */
export type ServiceUse = 'range' | 'cluster' | 'external' | 'loadBalancer';

export interface ServiceEntry {
  readonly prefix: Prefix;
  readonly use: ServiceUse;
  /** "namespace/name"; an address may belong to several, with an entry each. */
  readonly service?: string;
  /** The route that leads to it from this node: its own, or a range. Absent: this node does not announce it. */
  readonly announcedAs?: Prefix;
  readonly reason: string;
}

/** Where a node is not to take part in load balancing, it announces no Service. */
const EXCLUDED = 'node.kubernetes.io/exclude-from-external-load-balancers';

const uses = ['cluster', 'external', 'loadBalancer'] as const;
type Use = (typeof uses)[number];

const fields = {
  cluster: 'serviceClusterIPs',
  external: 'serviceExternalIPs',
  loadBalancer: 'serviceLoadBalancerIPs',
} as const satisfies Record<Use, keyof BGPConfigurationSpec>;

/**
 * Computes for one node, from everything, every time. What belongs to an object that has not changed since the last time
 * is remembered by that object.
 */
export function servicesAnnouncer(node: string): (input: ServicesInput) => AnnouncedServices {
  const backendsOf = backendsCounter(node);
  const known = new WeakMap<Service, readonly Claim[]>();
  const claims = (service: Service): readonly Claim[] => {
    const found = known.get(service) ?? claimsOf(service);
    known.set(service, found);
    return found;
  };
  return (input) => {
    const ground = groundOf(input);
    const ranges = rangeEntries(input, ground);
    const backends = backendsOf(input.known?.endpointSlices ?? []);
    const announced = new Set(ranges.flatMap(({ announcedAs }) => announcedAs ?? []));
    const judge = judgeOf(input, ground, prefixSet(announced), backends);
    const single = (input.known?.services ?? []).flatMap((service) => claims(service).flatMap(judge));
    // Counted by having each owner's entry: an address goes when the last of them wants it no more.
    const addresses = new Set(single.flatMap((entry) => (entry.announcedAs === entry.prefix ? entry.prefix : [])));
    for (const range of announced) addresses.delete(range);
    return { ranges: [...announced], addresses: [...addresses], entries: [...ranges, ...single] };
  };
}

/** An address that a Service says is its own. */
interface Claim {
  readonly prefix: Prefix;
  readonly use: Use;
  readonly service: string;
  /** Only nodes with an endpoint of their own serve it. */
  readonly local: boolean;
}

function claimsOf(service: Service): Claim[] {
  const { spec = {}, status = {} } = service;
  const { clusterIPs = spec.clusterIP === undefined ? [] : [spec.clusterIP] } = spec;
  // ExternalName is a name in DNS, and a headless Service a list of pods: nobody translates to them.
  if (spec.type === 'ExternalName' || clusterIPs.every((address) => address === 'None')) return [];
  // With ipMode Proxy packets come in under a node's address: the load balancer has translated them already.
  const ingress = (status.loadBalancer?.ingress ?? []).filter(({ ipMode }) => ipMode !== 'Proxy');
  const balanced = spec.type === 'LoadBalancer' ? ingress.flatMap(({ ip }) => ip ?? []) : [];
  const claim = (use: Use, policy: string | undefined) => (text: string) => {
    const address = readAddress(text);
    if (address === undefined) return [];
    return [{ prefix: hostPrefix(address), use, service: fullName(service), local: policy === 'Local' }];
  };
  return [
    ...clusterIPs.flatMap(claim('cluster', spec.internalTrafficPolicy)),
    ...(spec.externalIPs ?? []).flatMap(claim('external', spec.externalTrafficPolicy)),
    ...balanced.flatMap(claim('loadBalancer', spec.externalTrafficPolicy)),
  ];
}

/** What holds for every address, looked at once. */
interface Ground {
  /** Why this node announces nothing of the family. */
  readonly silent: (family: Family) => string | undefined;
  readonly ranges: Readonly<Record<Use, PrefixSet>>;
  readonly pools: PrefixSet;
  readonly poolNames: ReadonlyMap<Prefix, string>;
}

function groundOf({ configuration, pools, node }: ServicesInput): Ground {
  // A pool for load balancers is where their addresses come from.
  const ofPods = pools.filter(({ spec }) => spec.allowedUses.some((use) => use !== 'LoadBalancer'));
  const ranges = uses.map((use) => [use, prefixSet(rangesOf(configuration, use))] as const);
  return {
    silent: silenceOf(node),
    ranges: Object.fromEntries(ranges) as Ground['ranges'],
    pools: prefixSet(ofPods.map(({ spec }) => spec.cidr)),
    poolNames: new Map(ofPods.map(({ metadata, spec }) => [spec.cidr, metadata.name])),
  };
}

function rangesOf(configuration: BGPConfigurationSpec, use: Use): Prefix[] {
  return (configuration[fields[use]] ?? []).map(({ cidr }) => cidr);
}

function silenceOf({ labels, families, networkUnavailable }: ServingNode): Ground['silent'] {
  if (labels[EXCLUDED] === 'true') return () => `this node has the label ${EXCLUDED}`;
  if (networkUnavailable === true) return () => 'this node has the condition NetworkUnavailable';
  return (family) => (families.includes(family) ? undefined : `this node has no IPv${family} address`);
}

function rangeEntries({ configuration, known }: ServicesInput, ground: Ground): ServiceEntry[] {
  return uses.flatMap((use) =>
    rangesOf(configuration, use).map((prefix): ServiceEntry => {
      const why = whyNotWhole(prefix, use, configuration, known !== undefined) ?? objection(prefix, ground);
      if (why !== undefined) return { prefix, use: 'range', reason: `${why} (${fields[use]})` };
      return { prefix, use: 'range', announcedAs: prefix, reason: `whole, by every node (${fields[use]})` };
    }),
  );
}

function whyNotWhole(
  range: Prefix,
  use: Use,
  configuration: BGPConfigurationSpec,
  isKnown: boolean,
): string | undefined {
  if (use === 'loadBalancer' && configuration.serviceLoadBalancerAggregation === 'Disabled') {
    return 'address by address: serviceLoadBalancerAggregation is Disabled';
  }
  return isKnown && isHostPrefix(range) ? 'a single address: announced while a Service has it' : undefined;
}

/** Why neither a range nor an address can be announced from here, whatever it is for. */
function objection(prefix: Prefix, { silent, pools, poolNames }: Ground): string | undefined {
  const pool = pools.containing(prefix);
  if (pool !== undefined) return `inside IPPool ${poolNames.get(pool)} (${pool}), whose addresses are those of pods`;
  return silent(familyOfPrefix(prefix));
}

function judgeOf(
  { configuration }: ServicesInput,
  ground: Ground,
  announced: PrefixSet,
  backends: BackendsByService,
): (claim: Claim) => ServiceEntry[] {
  const apart = configuration.serviceLoadBalancerAggregation === 'Disabled';
  return ({ prefix, use, service, local }) => {
    const range = ground.ranges[use].containing(prefix);
    // Whoever announces no addresses of a use need not read about each of them.
    if (range === undefined && rangesOf(configuration, use).length === 0) return [];
    const entry = (reason: string, announcedAs?: Prefix): ServiceEntry[] => [
      { prefix, use, service, reason, ...(announcedAs !== undefined && { announcedAs }) },
    ];
    if (range === undefined) return entry(`in none of ${fields[use]}`);
    const against = objection(prefix, ground);
    if (against !== undefined) return entry(against);
    const own = backends.get(backendsKey(service, familyOfPrefix(prefix))) ?? noBackends;
    const isSingle = isHostPrefix(range) || (apart && use === 'loadBalancer');
    if (!local && !isSingle) {
      const whole = announced.containing(prefix);
      return whole === undefined ? entry(`its range ${range} is not announced`) : entry('by its range', whole);
    }
    const { serves, reason } = local ? servedHere(own, use) : servedAnywhere(own);
    return entry(reason, serves ? prefix : undefined);
  };
}

interface Verdict {
  readonly serves: boolean;
  readonly reason: string;
}

/**
 * Policy Local: kube-proxy here has only the endpoints of this node. Those that are going away draw new connections only
 * while nobody at all is ready: as long as somebody is, it is better to go there.
 */
function servedHere({ ready, readyHere, lastingHere }: Backends, use: Use): Verdict {
  const policy = `${use === 'cluster' ? 'internal' : 'external'}TrafficPolicy Local`;
  if (readyHere > 0) return { serves: true, reason: `${policy}: ${countText(readyHere, 'ready endpoint')} here` };
  const elsewhere = ready === 0 ? '' : `, ${ready} elsewhere`;
  if (lastingHere === 0) return { serves: false, reason: `${policy}: no ready endpoint here${elsewhere}` };
  if (ready > 0) return { serves: false, reason: `${policy}: the endpoints here are going away${elsewhere}` };
  return { serves: true, reason: `${policy}: no endpoint is ready; ${lastingHere} here still serving` };
}

/** Any node will do, as long as somebody is behind it: a router that gets no route can say so at once. */
function servedAnywhere({ ready, lasting }: Backends): Verdict {
  if (ready > 0) return { serves: true, reason: `by every node: ${countText(ready, 'ready endpoint')}` };
  if (lasting > 0) return { serves: true, reason: `by every node: no endpoint is ready; ${lasting} still serving` };
  return { serves: false, reason: 'no ready endpoint' };
}
