// Where resources are under the API server's root. Pure.
import type { ResourcePath } from './port.ts';

/** "/apis/crd.projectcalico.org/v1/ippools", "/api/v1/namespaces/kube-system/secrets/bgp". */
export function pathOf(
  { group, version, plural, namespace }: ResourcePath,
  name?: string,
  subresource?: string,
): string {
  const parts = [
    ...(group === '' ? ['api'] : ['apis', group]),
    version,
    ...(namespace === undefined ? [] : ['namespaces', namespace]),
    plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  return parts.map((part) => `/${encodeURIComponent(part)}`).join('');
}

/** "bgppeers.crd.projectcalico.org", "nodes": as RBAC and the server's own messages call it. */
export function resourceText({ group, plural }: ResourcePath): string {
  return group === '' ? plural : `${plural}.${group}`;
}

/** "?limit=500&watch=true"; what is undefined is left out. */
export function queryText(query: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  if (given.length === 0) return '';
  return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()}`;
}
