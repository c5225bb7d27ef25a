// Whether a next hop can be reached, and how: from the kernel's routes that are not learned by us.
//
// The longest match decides alone: a next hop on a link without carrier is unreachable, even where a shorter route would
// take the packet elsewhere. The default route never counts, or every next hop would be reachable for ever.
import { type Address, type Family, type Prefix, bitsOf, familyOf, lengthOf, familyOfPrefix, prefixFrom } from '#ip';
import type { KernelLink, KernelRoute } from './port.ts';

export interface Resolution {
  readonly reachable: boolean;
  /** The interface that leads to it. */
  readonly interface?: string;
  /** Set where it is not on a link: the neighbour to send through. The kernel takes only neighbours for gateways. */
  readonly gateway?: Address;
}

export interface Resolver {
  /** `dev`: the interface that a link-local address belongs to. Without it, such an address is looked for on all. */
  resolve(nextHop: Address, dev?: string): Resolution;
  /** The kernel has been looked at. What is left out is as before. */
  update(kernel: { readonly routes?: Iterable<KernelRoute>; readonly links?: readonly KernelLink[] }): void;
}

interface Question {
  readonly nextHop: Address;
  readonly dev: string | undefined;
  readonly answer: Resolution;
}

/** Questions remembered, to tell whether an answer changed. */
const REMEMBERED = 10_000;
const UNREACHABLE: Resolution = { reachable: false };

/** `onChange`: some answer that was given would be another one now. */
export function createResolver(onChange: () => void = () => undefined): Resolver {
  let routes = new Map<Prefix, KernelRoute[]>();
  let lengths: Record<Family, readonly number[]> = { 4: [], 6: [] };
  let own: ReadonlySet<Address> = new Set();
  const asked = new Map<string, Question>();
  let forgotten = false;

  const answer = (nextHop: Address, dev: string | undefined): Resolution => {
    if (own.has(nextHop)) return UNREACHABLE; // the kernel refuses its own address as a gateway
    for (const length of lengths[familyOf(nextHop)]) {
      const covering = routes.get(prefixFrom(nextHop, length));
      if (covering) return choose(covering, dev);
    }
    return UNREACHABLE;
  };

  return {
    resolve(nextHop, dev) {
      const key = `${nextHop} ${dev ?? ''}`;
      const known = asked.get(key)?.answer ?? answer(nextHop, dev);
      if (asked.size >= REMEMBERED) {
        asked.clear();
        forgotten = true;
      }
      asked.set(key, { nextHop, dev, answer: known });
      return known;
    },
    update(kernel) {
      if (kernel.links) own = new Set(kernel.links.flatMap(({ addresses }) => addresses.map(({ address }) => address)));
      if (kernel.routes) ({ routes, lengths } = arrange(kernel.routes));
      let changed = forgotten; // nobody can tell what was answered to them
      forgotten = false;
      for (const [key, { nextHop, dev, answer: before }] of asked) {
        const now = answer(nextHop, dev);
        if (isSame(before, now)) continue;
        changed = true;
        asked.set(key, { nextHop, dev, answer: now });
      }
      if (changed) onChange();
    },
  };
}

function arrange(all: Iterable<KernelRoute>): {
  routes: Map<Prefix, KernelRoute[]>;
  lengths: Record<Family, readonly number[]>;
} {
  const routes = new Map<Prefix, KernelRoute[]>();
  const present = { 4: new Set<number>(), 6: new Set<number>() };
  for (const route of all) {
    if (route.tos !== undefined || lengthOf(route.prefix) === 0) continue;
    present[familyOfPrefix(route.prefix)].add(lengthOf(route.prefix));
    const known = routes.get(route.prefix);
    if (known) known.push(route);
    else routes.set(route.prefix, [route]);
  }
  const longestFirst = (family: Family): number[] =>
    [...present[family]].filter((length) => length <= bitsOf(family)).sort((a, b) => b - a);
  for (const same of routes.values()) same.sort((a, b) => a.metric - b.metric);
  return { routes, lengths: { 4: longestFirst(4), 6: longestFirst(6) } };
}

/** Among the routes of one prefix, best metric first: the first next hop whose link is up. */
function choose(routes: readonly KernelRoute[], dev: string | undefined): Resolution {
  const usable = routes.flatMap(({ kind, nextHops }) =>
    kind === 'unicast'
      ? nextHops.filter((hop) => !hop.down && hop.dev !== undefined && (dev ?? hop.dev) === hop.dev)
      : [],
  );
  const [first] = usable;
  if (first === undefined) return UNREACHABLE;
  // fe80::/64 is on every link: without the interface nobody can say which is meant.
  const ambiguous = usable.some((hop) => hop.dev !== first.dev && first.via === undefined && hop.via === undefined);
  return {
    reachable: true,
    ...(!ambiguous && { interface: first.dev! }),
    ...(first.via !== undefined && { gateway: first.via }),
  };
}

function isSame(a: Resolution, b: Resolution): boolean {
  return a.reachable === b.reachable && a.interface === b.interface && a.gateway === b.gateway;
}
