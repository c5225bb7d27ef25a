// Small JSON files that are either whole or not there, one for each attachment.
import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AttachmentKey } from './port.ts';

let serial = 0;

/**
 * Writes a file so that a reader, and a machine that lost its power, sees the old text or the new one. The folder must
 * exist. `durable`: the name, too, is on the disk when this resolves.
 */
export async function writeAtomically(path: string, text: string, options: { durable?: boolean } = {}): Promise<void> {
  const draft = `${path}.${process.pid}-${serial++}${draftSuffix}`;
  try {
    {
      await using file = await open(draft, 'wx', 0o600);
      await file.writeFile(text);
      await file.sync();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  if (options.durable) await syncFolder(dirname(path));
}

/** What a writer that was killed leaves behind ends in this. */
export const draftSuffix = '.draft';

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

/** The file of an attachment in a folder: readable for people, unique by its hash. */
export function attachmentFile(folder: string, key: AttachmentKey): string {
  const id = `${key.network}\n${key.containerId}\n${key.ifname}`;
  const hash = createHash('sha256').update(id).digest('hex').slice(0, 16);
  return join(folder, `${key.containerId.slice(0, 64)}-${key.ifname}-${hash}.json`);
}
