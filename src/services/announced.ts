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

/**
 * What an address is to its Service; `range` for the entry of a range itself, `remembered` while Services are not known.
 */
export type ServiceUse = 'range' | 'cluster' | 'external' | 'loadBalancer' | 'remembered';

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

/** The label takes every Service away from the node. */
export function isExcluded({ labels }: ServingNode): boolean {
  return labels[EXCLUDED] === 'true';
}

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
  const claims = remembering(claimsOf);
  const grounds = latest(groundOf, groundText);
  return (input) => {
    const { ranges, announced, standing } = grounds(input);
    const backends = backendsOf(input.known?.endpointSlices ?? []);
    const single = (input.known?.services ?? [])
      .flatMap(claims)
      .flatMap((claim) => standing(claim) ?? byEndpoints(claim, backends));
    // Counted by having each owner's entry: an address goes when the last of them wants it no more.
    const addresses = new Set(single.flatMap((entry) => (entry.announcedAs === entry.prefix ? entry.prefix : [])));
    for (const range of announced) addresses.delete(range);
    return { ranges: announced, addresses: [...addresses], entries: [...ranges, ...single] };
  };
}

/** What follows from an object stays as long as the object: one that changes is another one. */
function remembering<From extends object, To>(compute: (from: From) => To): (from: From) => To {
  const known = new WeakMap<From, { readonly value: To }>();
  return (from) => {
    const found = known.get(from) ?? { value: compute(from) };
    known.set(from, found);
    return found.value;
  };
}

/** The same for the last input, as long as its text stays. */
function latest<From, To>(compute: (from: From) => To, textOf: (from: From) => string): (from: From) => To {
  let known: { readonly text: string; readonly value: To } | undefined;
  return (from) => {
    const text = textOf(from);
    if (known?.text !== text) known = { text, value: compute(from) };
    return known.value;
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

/** What follows from the configuration and the node, whatever Services there are: looked at once. */
interface Ground {
  readonly ranges: readonly ServiceEntry[];
  /** Of these, those that are announced. */
  readonly announced: readonly Prefix[];
  /** What is to be said of an address without looking at endpoints: undefined where they decide. */
  readonly standing: (claim: Claim) => readonly ServiceEntry[] | undefined;
}

function groundText({ configuration, pools, node, known }: ServicesInput): string {
  const { serviceLoadBalancerAggregation } = configuration;
  const cidrs = uses.map((use) => rangesOf(configuration, use));
  const addresses = pools.map(({ metadata, spec }) => [metadata.name, spec.cidr, spec.allowedUses]);
  return JSON.stringify([cidrs, serviceLoadBalancerAggregation, addresses, node, known !== undefined]);
}

function groundOf({ configuration, pools, node, known }: ServicesInput): Ground {
  const against = objections(pools, node);
  const ranges = rangeEntries(configuration, against, known !== undefined);
  const announced = [...new Set(ranges.flatMap(({ announcedAs }) => announcedAs ?? []))];
  const standing = standingOf(configuration, against, prefixSet(announced));
  return { ranges, announced, standing: remembering(standing) };
}

/** Why neither a range nor an address can be announced from here, whatever it is for. */
type Objections = (prefix: Prefix) => string | undefined;

function objections(pools: readonly IPPool[], node: ServingNode): Objections {
  // A pool for load balancers is where their addresses come from.
  const ofPods = pools.filter(({ spec }) => spec.allowedUses.some((use) => use !== 'LoadBalancer'));
  const cidrs = prefixSet(ofPods.map(({ spec }) => spec.cidr));
  const names = new Map(ofPods.map(({ metadata, spec }) => [spec.cidr, metadata.name]));
  const silence = silenceOf(node);
  return (prefix) => {
    const pool = cidrs.containing(prefix);
    if (pool !== undefined) return `inside IPPool ${names.get(pool)} (${pool}), whose addresses are those of pods`;
    return silence(familyOfPrefix(prefix));
  };
}

function rangesOf(configuration: BGPConfigurationSpec, use: Use): Prefix[] {
  return (configuration[fields[use]] ?? []).map(({ cidr }) => cidr);
}

/** Why this node announces nothing of a family. */
function silenceOf(node: ServingNode): (family: Family) => string | undefined {
  const { families, networkUnavailable } = node;
  if (isExcluded(node)) return () => `this node has the label ${EXCLUDED}`;
  if (networkUnavailable === true) return () => 'this node has the condition NetworkUnavailable';
  return (family) => (families.includes(family) ? undefined : `this node has no IPv${family} address`);
}

function rangeEntries(configuration: BGPConfigurationSpec, against: Objections, isKnown: boolean): ServiceEntry[] {
  return uses.flatMap((use) =>
    rangesOf(configuration, use).map((prefix): ServiceEntry => {
      const why = whyNotWhole(prefix, use, configuration, isKnown) ?? against(prefix);
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

function standingOf(
  configuration: BGPConfigurationSpec,
  against: Objections,
  announced: PrefixSet,
): Ground['standing'] {
  const apart = configuration.serviceLoadBalancerAggregation === 'Disabled';
  const ranges = Object.fromEntries(uses.map((use) => [use, prefixSet(rangesOf(configuration, use))])) as Record<
    Use,
    PrefixSet
  >;
  return ({ prefix, use, service, local }) => {
    const entry = (reason: string): ServiceEntry[] => [{ prefix, use, service, reason }];
    const range = ranges[use].containing(prefix);
    // Whoever announces no addresses of a use need not read about each of them.
    if (range === undefined) return rangesOf(configuration, use).length === 0 ? [] : entry(`in none of ${fields[use]}`);
    const why = against(prefix);
    if (why !== undefined) return entry(why);
    if (local || isHostPrefix(range) || (apart && use === 'loadBalancer')) return undefined;
    const whole = announced.containing(prefix);
    if (whole === undefined) return entry(`its range ${range} is not announced`);
    return [{ prefix, use, service, announcedAs: whole, reason: 'by its range' }];
  };
}

function byEndpoints({ prefix, use, service, local }: Claim, backends: BackendsByService): ServiceEntry {
  const own = backends.get(backendsKey(service, familyOfPrefix(prefix))) ?? noBackends;
  const { serves, reason } = local ? servedHere(own, use) : servedAnywhere(own);
  return { prefix, use, service, ...(serves && { announcedAs: prefix }), reason };
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
