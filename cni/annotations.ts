// Calico's annotations on a pod and its namespace: from whoever describes pods to the agent, or as far as a runtime
// passes them on (runtimeConfig io.kubernetes.cri.pod-annotations).
import { type Address, IpError, parseAddress } from '#ip';
import { CniError } from './error.ts';
import { type Json } from './json.ts';
import type { PodFacts } from './port.ts';

export interface AnnotatedWish {
  readonly addresses?: readonly Address[];
  readonly v4Pools?: readonly string[];
  readonly v6Pools?: readonly string[];
  readonly assign?: { readonly v4: boolean; readonly v6: boolean };
  readonly mac?: string;
}

const group = 'cni.projectcalico.org/';

/** What a namespace may say for all of its pods; a pod's own word goes before it. */
const ofNamespaces = ['ipv4pools', 'ipv6pools', 'ipFamilies'].map((name) => group + name);

/** All annotations that count for a pod, the more particular ones in the place of the others. */
export function mergeAnnotations(facts: PodFacts | undefined, fromRuntime: Json): Json {
  const namespace = Object.entries(facts?.namespaceAnnotations ?? {}).filter(([name]) => ofNamespaces.includes(name));
  return { ...Object.fromEntries(namespace), ...facts?.annotations, ...fromRuntime };
}

/**
 * ipAddrs, ipv4pools, ipv6pools and ipFamilies are lists in JSON; hwAddr is plain.
 * @throws CniError 7 for a malformed one; 2 for those that Manx does not do, rather than wiring the pod otherwise.
 */
export function wishFromAnnotations(annotations: Json): AnnotatedWish {
  for (const name of ['ipAddrsNoIpam', 'floatingIPs', 'allowedSourcePrefixes']) {
    const value = annotations[group + name];
    if (value) throw new CniError(2, `the pod's annotation ${group}${name} ${JSON.stringify(value)} is not supported`);
  }
  const addresses = listAt(annotations, 'ipAddrs')?.map(toAddress);
  const v4Pools = listAt(annotations, 'ipv4pools');
  const v6Pools = listAt(annotations, 'ipv6pools');
  const families = listAt(annotations, 'ipFamilies');
  const mac = annotations[`${group}hwAddr`];
  return {
    ...(addresses?.length && { addresses }),
    ...(v4Pools?.length && { v4Pools }),
    ...(v6Pools?.length && { v6Pools }),
    ...(families?.length && { assign: { v4: families.includes('IPv4'), v6: families.includes('IPv6') } }),
    ...(typeof mac === 'string' && mac !== '' && { mac }),
  };
}

function listAt(annotations: Json, name: string): readonly string[] | undefined {
  const text = annotations[group + name];
  if (text === undefined || text === '') return undefined;
  const list = decode(text);
  if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list;
  throw new CniError(
    7,
    `the pod's annotation ${group}${name} must be a JSON list of strings, not ${JSON.stringify(text)}`,
  );
}

function decode(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : undefined;
  } catch {
    return undefined; // reported by the caller, together with lists of other things
  }
}

function toAddress(text: string): Address {
  try {
    return parseAddress(text);
  } catch (error) {
    if (!(error instanceof IpError)) throw error;
    throw new CniError(7, `the pod's annotation ${group}ipAddrs: ${error.message}`, { cause: error });
  }
}
