// What only makes sense where the store is Kubernetes: the node's own addresses, and what a cluster needs once. In a
// folder, both are what its owner has written.
import { setTimeout as pause } from 'node:timers/promises';
import type { AgentConfig } from '../config.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/port.ts';
import { type Addresses, followAddresses } from './addresses.ts';
import { prepareCluster } from './first-start.ts';
import { Loop } from './loop.ts';

export interface Cluster extends AsyncDisposable {
  readonly addresses: Addresses;
  readonly loops: readonly Loop[];
  /** Resolves when both have been tried, or after a few seconds without an answer; either is tried again. */
  settle(): Promise<void>;
}

/** A server that takes connections and says nothing must not keep the node from routing by what it knows. */
const SETTLE_MS = 5_000;

export function joinCluster(config: AgentConfig, store: Store, log: Log, settleMs = SETTLE_MS): Cluster {
  const addresses = followAddresses({
    ...{ node: config.node, wishes: config.addresses, asNumber: config.asNumber },
    ...{ store, log },
  });
  const preparing = new Loop({
    ...{ doing: 'making what the cluster needs once', log },
    work: () => prepareCluster(store, config.pools, log),
  });
  const loops = [...addresses.failures(), preparing];
  return {
    addresses,
    loops,
    settle: async () => {
      const patience = new AbortController();
      const tried = Promise.all([addresses.settle(), preparing.settle()]);
      await Promise.race([tried, rest(settleMs, patience.signal)]);
      patience.abort();
      const doing = loops.filter(({ busySince }) => busySince !== undefined).map((loop) => loop.doing);
      if (doing.length > 0)
        log.warn({ doing }, 'the API server takes long to answer: starting without what it would say');
    },
    [Symbol.asyncDispose]: async () => {
      await preparing.close();
      await addresses[Symbol.asyncDispose]();
    },
  };
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}
