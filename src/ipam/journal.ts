// What a node remembers on its own disk while the store is away: which kept addresses it may give out, which it has
// given out, and which handles were given back. Written before anything is done by it.
//
// An address in `kept` without `handing` is, in the store, kept by this node under that very number: it is written here
// only after the store has confirmed it, and struck out before anything is done about it in the store. That is why an
// address in here can be given out without asking anybody, for however long nobody answers.
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Address, type Prefix, parseAddress, parsePrefix } from '#ip';
import { writeAtomically } from '../store/atomic.ts';
import { formatJson, isRecord, parseJson } from '../resources/index.ts';
import type { IPAMBlockSpec } from '../resources/types.ts';
import type { Owner } from './block.ts';
import { type Place, keptIn } from './kept.ts';

export interface KeptAddress extends Place {
  /** Who uses it. */
  readonly user?: Owner;
  /** It is being handed over to its user in the store: perhaps it is no longer kept there. */
  readonly handing?: true;
}

export interface JournalState {
  /** In the order in which they are given out. */
  readonly kept: readonly KeptAddress[];
  /** Handles whose addresses have to be freed in the store. */
  readonly released: readonly string[];
  /** Blocks of other nodes in which this node has, or tried to have, addresses; absent until all were looked at once. */
  readonly elsewhere?: readonly Prefix[];
}

/** Where the journal is kept. What write() has confirmed survives anything that the disk survives. */
export interface JournalPort {
  /** Undefined when there has never been one. @throws when it cannot be read: then nothing may be given out by it. */
  read(): Promise<JournalState | undefined>;
  write(state: JournalState): Promise<void>;
}

const empty: JournalState = { kept: [], released: [] };

export class Journal {
  readonly #port: JournalPort;
  #state: JournalState | undefined;

  constructor(port: JournalPort) {
    this.#port = port;
  }

  async state(): Promise<JournalState> {
    if (this.#state !== undefined) return this.#state;
    this.#state = (await this.#port.read()) ?? empty;
    return this.#state;
  }

  /** In force, here and on disk, when this resolves; when it throws, here nothing has changed. */
  async change(next: (state: JournalState) => JournalState): Promise<void> {
    const state = await this.state();
    const changed = next(state);
    if (changed === state) return;
    await this.#port.write(changed);
    this.#state = changed;
  }
}

/** Nothing waits for the store to come back. */
export function isSettled({ kept, released }: JournalState): boolean {
  return released.length === 0 && kept.every(({ user }) => user === undefined);
}

/** Strikes out what of a block nobody uses; gives what may be freed in the store after that. */
export async function strike(journal: Journal, block: IPAMBlockSpec, node: string): Promise<readonly number[]> {
  const { kept } = await journal.state();
  const inUse = new Set(kept.filter(({ cidr, user }) => cidr === block.cidr && user).map(({ ordinal }) => ordinal));
  await journal.change((state) =>
    state.kept.some(({ cidr, user }) => cidr === block.cidr && user === undefined)
      ? { ...state, kept: state.kept.filter(({ cidr, user }) => cidr !== block.cidr || user !== undefined) }
      : state,
  );
  return keptIn(block, node)
    .filter(({ ordinal }) => !inUse.has(ordinal))
    .map(({ ordinal }) => ordinal);
}

/** The journal in a file, which is whole or not there. */
export function fileJournal(path: string): JournalPort {
  return {
    async read() {
      const text = await readFile(path, 'utf8').catch(absent);
      return text === undefined ? undefined : decodeJournal(text, path);
    },
    async write(state) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeAtomically(path, `${formatJson(state, 2)}\n`);
    },
  };
}

/** @throws Error that names the file: what is kept is not known, and nothing is to be given out by guesses. */
function decodeJournal(text: string, path: string): JournalState {
  try {
    const value = parseJson(text);
    if (!isRecord(value)) throw new Error('it is no JSON object');
    const elsewhere = value['elsewhere'] === undefined ? undefined : listAt(value, 'elsewhere').map(String);
    return {
      kept: listAt(value, 'kept').map(decodeKept),
      released: listAt(value, 'released').map(String),
      ...(elsewhere && { elsewhere: elsewhere.map(parsePrefix) }),
    };
  } catch (error) {
    throw new Error(`the journal of addresses ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function listAt(value: Readonly<Record<string, unknown>>, field: string): readonly unknown[] {
  const list = value[field];
  if (!Array.isArray(list)) throw new Error(`${field} is no list`);
  return list;
}

function decodeKept(item: unknown): KeptAddress {
  if (!isRecord(item)) throw new Error('an entry of kept is no object');
  const { cidr, ordinal, address, sequence, user, handing } = item;
  if (typeof ordinal !== 'number') throw new Error('an ordinal is no number');
  const place = {
    cidr: parsePrefix(String(cidr)),
    ordinal,
    address: parseAddress(String(address)) satisfies Address,
    sequence: BigInt(String(sequence)),
  };
  return { ...place, ...(user !== undefined && { user: user as Owner }), ...(handing === true && { handing }) };
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
