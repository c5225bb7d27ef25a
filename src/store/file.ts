// The store on files: what operators write in a configuration folder, what agents write in a datastore folder that
// several of them may share. This file joins the two and looks after them; configuration.ts and datastore.ts do the work.
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { kinds as descriptions } from '../resources/index.ts';
import type { Kind, Kinds } from '../resources/types.ts';
import { Audience } from './audience.ts';
import { type Changes, Configuration, type Outcome } from './configuration.ts';
import { type DataKind, Datastore, dataKinds, isDataKind } from './datastore.ts';
import { codeOf, realDisk } from './disk.ts';
import { leaveHint } from './hints.ts';
import { ContentionError, type Objects, createObjects } from './objects.ts';
import { type Store, StoreError, type StoreStatus, type Where, isWanted } from './port.ts';
import { Pulse } from './pulse.ts';
import { type FolderWatch, watchFolder } from './watch.ts';

export { loadFolder } from './folder.ts';
export { type PasswordReading, readPassword } from './password-file.ts';
export { formatProblems } from './problems.ts';

export interface FileStoreOptions {
  /** The folder with the operator's YAML. */
  readonly config: string;
  /** The folder for blocks, affinities and handles; it is made when it is needed. */
  readonly datastore: string;
  /** ms since the epoch. */
  readonly clock?: () => number;
  /** How often everything is read again although nobody gave a hint. */
  readonly rereadMs?: number;
  /** How long a folder that is being written to must rest. */
  readonly settleMs?: number;
}

/**
 * Opens the store. A configuration that is wrong or not there is no error: see status(). The first reading is done
 * when this resolves.
 */
export async function openFileStore(options: FileStoreOptions): Promise<Store & AsyncDisposable> {
  const store = new FileStore(options);
  await store.open();
  return store;
}

const REREAD_MS = 3000;
const SETTLE_MS = 100;
const GAP_MS = 50;
const SWEEP_MS = 60 * 60_000;
/** A creator that has not moved for so long is dead. */
const ABANDONED_MS = 10 * 60_000;

type Part = 'configuration' | DataKind;
const parts: readonly Part[] = ['configuration', ...dataKinds];
const configurationKinds = (Object.keys(descriptions) as Kind[]).filter((kind) => !isDataKind(kind));

class FileStore implements Store, AsyncDisposable {
  private readonly now: () => number;
  private readonly hints: string;
  private readonly configuration: Configuration;
  private readonly objects: Objects;
  private readonly datastore: Datastore;
  private readonly folderWatches: readonly FolderWatch[];
  private readonly audience = new Audience();
  private readonly pulse: Pulse<Part>;
  /** What each kind of the datastore looked like when its watchers were last told. */
  private readonly told = new Map<DataKind, string>();
  private running: Promise<void> = Promise.resolve();
  private inStepSince: number | undefined;
  /** What could not be looked at, and why. */
  private readonly failures = new Map<Part | 'sweep', string>();
  private sweptAt = Number.NEGATIVE_INFINITY;

  constructor({ config, datastore, clock = Date.now, rereadMs = REREAD_MS, settleMs = SETTLE_MS }: FileStoreOptions) {
    this.now = clock;
    this.hints = join(datastore, 'hints');
    this.pulse = new Pulse(parts, rereadMs, GAP_MS);
    this.configuration = new Configuration(config, () => pause(settleMs));
    this.objects = createObjects(realDisk, datastore);
    this.datastore = new Datastore(this.objects, clock);
    this.folderWatches = [
      watchFolder(config, () => this.pulse.hint('configuration')),
      watchFolder(this.hints, (name) => this.pulse.hint(...dataKinds.filter((kind) => kind === (name ?? kind)))),
    ];
  }

  async open(): Promise<void> {
    // Watch first, read then: what changes in between is seen.
    await Promise.all(this.folderWatches.map((watch) => watch.renew()));
    await this.look(new Set(parts));
    this.running = this.keepLooking();
  }

  async list<K extends Kind>(kind: K, where?: Where): Promise<readonly Kinds[K][]> {
    const all = await this.attempt<readonly Kinds[Kind][]>(() =>
      isDataKind(kind) ? this.datastore.list(kind) : Promise.resolve(this.configuration.list(kind)),
    );
    return all.filter((resource) => isWanted(resource, where)) as readonly Kinds[Kind][] as readonly Kinds[K][];
  }

  async names(kind: Kind): Promise<readonly string[]> {
    return (await this.list(kind)).map(({ metadata }) => metadata.name);
  }

  get<K extends Kind>(kind: K, name: string): Promise<Kinds[K] | undefined> {
    return this.attempt<Kinds[Kind] | undefined>(() =>
      isDataKind(kind) ? this.datastore.get(kind, name) : Promise.resolve(this.configuration.get(kind, name)),
    ) as Promise<Kinds[K] | undefined>;
  }

  create<K extends Kind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]> {
    return this.attempt<Kinds[Kind]>(async () => {
      if (!isDataKind(kind)) return this.written(await this.configuration.create(kind, resource));
      const created = await this.datastore.create<DataKind>(kind, resource as Kinds[DataKind]);
      await this.announce(kind);
      return created;
    }) as Promise<Kinds[K]>;
  }

  update<K extends Kind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]> {
    return this.attempt<Kinds[Kind]>(async () => {
      if (!isDataKind(kind)) return this.written(await this.configuration.update(kind, resource));
      const updated = await this.datastore.update<DataKind>(kind, resource as Kinds[DataKind]);
      await this.announce(kind);
      return updated;
    }) as Promise<Kinds[K]>;
  }

  delete<K extends Kind>(kind: K, resource: Kinds[K]): Promise<void> {
    return this.attempt(async () => {
      if (!isDataKind(kind)) return this.tell(await this.configuration.delete(kind, resource));
      await this.datastore.delete<DataKind>(kind, resource as Kinds[DataKind]);
      return this.announce(kind);
    });
  }

  watch(kinds: readonly Kind[], look: () => void): () => void {
    return this.audience.add(kinds, look);
  }

  status(): StoreStatus {
    const error = this.configuration.error ?? [...this.failures.values()][0];
    return {
      kind: 'file',
      problems: this.configuration.problems,
      ...(this.inStepSince !== undefined && { inStepSince: this.inStepSince }),
      ...(error !== undefined && { error }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.pulse.end();
    for (const watch of this.folderWatches) watch.close();
    this.audience.clear();
    await this.running;
  }

  /** What the system refuses is `unavailable`: the port knows no other errors. */
  private async attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (codeOf(cause) === undefined && !(cause instanceof ContentionError)) throw cause;
      if (cause instanceof StoreError) throw cause;
      throw new StoreError('unavailable', `the store is not available: ${(cause as Error).message}`, { cause });
    }
  }

  private async keepLooking(): Promise<void> {
    for (let what = await this.pulse.next(); what !== undefined; what = await this.pulse.next()) {
      await Promise.all(this.folderWatches.map((watch) => watch.renew()));
      await this.look(what);
    }
  }

  private async look(what: ReadonlySet<Part>): Promise<void> {
    for (const part of what) {
      await this.guard(part, () => (part === 'configuration' ? this.lookAtConfiguration() : this.lookAt(part)));
    }
    await this.guard('sweep', () => this.sweep());
    const away = this.failures.size > 0 || this.configuration.error !== undefined;
    this.inStepSince = away ? undefined : (this.inStepSince ?? this.now());
  }

  private async guard(part: Part | 'sweep', work: () => Promise<void>): Promise<void> {
    try {
      await this.attempt(work);
      this.failures.delete(part);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.failures.set(part, error.message);
    }
  }

  private async lookAtConfiguration(): Promise<void> {
    this.tell(await this.configuration.reload());
  }

  /** Compares a kind of the datastore with what its watchers were told of. */
  private async lookAt(kind: DataKind): Promise<void> {
    if (!this.audience.wants(kind)) return;
    const resources = await this.datastore.list(kind);
    const seen = resources.map(({ metadata }) => metadata.resourceVersion).join();
    if (this.told.get(kind) === seen) return;
    this.told.set(kind, seen);
    this.audience.tell([kind]);
  }

  private async sweep(): Promise<void> {
    if (this.now() - this.sweptAt < SWEEP_MS) return;
    await this.objects.sweep(ABANDONED_MS, Date.now());
    this.sweptAt = this.now();
  }

  /** Tells our own watchers at once, and those in other processes through the kernel. */
  private async announce(kind: DataKind): Promise<void> {
    this.audience.tell([kind]);
    await leaveHint(this.hints, kind);
  }

  private written({ resource, changes }: Outcome): Kinds[Kind] {
    this.tell(changes);
    return resource;
  }

  private tell({ kinds, any }: Changes): void {
    // A password or a problem shows in no list, but whoever watches the configuration has to look.
    if (any) this.audience.tell(kinds.size > 0 ? kinds : configurationKinds);
  }
}
