// What the cluster is told, as the agent does it: status/ joined with the agent's parts, where there is an API server.
import type { ClusterView } from '../desired/index.ts';
import { type Ipam, IpamError } from '../ipam/index.ts';
import type { Kube } from '../kube/index.ts';
import type { Lease } from '../kube/lease.ts';
import type { Log } from '../log.ts';
import type { CalicoSource } from '../status/calico.ts';
import { openCalicoReport } from '../status/calico-report.ts';
import type { Told } from '../status/concerns.ts';
import { openPeerReport } from '../status/peer-report.ts';
import { openPoolReport } from '../status/pool-report.ts';
import { openReport } from '../status/report.ts';
import type { Problem } from '../store/port.ts';
import type { Loop } from './loop.ts';
import type { AgentStatus } from './status.ts';

export interface ClusterStatus extends AsyncDisposable {
  /** Something has happened that may be worth telling. */
  look(): void;
  /** For an Event that no state of the agent shows. */
  tell(event: Told): void;
  failures(): readonly Loop[];
}

export interface ClusterStatusOptions {
  readonly kube: Pick<Kube, 'client' | 'reflect'>;
  /** Who holds it writes what is said once for all nodes. */
  readonly lease: Pick<Lease, 'held'>;
  readonly node: string;
  readonly log: Log;
  readonly status: () => Promise<Omit<AgentStatus, 'health'>>;
  readonly routes: () => CalicoSource['routes'];
  readonly view: () => ClusterView | undefined;
  /** What is wrong with the configuration. */
  readonly problems: () => readonly Problem[];
  /** The routes of this node are in the kernel. */
  readonly isInPlace: () => boolean;
}

export function openClusterStatus(options: ClusterStatusOptions): ClusterStatus {
  const { kube, lease, node, log, status, routes, view, problems, isInPlace } = options;
  const { client, reflect } = kube;
  const stack = new AsyncDisposableStack();
  const report = stack.use(openReport({ node, client, reflect, log, status, isInPlace }));
  const peers = stack.use(openPeerReport({ node, client, reflect, log, view, lease }));
  const configured = () => {
    const known = view();
    return known && { pools: known.pools, problems: problems() };
  };
  const pools = stack.use(openPoolReport({ client, reflect, log, configured, lease }));
  const source = async (): Promise<CalicoSource> => {
    const known = routes();
    return { status: await status(), ...(known && { routes: known }) };
  };
  const calico = stack.use(openCalicoReport({ node, client, reflect, log, source }));
  return {
    look: () => report.look(),
    tell: (event) => report.tell(event),
    failures: () => [...report.loops, ...peers.loops, ...pools.loops, ...calico.loops],
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** That no address is left reaches the pod by its own Events; who looks at the node should see it too. */
export function tellingExhaustion(ipam: Ipam, tell: ClusterStatus['tell']): Ipam {
  return {
    ...ipam,
    assign: async (request) => {
      try {
        return await ipam.assign(request);
      } catch (error) {
        if (error instanceof IpamError && error.code === 'exhausted') {
          tell({ reason: 'AddressesExhausted', type: 'Warning', message: error.message });
        }
        throw error;
      }
    },
  };
}
