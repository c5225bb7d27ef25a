// What a node's addresses should be: from the wishes, the host and what the Node and the others say now. Pure.
import { type Address, type Family, parseInterfaceAddress } from '#ip';
import type { NodeResource } from '../resources/types.ts';
import { type Detection, type Host, detectAddress, locateAddress } from './choose.ts';
import type { Method } from './method.ts';
import type { AddressWish } from './wish.ts';

/** How the node came to its address of a family, for people. */
export interface AddressState {
  readonly family: Family;
  /** What the node is known by; with the length of its subnet. */
  readonly address?: string;
  readonly interface?: string;
  /** "first-found of 2 addresses", "given", "as the Node says". */
  readonly how: string;
  /** What is wrong: nothing was found, or another node has it already. What was there before stays then. */
  readonly problem?: string;
}

export interface Decision {
  /** What the Node should say; undefined for nothing. */
  readonly ipv4Address: string | undefined;
  readonly ipv6Address: string | undefined;
  readonly states: readonly AddressState[];
}

export interface DecisionInput {
  readonly wishes: Readonly<Record<Family, AddressWish>>;
  /** What was found out for the method of each family. */
  readonly hosts: Readonly<Record<Family, Host>>;
  readonly self: NodeResource;
  readonly others: readonly NodeResource[];
}

export function decideAddresses(input: DecisionInput): Decision {
  const [v4, v6] = [decide(input, 4), decide(input, 6)];
  return {
    ipv4Address: v4.address,
    ipv6Address: v6.address,
    states: [v4, v6].filter(({ how }) => how !== UNASKED),
  };
}

/** Nobody wishes an address of this family, and there is none. */
const UNASKED = '';

/** Nothing is looked for: somebody has said it. */
export const AS_THE_NODE_SAYS = 'as the Node says';

/** The method that this wish asks for; undefined where nothing is to be found out. */
export function methodOf(wish: AddressWish, present: string | undefined): Method | undefined {
  if (wish.from === 'autodetect') return wish.method;
  return wish.from === 'node' && present === undefined ? wish.otherwise : undefined;
}

export function presentAddress({ spec }: NodeResource, family: Family): string | undefined {
  return family === 4 ? spec.bgp?.ipv4Address : spec.bgp?.ipv6Address;
}

function decide(input: DecisionInput, family: Family): AddressState {
  const { wishes, hosts, self } = input;
  const present = presentAddress(self, family);
  const wish = wishes[family];
  if (wish.from === 'none') return { family, how: 'none is wished' };
  const method = methodOf(wish, present);
  if (method !== undefined) return settle(input, family, detectAddress(method, family, hosts[family], present));
  if (wish.from === 'given') return settle(input, family, locateAddress(wish.address, hosts[family]));
  if (present === undefined) return { family, how: UNASKED };
  return { family, address: present, how: AS_THE_NODE_SAYS, ...placeOf(present, hosts[family]) };
}

/** What was found, unless there is a reason against it: then what was before stays. */
function settle({ self, others }: DecisionInput, family: Family, detection: Detection): AddressState {
  const present = presentAddress(self, family);
  const before = present === undefined ? {} : { address: present };
  if ('none' in detection) return { family, ...before, how: 'not found', problem: detection.none };
  const { address, how } = detection;
  const owner = others.find((node) => bare(presentAddress(node, family)) === bare(address));
  const place = detection.interface === undefined ? {} : { interface: detection.interface };
  if (owner === undefined) return { family, address, how, ...place };
  // What is written stays written: to take it back would take down sessions that may be the right ones.
  const { name } = owner.metadata;
  const remedy = `give one of them another, or delete Node ${name} if it is gone`;
  return {
    family,
    ...before,
    how,
    problem: `${bare(address)!} (${how}) is the address of node ${name} already: ${remedy}`,
  };
}

function placeOf(text: string, host: Host): Pick<AddressState, 'interface'> {
  const located = locateAddress(parseInterfaceAddress(text), host);
  return 'interface' in located && located.interface !== undefined ? { interface: located.interface } : {};
}

function bare(text: string | undefined): Address | undefined {
  return text?.split('/')[0] as Address | undefined;
}
