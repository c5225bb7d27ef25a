// The store that the agent was asked to run on.
import { join } from 'node:path';
import type { AgentConfig } from '../config.ts';
import type { Kube } from '../kube/index.ts';
import { openFileStore } from '../store/file.ts';
import { openKubernetesStore } from '../store/kubernetes.ts';
import type { Store } from '../store/port.ts';

/** An API server that is away keeps nobody from starting: see the store's status. */
export function openStore(config: AgentConfig, kube: Kube | undefined): Promise<Store & AsyncDisposable> {
  if (kube === undefined) return openFileStore({ config: config.config, datastore: config.datastore });
  const cacheFile = join(config.state, 'configuration.json');
  return openKubernetesStore({ kube, node: config.node, group: config.kubernetes?.group, cacheFile });
}
