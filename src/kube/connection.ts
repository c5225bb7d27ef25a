// Whom to talk to, as whom, and over which connections: kubeconfig or the pod's service account, as
// @kubernetes/client-node understands them.
//
// Everything that may change on disk while the agent runs is looked at again: the token of a service account is another
// one every hour, certificates are renewed, a kubeconfig is replaced. Files that are half written or gone for a moment
// leave what was good before in force.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { KubeConfig, User } from '@kubernetes/client-node';
import { Agent, type Dispatcher } from 'undici';
import { parse } from 'yaml';
import { isRecord } from '../resources/index.ts';
import { KubeError } from './port.ts';

export interface ConnectionOptions {
  /** Absent: the service account of the pod that we run in. */
  readonly kubeconfig?: string;
  /** Before /var/run/secrets/…, for tests. */
  readonly root?: string;
  /** How long what was read counts before it is looked at again. */
  readonly rereadMs?: number;
}

/** What one request needs. */
export interface Access {
  /** "https://10.96.0.1:443" */
  readonly origin: string;
  /** "" or what a proxy wants before every path. */
  readonly prefix: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatcher: Dispatcher;
}

export interface Connection extends AsyncDisposable {
  /** For messages; where it will be known only later, the kubeconfig's name. */
  readonly server: string;
  /** The namespace of the context, or of the pod. */
  readonly namespace: string | undefined;
  /** @throws KubeError 'unavailable' */
  access(): Promise<Access>;
  /** The server does not know us any more: look at the files before the next request. */
  renew(): void;
}

const REREAD_MS = 10_000;

/**
 * Reads kubeconfig or service account.
 * @throws Error when they say nothing usable: whoever started us has to mend that
 */
export async function openConnection(options: ConnectionOptions = {}): Promise<Connection> {
  const connection = new FileConnection(options);
  await connection.open();
  return connection;
}

interface Identity {
  readonly config: KubeConfig;
  /** Of the kubeconfig's text, as long as which exec plugins and their expiry times stay. */
  readonly text: string;
  readonly tokenFile: string | undefined;
  readonly server: URL;
}

class FileConnection implements Connection {
  private readonly options: ConnectionOptions;
  private identity: Identity | undefined;
  private current: Access | undefined;
  private fingerprint = '';
  private readAt = Number.NEGATIVE_INFINITY;
  private reading: Promise<Access> | undefined;
  private readonly closing = new Set<Promise<void>>();

  constructor(options: ConnectionOptions) {
    this.options = options;
  }

  async open(): Promise<void> {
    this.current = await this.read();
  }

  get server(): string {
    return this.identity?.server.origin ?? this.options.kubeconfig ?? 'the API server';
  }

  get namespace(): string | undefined {
    const { config } = this.identity ?? {};
    return config?.getContextObject(config.getCurrentContext())?.namespace?.trim() || undefined;
  }

  renew(): void {
    this.readAt = Number.NEGATIVE_INFINITY;
  }

  async access(): Promise<Access> {
    const { current } = this;
    if (current !== undefined && performance.now() - this.readAt < (this.options.rereadMs ?? REREAD_MS)) return current;
    // Requests that come meanwhile wait for the same reading.
    this.reading ??= this.read().finally(() => (this.reading = undefined));
    try {
      return await this.reading;
    } catch (cause) {
      if (current !== undefined) return current;
      const why = (cause as Error).message;
      throw new KubeError('unavailable', `the access to the API server cannot be read: ${why}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.current?.dispatcher.destroy(), ...this.closing]);
  }

  private async read(): Promise<Access> {
    this.readAt = performance.now();
    const identity = await this.readIdentity();
    const { config, server, tokenFile } = identity;
    const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();
    const { headers, dispatcher } = await authentication(config, server);
    const fingerprint = await fingerprintOf(identity);
    const unchanged = this.current !== undefined && fingerprint === this.fingerprint;
    const access = {
      origin: server.origin,
      prefix: server.pathname.replace(/\/$/, ''),
      headers: token === undefined ? headers : { ...withoutAuthorization(headers), authorization: `Bearer ${token}` },
      dispatcher: unchanged ? this.current!.dispatcher : dispatcher,
    };
    if (unchanged) this.retire(dispatcher);
    else if (this.current !== undefined) this.retire(this.current.dispatcher);
    this.identity = identity;
    this.fingerprint = fingerprint;
    this.current = access;
    return access;
  }

  /** Requests that are under way end in their own time. */
  private retire(dispatcher: Dispatcher): void {
    const closed = dispatcher.close().finally(() => this.closing.delete(closed));
    this.closing.add(closed);
  }

  private async readIdentity(): Promise<Identity> {
    const { kubeconfig, root = '' } = this.options;
    const { KubeConfig } = await import('./client-node.ts');
    const text = kubeconfig === undefined ? '' : await readFile(kubeconfig, 'utf8');
    if (this.identity?.text === text) return this.identity;
    const config = new KubeConfig();
    if (kubeconfig === undefined) config.loadFromCluster(root);
    else config.loadFromFile(kubeconfig);
    const cluster = config.getCurrentCluster();
    const user = config.getCurrentUser();
    if (cluster === null || user === null) {
      throw new Error(`${kubeconfig}: current-context names no context with a cluster and a user`);
    }
    return { config, text, tokenFile: tokenFileOf(user, text, kubeconfig), server: serverOf(cluster.server) };
  }
}

function serverOf(text: string): URL {
  if (!URL.canParse(text) || text.includes('undefined')) {
    throw new Error(`${text}: is no URL of an API server (outside a pod, name a file with --kubeconfig)`);
  }
  return new URL(text);
}

/** Which of `tokenFile` (kubectl's word) and the pod's token it is; client-node reads either too seldom. */
function tokenFileOf(user: User, text: string, kubeconfig: string | undefined): string | undefined {
  if (kubeconfig === undefined) {
    const provider: unknown = user.authProvider;
    const config = isRecord(provider) && isRecord(provider['config']) ? provider['config'] : {};
    return typeof config['tokenFile'] === 'string' ? config['tokenFile'] : undefined;
  }
  const document: unknown = parse(text);
  const users: readonly unknown[] = isRecord(document) && Array.isArray(document['users']) ? document['users'] : [];
  const entry = users.filter(isRecord).find(({ name }) => name === user.name)?.['user'];
  const file = isRecord(entry) ? (entry['tokenFile'] ?? entry['token-file']) : undefined;
  return typeof file === 'string' ? resolve(dirname(kubeconfig), file) : undefined;
}

async function authentication(
  config: KubeConfig,
  server: URL,
): Promise<{ headers: Record<string, string>; dispatcher: Dispatcher }> {
  const { RequestContext, HttpMethod } = await import('./client-node.ts');
  const context = new RequestContext(server.href, HttpMethod.GET);
  await config.applySecurityAuthentication(context);
  // A server with a certificate that the system trusts anyway needs no dispatcher of its own.
  const dispatcher =
    context.getDispatcher() ?? new Agent({ connect: { keepAlive: true, keepAliveInitialDelay: 30_000 } });
  return { headers: context.getHeaders(), dispatcher };
}

/** Names of headers are compared as HTTP does: two of one name would both be sent, and the server believes the first. */
function withoutAuthorization(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'));
}

/** Connections stay as long as everything that TLS was made from does. */
async function fingerprintOf({ config, text }: Identity): Promise<string> {
  const { caFile } = config.getCurrentCluster() ?? {};
  const { certFile, keyFile } = config.getCurrentUser() ?? {};
  const hash = createHash('sha256').update(text);
  for (const file of [caFile, certFile, keyFile]) hash.update(file ? await readFile(file) : '-');
  return hash.digest('base64');
}
