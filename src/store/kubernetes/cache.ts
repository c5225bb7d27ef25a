// The last known configuration on disk: an agent that starts while the API server is away peers and announces with it.
//
// No Secret is ever in it: a session with a password from a Secret waits for the server.
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { formatJson, isRecord, parseJson } from '../../resources/index.ts';
import { writeAtomically } from '../atomic.ts';
import { codeOf } from '../disk.ts';
import type { Snapshot } from './mirror.ts';
import { calicoGroups } from './places.ts';

/** Of the file's form: another one is not read. */
const FORM = 1;
/** A roll-out changes many things in a row: one writing is enough for all. */
const GATHER_MS = 2000;

export class Cache {
  private readonly file: string | undefined;
  private writing: Promise<void> | undefined;
  private latest: (() => Snapshot | undefined) | undefined;
  private readonly hurry = new AbortController();

  constructor(file: string | undefined) {
    this.file = file;
  }

  /** What an earlier run saw, if that can be read. */
  async read(): Promise<Snapshot | undefined> {
    if (this.file === undefined) return undefined;
    try {
      return asSnapshot(parseJson(await readFile(this.file, 'utf8')));
    } catch {
      // None yet, or a broken one: the server knows, and the next writing replaces it.
      return undefined;
    }
  }

  /** Writes it down, soon. */
  remember(snapshot: () => Snapshot | undefined): void {
    if (this.file === undefined || this.hurry.signal.aborted) return;
    this.latest = snapshot;
    this.writing ??= this.write(this.file).finally(() => (this.writing = undefined));
  }

  /** Writes what is still to be written, and is finished. */
  async flush(): Promise<void> {
    this.hurry.abort();
    await this.writing;
  }

  private async write(file: string): Promise<void> {
    while (this.latest !== undefined) {
      await pause(GATHER_MS, undefined, { signal: this.hurry.signal, ref: false }).catch(() => undefined);
      const snapshot = this.latest();
      this.latest = undefined;
      if (snapshot === undefined) continue;
      try {
        await mkdir(dirname(file), { recursive: true });
        await writeAtomically(file, formatJson({ form: FORM, ...snapshot }));
      } catch (error) {
        // It helps a later start only; whatever is wrong with the disk, others complain of.
        if (codeOf(error) === undefined) throw error;
      }
    }
  }
}

function asSnapshot(value: unknown): Snapshot | undefined {
  if (!isRecord(value) || value['form'] !== FORM || !isRecord(value['objects'])) return undefined;
  const group = calicoGroups.find((one) => one === value['group']);
  return group && { group, objects: value['objects'] };
}
