// Fills in the CalicoNodeStatus objects that name this node, as often as each of them asks.
import { Loop } from '../agent/loop.ts';
import {
  KubeError,
  type KubeClient,
  type KubeObject,
  type Reflect,
  type Reflection,
  type ResourcePath,
} from '../kube/port.ts';
import type { Log } from '../log.ts';
import type { CalicoNodeStatusSpec } from '../resources/types.ts';
import { type CalicoSource, calicoNodeStatus, isDue } from './calico.ts';
import { servedAt } from './calico-group.ts';

export interface CalicoReportOptions {
  readonly node: string;
  readonly client: Pick<KubeClient, 'read' | 'patch'>;
  readonly reflect: Reflect;
  readonly log: Log;
  readonly source: () => Promise<CalicoSource>;
}

export interface CalicoReport extends AsyncDisposable {
  readonly loops: readonly Loop[];
}

interface Asked extends KubeObject {
  readonly spec?: CalicoNodeStatusSpec;
}

const PLURAL = 'caliconodestatuses';
const LOOK_EVERY_MS = 5_000;
/** A cluster without the kind is asked again seldom: it may get it. */
const DISCOVER_EVERY_MS = 600_000;

export function openCalicoReport(options: CalicoReportOptions): CalicoReport {
  const reporter = new CalicoReporter(options);
  return { loops: [reporter.loop], [Symbol.asyncDispose]: () => reporter.close() };
}

class CalicoReporter {
  readonly loop: Loop;
  private readonly options: CalicoReportOptions;
  private asked: { readonly path: ResourcePath; readonly objects: Reflection<Asked> } | undefined;
  private discoveredAt = -Infinity;
  /** When each object was written last, of a clock that never steps; by uid. */
  private written = new Map<string, number>();

  constructor(options: CalicoReportOptions) {
    this.options = options;
    this.loop = new Loop({
      doing: 'filling in CalicoNodeStatus',
      log: options.log,
      everyMs: LOOK_EVERY_MS,
      longestRetryMs: 60_000,
      work: () => this.report(),
    });
    this.loop.look();
  }

  async close(): Promise<void> {
    await this.loop.close();
    await this.asked?.objects[Symbol.asyncDispose]();
  }

  private async report(): Promise<void> {
    await this.discover();
    const { node, source } = this.options;
    const mine = (this.asked?.objects.all() ?? []).filter(({ spec }) => spec?.node === node);
    const now = performance.now();
    const due = mine.filter(({ spec, metadata }) => isDue(spec ?? {}, this.written.get(metadata.uid ?? ''), now));
    const alive = new Set(mine.map(({ metadata }) => metadata.uid ?? ''));
    this.written = new Map([...this.written].filter(([uid]) => alive.has(uid)));
    if (due.length === 0) return;
    const facts = await source();
    for (const { spec, metadata } of due) {
      await this.write(metadata.name, calicoNodeStatus(spec ?? {}, facts, Date.now()));
      this.written.set(metadata.uid ?? '', now);
    }
  }

  private async discover(): Promise<void> {
    if (this.asked !== undefined || performance.now() - this.discoveredAt < DISCOVER_EVERY_MS) return;
    const { client, reflect } = this.options;
    const group = await servedAt(client, PLURAL);
    this.discoveredAt = performance.now();
    if (group === undefined) return;
    const path = { ...group, plural: PLURAL };
    const objects = reflect<Asked>(path);
    objects.watch(() => this.loop.look());
    this.asked = { path, objects };
  }

  private async write(name: string, status: object): Promise<void> {
    const body = [{ op: 'add', path: '/status', value: status }];
    try {
      await this.options.client.patch(this.asked!.path, name, { type: 'json', body, subresource: 'status' });
    } catch (error) {
      // Deleted a moment ago.
      if (!(error instanceof KubeError) || error.code !== 'notFound') throw error;
    }
  }
}
