// One agent of the cluster collects what no node's own agent can: src/ipam/cluster.ts says what, and a Lease which one.
//
// On Kubernetes only. On files nobody can say which nodes there are: hosts that share a datastore may each have a
// configuration of their own. There `ipam check` names what looks left behind, and an operator decides.
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { ClusterCollector } from '../ipam/index.ts';
import { Lease } from '../kube/lease.ts';
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
  readonly client: KubeClient;
  /** Of the Lease. */
  readonly namespace: string;
}

const LEASE = 'manx-address-collection';
/** Collecting is in no hurry, and a thousand agents ask whose turn it is. */
const LEASE_SECONDS = 900;
const LOOK_EVERY_MS = 5 * 60_000;

export function startClusterCollection(options: ClusterCollectionOptions): ClusterCollection {
  const { store, node, log, client, namespace } = options;
  const lease = new Lease({
    ...{ client, namespace, name: LEASE, durationSeconds: LEASE_SECONDS },
    identity: `${node}-${randomBytes(4).toString('hex')}`,
  });
  const collector = new ClusterCollector({
    ...{ store, node },
    isNode: (name) => isNode(client, name),
    mayGoOn: () => lease.isHeld,
    clock: Date.now,
    uptime: () => performance.now(),
    pause: () => pause(Math.random() * 100),
  });
  const loop = new Loop({
    doing: 'collecting what nodes left behind that no longer exist',
    log,
    // Spread: agents that start together do not come together for ever.
    everyMs: LOOK_EVERY_MS * (0.75 + Math.random() / 2),
    longestRetryMs: LOOK_EVERY_MS,
    work: async () => {
      // Without a list of nodes that is in step, everybody looks gone.
      if (store.status().inStepSince === undefined || !(await lease.tryHold())) return;
      const { nodes, addresses, blocks, handles } = await collector.run();
      if (nodes.length + handles.length === 0) return;
      const gone = addresses.map(({ address }) => address);
      log.info({ nodes, addresses: gone, blocks, handles }, 'collected what nodes left behind that no longer exist');
    },
  });
  const first = setTimeout(() => loop.look(), Math.random() * LOOK_EVERY_MS);
  first.unref();
  return {
    failures: () => [loop],
    async [Symbol.asyncDispose]() {
      clearTimeout(first);
      await loop.close();
      // Whoever comes next need not wait for it to run out; if this fails, it does.
      await lease.giveUp().catch(() => undefined);
    },
  };
}

async function isNode(client: KubeClient, name: string): Promise<boolean> {
  return (await client.get({ group: '', version: 'v1', plural: 'nodes' }, name)) !== undefined;
}
