// Tells the API server how this node does: its NodeRoutingStatus, its Events, and the Node's NetworkUnavailable.
//
// It looks at the agent as a whole, and what it has told is only what it compares with: a look that comes late, or after
// an hour without an API server, tells what there is then.
import { Loop } from '../agent/loop.ts';
import type { AgentStatus } from '../agent/status.ts';
import { KubeError, type KubeClient, type KubeObject, type Reflect, type ResourcePath } from '../kube/port.ts';
import type { Log } from '../log.ts';
import { Bucket } from './bucket.ts';
import { type Concern, type Told as Event, concernsOf, eventsBetween, flappedBetween } from './concerns.ts';
import { Events, type Subject } from './events.ts';
import { type NodeRouting, type StatusKind, statusKinds } from './model.ts';
import { networkIsUp } from './network.ts';
import { nodeRouting } from './node.ts';
import { NEWS, SPACING_MS, type Told, waitMs } from './pace.ts';

export interface ReportOptions {
  readonly node: string;
  readonly client: Pick<KubeClient, 'get' | 'create' | 'patch'>;
  readonly reflect: Reflect;
  readonly log: Log;
  readonly status: () => Promise<Omit<AgentStatus, 'health'>>;
  /** The routes of this node are in the kernel. */
  readonly isInPlace: () => boolean;
}

export interface Report extends AsyncDisposable {
  /** Something has happened: look now, or in a moment. */
  look(): void;
  /** Something that only an Event tells: no state of the agent shows it later. */
  tell(event: Event): void;
  readonly loops: readonly Loop[];
}

export const nodeStatusPath: ResourcePath = {
  group: 'projectmanx.org',
  version: 'v1',
  plural: statusKinds.NodeRoutingStatus.plural,
};
const nodesPath: ResourcePath = { group: '', version: 'v1', plural: 'nodes' };

const DOING = 'telling Kubernetes how this node does';
/** Whatever nobody tells of is seen within this time. */
const LOOK_EVERY_MS = 10_000;

export function openReport(options: ReportOptions): Report {
  const report = new Reporter(options);
  return {
    look: () => report.lookSoon(),
    tell: (event) => report.tell(event),
    loops: [report.loop],
    [Symbol.asyncDispose]: () => report.close(),
  };
}

class Reporter {
  readonly loop: Loop;
  private readonly options: ReportOptions;
  private readonly nodes: ReturnType<Reflect>;
  private readonly events: Events;
  private readonly news = new Bucket(NEWS);
  private readonly spread = Math.random();
  private isReady = false;
  private untold: Event[] = [];

  /** What the API server has; undefined while that is not known. */
  private last: { readonly told: Told | undefined } | undefined;
  private seen: NodeRouting | undefined;
  private concerns: ReadonlyMap<string, Concern> = new Map();
  private saidUp = false;
  private lookedAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private dueAt = Infinity;

  constructor(options: ReportOptions) {
    const { node, client, reflect, log } = options;
    this.options = options;
    this.events = new Events(client, node);
    this.nodes = reflect(nodesPath, { fieldSelector: `metadata.name=${node}` });
    this.nodes.watch(() => this.lookSoon());
    void this.nodes.ready.then(() => {
      this.isReady = true;
      this.lookSoon();
    });
    // A server that says no says so for longer than a second.
    this.loop = new Loop({
      doing: DOING,
      log,
      everyMs: LOOK_EVERY_MS,
      longestRetryMs: 60_000,
      work: () => this.report(),
    });
  }

  /** At most once a second, however much happens. */
  lookSoon(): void {
    this.lookIn(Math.max(0, SPACING_MS - (performance.now() - this.lookedAt)));
  }

  tell(event: Event): void {
    this.untold.push(event);
    this.lookSoon();
  }

  async close(): Promise<void> {
    clearTimeout(this.timer);
    await this.loop.close();
    await this.nodes[Symbol.asyncDispose]();
  }

  /** Sooner, if one was to come later. */
  private lookIn(ms: number): void {
    const dueAt = performance.now() + ms;
    if (dueAt >= this.dueAt) return;
    clearTimeout(this.timer);
    this.dueAt = dueAt;
    this.timer = setTimeout(() => {
      this.dueAt = Infinity;
      this.loop.look();
    }, ms).unref();
  }

  private async report(): Promise<void> {
    this.lookedAt = performance.now();
    if (!this.isReady) return;
    const { node, status, isInPlace } = this.options;
    const self = this.nodes.get(node);
    const before = await this.readLast();
    const agent = await status();
    const now = Date.now();
    const failures = agent.failures.filter(({ doing }) => doing !== DOING);
    const next = nodeRouting({ ...agent, failures }, now, this.seen ?? before?.status);
    this.gatherEvents(self, next, now);
    this.seen = next;
    // Each for itself: what one of them fails with must not keep the others back.
    const done = await Promise.allSettled([
      this.write(self, before, next, now),
      ...(self !== undefined && isInPlace() ? [this.clearCondition(self, now)] : []),
      this.events.flush(now),
    ]);
    for (const each of done) if (each.status === 'rejected') throw each.reason;
  }

  /** What an earlier run has told: a restart is no news. */
  private async readLast(): Promise<Told | undefined> {
    if (this.last === undefined) {
      const object = await this.options.client.get<KubeObject>(nodeStatusPath, this.options.node);
      const status = object?.['status'] as NodeRouting | undefined;
      const told = status?.sessions && { status, at: Date.parse(status.writtenAt) };
      this.last = { told };
      if (told) this.concerns = concernsOf(told.status, told.at);
    }
    return this.last.told;
  }

  private gatherEvents(self: KubeObject | undefined, next: NodeRouting, now: number): void {
    const is = concernsOf(next, now);
    const came = eventsBetween(this.concerns, is, flappedBetween(this.seen, next));
    this.concerns = is;
    if (self !== undefined) this.events.tell(subjectOf(self), [...came, ...this.untold], now);
    this.untold = [];
  }

  private async write(
    self: KubeObject | undefined,
    before: Told | undefined,
    next: NodeRouting,
    now: number,
  ): Promise<void> {
    const wait = waitMs(before, next, now, { news: this.news, spread: this.spread });
    if (wait > 0) {
      if (wait < LOOK_EVERY_MS) this.lookIn(wait);
      return;
    }
    await this.put(self, next);
    this.news.take(now);
    this.last = { told: { status: next, at: now } };
  }

  private async put(self: KubeObject | undefined, status: NodeRouting): Promise<void> {
    const { client, node } = this.options;
    const ownerReferences = self && [{ apiVersion: 'v1', kind: 'Node', name: node, uid: self.metadata.uid }];
    const body = [
      { op: 'add', path: '/status', value: status },
      // A node that was made anew under the old name has another uid: what belongs to the old one is collected.
      ...(ownerReferences ? [{ op: 'add', path: '/metadata/ownerReferences', value: ownerReferences }] : []),
    ];
    try {
      await client.patch(nodeStatusPath, node, { type: 'json', body });
    } catch (error) {
      if (!(error instanceof KubeError) || error.code !== 'notFound') throw error;
      const metadata = { name: node, ...(ownerReferences && { ownerReferences }) };
      await client.create(nodeStatusPath, { ...statusKind('NodeRoutingStatus'), metadata, status });
    }
  }

  private async clearCondition(self: KubeObject, now: number): Promise<void> {
    const body = networkIsUp(self, now, !this.saidUp);
    if (body !== undefined) {
      await this.options.client.patch(nodesPath, self.metadata.name, {
        type: 'strategic',
        body,
        subresource: 'status',
      });
    }
    this.saidUp = true;
  }
}

export function statusKind(kind: StatusKind): { readonly apiVersion: string; readonly kind: string } {
  return { apiVersion: 'projectmanx.org/v1', kind };
}

function subjectOf({ metadata }: KubeObject): Subject {
  return { apiVersion: 'v1', kind: 'Node', name: metadata.name, uid: metadata.uid ?? metadata.name };
}
