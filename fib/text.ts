// Routes in the words of `ip`: the lines that add, replace and delete them, and the lines that its monitor prints.
import { type Family, type Prefix, familyOf, familyOfPrefix, readAddress } from '#ip';
import { FibError } from './error.ts';
import { kindOf, toPrefix } from './parse.ts';
import type { Hint, KernelNextHop, KernelRoute } from './port.ts';
import { type NextHop, PROTOCOL, type Route, kernelMetric } from './route.ts';

/** One step towards the desired set. Each becomes one line. */
export type Operation =
  /** Fails where any route of the same prefix and metric is. */
  | { readonly do: 'add'; readonly route: Route }
  /** In place, without a gap. The kernel does not ask whose route it replaces: only where ours is known to be. */
  | { readonly do: 'replace'; readonly route: Route }
  /** Names our protocol and the next hops: nothing else can be hit. */
  | { readonly do: 'delete'; readonly route: KernelRoute };

/**
 * The line of a batch that carries the operation out.
 * @throws FibError (bad-route) for an interface name that `ip` would not take for one word.
 */
export function lineOf(operation: Operation): string {
  return operation.do === 'delete' ? deleteLine(operation.route) : setLine(operation.do, operation.route);
}

/**
 * `onlink` is never said: a gateway that no connected route covers is refused by the kernel, and the operator sees it.
 */
function setLine(verb: 'add' | 'replace', { prefix, kind, metric, nextHops }: Route): string {
  const mark = `proto ${PROTOCOL}${metricWords(prefix, metric)}`;
  if (kind === 'blackhole') return `route ${verb} blackhole ${prefix} ${mark}`;
  const scope = familyOfPrefix(prefix) === 4 && nextHops.every(({ via }) => via === undefined) ? ' scope link' : '';
  return `route ${verb} ${prefix} ${mark}${scope}${hopsWords(prefix, nextHops)}`;
}

/**
 * The next hops say exactly which route is meant: in IPv4, metric 0 would mean any metric; in IPv6, all routes of one
 * prefix and metric are one, and a line without next hops deletes what somebody else appended to ours as well. Only what
 * has more to it than next hops (an IPv4 route by nexthop id, say) goes by its metric alone.
 */
function deleteLine({ prefix, kind, metric, nextHops, tos, odd }: KernelRoute): string {
  const type = kind === 'blackhole' ? 'blackhole ' : '';
  const mark = `proto ${PROTOCOL}${metricWords(prefix, metric)}${tos === undefined ? '' : ` tos ${word(tos)}`}`;
  const exact = !odd || metric === 0 || familyOfPrefix(prefix) === 6;
  return `route del ${type}${prefix} ${mark}${exact ? hopsWords(prefix, nextHops) : ''}`;
}

function metricWords(prefix: Prefix, metric: number): string {
  const effective = kernelMetric(prefix, metric);
  return effective === 0 ? '' : ` metric ${effective}`;
}

function hopsWords(prefix: Prefix, nextHops: readonly NextHop[]): string {
  const family = familyOfPrefix(prefix);
  if (nextHops.length === 1) return hopWords(family, nextHops[0]!);
  return nextHops.map((hop) => ` nexthop${hopWords(family, hop)}`).join('');
}

function hopWords(family: Family, { via, dev }: NextHop): string {
  // RFC 8950: an IPv4 route whose gateway has an IPv6 address.
  const gateway = via === undefined ? '' : ` via ${familyOf(via) === family ? '' : 'inet6 '}${via}`;
  return `${gateway}${dev === undefined ? '' : ` dev ${word(dev)}`}`;
}

/** dev_valid_name() in the kernel allows more than fits into a line of `ip -batch`; what does not fit is refused here. */
function word(text: string): string {
  if (!/^[^\s#'"\\/]+$/.test(text)) throw new FibError('bad-route', `${JSON.stringify(text)} cannot be said to ip`);
  return text;
}

/** What one line of `ip -o -N -d monitor route link addr` announces; undefined for what is not about the main table. */
export function parseMonitorLine(line: string): Hint | undefined {
  if (/^(Deleted )?\d+: /.test(line))
    return { about: /^(Deleted )?\d+: \S+\s+inet6? /.test(line) ? 'address' : 'link' };
  const deleted = line.startsWith('Deleted ');
  const [head = '', ...hops] = line.slice(deleted ? 8 : 0).split(/\\?\s+nexthop /);
  const words = head.trim().split(/\s+/);
  const [type, destination] = /^[a-z\d]+$/.test(words[0]!) && words[0] !== 'default' ? words : [undefined, words[0]!];
  const table = after(words, 'table');
  if (table !== undefined && table !== '254' && table !== 'main') return undefined;
  const protocol = Number(after(words, 'proto'));
  // Only IPv6 routes have a preference (RFC 4191); their default route has no colon to be known by.
  const family = destination?.includes(':') || words.includes('pref') ? 6 : 4;
  const prefix = destination === undefined ? undefined : readDestination(destination, family);
  if (prefix === undefined || !Number.isInteger(protocol)) return { about: 'anything' };
  const kind = kindOf(type);
  const tos = after(words, 'tos');
  const nextHops =
    kind === 'unicast' ? (hops.length > 0 ? hops.map((hop) => hop.split(/\s+/)) : [words]).map(toHop) : [];
  const metric = Number(after(words, 'metric') ?? 0);
  const odd = words.some((text) => oddWords.has(text)) && ({ odd: true } as const);
  const route: KernelRoute = { prefix, metric, protocol, kind, nextHops, ...(tos !== undefined && { tos }), ...odd };
  return { about: 'route', deleted, route };
}

const oddWords = new Set(['onlink', 'src', 'mtu', 'encap', 'nhid', 'expires', 'from']);

function readDestination(text: string, family: Family): Prefix | undefined {
  try {
    return toPrefix(text, family);
  } catch {
    return undefined; // the caller takes it for a reason to look at everything
  }
}

function toHop(words: readonly string[]): KernelNextHop {
  const gateway = after(words, 'via');
  const via = readAddress((gateway === 'inet6' || gateway === 'inet' ? after(words, gateway) : gateway) ?? '');
  const dev = after(words, 'dev');
  return { ...(via !== undefined && { via }), ...(dev !== undefined && { dev }) };
}

function after(words: readonly string[], key: string): string | undefined {
  const at = words.indexOf(key);
  return at < 0 ? undefined : words[at + 1];
}
