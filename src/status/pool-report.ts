// Says of each IPPool whether addresses are given from it: the work of the one agent that holds the Lease, where the
// definition of the kind has a status (Calico's of 3.30 and later, and ours).
import { Loop } from '../agent/loop.ts';
import { KubeError, type KubeClient, type Reflect, type ResourcePath } from '../kube/port.ts';
import type { Log } from '../log.ts';
import type { Condition } from '../resources/types.ts';
import { type Configured, type PoolObject, poolConditions } from './pools.ts';
import { ServedKind } from './served.ts';

export interface PoolReportOptions {
  readonly client: Pick<KubeClient, 'read' | 'patch'>;
  readonly reflect: Reflect;
  readonly log: Log;
  /** Undefined as long as nothing is known. */
  readonly configured: () => Configured | undefined;
  readonly lease: { readonly held: boolean };
}

export interface PoolReport extends AsyncDisposable {
  readonly loops: readonly Loop[];
}

const LOOK_EVERY_MS = 10_000;

export function openPoolReport(options: PoolReportOptions): PoolReport {
  const reporter = new PoolReporter(options);
  return { loops: [reporter.loop], [Symbol.asyncDispose]: () => reporter.close() };
}

class PoolReporter {
  readonly loop: Loop;
  private readonly options: PoolReportOptions;
  private readonly pools: ServedKind<PoolObject>;

  constructor(options: PoolReportOptions) {
    this.options = options;
    const { client, reflect } = options;
    const onChange = (): void => this.loop.look();
    this.pools = new ServedKind({ client, reflect, resource: 'ippools/status', onChange });
    this.loop = new Loop({
      doing: 'saying which IPPools addresses are given from',
      log: options.log,
      everyMs: LOOK_EVERY_MS,
      longestRetryMs: 60_000,
      work: () => this.report(),
    });
    this.loop.look();
  }

  async close(): Promise<void> {
    await this.loop.close();
    await this.pools.forget();
  }

  private async report(): Promise<void> {
    // Whoever does not hold the Lease follows nothing.
    if (!this.options.lease.held) return this.pools.forget();
    const pools = await this.pools.follow();
    const configured = this.options.configured();
    if (pools === undefined || configured === undefined) return;
    for (const pool of pools.objects.all()) {
      const conditions = poolConditions(pool, configured, Date.now());
      if (conditions !== undefined) await this.write(pools.path, pool, conditions);
    }
  }

  private async write(path: ResourcePath, pool: PoolObject, conditions: readonly Condition[]): Promise<void> {
    const { name, resourceVersion } = pool.metadata;
    // Between two writes the Lease may have gone to another.
    if (!this.options.lease.held) return;
    const body = { metadata: { resourceVersion }, status: { conditions } };
    try {
      await this.options.client.patch(path, name, { type: 'merge', body, subresource: 'status' });
    } catch (error) {
      // Changed or deleted a moment ago: what it is now comes by itself.
      if (!(error instanceof KubeError) || (error.code !== 'notFound' && error.code !== 'conflict')) throw error;
    }
  }
}
