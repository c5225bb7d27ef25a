// The border to `ip -j -N -d`: its objects become KernelRoute and KernelLink, or an error that quotes them.
//
// A route of somebody else may be as strange as it likes, as long as its prefix, metric and protocol can be read. A route
// of ours that has anything a Route cannot say is marked odd, so that it never passes for the one that was wished.
import {
  type Family,
  type InterfaceAddress,
  type Prefix,
  bitsOf,
  parseInterfaceAddress,
  readAddress,
  readPrefix,
} from '#ip';
import { FibError, wordsOf } from './error.ts';
import type { KernelLink, KernelNextHop, KernelRoute } from './port.ts';

/** Makes routes of the objects of one family's dump; keeps the prefixes it has read, as the next dump has them again. */
export function routeParser(family: Family): (object: unknown) => KernelRoute {
  const known = new Map<string, Prefix>();
  return (object) => {
    if (known.size > KNOWN_PREFIXES) known.clear();
    return parseRoute(object, family, known);
  };
}

/** IPv6 text takes microseconds to parse: a third of a second per 100,000 prefixes, were it done at every look. */
const KNOWN_PREFIXES = 300_000;

/**
 * One object of `ip -j -N -d route show`.
 * @throws FibError that quotes an object without a readable prefix, protocol or metric.
 */
export function parseRoute(object: unknown, family: Family, known = new Map<string, Prefix>()): KernelRoute {
  try {
    return toRoute(object as JsonRoute, family, known);
  } catch (error) {
    throw new FibError('ip-output', `ip -j route: ${wordsOf(error)} in ${JSON.stringify(object)}`, { cause: error });
  }
}

/** One object of `ip -j -N addr show`. @throws FibError that quotes it */
export function parseLink(object: unknown): KernelLink {
  try {
    const { ifname, flags, addr_info: addresses = [] } = object as JsonLink;
    if (typeof ifname !== 'string') throw new Error('no ifname');
    const up = flags.includes('UP') && flags.includes('LOWER_UP');
    return { name: ifname, up, addresses: addresses.filter(isIp).map(toInterfaceAddress) };
  } catch (error) {
    throw new FibError('ip-output', `ip -j addr: ${wordsOf(error)} in ${JSON.stringify(object)}`, { cause: error });
  }
}

/** Index and name of one object of `ip -j link show`. @throws FibError that quotes it */
export function parseIndex(object: unknown): readonly [index: number, name: string] {
  const { ifindex, ifname } = object as { readonly ifindex?: unknown; readonly ifname?: unknown };
  if (typeof ifindex === 'number' && typeof ifname === 'string') return [ifindex, ifname];
  throw new FibError('ip-output', `ip -j link: no ifindex or no ifname in ${JSON.stringify(object)}`);
}

interface JsonRoute {
  readonly type?: string;
  readonly dst: string;
  readonly tos?: string;
  readonly protocol: string;
  readonly metric?: number;
  readonly scope?: string;
  readonly pref?: string;
  readonly nexthops?: readonly JsonNextHop[];
  readonly gateway?: string;
  readonly via?: { readonly host: string };
  readonly dev?: string;
  readonly flags?: readonly string[];
  readonly [other: string]: unknown;
}

interface JsonNextHop {
  readonly gateway?: string;
  readonly via?: { readonly host: string };
  readonly dev?: string;
  readonly weight?: number;
  readonly flags?: readonly string[];
  readonly [other: string]: unknown;
}

interface JsonAddress {
  readonly family: string;
  readonly local?: string;
  readonly prefixlen: number;
}

interface JsonLink {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly addr_info?: readonly JsonAddress[];
}

function toRoute(json: JsonRoute, family: Family, known: Map<string, Prefix>): KernelRoute {
  const kind = kindOf(json.type);
  const hops = kind === 'unicast' ? (json.nexthops ?? [json]) : [];
  return {
    prefix: toPrefix(json.dst, family, known),
    metric: toNumber(json.metric ?? 0, 'metric'),
    protocol: toNumber(json.protocol, 'protocol'),
    kind,
    nextHops: hops.map(toNextHop),
    ...(json.tos !== undefined && { tos: json.tos }),
    ...(isOdd(json, kind, family) && { odd: true }),
  };
}

/** rtm_type, by number (-N) or by name (which newer versions may prefer). */
export function kindOf(type: string | undefined): KernelRoute['kind'] {
  if (type === undefined || type === '1' || type === 'unicast') return 'unicast';
  return type === '6' || type === 'blackhole' ? 'blackhole' : 'other';
}

/** The kernel's text for a destination: "default", an address for a host prefix, or a prefix. */
export function toPrefix(text: string, family: Family, known?: Map<string, Prefix>): Prefix {
  const before = known?.get(text);
  if (before !== undefined) return before;
  const whole = text === 'default' ? (family === 4 ? '0.0.0.0/0' : '::/0') : text;
  const prefix = readPrefix(whole.includes('/') ? whole : `${whole}/${bitsOf(family)}`);
  if (prefix === undefined) throw new Error(`${JSON.stringify(text)} is no prefix`);
  known?.set(text, prefix);
  return prefix;
}

function toNumber(value: string | number | undefined, what: string): number {
  const number = Number(value);
  if (value === undefined || !Number.isInteger(number)) throw new Error(`the ${what} is no number`);
  return number;
}

function toNextHop(json: JsonNextHop): KernelNextHop {
  const text = json.gateway ?? json.via?.host;
  const via = text === undefined ? undefined : readAddress(text);
  const down = json.flags?.some((flag) => flag === 'dead' || flag === 'linkdown');
  return {
    ...(via !== undefined && { via }),
    ...(json.dev !== undefined && { dev: json.dev }),
    ...(down && { down: true as const }),
  };
}

const plainKeys = new Set([
  'type',
  'dst',
  'tos',
  'protocol',
  'metric',
  'scope',
  'pref',
  'nexthops',
  'gateway',
  'via',
  'dev',
  'flags',
  'table',
]);
const plainHopKeys = new Set(['gateway', 'via', 'dev', 'weight', 'flags']);

/** Whether the route has anything that our own never have. */
function isOdd(json: JsonRoute, kind: KernelRoute['kind'], family: Family): boolean {
  for (const key in json) if (!plainKeys.has(key)) return true;
  if (json.flags?.includes('onlink') || (json.pref ?? 'medium') !== 'medium') return true;
  if (json.nexthops?.some(isOddHop)) return true;
  if (family === 6 || json.scope === undefined) return false;
  // RT_SCOPE_LINK is right for what has no gateway, RT_SCOPE_UNIVERSE for everything else.
  const gateways = kind !== 'unicast' || (json.nexthops ?? [json]).some((hop) => hop.gateway ?? hop.via);
  return json.scope !== (gateways ? '0' : '253');
}

function isOddHop(hop: JsonNextHop): boolean {
  for (const key in hop) if (!plainHopKeys.has(key)) return true;
  return (hop.weight ?? 1) !== 1 || (hop.flags?.includes('onlink') ?? false);
}

function isIp(address: JsonAddress): boolean {
  return address.local !== undefined && (address.family === 'inet' || address.family === 'inet6');
}

function toInterfaceAddress(address: JsonAddress): InterfaceAddress {
  return parseInterfaceAddress(`${address.local}/${address.prefixlen}`);
}
