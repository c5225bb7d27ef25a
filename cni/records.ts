// The attachments of this node on disk: one JSON file each, so that an agent that comes back knows what it has wired.
import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Address, parseAddress } from '#ip';
import { CniError } from './error.ts';
import { attachmentFile, draftSuffix, writeAtomically } from './file.ts';
import { isObject } from './json.ts';
import type { Attachment, AttachmentKey, AttachmentRecords } from './port.ts';

/** list() met files that it cannot read. Nothing is done to them: an address may still be in use. */
export class UnreadableRecords extends CniError {
  readonly files: readonly string[];
  readonly readable: readonly Attachment[];

  constructor(faults: ReadonlyMap<string, string>, readable: readonly Attachment[]) {
    const list = [...faults].map(([file, reason]) => `${file} (${reason})`).join(', ');
    super(5, `records of attachments cannot be read: ${list}; repair them, or delete the pods and move the files away`);
    this.files = [...faults.keys()];
    this.readable = readable;
  }
}

/**
 * The records in a folder, which is made when it is missing. Each file is read once: the agent alone writes here. A
 * file that could not be read is tried again at every list().
 */
export function fileRecords(folder: string): AttachmentRecords {
  const known = new Map<string, Attachment>();
  let faults = new Map<string, string>();
  let loading: Promise<void> | undefined;

  const load = async (): Promise<void> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(folder)) {
      if (name.endsWith(draftSuffix)) await rm(join(folder, name), { force: true });
      else if (name.endsWith('.json')) await readInto(join(folder, name));
    }
  };
  const readInto = async (file: string): Promise<void> => {
    try {
      const text = await readFile(file, 'utf8');
      const attachment = decodeAttachment(text);
      if (attachmentFile(folder, attachment) !== file) throw new Error('its name is not that of its attachment');
      known.set(file, attachment);
      faults.delete(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') faults.delete(file);
      else faults.set(file, (error as Error).message);
    }
  };
  const loaded = (): Promise<void> => {
    // A folder that could not be read is no empty folder: the next call tries again.
    loading ??= load().catch((error: unknown) => {
      loading = undefined;
      throw folderError(folder, error);
    });
    return loading;
  };
  const assertReadable = (key: AttachmentKey): void => {
    const file = attachmentFile(folder, key);
    const reason = faults.get(file);
    if (reason !== undefined) throw new UnreadableRecords(new Map([[file, reason]]), []);
  };

  return {
    async put(attachment) {
      await loaded();
      assertReadable(attachment);
      const file = attachmentFile(folder, attachment);
      try {
        // Not the folder: after a loss of power nothing is wired any more, with a record or without.
        await writeAtomically(file, `${JSON.stringify(attachment, null, 2)}\n`);
      } catch (error) {
        throw folderError(folder, error);
      }
      known.set(file, attachment);
    },
    async get(key) {
      await loaded();
      assertReadable(key);
      return known.get(attachmentFile(folder, key));
    },
    async remove(key) {
      await loaded();
      assertReadable(key);
      const file = attachmentFile(folder, key);
      try {
        await rm(file, { force: true });
      } catch (error) {
        throw folderError(folder, error);
      }
      known.delete(file);
    },
    async list() {
      await loaded();
      for (const file of [...faults.keys()]) await readInto(file);
      const all = [...known.values()];
      if (faults.size > 0) throw new UnreadableRecords(faults, all);
      return all;
    },
  };
}

/** @throws Error that says which field is wrong. */
export function decodeAttachment(text: string): Attachment {
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) throw new Error('no JSON object');
  for (const field of ['network', 'containerId', 'ifname', 'handle', 'netns', 'hostInterface']) {
    if (typeof value[field] !== 'string') throw new Error(`${field} is no string`);
  }
  if (value['state'] !== 'adding' && value['state'] !== 'wired') throw new Error('state is neither adding nor wired');
  for (const field of ['mtu', 'createdAt']) {
    if (typeof value[field] !== 'number') throw new Error(`${field} is no number`);
  }
  if (!Array.isArray(value['addresses'])) throw new Error('addresses is no list');
  const addresses: Address[] = value['addresses'].map((item) => parseAddress(String(item)));
  return { ...(value as unknown as Attachment), addresses };
}

function folderError(folder: string, cause: unknown): CniError {
  return new CniError(5, `the agent cannot keep its records in ${folder}: ${(cause as Error).message}`, { cause });
}
