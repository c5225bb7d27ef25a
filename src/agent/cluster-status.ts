// What the cluster is told, as the agent does it: status/ joined with the agent's parts, where there is an API server.
import type { ClusterView } from '../desired/index.ts';
import type { Kube } from '../kube/index.ts';
import { type Lease, standForLease } from '../kube/lease.ts';
import type { Log } from '../log.ts';
import type { CalicoSource } from '../status/calico.ts';
import { openCalicoReport } from '../status/calico-report.ts';
import type { Told } from '../status/concerns.ts';
import { openPeerReport } from '../status/peer-report.ts';
import { openReport } from '../status/report.ts';
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
  readonly kube: Pick<Kube, 'client' | 'reflect' | 'namespace'>;
  readonly node: string;
  readonly log: Log;
  readonly status: () => Promise<Omit<AgentStatus, 'health'>>;
  readonly routes: () => CalicoSource['routes'];
  readonly view: () => ClusterView | undefined;
  /** The routes of this node are in the kernel. */
  readonly isInPlace: () => boolean;
}

/** One Lease for all that one agent writes for the cluster. */
const LEASE = 'manx-status';

export function openClusterStatus(options: ClusterStatusOptions): ClusterStatus {
  const { kube, node, log, status, routes, view, isInPlace } = options;
  const { client, reflect } = kube;
  const stack = new AsyncDisposableStack();
  const parts: { peers?: { look(): void } } = {};
  const lease: Lease = stack.use(
    standForLease({
      client,
      namespace: kube.namespace ?? 'kube-system',
      name: LEASE,
      identity: node,
      candidates: () => view()?.nodes.length ?? 1,
      changed: (held) => {
        log.info({ held }, 'writing how BGPPeers do');
        parts.peers?.look();
      },
      failed: (error) => log.debug({ error }, 'the Lease cannot be asked for'),
    }),
  );
  const report = stack.use(openReport({ node, client, reflect, log, status, isInPlace }));
  const peers = stack.use(openPeerReport({ client, reflect, log, view, lease }));
  parts.peers = peers;
  const source = async (): Promise<CalicoSource> => {
    const known = routes();
    return { status: await status(), ...(known && { routes: known }) };
  };
  const calico = stack.use(openCalicoReport({ node, client, reflect, log, source }));
  return {
    look: () => report.look(),
    tell: (event) => report.tell(event),
    failures: () => [...report.loops, ...peers.loops, ...calico.loops],
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
