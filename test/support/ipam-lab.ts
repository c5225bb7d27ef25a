// Nodes on one store in memory and one clock that can be turned, and what they are asked for.
import type { Address } from '#ip';
import type { AddressRequest } from '../../cni/port.ts';
import { type Ipam, createIpam } from '../../src/ipam/index.ts';
import type { Kind, Kinds } from '../../src/resources/types.ts';
import { type MemoryStore, createMemoryStore } from './memory-store.ts';

export const NOW = Date.parse('2026-11-21T04:00:00Z');

export function ask(handle: string, extra: Partial<AddressRequest> = {}): AddressRequest {
  return { handle, families: [4], attributes: { pod: handle, namespace: 'default' }, ...extra };
}

export function lab(...resources: readonly Kinds[Kind][]): {
  store: MemoryStore;
  at: (name: string) => Ipam;
  turn: (ms: number) => void;
} {
  const store = createMemoryStore(...resources);
  let now = NOW;
  return {
    store,
    at: (name) => createIpam({ store, node: name, clock: () => now, pause: async () => {} }),
    turn: (ms) => (now += ms),
  };
}

export async function many(ipam: Ipam, prefix: string, count: number): Promise<Address[]> {
  const answers = await Promise.all(Array.from({ length: count }, (_, i) => ipam.assign(ask(`${prefix}-${i}`))));
  return answers.flatMap(({ addresses }) => addresses);
}

export const writes = (calls: readonly string[]): string[] => calls.filter((call) => !/^(get|list|names)/.test(call));
