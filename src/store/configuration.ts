// The configuration kinds: what an operator has written, as long as all of it is right, and otherwise what was right
// last. Writes go into the operator's own files.
import { isDeepStrictEqual } from 'node:util';
import { join } from 'node:path';
import { parseResource, toDocument } from '../resources/index.ts';
import type { Kind, Kinds } from '../resources/types.ts';
import { removeDurably, writeAtomically } from './atomic.ts';
import { codeOf } from './disk.ts';
import { appendDocument, changeDocument, changeJson, removeDocument } from './edit.ts';
import { type FolderReading, type Placed, type Texts, readFolder, understand, versioned } from './folder.ts';
import { createLane } from './lane.ts';
import { type Problem, StoreError } from './port.ts';
import { keepFixed, refused } from './refusal.ts';

type AnyResource = Kinds[Kind];
type Table = ReadonlyMap<string, AnyResource>;

export class Configuration {
  private readonly folder: string;
  /** Waits until a folder that somebody is writing to has come to rest. */
  private readonly settle: () => Promise<void>;
  private readonly lane = createLane();
  private reading: FolderReading | undefined;
  /** By kind and name, ordered by name: the last reading without a problem. */
  private inForce: ReadonlyMap<Kind, Table> = new Map();

  constructor(folder: string, settle: () => Promise<void>) {
    this.folder = folder;
    this.settle = settle;
  }

  get problems(): readonly Problem[] {
    return this.reading?.problems ?? [];
  }

  /** Why the folder cannot be read at all. */
  get error(): string | undefined {
    return this.reading?.error;
  }

  list<K extends Kind>(kind: K): Kinds[K][] {
    return [...(this.inForce.get(kind)?.values() ?? [])] as Kinds[K][];
  }

  get<K extends Kind>(kind: K, name: string): Kinds[K] | undefined {
    return this.inForce.get(kind)?.get(name) as Kinds[K] | undefined;
  }

  /**
   * Reads the folder again. Gives the kinds whose resources in force have changed, and whether anything at all did
   * (a problem came or went, a password is another).
   */
  reload(): Promise<Changes> {
    return this.lane.run(async () => {
      let reading = await readFolder(this.folder, this.reading);
      if (reading.fingerprint === this.reading?.fingerprint) return nothing;
      // Somebody may be in the midst of writing. The first reading is taken as it is: nothing is in force yet that a
      // half-written file could tear down.
      for (let trial = 0; this.reading !== undefined && trial < SETTLE_TRIALS; trial++) {
        await this.settle();
        const again = await readFolder(this.folder, reading);
        const rests = again.fingerprint === reading.fingerprint;
        reading = again;
        if (rests) break;
      }
      return this.adopt(reading);
    });
  }

  /** @throws StoreError 'exists', 'invalid', 'unavailable' */
  create(kind: Kind, given: AnyResource): Promise<Outcome> {
    const resource = normal(given);
    const { name } = resource.metadata;
    return this.write(kind, name, (present, texts) => {
      if (present !== undefined) throw new StoreError('exists', `${kind} ${name} exists (${placeOf(present)})`);
      const file = newFile(kind, name, texts);
      return { file, text: appendDocument(textOf(texts, file), withoutVersion(resource)), wanted: resource };
    }) as Promise<Outcome>;
  }

  /** @throws StoreError 'conflict', 'missing', 'invalid', 'unavailable' */
  update(kind: Kind, given: AnyResource): Promise<Outcome> {
    const resource = normal(given);
    return this.write(kind, resource.metadata.name, (present, texts) => {
      const { file, placed } = this.expectVersion(kind, given, present);
      if (placed.resource !== undefined) keepFixed(placed.resource, resource);
      const to = withoutVersion(resource);
      const text = isJson(file)
        ? changeJson(textOf(texts, file), placed, to)
        : changeDocument(textOf(texts, file), placed, placed.resource && withoutVersion(placed.resource), to);
      return { file, text, wanted: resource };
    }) as Promise<Outcome>;
  }

  /** @throws StoreError 'conflict', 'missing', 'invalid', 'unavailable' */
  async delete(kind: Kind, resource: AnyResource): Promise<Changes> {
    const { changes } = await this.write(kind, resource.metadata.name, (present, texts) => {
      const { file, placed } = this.expectVersion(kind, resource, present);
      const text = textOf(texts, file);
      return { file, text: isJson(file) ? changeJson(text, placed, undefined) : removeDocument(text, placed) };
    });
    return changes;
  }

  /** Compare-and-swap against what is on disk now, not against what was read some time ago. */
  private expectVersion(kind: Kind, { metadata }: AnyResource, present: Placed | undefined): Present {
    const { name, resourceVersion } = metadata;
    if (present === undefined) throw new StoreError('missing', `${kind} ${name} does not exist`);
    // A document that somebody has broken meanwhile may be mended by whoever knows the last good one.
    const now = present.resource === undefined ? this.get(kind, name) : versioned(present.resource);
    if (now === undefined || now.metadata.resourceVersion !== resourceVersion) {
      throw new StoreError('conflict', `${kind} ${name} has changed since it was read (${placeOf(present)})`);
    }
    return { file: present.file, placed: present };
  }

  private write(kind: Kind, name: string, plan: Plan): Promise<Omit<Outcome, 'resource'> & { resource: unknown }> {
    return this.lane.run(async () => {
      const before = await readFolder(this.folder, this.reading);
      if (before.error !== undefined) throw new StoreError('unavailable', before.error);
      const present = before.placed.find((placed) => placed.kind === kind && placed.name === name);
      const { file, text, wanted } = plan(present, before.texts);
      const after = await understand(this.folder, withText(before.texts, file, text), before);
      if (after.problems.length > 0) throw refused(kind, name, after.problems);
      const resource = after.resources.find((one) => one.kind === kind && one.metadata.name === name);
      if (resource?.metadata.resourceVersion !== (wanted && versioned(wanted).metadata.resourceVersion)) {
        // Anchors and merge keys can make one document depend on what another place says.
        throw new StoreError('invalid', `${file} is written so that ${kind} ${name} can only be changed by hand`);
      }
      await this.carryOut(file, textOf(before.texts, file), text);
      return { resource, changes: this.adopt(after) };
    });
  }

  private async carryOut(file: string, before: string, text: string | undefined): Promise<void> {
    if (text === before) return;
    const path = join(this.folder, file);
    // An editor may have been quicker. Between this look and the rename there is no more than a moment; a file that
    // people edit has no compare-and-swap.
    const { texts } = await readFolder(this.folder);
    if (textOf(texts, file) !== before) throw new StoreError('conflict', `${file} has just been changed by somebody`);
    try {
      if (text === undefined) await removeDurably(path);
      else await writeAtomically(path, text);
    } catch (cause) {
      if (codeOf(cause) === undefined) throw cause;
      throw new StoreError('unavailable', `${path} cannot be written: ${(cause as Error).message}`, { cause });
    }
  }

  private adopt(reading: FolderReading): Changes {
    const changed = reading.fingerprint !== this.reading?.fingerprint;
    this.reading = reading;
    if (reading.problems.length > 0) return { kinds: new Set(), any: changed };
    const next = tablesOf(reading.resources);
    const kinds = new Set([...this.inForce.keys(), ...next.keys()]);
    const before = this.inForce;
    this.inForce = next;
    const differing = [...kinds].filter((kind) => !isDeepStrictEqual(before.get(kind), next.get(kind)));
    return { kinds: new Set(differing), any: changed };
  }
}

/** What a reading or a write has changed. */
export interface Changes {
  readonly kinds: ReadonlySet<Kind>;
  readonly any: boolean;
}

const nothing: Changes = { kinds: new Set(), any: false };

export interface Outcome {
  readonly resource: AnyResource;
  readonly changes: Changes;
}

/** A folder that is written to all the time is taken as it is in the end. */
const SETTLE_TRIALS = 50;

/** The file to be written and its new text (none: the file goes), and the resource that it is to say then. */
type Plan = (
  present: Placed | undefined,
  texts: Texts,
) => { readonly file: string; readonly text: string | undefined; readonly wanted?: AnyResource };

interface Present {
  readonly file: string;
  readonly placed: Placed;
}

/** The resource as it will be read back. @throws StoreError 'invalid' */
function normal(resource: AnyResource): AnyResource {
  const { resource: parsed, problems } = parseResource(withoutVersion(resource));
  if (parsed === undefined) throw refused(resource.kind, resource.metadata.name, problems);
  return parsed;
}

function tablesOf(resources: readonly AnyResource[]): Map<Kind, Table> {
  const byName = [...resources].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const tables = new Map<Kind, Map<string, AnyResource>>();
  for (const resource of byName) {
    const table = tables.get(resource.kind) ?? new Map<string, AnyResource>();
    tables.set(resource.kind, table.set(resource.metadata.name, resource));
  }
  return tables;
}

/** What goes into a file: the version is the file's content itself. */
function withoutVersion(resource: AnyResource): Record<string, unknown> {
  const { resourceVersion: _, ...metadata } = resource.metadata;
  return toDocument({ ...resource, metadata });
}

function newFile(kind: Kind, name: string, texts: Texts): string {
  const file = `${kind.toLowerCase()}-${name.toLowerCase()}.yaml`;
  if (texts.get(file) instanceof Error) throw new StoreError('unavailable', `${file} cannot be read`);
  return file;
}

function textOf(texts: Texts, file: string): string {
  const text = texts.get(file);
  return typeof text === 'string' ? text : '';
}

function withText(texts: Texts, file: string, text: string | undefined): Texts {
  const changed = new Map(texts);
  if (text === undefined) changed.delete(file);
  else changed.set(file, text);
  return new Map([...changed].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isJson(file: string): boolean {
  return file.endsWith('.json');
}

function placeOf({ file, where }: Placed): string {
  return where.line === undefined ? file : `${file}:${where.line}`;
}
