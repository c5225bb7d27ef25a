// The kernel's IPv6 neighbour table, and which of the routers in it is the neighbour of an unnumbered session. Pure.
//
// The kernel takes a sender of router advertisements into its table and marks it a router (RFC 4861 §6.3.4), also where
// it is told not to follow them (forwarding, accept_ra=0). It knows as well who does not answer any more (§7.3).
import { type Address, compareAddresses, readAddress } from '#ip';
import { FibError, wordsOf } from '../error.ts';

export interface KernelNeighbour {
  /** Link-local. */
  readonly address: Address;
  readonly router: boolean;
  /** reachable: it has answered of late. unknown: nobody has asked it of late. failed: it does not answer. */
  readonly state: 'reachable' | 'unknown' | 'failed';
  /** How long ago it has answered anything; long, where it never has. */
  readonly confirmedSeconds: number;
}

export interface Choice {
  readonly neighbour: Address;
  /** Other routers on the link, which an unnumbered session has no use for. */
  readonly others: readonly Address[];
}

interface JsonNeighbour {
  readonly dst: string;
  readonly router?: null;
  readonly confirmed: number;
  readonly state: readonly string[];
}

/**
 * One object of `ip -s -j -6 neigh show dev …`; undefined for an address that is not link-local.
 * @throws FibError that quotes it
 */
export function parseNeighbour(object: unknown): KernelNeighbour | undefined {
  try {
    const json = object as JsonNeighbour;
    const address = readAddress(json.dst);
    if (address === undefined) throw new Error('no address');
    if (!isLinkLocal(address)) return undefined;
    if (typeof json.confirmed !== 'number') throw new Error('no time of confirmation');
    const { router, state, confirmed: confirmedSeconds } = json;
    return { address, router: router !== undefined, state: stateOf(state), confirmedSeconds };
  } catch (error) {
    throw new FibError('ip-output', `ip -j neigh: ${wordsOf(error)} in ${JSON.stringify(object)}`, { cause: error });
  }
}

/** fe80::/10 (RFC 4291 §2.5.6). */
export function isLinkLocal(address: Address): boolean {
  return /^fe[89ab]/.test(address);
}

/**
 * The router on the link that the session is with. The one that it was before stays it, whatever is heard meanwhile,
 * unless it does not answer and another one is there. That it is marked a router counts only for a newcomer: the mark
 * goes for a moment whenever a router asks who else is one.
 */
export function chooseNeighbour(table: readonly KernelNeighbour[], before: Address | undefined): Choice | undefined {
  const routers = table.filter(({ router, state }) => router && state !== 'failed').sort(preferred);
  const stays = table.some(({ address, state }) => address === before && state !== 'failed') || routers.length === 0;
  const neighbour = stays && before !== undefined ? before : routers[0]?.address;
  if (neighbour === undefined) return undefined;
  return { neighbour, others: routers.map(({ address }) => address).filter((address) => address !== neighbour) };
}

function preferred(a: KernelNeighbour, b: KernelNeighbour): number {
  const answers = ({ state }: KernelNeighbour): number => (state === 'reachable' ? 0 : 1);
  return answers(a) - answers(b) || compareAddresses(a.address, b.address);
}

/** NUD states (RFC 4861 §7.3.2). What is being probed counts as answering until it has failed to. */
function stateOf(states: readonly string[]): KernelNeighbour['state'] {
  if (states.some((state) => state === 'FAILED' || state === 'INCOMPLETE')) return 'failed';
  return states.some((state) => state === 'STALE' || state === 'NONE') ? 'unknown' : 'reachable';
}
