// Events of core/v1, as `kubectl describe` shows them. What is said again counts up the Event of before, and of one reason
// only so many are said: a node whose sessions flap all night must not fill etcd.
import { randomBytes } from 'node:crypto';
import { type KubeClient, KubeError, type KubeObject, type ResourcePath } from '../kube/port.ts';
import { Bucket, type BucketSize } from './bucket.ts';
import type { Told } from './concerns.ts';
import { timestamp } from './node.ts';

/** Of one reason, about one object. */
export const EVENTS: BucketSize = { burst: 5, refillMs: 120_000 };
/** The same words again within this time are the same Event; the API server keeps it for an hour. */
const SAME_MS = 600_000;
/** Of events that could not be told yet (the API server is away), so many are kept. */
const WAITING = 50;
/** The API server refuses more (core/v1 validation). */
const MESSAGE_MAX = 1024;

/** What an Event is about. Without a uid `kubectl describe` does not find it. */
export interface Subject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

interface Said {
  readonly name: string;
  readonly count: number;
  readonly at: number;
}

interface Waiting {
  readonly about: Subject;
  readonly told: Told;
  readonly at: number;
}

/** Events of objects that are in no namespace live in this one. */
const path: ResourcePath = { group: '', version: 'v1', plural: 'events', namespace: 'default' };

export class Events {
  private readonly client: Pick<KubeClient, 'create' | 'patch'>;
  private readonly node: string;
  private readonly buckets = new Map<string, { bucket: Bucket; suppressed: number }>();
  private readonly said = new Map<string, Said>();
  private waiting: Waiting[] = [];

  constructor(client: Pick<KubeClient, 'create' | 'patch'>, node: string) {
    this.client = client;
    this.node = node;
  }

  /** To be said; nothing happens before {@link flush}. */
  tell(about: Subject, told: readonly Told[], now: number): void {
    for (const each of told) {
      const say = this.allowed(about, each, now);
      if (say !== undefined) this.waiting.push({ about, told: say, at: now });
    }
    this.waiting = this.waiting.slice(-WAITING);
  }

  /** Says what waits, in order. @throws KubeError 'unavailable': what was not said waits on. */
  async flush(now: number): Promise<void> {
    this.forget(now);
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      try {
        await this.say(next);
      } catch (error) {
        if (!(error instanceof KubeError) || error.code === 'unavailable') throw error;
        // The server's no is the last word: the next event may be to its liking.
      }
      this.waiting = this.waiting.filter((other) => other !== next);
    }
  }

  private allowed(about: Subject, told: Told, now: number): Told | undefined {
    const key = `${about.kind} ${about.name} ${told.reason}`;
    const entry = this.buckets.get(key) ?? { bucket: new Bucket(EVENTS), suppressed: 0 };
    this.buckets.set(key, entry);
    if (!entry.bucket.take(now)) {
      entry.suppressed++;
      return undefined;
    }
    const unsaid = entry.suppressed === 0 ? '' : ` (and ${entry.suppressed} more that were not said one by one)`;
    entry.suppressed = 0;
    return { ...told, message: cut(`${told.message}${unsaid}`) };
  }

  private async say({ about, told, at }: Waiting): Promise<void> {
    const key = `${about.uid} ${told.reason} ${told.message}`;
    const before = this.said.get(key);
    if (before && (await this.sayAgain(before, at))) {
      this.said.set(key, { ...before, count: before.count + 1, at });
      return;
    }
    const name = `${about.name}.${randomBytes(8).toString('hex')}`;
    await this.client.create(path, this.event(name, about, told, at));
    this.said.set(key, { name, count: 1, at });
  }

  /** False when the Event of before is gone. */
  private async sayAgain({ name, count }: Said, at: number): Promise<boolean> {
    try {
      const body = { count: count + 1, lastTimestamp: timestamp(at) };
      await this.client.patch(path, name, { type: 'merge', body });
      return true;
    } catch (error) {
      if (error instanceof KubeError && error.code === 'notFound') return false;
      throw error;
    }
  }

  private event(name: string, about: Subject, { reason, type, message }: Told, at: number): KubeObject {
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace: 'default' },
      involvedObject: about,
      ...{ reason, type, message },
      firstTimestamp: timestamp(at),
      lastTimestamp: timestamp(at),
      count: 1,
      source: { component: 'manxd', host: this.node },
      reportingComponent: 'manxd',
      reportingInstance: this.node,
    };
  }

  private forget(now: number): void {
    for (const [key, { at }] of this.said) if (now - at > SAME_MS) this.said.delete(key);
    for (const [key, { bucket, suppressed }] of this.buckets) {
      if (suppressed === 0 && bucket.isFull(now)) this.buckets.delete(key);
    }
  }
}

function cut(text: string): string {
  return text.length <= MESSAGE_MAX ? text : `${text.slice(0, MESSAGE_MAX - 1)}…`;
}
