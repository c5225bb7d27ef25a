// A small API server for tests: lists by pages, watches, compare-and-swap and discovery, over real HTTP on loopback, and
// every fault on request. It believes what it is told: no schemas, no access control.
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { formatJson, isRecord, parseJson } from '../../src/resources/index.ts';
import type { KubeObject } from '../../src/kube/port.ts';

export interface FakeRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** What happens to a request instead of an answer; `raw` gets the response to itself. */
export type Fault =
  | { readonly status: number; readonly reason?: string; readonly headers?: Record<string, string> }
  | 'reset'
  | 'hang'
  | { readonly raw: (response: ServerResponse) => void };

interface Watcher {
  readonly collection: string;
  readonly query: URLSearchParams;
  readonly response: ServerResponse;
  readonly socket: Socket;
}

interface Entry {
  readonly collection: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
  readonly version: number;
}

type Match = (request: FakeRequest) => boolean;

export async function startFakeKube(): Promise<FakeKube> {
  const fake = new FakeKube();
  await fake.listen();
  return fake;
}

export class FakeKube implements AsyncDisposable {
  /** What was asked, in order. */
  readonly requests: FakeRequest[] = [];
  /** GET of these paths is answered with this. */
  readonly documents = new Map<string, unknown>([['/version', { major: '1', minor: '34' }]]);
  private readonly objects = new Map<string, KubeObject>();
  private readonly faults: { match: Match; fault: Fault; times: number }[] = [];
  private readonly watchers = new Set<Watcher>();
  private readonly sockets = new Set<Socket>();
  private history: Entry[] = [];
  private version = 100;
  private oldest = 0;
  private pages = 0;
  private readonly server = createServer((request, response) => void this.receive(request, response));
  private port = 0;

  constructor() {
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  async listen(): Promise<void> {
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The server dies; listen() brings it back on the same port, with everything it knew. */
  async die(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.resetAndDestroy();
    await closed;
    this.watchers.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.server.listening) await this.die();
  }

  /** Writes a kubeconfig for this server. */
  async kubeconfig(file: string, user: object = { token: 'a-token' }): Promise<string> {
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'here', cluster: { server: this.url, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'me', user }],
      contexts: [{ name: 'here', context: { cluster: 'here', user: 'me', namespace: 'manx-system' } }],
      'current-context': 'here',
    };
    await writeFile(file, JSON.stringify(config));
    return file;
  }

  /** The next `times` requests that match meet this fault. */
  fail(match: Match, fault: Fault, times = 1): void {
    this.faults.push({ match, fault, times });
  }

  /** Everything works again. */
  heal(): void {
    this.faults.length = 0;
  }

  /** Creates or replaces, as another client would. */
  put<T extends KubeObject>(collection: string, object: T): T {
    const key = keyOf(collection, object.metadata.name, object.metadata.namespace);
    const before = this.objects.get(key);
    return this.store(collection, key, before === undefined ? 'ADDED' : 'MODIFIED', object, before) as T;
  }

  remove(collection: string, name: string, namespace?: string): void {
    const key = keyOf(collection, name, namespace);
    const object = this.objects.get(key);
    if (object === undefined) throw new Error(`no ${key}`);
    this.objects.delete(key);
    this.record(collection, 'DELETED', object);
  }

  get(collection: string, name: string, namespace?: string): KubeObject | undefined {
    return this.objects.get(keyOf(collection, name, namespace));
  }

  /** What has happened so far can be asked for no more: older watches and pages get 410. */
  compact(): void {
    this.history = [];
    this.oldest = this.version;
    this.pages++;
  }

  /** How many watches of a collection are open. */
  watching(collection?: string): number {
    return [...this.watchers].filter((one) => collection === undefined || one.collection === collection).length;
  }

  /** Ends all watches: in order, cut off, or with this written before the end. */
  endWatches(how: 'end' | 'reset' | { readonly write: string | Uint8Array }): void {
    for (const watcher of this.watchers) {
      this.watchers.delete(watcher);
      if (how === 'reset') watcher.socket.resetAndDestroy();
      else if (how === 'end') watcher.response.end();
      else watcher.response.end(how.write);
    }
  }

  bookmark(): void {
    for (const watcher of this.watchers) {
      const object = { kind: 'Any', apiVersion: 'v1', metadata: { resourceVersion: String(this.version) } };
      watcher.response.write(`${formatJson({ type: 'BOOKMARK', object })}\n`);
    }
  }

  private async receive(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of incoming.setEncoding('utf8')) body += String(chunk);
    const { pathname, searchParams } = new URL(incoming.url ?? '/', this.url);
    const { method = 'GET', headers } = incoming;
    const request: FakeRequest = { method, path: pathname, query: searchParams, headers, body };
    this.requests.push(request);
    const planned = this.faults.find(({ match, times }) => times > 0 && match(request));
    if (planned !== undefined) {
      planned.times--;
      return this.suffer(planned.fault, incoming, response);
    }
    this.answer(request, incoming.socket, response);
  }

  private suffer(fault: Fault, incoming: IncomingMessage, response: ServerResponse): void {
    if (fault === 'hang') return;
    if (fault === 'reset') incoming.socket.resetAndDestroy();
    else if ('raw' in fault) fault.raw(response);
    else {
      for (const [name, value] of Object.entries(fault.headers ?? {})) response.setHeader(name, value);
      refuse(response, fault.status, fault.reason ?? 'Injected');
    }
  }

  private answer(request: FakeRequest, socket: Socket, response: ServerResponse): void {
    const { method, path, query } = request;
    const document = this.documents.get(path);
    if (method === 'GET' && document !== undefined) return send(response, 200, document);
    const place = placeOf(path);
    if (place === undefined) return refuse(response, 404, 'NotFound');
    const { collection, name, namespace } = place;
    if (name === undefined) {
      if (method === 'POST') return this.create(request, collection, namespace, response);
      if (query.get('watch') === 'true') return this.watch(collection, namespace, query, socket, response);
      return this.list(collection, namespace, query, response);
    }
    const object = this.objects.get(keyOf(collection, name, namespace));
    if (object === undefined) return refuse(response, 404, 'NotFound', `${collection} "${name}" not found`);
    if (method === 'GET') return send(response, 200, object);
    if (method === 'DELETE') return this.delete(request, collection, object, response);
    const body = parseJson(request.body) as KubeObject;
    const next = method === 'PATCH' ? (merge(object, body) as KubeObject) : body;
    const expected = body.metadata?.resourceVersion;
    if (expected !== undefined && expected !== object.metadata.resourceVersion) {
      return refuse(response, 409, 'Conflict', `the object has been modified`);
    }
    return send(response, 200, this.put(collection, next));
  }

  private create(
    { body }: FakeRequest,
    collection: string,
    namespace: string | undefined,
    response: ServerResponse,
  ): void {
    const given = parseJson(body) as KubeObject;
    const object = namespace === undefined ? given : { ...given, metadata: { ...given.metadata, namespace } };
    const taken = this.objects.has(keyOf(collection, object.metadata.name, namespace));
    if (taken) return refuse(response, 409, 'AlreadyExists', `${object.metadata.name} already exists`);
    return send(response, 201, this.put(collection, object));
  }

  private delete({ body }: FakeRequest, collection: string, object: KubeObject, response: ServerResponse): void {
    const options = body === '' ? {} : (parseJson(body) as { preconditions?: Record<string, string> });
    const { uid, resourceVersion } = options.preconditions ?? {};
    const { metadata } = object;
    if (
      (uid ?? metadata.uid) !== metadata.uid ||
      (resourceVersion ?? metadata.resourceVersion) !== metadata.resourceVersion
    ) {
      return refuse(response, 409, 'Conflict', 'the precondition fails');
    }
    this.remove(collection, metadata.name, metadata.namespace);
    return send(response, 200, { kind: 'Status', apiVersion: 'v1', status: 'Success' });
  }

  private list(
    collection: string,
    namespace: string | undefined,
    query: URLSearchParams,
    response: ServerResponse,
  ): void {
    const all = [...this.objects]
      .filter(([key]) => key.startsWith(`${collection} `))
      .map(([, object]) => object)
      .filter((object) => (namespace ?? object.metadata.namespace) === object.metadata.namespace)
      .filter((object) => isSelected(object, query))
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const [round = this.pages, from = 0] = (query.get('continue') ?? '').split('.').filter(Boolean).map(Number);
    if (round !== this.pages) return refuse(response, 410, 'Expired', 'The provided continue parameter is too old');
    const limit = Number(query.get('limit') ?? all.length);
    const items = all.slice(from, from + limit);
    const more = from + limit < all.length;
    const metadata = {
      resourceVersion: String(this.version),
      ...(more && { continue: `${this.pages}.${from + limit}` }),
    };
    const kind = `${all[0]?.kind ?? 'Thing'}List`;
    return send(response, 200, { kind, apiVersion: all[0]?.apiVersion ?? 'v1', metadata, items });
  }

  private watch(
    collection: string,
    namespace: string | undefined,
    query: URLSearchParams,
    socket: Socket,
    response: ServerResponse,
  ): void {
    const from = Number(query.get('resourceVersion'));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (from < this.oldest) {
      const object = { kind: 'Status', code: 410, reason: 'Expired', message: `too old resource version: ${from}` };
      response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
      return;
    }
    void namespace;
    const watcher: Watcher = { collection, query, response, socket };
    this.watchers.add(watcher);
    response.on('close', () => this.watchers.delete(watcher));
    for (const entry of this.history) if (entry.version > from) show(watcher, entry);
  }

  private store(
    collection: string,
    key: string,
    type: Entry['type'],
    object: KubeObject,
    before: KubeObject | undefined,
  ): KubeObject {
    const metadata = {
      creationTimestamp: '2026-11-30T12:00:00Z',
      uid: before?.metadata.uid ?? `uid-${this.version + 1}`,
      ...object.metadata,
      resourceVersion: String(this.version + 1),
    };
    const stored = { ...object, metadata };
    this.objects.set(key, stored);
    this.record(collection, type, stored);
    return stored;
  }

  private record(collection: string, type: Entry['type'], object: KubeObject): void {
    this.version++;
    const metadata = { ...object.metadata, resourceVersion: String(this.version) };
    const entry: Entry = { collection, type, object: { ...object, metadata }, version: this.version };
    this.history.push(entry);
    for (const watcher of this.watchers) show(watcher, entry);
  }
}

/** "/apis/g/v1/namespaces/ns/things/name/status" → what of it names a collection and an object. */
function placeOf(path: string): { collection: string; name?: string; namespace?: string } | undefined {
  const parts = path.split('/').slice(1).map(decodeURIComponent);
  const root = parts[0] === 'api' ? parts.slice(0, 2) : parts.slice(0, 3);
  const rest = parts.slice(root.length);
  const namespaced = rest[0] === 'namespaces' && rest.length > 2;
  const [plural, name] = namespaced ? rest.slice(2) : rest;
  if (plural === undefined) return undefined;
  return {
    collection: `/${[...root, plural].join('/')}`,
    ...(name !== undefined && { name }),
    ...(namespaced && { namespace: rest[1]! }),
  };
}

function keyOf(collection: string, name: string, namespace?: string): string {
  return `${collection} ${namespace ?? ''}/${name}`;
}

function isSelected({ metadata }: KubeObject, query: URLSearchParams): boolean {
  const wanted = (query.get('labelSelector') ?? '').split(',').filter(Boolean);
  const [, name] = /^metadata\.name=(.*)$/.exec(query.get('fieldSelector') ?? '') ?? [];
  if (name !== undefined && name !== metadata.name) return false;
  return wanted.every((term) => {
    const [key = '', value] = term.split(/==?/);
    return metadata.labels?.[key] === value;
  });
}

function show({ collection, query, response }: Watcher, entry: Entry): void {
  if (entry.collection !== collection || !isSelected(entry.object, query)) return;
  response.write(`${formatJson({ type: entry.type, object: entry.object })}\n`);
}

/** RFC 7396. */
function merge(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const merged: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = merge(merged[name], value);
  }
  return merged;
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(formatJson(value));
}

function refuse(response: ServerResponse, status: number, reason: string, message = `${reason} (${status})`): void {
  send(response, status, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status, reason, message });
}
