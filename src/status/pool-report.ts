// Says of each IPPool whether addresses are given from it: the work of the one agent that holds the Lease, where the
// definition of the kind has a status (Calico's of 3.30 and later, and ours).
import { Loop } from '../agent/loop.ts';
import { KubeError, type KubeClient, type Reflect, type Reflection, type ResourcePath } from '../kube/port.ts';
import type { Log } from '../log.ts';
import type { Condition } from '../resources/types.ts';
import { servedAt } from './calico-group.ts';
import { type Configured, type PoolObject, poolConditions } from './pools.ts';

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

const PLURAL = 'ippools';
const LOOK_EVERY_MS = 10_000;
/** Definitions without a status are asked for again seldom: they may get one. */
const DISCOVER_EVERY_MS = 600_000;

export function openPoolReport(options: PoolReportOptions): PoolReport {
  const reporter = new PoolReporter(options);
  return { loops: [reporter.loop], [Symbol.asyncDispose]: () => reporter.close() };
}

class PoolReporter {
  readonly loop: Loop;
  private readonly options: PoolReportOptions;
  private pools: { readonly path: ResourcePath; readonly objects: Reflection<PoolObject> } | undefined;
  private discoveredAt = -Infinity;

  constructor(options: PoolReportOptions) {
    this.options = options;
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
    await this.forget();
  }

  private async report(): Promise<void> {
    if (!this.options.lease.held) return this.forget();
    await this.discover();
    const configured = this.options.configured();
    if (this.pools === undefined || configured === undefined) return;
    const { path, objects } = this.pools;
    for (const pool of objects.all()) {
      const conditions = poolConditions(pool, configured, Date.now());
      if (conditions !== undefined) await this.write(path, pool, conditions);
    }
  }

  private async discover(): Promise<void> {
    if (this.pools !== undefined || performance.now() - this.discoveredAt < DISCOVER_EVERY_MS) return;
    const group = await servedAt(this.options.client, `${PLURAL}/status`);
    this.discoveredAt = performance.now();
    if (group === undefined) return;
    const path = { ...group, plural: PLURAL };
    const objects = this.options.reflect<PoolObject>(path);
    objects.watch(() => this.loop.look());
    this.pools = { path, objects };
  }

  /** Whoever does not hold the Lease follows nothing. */
  private async forget(): Promise<void> {
    const { pools } = this;
    this.pools = undefined;
    this.discoveredAt = -Infinity;
    await pools?.objects[Symbol.asyncDispose]();
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
