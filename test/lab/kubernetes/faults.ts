// What stands between an agent and an API server on a bad day: a proxy that resets connections, answers 503, tells
// watches 410, is slow, swallows answers, or is behind a network that has gone silent.
//
// It ends TLS with the server's own certificate, so that it can answer in the server's place, and hands on what it does
// not spoil. Silence is the kernel's: nft drops the packets, so that connecting, keepalive and retransmission see what
// they would see with a pulled cable.
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer as createHttpsServer, request as httpsRequest } from 'node:https';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { run } from '../host.ts';
import type { ApiServer } from './api-server.ts';

/** A request that came through. */
export interface Seen {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly watch: boolean;
}

export type Which = 'all' | 'watches' | 'others' | ((request: Seen) => boolean);

export type Misbehaviour =
  /** This HTTP status and a Status object, in the server's place. */
  | { readonly do: 'answer'; readonly status: number; readonly retryAfterSeconds?: number }
  /** A watch that begins well and whose only event is an error with this code: how the server says 410. */
  | { readonly do: 'watchError'; readonly status: number }
  | { readonly do: 'delay'; readonly milliseconds: number }
  /** The request arrives, and neither it nor its answer is heard of again. */
  | { readonly do: 'swallow' }
  /** The server carries it out, and the connection is reset instead of its answer: was it done? */
  | { readonly do: 'loseAnswer' }
  /** The answer breaks off after so many bytes, with a reset. */
  | { readonly do: 'cut'; readonly afterBytes: number };

export interface Faults extends AsyncDisposable {
  /** Where the server seems to be. */
  readonly url: string;
  /** A kubeconfig that goes through here. */
  kubeconfigFor(user: string): Promise<string>;
  /** Every request since the start, in order of arrival. */
  readonly requests: readonly Seen[];
  /** Requests that come from now on and are meant fare like this, until the returned function is called. */
  misbehave(which: Which, how: Misbehaviour): () => void;
  /** Resets every open connection. */
  reset(): void;
  /** Ends every open watch properly, as the server does from time to time. */
  endWatches(): void;
  /** How many watches are open. */
  openWatches(): number;
  /** From now on every packet to and from here is lost, until heal(). */
  partition(): Promise<void>;
  /** Forgets every connection without the client being told, as a server that lost its power: watches stay open at the
   * client and hear nothing for ever; who sends something is reset. New connections are served. */
  halfOpen(): Promise<void>;
  heal(): Promise<void>;
}

/** Starts the proxy before this server, on another port of the same address. */
export async function startFaults(server: ApiServer): Promise<Faults> {
  const proxy = new Proxy(server);
  await proxy.begin();
  return proxy;
}

class Proxy implements Faults {
  readonly requests: Seen[] = [];
  private readonly server: ApiServer;
  /** By the client's port: a TLS socket cannot reset the connection below it. */
  private readonly sockets = new Map<number, Socket>();
  private readonly watches = new Set<ServerResponse>();
  private rules: { readonly which: Which; readonly how: Misbehaviour }[] = [];
  private readonly upstream: Agent;
  private readonly http;
  private readonly listener;
  private port = 0;

  constructor(server: ApiServer) {
    this.server = server;
    const certificate = readFileSync(server.certificateFile);
    this.upstream = new Agent({ ca: certificate, keepAlive: true });
    this.http = createHttpsServer({ cert: certificate, key: readFileSync(server.keyFile) }, (asked, answer) => {
      this.serve(asked, answer);
    });
    this.http.on('tlsClientError', () => undefined);
    this.http.on('secureConnection', (socket) => socket.on('error', () => socket.destroy()));
    // The TCP connections are ours, not the HTTPS server's: resets and forgetting happen below TLS.
    this.listener = createServer((socket) => {
      const port = socket.remotePort!;
      this.sockets.set(port, socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => this.sockets.delete(port));
      this.http.emit('connection', socket);
    });
  }

  async begin(): Promise<void> {
    this.listener.listen(0, this.server.address);
    await once(this.listener, 'listening');
    this.port = (this.listener.address() as AddressInfo).port;
  }

  get url(): string {
    return `https://${this.server.address}:${this.port}`;
  }

  kubeconfigFor(user: string): Promise<string> {
    return this.server.kubeconfigFor(user, this.url);
  }

  misbehave(which: Which, how: Misbehaviour): () => void {
    const rule = { which, how };
    this.rules.unshift(rule);
    return () => {
      this.rules = this.rules.filter((each) => each !== rule);
    };
  }

  reset(): void {
    for (const socket of this.sockets.values()) socket.resetAndDestroy();
  }

  endWatches(): void {
    for (const watch of this.watches) watch.end();
  }

  openWatches(): number {
    return this.watches.size;
  }

  async partition(): Promise<void> {
    await this.silence();
  }

  async halfOpen(): Promise<void> {
    await this.silence();
    const clients = [...this.sockets.keys()];
    const ends = [...this.sockets.values()].map((socket) => once(socket, 'close'));
    this.reset(); // the reset is lost with all other packets
    await Promise.all(ends);
    await this.silence(acknowledgementsOf(clients));
  }

  async heal(): Promise<void> {
    await run('nft', ['delete', 'table', 'ip', this.table], { mayFail: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.heal();
    this.reset();
    this.http.close();
    this.upstream.destroy();
    this.listener.close();
    await once(this.listener, 'close');
  }

  private get table(): string {
    return `faults-${this.server.address.replaceAll('.', '-')}-${this.port}`;
  }

  /** Drops all packets from and to here, or those to here that fit one of the given matches. */
  private async silence(matches?: readonly string[]): Promise<void> {
    const { address } = this.server;
    const here = (end: 's' | 'd'): string => `ip ${end}addr ${address} tcp ${end}port ${this.port}`;
    const dropped = matches?.map((match) => `${here('d')} ${match}`) ?? [here('s'), here('d')];
    const rules = dropped.map((match) => `${match} drop\n`).join('');
    const chain = `chain input {\ntype filter hook input priority 0\n${rules}}`;
    const anew = `table ip ${this.table} {}\ndelete table ip ${this.table}\n`;
    await run('nft', ['-f', '-'], { input: `${anew}table ip ${this.table} {\n${chain}\n}\n` });
  }

  private serve(asked: IncomingMessage, answer: ServerResponse): void {
    const path = asked.url ?? '/';
    const watch = /[?&]watch=(1|true)\b/.test(path);
    const seen = { method: asked.method ?? 'GET', path, watch };
    this.requests.push(seen);
    const how = this.rules.find(({ which }) => isMeant(which, seen))?.how;
    answer.on('error', () => undefined);
    switch (how?.do) {
      case undefined:
        return this.pass(asked, answer, seen);
      case 'answer':
        return sayStatus(asked, answer, how.status, how.retryAfterSeconds);
      case 'watchError':
        return sayWatchError(answer, how.status);
      case 'delay':
        setTimeout(() => this.pass(asked, answer, seen), how.milliseconds);
        return;
      case 'swallow':
        asked.resume();
        return;
      case 'loseAnswer':
        return this.pass(asked, answer, seen, 0);
      case 'cut':
        return this.pass(asked, answer, seen, how.afterBytes);
    }
  }

  /** Hands the request on, and its answer back: all of it, or so many bytes and then a reset. */
  private pass(asked: IncomingMessage, answer: ServerResponse, seen: Seen, bytes = Number.POSITIVE_INFINITY): void {
    const target = new URL(this.server.url);
    const options = { hostname: target.hostname, port: target.port, path: seen.path, method: seen.method };
    const forwarded = httpsRequest({ ...options, headers: asked.headers, agent: this.upstream }, (heard) => {
      if (seen.watch) this.remember(answer);
      if (bytes === Number.POSITIVE_INFINITY) {
        answer.writeHead(heard.statusCode!, heard.headers);
        answer.flushHeaders(); // a watch may have nothing to say for long
        heard.pipe(answer);
        heard.once('error', () => answer.destroy());
      } else {
        const socket = this.sockets.get(answer.socket?.remotePort ?? 0);
        cutShort(heard, answer, bytes, () => socket?.resetAndDestroy());
      }
    });
    forwarded.once('error', () => answer.destroy());
    answer.once('close', () => forwarded.destroy());
    asked.pipe(forwarded);
  }

  private remember(watch: ServerResponse): void {
    this.watches.add(watch);
    watch.once('close', () => this.watches.delete(watch));
  }
}

/**
 * What clients send without having something to say, by their ports: a belated acknowledgement would be answered by a
 * reset, and tell what nobody must know. 54 octets are the headers, with a time stamp and the octet of a probe.
 */
function acknowledgementsOf(ports: readonly number[]): string[] {
  return ports.length === 0 ? [] : [`tcp sport { ${ports.join(', ')} } ip length < 54`];
}

function isMeant(which: Which, seen: Seen): boolean {
  if (typeof which === 'function') return which(seen);
  return which === 'all' || seen.watch === (which === 'watches');
}

function statusObject(code: number): object {
  const reason = { 410: 'Expired', 429: 'TooManyRequests', 503: 'ServiceUnavailable', 504: 'Timeout' }[code];
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'a fault of the test',
    reason,
    code,
  };
}

function sayStatus(asked: IncomingMessage, answer: ServerResponse, status: number, retryAfter?: number): void {
  asked.resume();
  const later = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
  answer.writeHead(status, { 'content-type': 'application/json', ...later }).end(JSON.stringify(statusObject(status)));
}

function sayWatchError(answer: ServerResponse, status: number): void {
  answer.writeHead(200, { 'content-type': 'application/json' });
  answer.end(`${JSON.stringify({ type: 'ERROR', object: statusObject(status) })}\n`);
}

/** With zero bytes the answer is awaited to its end and not even its head comes through. */
function cutShort(heard: IncomingMessage, answer: ServerResponse, bytes: number, reset: () => void): void {
  if (bytes === 0) {
    heard.resume().once('end', reset);
    return;
  }
  let left = bytes;
  answer.writeHead(heard.statusCode!, heard.headers);
  heard.on('data', (chunk: Buffer) => {
    if (left <= 0) return;
    answer.write(chunk.subarray(0, left), left <= chunk.length ? reset : undefined);
    left -= chunk.length;
  });
  heard.once('end', () => answer.end());
}
