// Reflections: carries out what following.ts says, and tells who looks. One loop each; it ends when it is disposed of.
import { setTimeout as pause } from 'node:timers/promises';
import type { WatchingClient } from './client.ts';
import { Content } from './content.ts';
import { type Following, type Happening, type Todo, beginning, next, step } from './following.ts';
import {
  KubeError,
  type KubeObject,
  type Reflect,
  type ReflectOptions,
  type Reflection,
  type ReflectionStatus,
  type ResourcePath,
} from './port.ts';
import { resourceText } from './paths.ts';

export interface ReflectorSettings {
  /** From 0 to 1. */
  readonly random?: () => number;
  /** The server ends a watch after this time, or up to twice of it. */
  readonly watchSeconds?: number;
  /** A server sends a bookmark every minute; one that says nothing for so long is not there any more. */
  readonly silenceMs?: number;
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export function createReflect(client: WatchingClient, settings: ReflectorSettings = {}): Reflect {
  return (path, options = {}) => new Reflector(client, path, options, settings);
}

const WATCH_SECONDS = 300;
const SILENCE_MS = 150_000;

class Reflector<T extends KubeObject> implements Reflection<T> {
  readonly ready: Promise<void>;
  private readonly client: WatchingClient;
  private readonly path: ResourcePath;
  private readonly options: ReflectOptions<T>;
  private readonly settings: ReflectorSettings;
  private readonly random: () => number;
  private readonly content: Content<T>;
  private readonly lookers = new Set<() => void>();
  private readonly stop = new AbortController();
  private readonly running: Promise<void>;
  private readonly becomeReady: () => void;
  private state: Following = beginning;
  private inStepSince: number | undefined;
  private gathered: T[] = [];
  private telling: NodeJS.Immediate | undefined;

  constructor(client: WatchingClient, path: ResourcePath, options: ReflectOptions<T>, settings: ReflectorSettings) {
    this.client = client;
    this.path = path;
    this.options = options;
    this.settings = settings;
    this.random = settings.random ?? Math.random;
    this.content = new Content(options.keep);
    if (options.before !== undefined) this.content.adopt(options.before);
    ({ promise: this.ready, resolve: this.becomeReady } = Promise.withResolvers<void>());
    this.running = this.run();
  }

  all(): readonly T[] {
    return this.content.all();
  }

  get(name: string, namespace?: string): T | undefined {
    return this.content.get(name, namespace ?? this.path.namespace);
  }

  watch(look: () => void): () => void {
    // The same function twice is two who look.
    const looker = (): void => look();
    this.lookers.add(looker);
    return () => {
      this.lookers.delete(looker);
    };
  }

  status(): ReflectionStatus {
    const { inStep, error, listed, missing } = this.state;
    return {
      ...(inStep && this.inStepSince !== undefined && { inStepSince: this.inStepSince }),
      ...(!inStep && { error: `${resourceText(this.path)}: ${error ?? 'not listed yet'}` }),
      ...{ listed, missing, items: this.content.size },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    this.lookers.clear();
    clearImmediate(this.telling);
    await this.running;
  }

  private async run(): Promise<void> {
    let todo: Todo | undefined = next(this.state);
    while (todo !== undefined && !this.stop.signal.aborted) todo = await this.carryOut(todo);
  }

  /** Until there is something else to do; nothing is, once we have been stopped. */
  private async carryOut(todo: Todo): Promise<Todo | undefined> {
    for await (const event of this.attempt(todo)) {
      if (this.stop.signal.aborted) return undefined;
      const [state, after] = step(this.state, event, this.random());
      this.become(state);
      if (after !== undefined) return after;
    }
    throw new Error(`nothing follows ${todo.do}`);
  }

  private become(state: Following): void {
    const turned = state.inStep !== this.state.inStep || state.missing !== this.state.missing;
    if (turned) this.inStepSince = state.inStep ? Date.now() : undefined;
    this.state = state;
    // Whoever shows whether we are in step has to look as well.
    if (turned) this.tell();
  }

  private async *attempt(todo: Todo): AsyncGenerator<Happening> {
    try {
      switch (todo.do) {
        case 'wait':
          await (this.settings.wait ?? waitFor)(todo.ms, this.stop.signal);
          yield { on: 'waited' };
          return;
        case 'list':
          yield await this.list(todo);
          return;
        case 'watch':
          yield* this.follow(todo.resourceVersion);
          return;
        default:
          todo satisfies never;
      }
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      yield { on: 'failed', error };
    }
  }

  private async list({ from, ...todo }: Extract<Todo, { do: 'list' }>): Promise<Happening> {
    const { labelSelector, fieldSelector } = this.options;
    const { resourceVersion, limit } = todo;
    const options = { labelSelector, fieldSelector, resourceVersion, limit, from };
    const page = await this.client.page<T>(this.path, { ...definedOf(options), signal: this.stop.signal });
    if (from === undefined) this.gathered = [];
    this.gathered.push(...page.items);
    if (page.next !== undefined) return { on: 'page', resourceVersion: page.resourceVersion, next: page.next };
    if (this.content.adopt(this.gathered)) this.tell();
    this.gathered = [];
    this.becomeReady();
    return { on: 'page', resourceVersion: page.resourceVersion };
  }

  private async *follow(resourceVersion: string): AsyncGenerator<Happening> {
    const { labelSelector, fieldSelector } = this.options;
    const { watchSeconds = WATCH_SECONDS, silenceMs = SILENCE_MS } = this.settings;
    const startedAt = performance.now();
    const options = {
      ...definedOf({ labelSelector, fieldSelector }),
      ...{ resourceVersion, silenceMs, signal: this.stop.signal },
      // Not all at one moment: the server spreads nothing by itself.
      timeoutSeconds: Math.ceil(watchSeconds * (1 + this.random())),
    };
    const events = await this.client.watch<T>(this.path, options);
    yield { on: 'opened' };
    for await (const event of events) {
      if (event.type === 'ERROR') throw event.error;
      this.take(event);
      yield { on: 'event', resourceVersion: event.object.metadata.resourceVersion };
    }
    yield { on: 'ended', livedMs: performance.now() - startedAt };
  }

  private take({ type, object }: { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T }): void {
    if (type === 'BOOKMARK') return;
    if (type === 'DELETED' ? this.content.remove(object) : this.content.put(object)) this.tell();
  }

  /** What comes in one turn of the loop is one reason to look. */
  private tell(): void {
    if (this.stop.signal.aborted) return;
    this.telling ??= setImmediate(() => {
      this.telling = undefined;
      for (const look of [...this.lookers]) if (this.lookers.has(look)) look();
    });
  }
}

async function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  // Stopped while waiting: whoever stopped us looks at the signal next.
  await pause(ms, undefined, { signal }).catch(() => undefined);
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function definedOf<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as Defined<T>;
}
