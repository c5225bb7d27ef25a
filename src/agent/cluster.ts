// What only makes sense where the store is Kubernetes: the node's own addresses, and what a cluster needs once. In a
// folder, both are what its owner has written.
import type { AgentConfig } from '../config.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/port.ts';
import { type Addresses, followAddresses } from './addresses.ts';
import { prepareCluster } from './first-start.ts';
import { Loop } from './loop.ts';

export interface Cluster extends AsyncDisposable {
  readonly addresses: Addresses;
  readonly loops: readonly Loop[];
  /** Resolves when both have been tried; what failed is tried again. */
  settle(): Promise<void>;
}

export function joinCluster(config: AgentConfig, store: Store, log: Log): Cluster {
  const addresses = followAddresses({
    ...{ node: config.node, wishes: config.addresses, asNumber: config.asNumber },
    ...{ store, log },
  });
  const preparing = new Loop({
    ...{ doing: 'making what the cluster needs once', log },
    work: () => prepareCluster(store, config.pools, log),
  });
  return {
    addresses,
    loops: [...addresses.failures(), preparing],
    settle: async () => {
      await Promise.all([addresses.settle(), preparing.settle()]);
    },
    [Symbol.asyncDispose]: async () => {
      await preparing.close();
      await addresses[Symbol.asyncDispose]();
    },
  };
}
