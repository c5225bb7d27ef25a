// What a runtime asked to be removed while no agent answered. The plugin writes it down and succeeds; the agent carries
// it out when it is back.
import { mkdir, readFile, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asCniError } from './error.ts';
import { attachmentFile, draftSuffix, writeAtomically } from './file.ts';
import type { Note } from './port.ts';
import { type PluginAnswer, type PluginRequest, decodeRequest, parseCall } from './request.ts';

/**
 * Writes a DEL or GC down so that neither a crash nor a loss of power forgets it.
 * @returns the file. A later one for the same attachment takes the place of an earlier one.
 */
export async function writeTombstone(folder: string, request: PluginRequest): Promise<string> {
  const { command, key } = parseCall(request);
  const file = attachmentFile(folder, command === 'GC' ? { ...key, containerId: 'gc' } : key);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeAtomically(file, `${JSON.stringify({ ...request, at: Date.now() })}\n`, { durable: true });
  return file;
}

/**
 * Carries out what is written in the folder, oldest first. What fails stays for the next time; what was attached after
 * its tombstone was written is left alone. Call it before serving, and once more after the socket answers: a plugin may
 * have found it silent a moment before.
 * @returns how many were carried out.
 */
export async function replayTombstones(
  folder: string,
  operations: { handle(request: PluginRequest): Promise<PluginAnswer> },
  note: Note = () => undefined,
): Promise<number> {
  const tombstones = await readTombstones(folder, note);
  let count = 0;
  for (const { file, request } of tombstones.sort((a, b) => (a.request.at ?? 0) - (b.request.at ?? 0))) {
    const answer = await operations.handle(request);
    if (answer.exit === 0) {
      await rm(file, { force: true });
      count++;
    } else note({ message: 'tombstone could not be carried out yet', file, answer: answer.print });
  }
  return count;
}

interface Tombstone {
  readonly file: string;
  readonly request: PluginRequest;
}

async function readTombstones(folder: string, note: Note): Promise<Tombstone[]> {
  const tombstones: Tombstone[] = [];
  for (const name of await namesIn(folder)) {
    const file = join(folder, name);
    try {
      if (name.endsWith(draftSuffix)) await removeOldDraft(file);
      else if (name.endsWith('.json')) {
        const request = decodeRequest(await readFile(file, 'utf8'));
        // Without its time it could take off what was attached later.
        tombstones.push({ file, request: { at: (await stat(file)).mtimeMs, ...request } });
      }
    } catch (error) {
      // Carried out, and removed, by the plugin itself in the meantime.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      note({ message: 'tombstone cannot be read', file, error: asCniError(error).message });
    }
  }
  return tombstones;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Its plugin was killed, and the runtime repeats the DEL. A younger one may still be written. */
async function removeOldDraft(file: string): Promise<void> {
  const { mtimeMs } = await stat(file);
  if (Date.now() - mtimeMs > 60_000) await rm(file, { force: true });
}
