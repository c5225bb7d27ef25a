// The node's own addresses: looked for at the start, at every change of Nodes and once a minute, and written into the
// Node, which is where everything else reads them. And its AS number, where we were told one.
import { type Address, type Family, readAddress } from '#ip';
import type { Host } from '../autodetect/choose.ts';
import {
  AS_THE_NODE_SAYS,
  type AddressState,
  decideAddresses,
  methodOf,
  presentAddress,
} from '../autodetect/decide.ts';
import { readInterfaces } from '../autodetect/interfaces.ts';
import { sourceTowards } from '../autodetect/source.ts';
import type { AddressWish } from '../autodetect/wish.ts';
import type { Log } from '../log.ts';
import { isRecord } from '../resources/index.ts';
import type { NodeResource } from '../resources/types.ts';
import { type Store, StoreError } from '../store/port.ts';
import { Loop } from './loop.ts';

export interface AddressesOptions {
  readonly node: string;
  readonly wishes: Readonly<Record<Family, AddressWish>>;
  /** Said to us; absent: whatever the Node says. */
  readonly asNumber?: number | undefined;
  readonly store: Store;
  readonly log: Log;
  /** For tests; absent: this host. */
  readonly interfaces?: () => Promise<Host['interfaces']>;
  readonly everyMs?: number;
}

export interface Addresses extends AsyncDisposable {
  /** Looks, and resolves when what was found is written, or the store is found to be away. */
  settle(): Promise<void>;
  states(): readonly AddressState[];
  failures(): readonly Loop[];
}

/** As often as Calico. */
const LOOK_EVERY_MS = 60_000;

export function followAddresses(options: AddressesOptions): Addresses {
  const { store, log, everyMs = LOOK_EVERY_MS } = options;
  let states: readonly AddressState[] = [];
  const work = async (): Promise<void> => {
    const found = (await lookOnce(options)).map((state) => remembered(state, states));
    reportNews(log, states, found);
    states = found;
  };
  const loop = new Loop({ doing: "finding the node's addresses", log, everyMs, work });
  const stop = store.watch(['Node'], () => loop.look());
  return {
    settle: () => loop.settle(),
    states: () => states,
    failures: () => [loop],
    [Symbol.asyncDispose]: async () => {
      stop();
      await loop.close();
    },
  };
}

async function lookOnce(options: AddressesOptions): Promise<readonly AddressState[]> {
  const { store, node: name, wishes, interfaces: read = readInterfaces } = options;
  const nodes = await store.list('Node');
  const self = nodes.find(({ metadata }) => metadata.name === name);
  if (self === undefined) throw new StoreError('missing', `there is no Node ${name} to write the address to`);
  const interfaces = await read();
  const hostFor = async (family: Family): Promise<Host> => {
    const method = methodOf(wishes[family], presentAddress(self, family));
    const source = method?.by === 'can-reach' ? await sourceTowards(method.destination, family) : undefined;
    return { interfaces, internalIps: internalIpsOf(self), ...(source !== undefined && { source }) };
  };
  const hosts = { 4: await hostFor(4), 6: await hostFor(6) };
  const others = nodes.filter((node) => node !== self);
  const { ipv4Address, ipv6Address, states } = decideAddresses({ wishes, hosts, self, others });
  const before = self.spec.bgp ?? {};
  const { asNumber = before.asNumber } = options;
  const isSame = ipv4Address === before.ipv4Address && ipv6Address === before.ipv6Address;
  if (!isSame || asNumber !== before.asNumber) {
    await store.update('Node', withBgp(self, { asNumber, ipv4Address, ipv6Address }));
  }
  return states;
}

/** What we have found and written the Node says from then on; how it was found is still worth telling. */
function remembered(state: AddressState, before: readonly AddressState[]): AddressState {
  const last = before.find(({ family, address }) => family === state.family && address === state.address);
  return last !== undefined && state.how === AS_THE_NODE_SAYS ? { ...state, how: last.how } : state;
}

type Written = 'asNumber' | 'ipv4Address' | 'ipv6Address';

function withBgp(
  node: NodeResource,
  written: { readonly [Field in Written]: NonNullable<NodeResource['spec']['bgp']>[Field] | undefined },
): NodeResource {
  const { asNumber: _as, ipv4Address: _v4, ipv6Address: _v6, ...others } = node.spec.bgp ?? {};
  const given = Object.fromEntries(Object.entries(written).filter(([, value]) => value !== undefined));
  return { ...node, spec: { ...node.spec, bgp: { ...others, ...given } } };
}

/** As the Kubernetes store carries them along: spec.addresses with a type each. */
function internalIpsOf({ spec }: NodeResource): Address[] {
  const { addresses } = spec as { readonly addresses?: unknown };
  return (Array.isArray(addresses) ? addresses : []).flatMap((one: unknown) => {
    if (!isRecord(one) || one['type'] !== 'InternalIP') return [];
    return readAddress(String(one['address'])) ?? [];
  });
}

function reportNews(log: Log, before: readonly AddressState[], now: readonly AddressState[]): void {
  for (const state of now) {
    const { family, problem, ...fields } = state;
    const last = before.find((one) => one.family === family);
    if (JSON.stringify(last) === JSON.stringify(state)) continue;
    if (problem !== undefined) log.error({ family, ...fields, problem }, "the node's address cannot be had as wished");
    else log.info({ family, ...fields }, "the node's address");
  }
}
