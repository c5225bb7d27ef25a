// Resources as manxctl works on them: through the agent, or in the datastore itself.
import { type AnyResource, createDocuments } from '../documents.ts';
import { formatJson, parseJson } from '../resources/json.ts';
import { parseResource } from '../resources/parse.ts';
import { toDocument } from '../resources/print.ts';
import type { Kind } from '../resources/types.ts';
import { type Problem, type Store, StoreError } from '../store/port.ts';
import { type Api, ApiError } from './client.ts';
import { CliError } from './exit.ts';
import type { OpenTarget } from './target.ts';

export type Verb = 'apply' | 'create' | 'replace';

export interface ResourceAccess {
  list(kind: Kind): Promise<readonly AnyResource[]>;
  get(kind: Kind, name: string): Promise<AnyResource | undefined>;
  write(resource: AnyResource, verb: 'apply' | 'create'): Promise<'created' | 'configured'>;
  /** False when it was not there. */
  remove(kind: Kind, name: string): Promise<boolean>;
  /** What is wrong in the datastore, where that is read by ourselves: those resources are not in force, or not shown. */
  problems(): readonly Problem[];
}

/** @throws CliError when there is nothing to work on */
export async function openResources(open: OpenTarget): Promise<ResourceAccess & AsyncDisposable> {
  const target = await open();
  const access = target.at === 'agent' ? throughAgent(target.api) : inStore(target.store);
  return { ...access, [Symbol.asyncDispose]: () => target[Symbol.asyncDispose]() };
}

function throughAgent(api: Api): ResourceAccess {
  const path = (kind: Kind, name: string): string => `/v1/resources/${kind}/${encodeURIComponent(name)}`;
  return {
    list: async (kind) => {
      const { items } = parseJson(await api.getText(`/v1/resources/${kind}`)) as { items: unknown[] };
      return items.map(readBack);
    },
    get: (kind, name) => unlessMissing(async () => readBack(parseJson(await api.getText(path(kind, name))))),
    write: async (resource, verb) => {
      const body = formatJson(toDocument(resource));
      const headers: Record<string, string> = verb === 'create' ? { 'if-none-match': '*' } : {};
      const { status } = await api.send('PUT', path(resource.kind, resource.metadata.name), body, headers);
      return status === 201 ? 'created' : 'configured';
    },
    remove: async (kind, name) =>
      (await unlessMissing(async () => {
        await api.send('DELETE', path(kind, name));
        return true;
      })) ?? false,
    problems: () => [],
  };
}

function inStore(store: Store): ResourceAccess {
  const documents = createDocuments(store);
  return {
    list: (kind) => documents.list(kind),
    get: (kind, name) => documents.get(kind, name),
    write: async (resource, verb) => (await documents[verb](resource)).outcome,
    remove: async (kind, name) =>
      (await unlessMissing(async () => {
        await documents.remove(kind, name);
        return true;
      })) ?? false,
    problems: () => store.status().problems,
  };
}

/** What the agent itself has printed is valid; an agent of another version may know more than we do. */
function readBack(document: unknown): AnyResource {
  const { resource, problems } = parseResource(document, {});
  if (resource === undefined) {
    throw new CliError('degraded', ['the agent has a resource that this manxctl cannot read'], problems);
  }
  return resource;
}

async function unlessMissing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return undefined;
    if (error instanceof StoreError && error.code === 'missing') return undefined;
    throw error;
  }
}
