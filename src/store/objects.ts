// Objects with compare-and-swap between processes, on nothing but a file system and without a lock: a process may be
// killed at any point, and nobody has to wait for it or clean up after it.
//
//   objects/<kind>/<name>/<version>/<version>.json
//
// An object is the one folder <version> inside its place <kind>/<name>. A version is a counter and a random number, so
// no version ever returns. Everything that decides is a rename(2) of a folder, which happens at once or not at all, and
// which only one of many processes can bring about:
//
//   create   new/<random>         → <kind>/<name>              fails unless that place is absent or empty
//   replace  <name>/<version>     → <name>/<next version>      fails unless <version> is still the object's
//   delete   <name>/<version>     → trash/<random>             fails unless <version> is still the object's
//
// The next version's content lies, written and synced, in the old version's folder before the rename gives that folder
// its new name. What the losers and the dead have left there is recognised by its counter. README.md has the argument.
import { createHash, randomBytes } from 'node:crypto';
import { type Disk, codeOf } from './disk.ts';

/** One object as it was read: its text never changes under its version. */
export interface Version {
  readonly version: string;
  readonly text: string;
}

export interface Objects {
  /** The folder's names of all objects of a kind, in no order. */
  names(kind: string): Promise<readonly string[]>;
  /** By the folder's name (see {@link folderName}). */
  read(kind: string, folder: string): Promise<Version | undefined>;
  /** Whether this version is still the object's: one look, nothing read. */
  isCurrent(kind: string, folder: string, version: string): Promise<boolean>;
  /** The new version, or undefined when the object exists. */
  create(kind: string, name: string, text: string): Promise<string | undefined>;
  /** The new version, or undefined when `version` is not the object's any more. */
  replace(kind: string, name: string, version: string, text: string): Promise<string | undefined>;
  /** False when `version` is not the object's any more. */
  remove(kind: string, name: string, version: string): Promise<boolean>;
  /** Clears away what killed processes have left. Safe at any time; `restMs`: how long it must have rested. */
  sweep(restMs: number, now: number): Promise<void>;
}

/** The store was changed again and again while one object was read, or somebody swept our work away. */
export class ContentionError extends Error {
  override readonly name = 'ContentionError';
}

const READ_TRIALS = 1000;
const NAME_MAX = 200;

export function createObjects(disk: Disk, root: string): Objects {
  const births = `${root}/new`;
  const trash = `${root}/trash`;
  const placeOf = (kind: string, folder: string): string => `${root}/objects/${kind}/${folder}`;

  const discard = async (path: string): Promise<void> => {
    const away = `${trash}/${randomId()}`;
    await disk.makeFolder(trash);
    if ((await disk.move(path, away)) === 'done') await disk.removeTree(away);
  };

  const prepared = new Set<string>();
  /** Makes the folder of a kind; the first time, its way from the root is made safe too. */
  const prepare = async (kind: string): Promise<void> => {
    await disk.makeFolder(`${root}/objects/${kind}`);
    if (prepared.has(kind)) return;
    for (const folder of [`${root}/objects`, root, `${root}/..`]) await disk.sync(folder);
    prepared.add(kind);
  };

  return {
    names: async (kind) => (await disk.names(`${root}/objects/${kind}`)) ?? [],
    read: (kind, folder) => readCurrent(disk, placeOf(kind, folder)),
    isCurrent: async (kind, folder, version) =>
      counterOf(version) !== undefined && disk.isThere(`${placeOf(kind, folder)}/${version}`),

    async create(kind, name, text) {
      const place = placeOf(kind, folderName(name));
      // Only to spare the work: the rename decides.
      if ((await currentOf(disk, place)) !== undefined) return undefined;
      const version = nextVersion(undefined);
      const birth = `${births}/${randomId()}`;
      await prepare(kind);
      await disk.makeFolder(`${birth}/${version}`);
      await disk.writeNew(contentOf(birth, version, version), text);
      await disk.sync(`${birth}/${version}`);
      await disk.sync(birth);
      const outcome = await disk.move(birth, place);
      if (outcome === 'missing') throw new ContentionError(`${birth} was swept away before ${place} came to be`);
      if (outcome === 'taken') {
        await inPassing(discard(birth));
        return undefined;
      }
      await disk.sync(`${root}/objects/${kind}`);
      return version;
    },

    async replace(kind, name, version, text) {
      if (counterOf(version) === undefined) return undefined;
      const place = placeOf(kind, folderName(name));
      const next = nextVersion(version);
      if (!(await disk.writeNew(contentOf(place, version, next), text))) return undefined;
      await disk.sync(`${place}/${version}`);
      if ((await disk.move(`${place}/${version}`, `${place}/${next}`)) !== 'done') return undefined;
      await disk.sync(place);
      await inPassing(removeDead(disk, place, next));
      return next;
    },

    async remove(kind, name, version) {
      if (counterOf(version) === undefined) return false;
      const place = placeOf(kind, folderName(name));
      const away = `${trash}/${randomId()}`;
      await disk.makeFolder(trash);
      if ((await disk.move(`${place}/${version}`, away)) !== 'done') return false;
      await disk.sync(place);
      await inPassing(disk.removeTree(away).then(() => disk.removeEmpty(place)));
      return true;
    },

    async sweep(restMs, now) {
      for (const name of (await disk.names(births)) ?? []) {
        const changedAt = await disk.changedAt(`${births}/${name}`);
        // One rename takes the whole tree from a creator that is merely slow: it fails, and leaves nothing half made.
        if (changedAt !== undefined && now - changedAt >= restMs) await discard(`${births}/${name}`);
      }
      for (const name of (await disk.names(trash)) ?? []) await disk.removeTree(`${trash}/${name}`);
      for (const kind of (await disk.names(`${root}/objects`)) ?? []) {
        for (const name of (await disk.names(`${root}/objects/${kind}`)) ?? []) {
          await sweepPlace(disk, `${root}/objects/${kind}/${name}`);
        }
      }
    },
  };
}

/** How an object's name is spelled as the name of a folder: bytes that may be unsafe as %XX, long names hashed. */
export function folderName(name: string): string {
  const safe = name
    .replaceAll(/[^A-Za-z0-9._-]/g, (letter) =>
      [...Buffer.from(letter)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    )
    .replace(/^\./, '%2E');
  if (safe.length <= NAME_MAX) return safe;
  const hash = createHash('sha256').update(name).digest('hex');
  return `${safe.slice(0, NAME_MAX - hash.length - 1)}~${hash}`;
}

async function readCurrent(disk: Disk, place: string): Promise<Version | undefined> {
  for (let trial = 0; trial < READ_TRIALS; trial++) {
    const version = await currentOf(disk, place);
    if (version === undefined) return undefined;
    const text = await disk.read(contentOf(place, version, version));
    // Gone between the two looks: somebody has replaced or deleted it, and the next look shows which.
    if (text !== undefined) return { version, text };
  }
  throw new ContentionError(`${place} kept changing while it was read`);
}

/** The object's version. A folder that is being renamed may be seen under both names: the later one is true. */
async function currentOf(disk: Disk, place: string): Promise<string | undefined> {
  // POSIX lets a folder that is renamed during readdir() go unseen. Linux' own file systems do not, others may: what
  // seems to be empty is looked at twice. Only an answer depends on it, no write.
  for (let look = 0; look < 2; look++) {
    const names = await disk.names(place);
    if (names === undefined) return undefined;
    const versions = names.filter((name) => counterOf(name) !== undefined);
    if (versions.length > 0) return versions.sort((a, b) => counterOf(a)! - counterOf(b)!).at(-1);
  }
  return undefined;
}

/** Removes contents that never came or never again come into force: all but the current one, up to its counter. */
async function removeDead(disk: Disk, place: string, version: string): Promise<void> {
  for (const name of (await disk.names(`${place}/${version}`)) ?? []) {
    const counter = counterOf(name.replace(/\.json$/, ''));
    if (name === `${version}.json` || counter === undefined || counter > counterOf(version)!) continue;
    await disk.removeFile(`${place}/${version}/${name}`);
  }
}

async function sweepPlace(disk: Disk, place: string): Promise<void> {
  const version = await currentOf(disk, place);
  if (version === undefined) await disk.removeEmpty(place);
  else await removeDead(disk, place, version);
}

/** Tidying up after a write that has succeeded: if the disk refuses, sweep() does it again, and says why it cannot. */
async function inPassing(tidying: Promise<void>): Promise<void> {
  try {
    await tidying;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
  }
}

function contentOf(place: string, folder: string, version: string): string {
  return `${place}/${folder}/${version}.json`;
}

function nextVersion(version: string | undefined): string {
  return `${version === undefined ? 1 : counterOf(version)! + 1}-${randomId()}`;
}

function counterOf(version: string): number | undefined {
  const digits = /^(\d{1,15})-[0-9a-f]{20}$/.exec(version)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function randomId(): string {
  return randomBytes(10).toString('hex');
}
