// The Kubernetes API as the agent sees it: requests that keep 64-bit numbers, and reflections that outlive every fault.
//
// Everything that needs the API server asks for the narrowest of these; client.ts and reflector.ts are behind them.

/** What stands before an API object. Integers that a double cannot hold are bigints, everywhere below. */
export interface KubeMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly resourceVersion?: string;
  readonly uid?: string;
  readonly creationTimestamp?: string | null;
  readonly deletionTimestamp?: string;
  readonly generation?: number;
  readonly ownerReferences?: readonly unknown[];
  readonly [other: string]: unknown;
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: KubeMetadata;
  readonly [field: string]: unknown;
}

/** One resource of the API, in one namespace or in all. */
export interface ResourcePath {
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace?: string;
}

export interface ListOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** How a patch is meant; the API server takes all three for its own kinds, 'merge' and 'json' for custom resources. */
export type PatchType = 'merge' | 'strategic' | 'json' | 'apply';

/**
 * Requests to the API server. Each of them fails with a {@link KubeError} and with nothing else, within a bounded time,
 * and is repeated here only where the server says that it has not looked at it (401 with credentials read anew, 429):
 * whether a write that was cut short has happened, only its caller can find out.
 */
export interface KubeClient {
  get<T extends KubeObject>(path: ResourcePath, name: string): Promise<T | undefined>;
  /** By pages; what was deleted or created between two pages may or may not be in it. */
  list<T extends KubeObject>(path: ResourcePath, options?: ListOptions): Promise<readonly T[]>;
  /**
   * What all of them are called, as far as the server has it in memory: some moments old perhaps, and cheap for it, as it
   * neither asks its database nor writes the objects out.
   */
  names(path: ResourcePath): Promise<readonly string[]>;
  create<T extends KubeObject>(path: ResourcePath, object: T): Promise<T>;
  /** Replaces the object, or its status with `status`, if its resourceVersion is still the newest. */
  replace<T extends KubeObject>(path: ResourcePath, object: T, subresource?: 'status'): Promise<T>;
  patch<T extends KubeObject>(
    path: ResourcePath,
    name: string,
    patch: {
      readonly type: PatchType;
      readonly body: unknown;
      readonly subresource?: 'status';
      /** Who applies, for 'apply'. */
      readonly fieldManager?: string;
      /** 'apply' takes over fields of other managers. */
      readonly force?: boolean;
    },
  ): Promise<T>;
  /** Deletes exactly this object: its uid and resourceVersion, where given, are preconditions. */
  delete(path: ResourcePath, name: string, only?: { uid?: string; resourceVersion?: string }): Promise<void>;
  /** GET of any other path ("/version", "/apis/projectcalico.org"); undefined for 404. */
  read(path: string): Promise<unknown>;
}

/**
 * notFound, exists, conflict (409), invalid (422, 400), forbidden (401, 403): the server's word. gone (410): list anew.
 * unavailable: no answer, a cut-off one, 429, 5xx; trying again later may help.
 */
export type KubeErrorCode = 'notFound' | 'exists' | 'conflict' | 'invalid' | 'forbidden' | 'gone' | 'unavailable';

export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly code: KubeErrorCode;
  /** HTTP status, if there was an answer. */
  readonly status: number | undefined;
  /** How long the server asks us to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: KubeErrorCode,
    message: string,
    options: { readonly status?: number; readonly retryAfterMs?: number; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** What the API server holds of one resource, as of the last word from it; it stays readable while the server is away. */
export interface Reflection<T extends KubeObject> extends AsyncDisposable {
  /** Resolves when the first list has been taken in. */
  readonly ready: Promise<void>;
  all(): readonly T[];
  get(name: string, namespace?: string): T | undefined;
  /** Calls back after each change of what all() holds, coalesced: "look now". Returns the way to stop. */
  watch(look: () => void): () => void;
  status(): ReflectionStatus;
}

export interface ReflectionStatus {
  /** ms since the epoch: in step since then, or undefined while the server is away or nothing was listed yet. */
  readonly inStepSince?: number;
  /** Why not, in one sentence. */
  readonly error?: string;
  /** A list has been taken in. */
  readonly listed: boolean;
  /** The server says that it has no such resource: its definition is not installed. */
  readonly missing: boolean;
  readonly items: number;
}

export interface ReflectOptions<T extends KubeObject> extends ListOptions {
  /**
   * What of an object is held (`metadata` belongs to it; managedFields never do). A change of anything else is no reason
   * to look: nodes and pods change all the time.
   */
  readonly keep?: (object: T) => T;
  /** What is held until the first list: as known from an earlier run. */
  readonly before?: readonly T[];
}

/** Starts a reflection: list by pages, watch with bookmarks, resume, and list anew only where nothing else helps. */
export type Reflect = <T extends KubeObject>(path: ResourcePath, options?: ReflectOptions<T>) => Reflection<T>;
