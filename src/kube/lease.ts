// One of many: an election by a Lease of coordination.k8s.io, for work that one agent does for the whole cluster.
//
// Nobody's clock is compared with anybody else's. Who wants the Lease takes it when it has not changed for as long as it
// lasts, by his own clock; who has it stops believing so a while before that. Those who only wait ask seldom, the more of
// them the more seldom: what is done under this Lease can wait for minutes, and a thousand agents wait for it.
import { randomBytes } from 'node:crypto';
import { KubeError, type KubeClient, type KubeObject, type ResourcePath } from './port.ts';

export interface LeaseOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'replace'>;
  readonly namespace: string;
  readonly name: string;
  /** Who we are; something random is added, so that a process never takes another's for its own. */
  readonly identity: string;
  /** How many may be waiting. */
  readonly candidates: () => number;
  /** Told when it is won and when it is lost. */
  readonly changed?: (held: boolean) => void;
  /** Why it cannot be asked for at present. */
  readonly failed?: (error: KubeError) => void;
}

export interface Lease extends AsyncDisposable {
  /** Whether the work is ours, right now: to be asked before each write. */
  readonly held: boolean;
}

/** How long it lasts without being renewed. */
export const LEASE_MS = 45_000;
const RENEW_MS = 15_000;
/** Its holder stops this much earlier than others may begin: as long as a request may take. */
const MARGIN_MS = 10_000;
/** All who wait together ask so often. */
const ASKED_EVERY_MS = 100;

/** Stands for election until disposed of; a Lease that is held is then given back. */
export function standForLease(options: LeaseOptions): Lease {
  const candidate = new Candidate(options, () => performance.now());
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const run = async (): Promise<void> => {
    const pause = await candidate.step();
    // Not all at the same moment, nor in step with one another.
    if (!stopped) timer = setTimeout(again, pause * (0.8 + 0.4 * Math.random())).unref();
  };
  const again = (): void => void (running = run());
  let running = run();
  return {
    get held() {
      return candidate.held;
    },
    [Symbol.asyncDispose]: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
      await candidate.resign();
    },
  };
}

interface LeaseObject extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** The election without its timer: one step at a time. */
export class Candidate {
  private readonly options: LeaseOptions;
  /** Milliseconds of a clock that never steps. */
  private readonly now: () => number;
  private readonly identity: string;
  private readonly path: ResourcePath;
  /** The Lease as it was seen or written last, and when that was seen first. */
  private seen: { readonly lease: LeaseObject; readonly at: number } | undefined;
  private renewedAt: number | undefined;
  private said = false;

  constructor(options: LeaseOptions, now: () => number) {
    this.options = options;
    this.now = now;
    this.identity = `${options.identity}_${randomBytes(4).toString('hex')}`;
    const { namespace } = options;
    this.path = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', namespace };
  }

  get held(): boolean {
    return this.renewedAt !== undefined && this.now() - this.renewedAt < LEASE_MS - MARGIN_MS;
  }

  /** Renews, takes or waits. Returns after how long to step again. */
  async step(): Promise<number> {
    const began = this.now();
    try {
      const won = this.renewedAt === undefined ? await this.tryToTake() : await this.renew();
      this.renewedAt = won ? began : undefined;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      // Somebody else was first, or there is no answer: what was won before stays ours until it has run out.
      if (error.code === 'conflict' || error.code === 'exists' || error.code === 'notFound') this.forget();
      else this.options.failed?.(error);
      if (!this.held) this.renewedAt = undefined;
    }
    this.say();
    return this.renewedAt === undefined ? Math.max(RENEW_MS, this.options.candidates() * ASKED_EVERY_MS) : RENEW_MS;
  }

  /** Gives back what is held, so that others need not wait. */
  async resign(): Promise<void> {
    const lease = this.seen?.lease;
    if (this.renewedAt === undefined || lease === undefined) return;
    this.renewedAt = undefined;
    try {
      await this.options.client.replace(this.path, { ...lease, spec: { ...lease.spec, holderIdentity: '' } });
    } catch {
      // Then they wait until it has run out.
    }
    this.say();
  }

  private async tryToTake(): Promise<boolean> {
    const { client, name, namespace } = this.options;
    const lease = await client.get<LeaseObject>(this.path, name);
    if (lease === undefined) {
      const fresh = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace } };
      this.see(await client.create<LeaseObject>(this.path, { ...fresh, spec: this.claim(undefined) }));
      return true;
    }
    if (lease.metadata.resourceVersion !== this.seen?.lease.metadata.resourceVersion) this.see(lease);
    const holder = lease.spec?.holderIdentity ?? '';
    const isFree = holder === '' || holder === this.identity;
    const hasRunOut = this.now() - this.seen!.at >= (lease.spec?.leaseDurationSeconds ?? 0) * 1000;
    if (!isFree && !hasRunOut) return false;
    this.see(await client.replace(this.path, { ...lease, spec: this.claim(lease) }));
    return true;
  }

  private async renew(): Promise<boolean> {
    const { lease } = this.seen!;
    const spec = { ...lease.spec, renewTime: microTime() };
    this.see(await this.options.client.replace(this.path, { ...lease, spec }));
    return true;
  }

  private claim(before: LeaseObject | undefined): NonNullable<LeaseObject['spec']> {
    return {
      holderIdentity: this.identity,
      leaseDurationSeconds: LEASE_MS / 1000,
      acquireTime: microTime(),
      renewTime: microTime(),
      leaseTransitions: (before?.spec?.leaseTransitions ?? -1) + 1,
    };
  }

  private see(lease: LeaseObject): void {
    this.seen = { lease, at: this.now() };
  }

  private forget(): void {
    this.renewedAt = undefined;
    this.seen = undefined;
  }

  private say(): void {
    if (this.said === this.held) return;
    this.said = this.held;
    this.options.changed?.(this.said);
  }
}

/** metav1.MicroTime */
function microTime(): string {
  return `${new Date().toISOString().slice(0, -1)}000Z`;
}
