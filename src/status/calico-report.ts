// Fills in the CalicoNodeStatus objects that name this node, as often as each of them asks.
import { Loop } from '../agent/loop.ts';
import { KubeError, type KubeClient, type KubeObject, type Reflect, type ResourcePath } from '../kube/port.ts';
import type { Log } from '../log.ts';
import type { CalicoNodeStatusSpec } from '../resources/types.ts';
import { type CalicoSource, calicoNodeStatus, isDue } from './calico.ts';
import { ServedKind } from './served.ts';

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

const LOOK_EVERY_MS = 5_000;

export function openCalicoReport(options: CalicoReportOptions): CalicoReport {
  const reporter = new CalicoReporter(options);
  return { loops: [reporter.loop], [Symbol.asyncDispose]: () => reporter.close() };
}

class CalicoReporter {
  readonly loop: Loop;
  private readonly options: CalicoReportOptions;
  private readonly asked: ServedKind<Asked>;
  /** When each object was written last, of a clock that never steps; by uid. */
  private written = new Map<string, number>();

  constructor(options: CalicoReportOptions) {
    this.options = options;
    const { client, reflect } = options;
    const onChange = (): void => this.loop.look();
    this.asked = new ServedKind({ client, reflect, resource: 'caliconodestatuses', onChange });
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
    await this.asked.forget();
  }

  private async report(): Promise<void> {
    const asked = await this.asked.follow();
    if (asked === undefined) return;
    const { node, source } = this.options;
    const mine = asked.objects.all().filter(({ spec }) => spec?.node === node);
    const now = performance.now();
    const due = mine.filter(({ spec, metadata }) => isDue(spec ?? {}, this.written.get(metadata.uid ?? ''), now));
    const alive = new Set(mine.map(({ metadata }) => metadata.uid ?? ''));
    this.written = new Map([...this.written].filter(([uid]) => alive.has(uid)));
    if (due.length === 0) return;
    const facts = await source();
    for (const { spec, metadata } of due) {
      await this.write(asked.path, metadata.name, calicoNodeStatus(spec ?? {}, facts, Date.now()));
      this.written.set(metadata.uid ?? '', now);
    }
  }

  private async write(path: ResourcePath, name: string, status: object): Promise<void> {
    const body = [{ op: 'add', path: '/status', value: status }];
    try {
      await this.options.client.patch(path, name, { type: 'json', body, subresource: 'status' });
    } catch (error) {
      // Deleted a moment ago.
      if (!(error instanceof KubeError) || error.code !== 'notFound') throw error;
    }
  }
}
