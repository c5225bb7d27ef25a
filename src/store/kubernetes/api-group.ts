// Which of Calico's two API groups holds its resources here, decided as Calico's own clients decide it.
import { isRecord } from '../../resources/index.ts';
import type { KubeClient } from '../../kube/port.ts';
import type { CalicoGroup } from './places.ts';

/**
 * projectcalico.org/v3 only where it is served and the other is not: where both are, v3 is a server in front of v1.
 * Undefined when neither is served. @throws KubeError
 */
export async function discoverGroup(client: Pick<KubeClient, 'read'>): Promise<CalicoGroup | undefined> {
  const stored = await client.read('/apis/crd.projectcalico.org/v1');
  if (hasResources(stored)) return 'crd.projectcalico.org/v1';
  return hasResources(await client.read('/apis/projectcalico.org/v3')) ? 'projectcalico.org/v3' : undefined;
}

function hasResources(document: unknown): boolean {
  return isRecord(document) && Array.isArray(document['resources']) && document['resources'].length > 0;
}
