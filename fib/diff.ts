// What to do about one prefix and metric: pure. The reconciler asks it route by route; `diff` asks it for a whole table.
//
// Nobody else's route is ever touched, and no traffic is taken from one:
//   the same prefix and metric      ours waits, or goes if it is in (the kernel cannot replace it and leave the other)
//   the same prefix, worse metric   ours would take its traffic: it waits. Put behind ours later, it changes nothing
//   the same prefix, better metric  ours goes in behind it, unused
import type { Prefix } from '#ip';
import type { KernelNextHop, KernelRoute } from './port.ts';
import { type NextHop, PROTOCOL, type Route, type RouteTrouble, kernelMetric, protocolName } from './route.ts';
import type { Operation } from './text.ts';

/** Everything about one prefix and metric. */
export interface Situation {
  readonly wish?: Route | undefined;
  /** Our route in the kernel. */
  readonly own?: KernelRoute | undefined;
  /** Further ones of ours, which only `ip route append` can have made (IPv4). */
  readonly surplus?: readonly KernelRoute[] | undefined;
  /**
   * Next hops in our route that nobody of us put there (IPv6, where the kernel joins what is appended); not in `own`.
   * Theirs: somebody else's, as far as the kernel let us find out by deleting only what carries our protocol.
   */
  readonly joined?: { readonly nextHops: readonly KernelNextHop[]; readonly theirs: boolean } | undefined;
  /** Everybody else's routes for the prefix, of any metric. */
  readonly foreign: readonly KernelRoute[];
  /** Whether what is ours and not wished may go. */
  readonly sweep: boolean;
}

export interface Plan {
  readonly operations: readonly Operation[];
  readonly trouble?: { readonly trouble: Exclude<RouteTrouble['trouble'], 'refused'>; readonly reason: string };
}

/** The next step, if any, and what stands in the way. */
export function plan(situation: Situation): Plan {
  const { wish, own, joined } = situation;
  const surplus = (situation.surplus ?? []).map(remove);
  if (wish === undefined) return { operations: own && situation.sweep ? [...surplus, remove(own)] : [] };
  // First of all find out whose they are.
  if (own && joined && !joined.theirs) return { operations: [remove({ ...own, nextHops: joined.nextHops })] };

  const obstacle = obstacleTo(wish, situation);
  const trouble = obstacle ?? shadowOf(wish, situation.foreign);
  const because = trouble && { trouble };
  if (own && isAs(wish, own)) return { operations: surplus, ...because };
  if (own) return { operations: [...surplus, obstacle ? remove(own) : { do: 'replace', route: wish }], ...because };
  return { operations: obstacle ? [] : [{ do: 'add', route: wish }], ...because };
}

/** All operations and troubles of a whole table, in an order that leaves no prefix without a route that it could have. */
export function diff(
  desired: Iterable<Route>,
  actual: Iterable<KernelRoute>,
): { readonly operations: readonly Operation[]; readonly troubles: readonly (Plan['trouble'] & { route: Route })[] } {
  const situations = new Map<string, { wish?: Route; own?: KernelRoute; surplus: KernelRoute[]; prefix: Prefix }>();
  const situationOf = (prefix: Prefix, metric: number, tos?: string) => {
    const key = keyOf(prefix, metric, tos);
    const known = situations.get(key) ?? { prefix, surplus: [] };
    situations.set(key, known);
    return known;
  };
  const foreign = new Map<Prefix, KernelRoute[]>();
  for (const wish of desired) situationOf(wish.prefix, wish.metric).wish = wish;
  for (const route of actual) {
    if (route.protocol !== PROTOCOL) {
      foreign.set(route.prefix, [...(foreign.get(route.prefix) ?? []), route]);
      continue;
    }
    const situation = situationOf(route.prefix, route.metric, route.tos);
    if (situation.own) situation.surplus.push(route);
    else situation.own = route;
  }
  const plans = [...situations.values()].map((situation) => ({
    route: situation.wish!,
    ...plan({ ...situation, foreign: foreign.get(situation.prefix) ?? [], sweep: true }),
  }));
  return {
    operations: plans.flatMap(({ operations }) => operations).sort((a, b) => rankOf(a) - rankOf(b)),
    troubles: plans.flatMap(({ route, trouble }) => (trouble ? { ...trouble, route } : [])),
  };
}

/** What identifies a route of ours in the kernel, beside its protocol. */
export function keyOf(prefix: Prefix, metric: number, tos?: string): string {
  return `${prefix} ${kernelMetric(prefix, metric)}${tos === undefined ? '' : ` ${tos}`}`;
}

/**
 * When to carry out an operation: gateways may lie behind routes to links, so these come first and go last; and nothing
 * goes before everything that may take its place is in.
 */
export function rankOf({ do: verb, route }: Operation): 0 | 1 | 2 | 3 {
  const toLink = leadsToLink(route);
  if (verb === 'delete') return toLink ? 3 : 2;
  return toLink ? 0 : 1;
}

/** Whether the route ends at an interface, without any gateway. */
export function leadsToLink(route: { readonly kind: string; readonly nextHops: readonly NextHop[] }): boolean {
  return route.kind === 'unicast' && route.nextHops.every(({ via }) => via === undefined);
}

/** Whether the kernel holds exactly what is wished. An interface that the wish leaves open may be any. */
export function isAs(wish: Route, own: KernelRoute): boolean {
  return !own.odd && wish.kind === own.kind && unmatched(wish.nextHops, own.nextHops)?.length === 0;
}

/** What `own` has beyond all of `wished`; undefined when it lacks any of those. */
export function unmatched(
  wished: readonly NextHop[],
  own: readonly KernelNextHop[],
): readonly KernelNextHop[] | undefined {
  if (wished.length === 1 && own.length === 1) return fits(wished[0]!, own[0]!) ? [] : undefined;
  const left = [...own];
  // The particular ones choose first.
  const choosing = [...wished].sort((a, b) => Number(b.dev !== undefined) - Number(a.dev !== undefined));
  for (const hop of choosing) {
    const at = left.findIndex((candidate) => fits(hop, candidate));
    if (at < 0) return undefined;
    left.splice(at, 1);
  }
  return left;
}

function fits(wish: NextHop, own: KernelNextHop): boolean {
  return wish.via === own.via && (wish.dev === undefined || wish.dev === own.dev);
}

function remove(route: KernelRoute): Operation {
  return { do: 'delete', route };
}

/** Why ours must not go in. */
function obstacleTo(wish: Route, { own, joined, foreign }: Situation): Plan['trouble'] {
  if (joined) {
    const hops = joined.nextHops.map(({ via, dev }) => [via, dev && `dev ${dev}`].filter(Boolean).join(' ')).join(', ');
    return { trouble: 'foreign', reason: `somebody appended the next hop ${hops} to our route; ours does not change` };
  }
  const metric = kernelMetric(wish.prefix, wish.metric);
  // A route for one type of service is another route (fib_table_insert, IPv4 only).
  const rivals = foreign.filter(({ tos }) => tos === undefined);
  const rival = rivals.find((route) => route.metric === metric);
  if (rival) return { trouble: 'foreign', reason: `${describe(rival)} is there, with the same metric` };
  const behind = own ? undefined : rivals.find((route) => route.metric > metric && route.kind === 'unicast');
  return (
    behind && {
      trouble: 'foreign',
      reason: `${describe(behind)} is there, and ours would take its traffic (metric ${metric})`,
    }
  );
}

function shadowOf(wish: Route, foreign: readonly KernelRoute[]): Plan['trouble'] {
  const metric = kernelMetric(wish.prefix, wish.metric);
  const better = foreign.find((route) => route.metric < metric && route.tos === undefined);
  return better && { trouble: 'shadowed', reason: `${describe(better)} is better and is used instead` };
}

function describe({ protocol, metric }: KernelRoute): string {
  return `a route of proto ${protocolName(protocol)}, metric ${metric},`;
}
