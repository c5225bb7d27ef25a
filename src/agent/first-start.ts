// What has to be there once in a cluster, and the first agent to start makes: the objects that Calico's own tools insist
// on, and the pools that flags ask for where there are none. All agents start at once; whoever comes second finds it done.
import { randomBytes } from 'node:crypto';
import { familyOfPrefix } from '#ip';
import type { Log } from '../log.ts';
import type { ClusterInformation, IPPool, Kind, Kinds, KubeControllersConfiguration } from '../resources/types.ts';
import { type Store, StoreError } from '../store/port.ts';

/**
 * Makes what is missing; a pool only for a family that has none. Fails while the store is away, and may be called again until it does not.
 * @throws StoreError
 */
export async function prepareCluster(store: Store, pools: readonly IPPool[], log: Log): Promise<void> {
  await ensure(store, log, clusterInformation());
  await ensure(store, log, kubeControllersConfiguration());
  if (pools.length === 0) return;
  const present = await store.list('IPPool');
  for (const pool of pools) {
    const family = familyOfPrefix(pool.spec.cidr);
    if (!present.some(({ spec }) => familyOfPrefix(spec.cidr) === family)) await ensure(store, log, pool);
  }
}

async function ensure<K extends Kind>(
  store: Store,
  log: Log,
  resource: Kinds[K] & { readonly kind: K },
): Promise<void> {
  const { kind, metadata } = resource;
  if ((await store.get(kind, metadata.name)) !== undefined) return;
  try {
    await store.create(kind, resource);
    log.info({ kind, name: metadata.name }, 'made, because the cluster had none');
  } catch (error) {
    if (error instanceof StoreError && error.code === 'exists') return;
    throw error;
  }
}

const apiVersion = 'projectcalico.org/v3';

/** Without a version: calicoctl refuses to talk to a cluster of another than its own, and looks only where there is one. */
function clusterInformation(): ClusterInformation {
  return {
    apiVersion,
    kind: 'ClusterInformation',
    metadata: { name: 'default' },
    spec: { clusterGUID: randomBytes(16).toString('hex'), clusterType: 'k8s,kdd', datastoreReady: true },
  };
}

/** calicoctl's `ipam check` reads it, and does not run without. */
function kubeControllersConfiguration(): KubeControllersConfiguration {
  return {
    apiVersion,
    kind: 'KubeControllersConfiguration',
    metadata: { name: 'default' },
    spec: { controllers: {}, healthChecks: 'Enabled' },
  };
}
