// One agent of the cluster collects what no node's own agent can: src/ipam/cluster.ts says what, a Lease which one.
//
// On Kubernetes only. On files nobody can say which nodes there are: hosts that share a datastore may each have a
// configuration of their own. There `ipam check` names what looks left behind, and an operator decides.
import { setTimeout as pause } from 'node:timers/promises';
import { ClusterCollector } from '../ipam/index.ts';
import type { Lease } from '../kube/lease.ts';
import type { KubeClient } from '../kube/port.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/port.ts';
import { Loop } from './loop.ts';

export interface ClusterCollection extends AsyncDisposable {
  failures(): Loop[];
}

export interface ClusterCollectionOptions {
  readonly store: Store;
  readonly node: string;
  readonly log: Log;
  readonly client: Pick<KubeClient, 'get'>;
  /** Whether it is for us to do, asked before each thing that is taken away. */
  readonly lease: Pick<Lease, 'held'>;
}

const LOOK_EVERY_MS = 5 * 60_000;

export function startClusterCollection(options: ClusterCollectionOptions): ClusterCollection {
  const { store, node, log, client, lease } = options;
  const collector = new ClusterCollector({
    ...{ store, node },
    isNode: (name) => isNode(client, name),
    mayGoOn: () => lease.held,
    clock: Date.now,
    uptime: () => performance.now(),
    pause: () => pause(Math.random() * 100),
  });
  const loop = new Loop({
    doing: 'collecting what nodes left behind that no longer exist',
    log,
    everyMs: LOOK_EVERY_MS,
    longestRetryMs: LOOK_EVERY_MS,
    work: async () => {
      // Without a list of nodes that is in step, everybody looks gone.
      if (!lease.held || store.status().inStepSince === undefined) return;
      const { nodes, addresses, blocks, handles } = await collector.run();
      if (nodes.length + handles.length === 0) return;
      const gone = addresses.map(({ address }) => address);
      log.info({ nodes, addresses: gone, blocks, handles }, 'collected what nodes left behind that no longer exist');
    },
  });
  loop.look();
  return { failures: () => [loop], [Symbol.asyncDispose]: () => loop.close() };
}

async function isNode(client: Pick<KubeClient, 'get'>, name: string): Promise<boolean> {
  return (await client.get({ group: '', version: 'v1', plural: 'nodes' }, name)) !== undefined;
}
