// The configuration folder as it is now: all its files, what they say, and everything that is wrong with it.
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Located,
  type ReadText,
  type Written,
  checkTogether,
  formatJson,
  readText,
  toDocument,
} from '../resources/index.ts';
import { type Rough, problemAt } from '../resources/parse.ts';
import type { Kind, Kinds } from '../resources/types.ts';
import { isDataKind } from './datastore.ts';
import { codeOf } from './disk.ts';
import { freezeDeep } from './freeze.ts';
import { type PasswordReading, readPassword } from './password-file.ts';
import type { Problem } from './port.ts';
import { inOrder } from './problems.ts';

/** File name → content, or why there is none. */
export type Texts = ReadonlyMap<string, string | Error>;

/** A resource or what should be one, in its file. */
export interface Placed extends Written {
  readonly file: string;
}

export interface FolderReading {
  readonly texts: Texts;
  /** What each text says by itself: a text that has not changed is not read again. */
  readonly understood: ReadonlyMap<string, ReadText>;
  readonly placed: readonly Placed[];
  /** What is right by itself, with its resourceVersion. */
  readonly resources: readonly Kinds[Kind][];
  readonly problems: readonly Problem[];
  /** Changes exactly when anything that counts does: a text, a password, a problem. */
  readonly fingerprint: string;
  /** Why the folder as a whole could not be read; there are no texts then. */
  readonly error?: string;
}

/** Reads a folder; `before` spares work. Never throws for what an operator may have done. */
export async function readFolder(folder: string, before?: FolderReading): Promise<FolderReading> {
  try {
    return await understand(folder, await readTexts(folder), before);
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    const message =
      code === 'ENOENT'
        ? `the configuration folder ${folder} does not exist (make it, or name another with --config)`
        : `the configuration folder ${folder} cannot be read: ${(error as Error).message}`;
    return { ...empty, problems: [{ message }], fingerprint: message, error: message };
  }
}

/** What a folder says and what is wrong with it. */
export async function loadFolder(
  folder: string,
): Promise<{ resources: readonly Kinds[Kind][]; problems: readonly Problem[] }> {
  const { resources, problems } = await readFolder(folder);
  return { resources, problems };
}

const empty: FolderReading = {
  texts: new Map(),
  understood: new Map(),
  placed: [],
  resources: [],
  problems: [],
  fingerprint: '',
};

/** Understands texts as if they lay in the folder: what a change would make of it. */
export async function understand(folder: string, texts: Texts, before = empty): Promise<FolderReading> {
  const understood = new Map<string, ReadText>();
  for (const [file, text] of texts) {
    const known = before.texts.get(file) === text ? before.understood.get(file) : undefined;
    understood.set(file, known ?? readFileText(file, text));
  }
  const placed = [...understood].flatMap(([file, { written }]) => written.map((one): Placed => ({ ...one, file })));
  const located = placed.filter((one): one is Placed & Located => one.resource !== undefined);
  const wrong = placed.filter(({ resource }) => resource === undefined);
  const passwords = await readPasswords(folder, placed);
  return {
    texts,
    understood,
    placed,
    resources: located.map(({ resource }) => freezeDeep(versioned(resource))),
    problems: inOrder([
      ...[...understood.values()].flatMap(({ problems }) => problems),
      ...placed.flatMap(strayData),
      ...checkTogether(located, wrong),
      ...passwords.flatMap(({ problem }) => problem ?? []),
    ]),
    fingerprint: fingerprintOf(texts, passwords),
  };
}

/** The resource with its version: a hash of what it says, so that comments and spelling do not count. */
export function versioned<R extends Kinds[Kind]>(resource: R): R {
  const { resourceVersion: _, ...metadata } = resource.metadata;
  const text = formatJson(toDocument({ ...resource, metadata }));
  const resourceVersion = createHash('sha256').update(text).digest('hex').slice(0, 20);
  return { ...resource, metadata: { ...metadata, resourceVersion } };
}

/** Hidden files, editors' temporary files and backups (#x#, x~, x.bak) are not configuration. */
export function isConfigurationFile(name: string): boolean {
  return /^[^.#].*\.(ya?ml|json)$/.test(name);
}

async function readTexts(folder: string): Promise<Texts> {
  const entries = await readdir(folder, { withFileTypes: true });
  // A pipe would keep us waiting for a writer; where a link leads shows when it is read.
  const names = entries.filter(
    (entry) => (entry.isFile() || entry.isSymbolicLink()) && isConfigurationFile(entry.name),
  );
  const read = await Promise.all(
    names.map(({ name }) => readFile(join(folder, name), 'utf8').catch((error: Error) => error)),
  );
  const texts = names.map(({ name }, i) => [name, read[i]!] as const);
  // A file that went away between the two looks was deleted; a link that leads nowhere stays and is a problem.
  const present = new Set(await readdir(folder));
  const rest = texts.filter(([name, text]) => present.has(name) || typeof text === 'string');
  return new Map(rest.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function readFileText(file: string, text: string | Error): ReadText {
  if (typeof text !== 'string') {
    return { written: [], problems: [{ file, message: `cannot be read: ${text.message}` }] };
  }
  // Somebody who writes a file empties it first: what was in it must not be taken for deleted.
  if (text.trim() === '') {
    return { written: [], problems: [{ file, message: 'is empty (delete the file if nothing belongs into it)' }] };
  }
  return readText(text, file);
}

/** Blocks, affinities and handles are the agents': in here, nobody would ever look at them. */
function strayData({ resource, where }: Placed): Problem[] {
  if (resource === undefined || !isDataKind(resource.kind)) return [];
  const { kind, metadata } = resource;
  return [problemAt({ kind, name: metadata.name }, where, ['kind'], `${kind} belongs into the datastore, not here`)];
}

interface Password {
  readonly reading: PasswordReading;
  readonly problem?: Problem;
}

/** Also of options that are wrong elsewhere: one mistake does not hide another. */
async function readPasswords(folder: string, placed: readonly Placed[]): Promise<readonly Password[]> {
  const named = placed.flatMap(({ resource, rough, where }) => {
    const options = resource ?? rough;
    const file = options?.kind === 'PeerOptions' ? (options as Rough<'PeerOptions'>).spec.passwordFile : undefined;
    return file === undefined ? [] : [{ name: options!.metadata.name, file, where }];
  });
  return Promise.all(
    named.map(async ({ name, file, where }) => {
      const reading = await readPassword(folder, file);
      if ('password' in reading) return { reading };
      const of = { kind: 'PeerOptions', name };
      return { reading, problem: problemAt(of, where, ['spec', 'passwordFile'], reading.problem) };
    }),
  );
}

function fingerprintOf(texts: Texts, passwords: readonly Password[]): string {
  const hash = createHash('sha256');
  for (const [file, text] of texts) hash.update(JSON.stringify([file, typeof text === 'string' ? text : text.message]));
  hash.update(JSON.stringify(passwords.map(({ reading }) => reading)));
  return hash.digest('hex');
}
