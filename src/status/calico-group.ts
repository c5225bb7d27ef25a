// Where in Calico's API something is served: in crd.projectcalico.org/v1 where that has it, else in projectcalico.org/v3.
import type { KubeClient, ResourcePath } from '../kube/port.ts';
import { isRecord } from '../resources/index.ts';

const groups = [
  { group: 'crd.projectcalico.org', version: 'v1' },
  { group: 'projectcalico.org', version: 'v3' },
] as const;

/** @param resource as discovery names it: "ippools", or "ippools/status" where that can be written by itself */
export async function servedAt(
  client: Pick<KubeClient, 'read'>,
  resource: string,
): Promise<Pick<ResourcePath, 'group' | 'version'> | undefined> {
  for (const { group, version } of groups) {
    const document = await client.read(`/apis/${group}/${version}`);
    const resources: unknown = isRecord(document) ? document['resources'] : undefined;
    if (!Array.isArray(resources)) continue;
    if (resources.some((each: unknown) => isRecord(each) && each['name'] === resource)) return { group, version };
  }
  return undefined;
}
