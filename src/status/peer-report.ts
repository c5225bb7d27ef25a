// Writes how each BGPPeer does, for the whole cluster: the work of the one agent that holds the Lease. It follows what all
// nodes tell while it does, and forgets it when it does not.
import { isDeepStrictEqual } from 'node:util';
import { Loop } from '../agent/loop.ts';
import type { ClusterView } from '../desired/view.ts';
import { KubeError, type KubeClient, type KubeObject, type Reflect, type Reflection } from '../kube/port.ts';
import type { Log } from '../log.ts';
import type { Condition } from '../resources/types.ts';
import type { Told } from './concerns.ts';
import { Events, type Subject } from './events.ts';
import { type BGPPeerState, type NodeRouting, statusKinds } from './model.ts';
import { SILENCE_MS } from './pace.ts';
import { bgpPeerStates } from './peers.ts';
import { nodeStatusPath, statusKind } from './report.ts';

export interface PeerReportOptions {
  readonly client: Pick<KubeClient, 'get' | 'list' | 'create' | 'patch' | 'delete'>;
  /** Who says it. */
  readonly node: string;
  readonly reflect: Reflect;
  readonly log: Log;
  /** The configuration as it is in force here. */
  readonly view: () => ClusterView | undefined;
  readonly lease: { readonly held: boolean };
}

export interface PeerReport extends AsyncDisposable {
  /** The Lease was won or lost, or the configuration has changed. */
  look(): void;
  readonly loops: readonly Loop[];
}

export const peerStatusPath = { ...nodeStatusPath, plural: statusKinds.BGPPeerStatus.plural };

/** In a rolling restart every node has something to tell, one after the other. */
const SPACING_MS = 2_000;
/** That one more session is up, of many, can wait; that all are, or the first is not, cannot. */
const COUNT_SPACING_MS = 10_000;
const LOOK_EVERY_MS = 10_000;

export function openPeerReport(options: PeerReportOptions): PeerReport {
  const report = new PeerReporter(options);
  return {
    look: () => report.lookSoon(),
    loops: [report.loop],
    [Symbol.asyncDispose]: () => report.close(),
  };
}

interface NodeObject extends KubeObject {
  readonly status?: NodeRouting;
}

interface Written {
  readonly state: BGPPeerState;
  readonly at: number;
}

class PeerReporter {
  readonly loop: Loop;
  private readonly options: PeerReportOptions;
  private nodes: Reflection<NodeObject> | undefined;
  private isReady = false;
  /** Which version of a node's object came when, by our clock: nobody's clock is compared with ours. */
  private heard = new Map<string, { readonly version: string | undefined; readonly at: number }>();
  private written: Map<string, Written> | undefined;
  private readonly events: Events;
  private lookedAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: PeerReportOptions) {
    this.options = options;
    this.events = new Events(options.client, options.node);
    this.loop = new Loop({
      doing: 'writing how BGPPeers do',
      log: options.log,
      everyMs: LOOK_EVERY_MS,
      longestRetryMs: 60_000,
      work: () => this.report(),
    });
    this.lookSoon();
  }

  lookSoon(): void {
    const wait = Math.max(0, SPACING_MS - (performance.now() - this.lookedAt));
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.loop.look();
    }, wait).unref();
  }

  async close(): Promise<void> {
    clearTimeout(this.timer);
    await this.loop.close();
    await this.forget();
  }

  private async report(): Promise<void> {
    this.lookedAt = performance.now();
    const { lease, view } = this.options;
    if (!lease.held) return this.forget();
    this.follow();
    const configuration = view();
    if (!this.isReady || configuration === undefined) return;
    this.written ??= await this.readWritten();
    const before = new Map([...this.written].map(([name, { state }]) => [name, state]));
    const told = new Map(
      this.nodes!.all().flatMap(({ metadata, status }) => (status ? [[metadata.name, status]] : [])),
    );
    const states = bgpPeerStates({ view: configuration, told, silent: this.silent(), before, now: Date.now() });
    for (const [name, state] of states) await this.write(name, state);
    for (const name of this.written.keys()) if (!states.has(name)) await this.delete(name);
    await this.events.flush(Date.now());
  }

  private follow(): void {
    if (this.nodes !== undefined) return;
    this.nodes = this.options.reflect<NodeObject>(nodeStatusPath);
    this.nodes.watch(() => this.lookSoon());
    const { nodes } = this;
    void nodes.ready.then(() => {
      this.isReady = this.nodes === nodes;
      this.lookSoon();
    });
  }

  private async forget(): Promise<void> {
    const { nodes } = this;
    this.nodes = undefined;
    this.written = undefined;
    this.isReady = false;
    this.heard.clear();
    await nodes?.[Symbol.asyncDispose]();
  }

  private silent(): ReadonlySet<string> {
    const now = performance.now();
    const objects = this.nodes!.all();
    this.heard = new Map(
      objects.map(({ metadata: { name, resourceVersion: version } }) => {
        const before = this.heard.get(name);
        return [name, before?.version === version && before !== undefined ? before : { version, at: now }];
      }),
    );
    return new Set([...this.heard].filter(([, { at }]) => now - at > SILENCE_MS).map(([name]) => name));
  }

  private async readWritten(): Promise<Map<string, Written>> {
    const objects = await this.options.client.list<KubeObject & { status?: BGPPeerState }>(peerStatusPath);
    return new Map(
      objects.flatMap(({ metadata, status }) =>
        status?.conditions ? [[metadata.name, { state: status, at: -Infinity }] as const] : [],
      ),
    );
  }

  private async write(name: string, state: BGPPeerState): Promise<void> {
    const before = this.written!.get(name);
    if (before && isDeepStrictEqual(before.state, state)) return;
    const now = performance.now();
    const isCount = before !== undefined && isSameVerdict(before.state, state);
    // Looked at again soon enough, for the loop does so by itself.
    if (isCount && now - before.at < COUNT_SPACING_MS) return;
    // Between two writes the Lease may have gone to another.
    if (!this.options.lease.held) return;
    await this.put(name, state);
    this.written!.set(name, { state, at: now });
    const told = before && turnOf(before.state, state);
    const about = told && (await this.subject(name));
    if (about !== undefined) this.events.tell(about, [told!], Date.now());
  }

  /** The BGPPeer as the API server knows it: `kubectl describe` looks for Events by its uid. */
  private async subject(name: string): Promise<Subject | undefined> {
    for (const [group, version] of calicoGroups) {
      const object = await this.options.client.get({ group, version, plural: 'bgppeers' }, name);
      const { uid } = object?.metadata ?? {};
      if (uid !== undefined) return { apiVersion: `${group}/${version}`, kind: 'BGPPeer', name, uid };
    }
    return undefined;
  }

  private async put(name: string, status: BGPPeerState): Promise<void> {
    const { client } = this.options;
    try {
      await client.patch(peerStatusPath, name, { type: 'json', body: [{ op: 'add', path: '/status', value: status }] });
    } catch (error) {
      if (!(error instanceof KubeError) || error.code !== 'notFound') throw error;
      await client.create(peerStatusPath, { ...statusKind('BGPPeerStatus'), metadata: { name }, status });
    }
  }

  /** The BGPPeer is gone. */
  private async delete(name: string): Promise<void> {
    if (!this.options.lease.held) return;
    try {
      await this.options.client.delete(peerStatusPath, name);
    } catch (error) {
      if (!(error instanceof KubeError) || error.code !== 'notFound') throw error;
    }
    this.written!.delete(name);
  }
}

/** Where Calico's resources may be. */
const calicoGroups = [
  ['crd.projectcalico.org', 'v1'],
  ['projectcalico.org', 'v3'],
] as const;

/** It was ready and is not, or the other way round, or it is not for another reason. */
function turnOf(was: BGPPeerState, is: BGPPeerState): Told | undefined {
  const [before] = was.conditions;
  const [now] = is.conditions;
  if (now === undefined || before?.reason === now.reason) return undefined;
  const { sessionsUp, summary } = is;
  return now.status === 'True'
    ? { reason: 'BGPPeerReady', type: 'Normal', message: `${sessionsUp} sessions up` }
    : { reason: 'BGPPeerNotReady', type: 'Warning', message: `${sessionsUp} sessions up: ${summary}` };
}

function isSameVerdict(a: BGPPeerState, b: BGPPeerState): boolean {
  return JSON.stringify(a.conditions.map(verdict)) === JSON.stringify(b.conditions.map(verdict));
}

/** What is said of readiness counts sessions; what is said of one cause is what somebody has to do. */
function verdict({ type, status, reason, message }: Condition): unknown {
  return { type, status, reason, ...(type !== 'Ready' && { message: message.replaceAll(/\d+/g, '#') }) };
}
