// The verbs of the API over one transport: objects in, objects out, numbers exact.
import { formatJson, isRecord, parseJson } from '../resources/index.ts';
import { setTimeout as pause } from 'node:timers/promises';
import { errorOfEvent, namesIn } from './answer.ts';
import { LineFramer, LineTooLong } from './lines.ts';
import { pathOf, queryText, resourceText } from './paths.ts';
import { type KubeClient, KubeError, type KubeObject, type ListOptions, type ResourcePath } from './port.ts';
import type { Exchange, ExchangeLimits, Transport } from './transport.ts';

/** One page of a list. */
export interface Page<T extends KubeObject> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** Where the next page begins; absent on the last one. */
  readonly next?: string;
}

export interface PageOptions extends ListOptions {
  /** '0' is content with whatever the server has in memory. */
  readonly resourceVersion?: string;
  readonly limit?: number;
  readonly from?: string;
  readonly signal?: AbortSignal;
}

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: T }
  | { readonly type: 'ERROR'; readonly error: KubeError };

export interface WatchOptions extends ListOptions {
  readonly resourceVersion: string;
  /** After which the server ends the watch by itself. */
  readonly timeoutSeconds: number;
  readonly silenceMs: number;
  readonly signal: AbortSignal;
}

/** What a reflection needs beside the verbs. */
export interface WatchingClient extends KubeClient {
  page<T extends KubeObject>(path: ResourcePath, options: PageOptions): Promise<Page<T>>;
  /** Resolves when the server has taken the watch on. @throws KubeError, while iterating as well */
  watch<T extends KubeObject>(path: ResourcePath, options: WatchOptions): Promise<AsyncIterable<WatchEvent<T>>>;
}

export const PAGE_SIZE = 500;
const ANSWER_WITHIN_MS = 30_000;
const objectLimits: ExchangeLimits = { withinMs: ANSWER_WITHIN_MS, mostBytes: 16 << 20 };
/** A list of many pages' worth in one answer (see PageOptions.resourceVersion) takes its time. */
const PAGE_WITHIN_MS = 60_000;
const LIST_BYTES = 512 << 20;
/** Of a table come the cells alone; a server that makes none gives the objects. */
const AS_TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
/** 429 says that the server has not looked at the request: asking again is safe, whatever it was. */
const TRIES_WHEN_BUSY = 4;
const BUSY_MS = 1000;

const patchTypes = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export function createClient(transport: Transport): WatchingClient {
  const ask = (request: Exchange, limits: ExchangeLimits = objectLimits): Promise<unknown> =>
    patiently(async () => parsed(await transport.exchange(request, limits), 'the answer'));

  const write = async <T extends KubeObject>(method: 'POST' | 'PUT', path: string, object: T): Promise<T> =>
    asObject(await ask({ method, path, body: formatJson(object) })) as T;

  const page = async <T extends KubeObject>(path: ResourcePath, options: PageOptions): Promise<Page<T>> => {
    const { labelSelector, fieldSelector, resourceVersion, limit, from, signal } = options;
    const query = queryText({ labelSelector, fieldSelector, resourceVersion, limit, continue: from });
    const limits = { withinMs: PAGE_WITHIN_MS, mostBytes: LIST_BYTES, signal };
    return asPage<T>(await ask({ method: 'GET', path: `${pathOf(path)}${query}` }, limits));
  };

  return {
    page,

    get: <T extends KubeObject>(path: ResourcePath, name: string) =>
      unlessMissing(async () => asObject(await ask({ method: 'GET', path: pathOf(path, name) })) as T),

    read: (path) => unlessMissing(() => ask({ method: 'GET', path })),

    list: (path, options = {}) => listAll(page, path, options),

    async names(path) {
      const query = queryText({ resourceVersion: '0', includeObject: 'None' });
      const request = { method: 'GET', path: `${pathOf(path)}${query}`, accept: AS_TABLE } as const;
      const names = namesIn(await ask(request, { withinMs: PAGE_WITHIN_MS, mostBytes: LIST_BYTES }));
      if (names === undefined) throw garbage(`the API server gives what is no list of ${resourceText(path)}`);
      return names;
    },

    create: (path, object) => write('POST', pathOf(path), object),

    replace: (path, object, subresource) => write('PUT', pathOf(path, object.metadata.name, subresource), object),

    async patch<T extends KubeObject>(
      ...[path, name, { type, body, subresource, fieldManager, force }]: PatchArguments
    ) {
      const query = queryText({ fieldManager, force });
      const target = `${pathOf(path, name, subresource)}${query}`;
      const request = { method: 'PATCH', path: target, body: formatJson(body), contentType: patchTypes[type] } as const;
      return asObject(await ask(request)) as T;
    },

    async delete(path, name, only = {}) {
      const given = Object.entries(only).filter(([, value]) => value !== undefined);
      const preconditions = given.length === 0 ? undefined : Object.fromEntries(given);
      const body = formatJson({ apiVersion: 'v1', kind: 'DeleteOptions', ...(preconditions && { preconditions }) });
      await ask({ method: 'DELETE', path: pathOf(path, name), body });
    },

    async watch<T extends KubeObject>(path: ResourcePath, options: WatchOptions) {
      const { labelSelector, fieldSelector, resourceVersion, timeoutSeconds, silenceMs, signal } = options;
      const query = { labelSelector, fieldSelector, resourceVersion, timeoutSeconds };
      const target = `${pathOf(path)}${queryText({ ...query, watch: true, allowWatchBookmarks: true })}`;
      const request = { method: 'GET', path: target } as const;
      const bytes = await transport.stream(request, { signal, silenceMs, withinMs: ANSWER_WITHIN_MS });
      return events<T>(bytes, resourceText(path));
    },
  };
}

type PatchArguments = Parameters<KubeClient['patch']>;

/** Pages that expire while they are read (410) are read once more, in one piece. */
async function listAll<T extends KubeObject>(
  page: WatchingClient['page'],
  path: ResourcePath,
  options: ListOptions,
): Promise<readonly T[]> {
  const items: T[] = [];
  let next: string | undefined;
  do {
    try {
      const one: Page<T> = await page<T>(path, {
        ...options,
        limit: PAGE_SIZE,
        ...(next !== undefined && { from: next }),
      });
      items.push(...one.items);
      next = one.next;
    } catch (error) {
      if (next === undefined || !(error instanceof KubeError) || error.code !== 'gone') throw error;
      return (await page<T>(path, options)).items;
    }
  } while (next !== undefined);
  return items;
}

async function* events<T extends KubeObject>(
  bytes: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<WatchEvent<T>> {
  const framer = new LineFramer();
  for await (const chunk of bytes) {
    for (const line of framedLines(framer, chunk, what)) yield readEvent<T>(line, what);
  }
  if (framer.isInside) throw new KubeError('unavailable', `the watch of ${what} was cut off inside an object`);
}

function framedLines(framer: LineFramer, chunk: Uint8Array, what: string): string[] {
  try {
    return framer.push(chunk);
  } catch (cause) {
    if (!(cause instanceof LineTooLong) && !(cause instanceof TypeError)) throw cause;
    throw garbage(`the watch of ${what} brings ${cause.message}`, cause);
  }
}

function readEvent<T extends KubeObject>(line: string, what: string): WatchEvent<T> {
  const value = parsed(line, `the watch of ${what}`);
  const { type, object } = isRecord(value) ? value : {};
  if (type === 'ERROR') return { type, error: errorOfEvent(object) };
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED' || type === 'BOOKMARK') {
    return { type, object: asObject(object) as T };
  }
  throw garbage(`the watch of ${what} brings what is no event`);
}

function parsed(text: string, what: string): unknown {
  try {
    return parseJson(text);
  } catch (cause) {
    throw garbage(`${what} is ${(cause as Error).message}`, cause);
  }
}

function asObject(value: unknown): KubeObject {
  if (isRecord(value) && isRecord(value['metadata'])) return value as unknown as KubeObject;
  throw garbage('the API server gives what is no object');
}

/** Items of a list do not say what they are; the list does. */
function asPage<T extends KubeObject>(value: unknown): Page<T> {
  const { items, metadata, kind, apiVersion } = isRecord(value) ? value : {};
  if (!isRecord(metadata) || typeof kind !== 'string' || !kind.endsWith('List')) {
    throw garbage('the API server gives what is no list');
  }
  const { resourceVersion, continue: next } = metadata;
  const itemKind = kind.slice(0, -'List'.length);
  const list: readonly unknown[] = Array.isArray(items) ? items : [];
  return {
    items: list.map((item) => asObject(isRecord(item) ? { apiVersion, kind: itemKind, ...item } : item) as T),
    resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : '',
    ...(typeof next === 'string' && next !== '' && { next }),
  };
}

function garbage(message: string, cause?: unknown): KubeError {
  return new KubeError('unavailable', message, cause === undefined ? {} : { cause });
}

async function unlessMissing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof KubeError && error.code === 'notFound') return undefined;
    throw error;
  }
}

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let left = TRIES_WHEN_BUSY; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof KubeError) || error.status !== 429 || left <= 1) throw error;
      await pause(Math.min(error.retryAfterMs ?? BUSY_MS, 5 * BUSY_MS) * (0.75 + Math.random() / 2));
    }
  }
}
