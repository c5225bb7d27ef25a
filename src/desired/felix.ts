// What FelixConfiguration and BGPConfiguration ask of Calico's Felix, which is not here, and what becomes of it.
//
// Most of Felix's hundreds of fields have nothing to do with routing, or say how Felix does what Manx does in its own way
// (protocol numbers, refresh intervals, ports): they are for the nodes that still run it. Said is only what an operator
// would otherwise rely on.
import type { BGPConfigurationSpec, FelixConfigurationSpec } from '../resources/types.ts';
import type { Problem } from '../store/port.ts';
import { type ClusterView, clusterConfiguration, felixConfiguration } from './view.ts';

interface Check<Spec> {
  readonly field: keyof Spec & string;
  /** What cannot be had, for this value; undefined when that is as wished. */
  readonly says: (value: unknown) => string | undefined;
}

const whenTrue =
  (message: string) =>
  (value: unknown): string | undefined =>
    value === true ? message : undefined;

const clear = 'this build has no WireGuard: packets between nodes are not encrypted';

const ofFelix: readonly Check<FelixConfigurationSpec>[] = [
  { field: 'wireguardEnabled', says: whenTrue(clear) },
  { field: 'wireguardEnabledV6', says: whenTrue(clear) },
  { field: 'bpfEnabled', says: whenTrue("there is no eBPF data path here: services are kube-proxy's") },
  {
    field: 'routeSyncDisabled',
    says: whenTrue('routes are put into the kernel all the same (manxd --no-fib leaves it alone)'),
  },
  {
    field: 'interfacePrefix',
    says: (value) =>
      String(value).split(',').includes('cali')
        ? undefined
        : `pods' cables are called cali… all the same, not ${String(value)}…`,
  },
  {
    field: 'routeSource',
    says: (value) => (value === 'WorkloadIPs' ? 'pods are announced by their blocks all the same' : undefined),
  },
];

/** Where BIRD is told to leave routes to Felix, nobody but us is there to put them in. */
const ofBgp: readonly Check<BGPConfigurationSpec>[] = [
  {
    field: 'programClusterRoutes',
    says: (value) =>
      value === 'Disabled' || value === 'EnabledIPIPOnly'
        ? `${value} leaves routes to the pods of other nodes to Felix, which is not here: they are put into the kernel all the same`
        : undefined,
  },
];

export function felixTroubles(view: ClusterView, node: string): Problem[] {
  return [
    ...check(ofFelix, felixConfiguration(view, node), 'FelixConfiguration'),
    ...check(ofBgp, clusterConfiguration(view), 'BGPConfiguration'),
  ];
}

function check<Spec extends object>(checks: readonly Check<Spec>[], spec: Spec, kind: string): Problem[] {
  return checks.flatMap(({ field, says }): Problem[] => {
    const value: unknown = spec[field];
    const message = value === undefined ? undefined : says(value);
    return message === undefined ? [] : [{ kind, name: 'default', path: `spec.${field}`, message }];
  });
}
