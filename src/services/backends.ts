// Who answers for a Service, counted: from its EndpointSlices, by family, here and anywhere.
import type { Family } from '#ip';
import { type Endpoint, type EndpointSlice, SERVICE_NAME } from './objects.ts';

export interface Backends {
  readonly ready: number;
  readonly readyHere: number;
  /** Going away, and still answering. */
  readonly lasting: number;
  readonly lastingHere: number;
}

export const noBackends: Backends = { ready: 0, readyHere: 0, lasting: 0, lastingHere: 0 };

/** By {@link backendsKey}. */
export type BackendsByService = ReadonlyMap<string, Backends>;

export function backendsKey(service: string, family: Family): string {
  return `${service} ${family}`;
}

/** kube-proxy translates to endpoints of the family that it was addressed in, and so this counts. */
const families: Readonly<Record<string, Family>> = { IPv4: 4, IPv6: 6 };

/**
 * Counts for one node. A Service may have any number of slices, and all of them count; a slice that has not changed is
 * not gone through again, for it is the same object.
 */
export function backendsCounter(node: string): (slices: readonly EndpointSlice[]) => BackendsByService {
  const known = new WeakMap<EndpointSlice, Counted>();
  return (slices) => {
    const sums = new Map<string, Backends>();
    for (const slice of slices) {
      const counted = known.get(slice) ?? countSlice(slice, node);
      known.set(slice, counted);
      const { key, backends } = counted;
      if (key === undefined) continue;
      const before = sums.get(key);
      sums.set(key, before === undefined ? backends : add(before, backends));
    }
    return sums;
  };
}

interface Counted {
  /** Absent where nothing is translated to the slice. */
  readonly key: string | undefined;
  readonly backends: Backends;
}

function countSlice({ metadata, addressType = '', endpoints }: EndpointSlice, node: string): Counted {
  const service = metadata.labels?.[SERVICE_NAME];
  const family = families[addressType];
  if (service === undefined || family === undefined) return { key: undefined, backends: noBackends };
  return {
    key: backendsKey(`${metadata.namespace ?? ''}/${service}`, family),
    backends: count(endpoints ?? [], node),
  };
}

function count(endpoints: readonly Endpoint[], node: string): Backends {
  const ready = endpoints.filter(isReady);
  const lasting = endpoints.filter((endpoint) => !isReady(endpoint) && isLasting(endpoint));
  const here = ({ nodeName }: Endpoint): boolean => nodeName === node;
  return {
    ready: ready.length,
    readyHere: ready.filter(here).length,
    lasting: lasting.length,
    lastingHere: lasting.filter(here).length,
  };
}

/** The API: whoever does not say is ready. */
function isReady({ conditions }: Endpoint): boolean {
  return conditions?.ready ?? true;
}

function isLasting({ conditions }: Endpoint): boolean {
  return conditions?.terminating === true && conditions.serving === true;
}

function add(a: Backends, b: Backends): Backends {
  return {
    ready: a.ready + b.ready,
    readyHere: a.readyHere + b.readyHere,
    lasting: a.lasting + b.lasting,
    lastingHere: a.lastingHere + b.lastingHere,
  };
}
