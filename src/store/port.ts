// The store as everything above it sees it: resources by kind and name, compare-and-swap, and a hint to look again.
//
// Two implementations stand behind it: a directory of files (file.ts) and Kubernetes (kubernetes.ts).
import type { Kind, Kinds } from '../resources/types.ts';

export interface Store {
  /**
   * All of a kind, ordered by name; with `where`, only what it says. What operators write, and the affinities of one
   * node, may be as old as the last hint: a reading that is kept up to date and costs no request. Anything else that
   * agents write (blocks, handles, all affinities) is the store's present word.
   */
  list<K extends Kind>(kind: K, where?: Where): Promise<readonly Kinds[K][]>;
  /**
   * What all of a kind are called, in no order, as some memory has it: perhaps some moments old, and cheap however many
   * there are. A hint: whoever would conclude that something is not there, lists.
   */
  names(kind: Kind): Promise<readonly string[]>;
  /** Of what agents write always the store's present word; of what operators write perhaps as old as the last hint. */
  get<K extends Kind>(kind: K, name: string): Promise<Kinds[K] | undefined>;
  /** @throws StoreError 'exists' when there is one of that name. */
  create<K extends Kind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]>;
  /** Replaces the resource if its resourceVersion is still the newest. @throws StoreError 'conflict', 'missing'. */
  update<K extends Kind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]>;
  /** Deletes the resource if its resourceVersion is still the newest. @throws StoreError 'conflict', 'missing'. */
  delete<K extends Kind>(kind: K, resource: Kinds[K]): Promise<void>;
  /**
   * Calls back whenever something of these kinds may have changed: a hint to look, never the change itself. Hints may
   * come for nothing; none is lost. Returns the way to stop.
   */
  watch(kinds: readonly Kind[], look: () => void): () => void;
  status(): StoreStatus;
}

/** Narrows a list down. */
export interface Where {
  /** For BlockAffinity, which carries its node in a label: only those of this node. */
  readonly node?: string;
}

/** Whether the resource is what `where` asks for. */
export function isWanted(resource: Kinds[Kind], where: Where | undefined): boolean {
  return where?.node === undefined || resource.kind !== 'BlockAffinity' || resource.spec.node === where.node;
}

export interface StoreStatus {
  readonly kind: 'file' | 'kubernetes';
  /** What the operator got wrong, newest reading; the last good configuration is in force while there are any. */
  readonly problems: readonly Problem[];
  /** ms since the epoch: in step with the truth since, or undefined when it is away. */
  readonly inStepSince?: number;
  readonly error?: string;
}

/** Something wrong in what an operator wrote. */
export interface Problem {
  /** File name relative to the configuration folder; undefined for a resource that did not come from a file. */
  readonly file?: string;
  readonly line?: number;
  readonly kind?: string;
  readonly name?: string;
  /** "spec.peerIP". */
  readonly path?: string;
  readonly message: string;
}

/** exists, missing, conflict: the compare-and-swap lost. invalid: see problems. unavailable: try again. */
export type StoreErrorCode = 'exists' | 'missing' | 'conflict' | 'invalid' | 'unavailable';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  readonly problems: readonly Problem[];

  constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown; problems?: readonly Problem[] }) {
    super(message, options && 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.problems = options?.problems ?? [];
  }
}
