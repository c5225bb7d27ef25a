// One HTTP exchange with the API server: bounded in time and size, and every failure a KubeError.
//
// HTTP/1.1 on purpose: each watch has a connection of its own, and one that is stuck holds up no other.
import type { Dispatcher } from 'undici';
import { retryAfterMs } from './backoff.ts';
import { errorOf } from './answer.ts';
import type { Connection } from './connection.ts';
import { KubeError } from './port.ts';

export interface Exchange {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  /** In what form the answer may come; JSON by default. */
  readonly accept?: string;
}

export interface Transport {
  /** The whole text of a good answer. @throws KubeError */
  exchange(request: Exchange, limits: ExchangeLimits): Promise<string>;
  /**
   * The bytes of a good answer as they come, until it ends or the signal ends it; a silence of `silenceMs` ends it too.
   * @throws KubeError, while iterating as well
   */
  stream(request: Exchange, limits: StreamLimits): Promise<AsyncIterable<Uint8Array>>;
}

export interface ExchangeLimits {
  readonly withinMs: number;
  readonly mostBytes: number;
  /** Ends it before. */
  readonly signal?: AbortSignal | undefined;
}

export interface StreamLimits {
  readonly signal: AbortSignal;
  /** Until the answer begins. */
  readonly withinMs: number;
  readonly silenceMs: number;
}

/** What an error answer may say about itself. */
const ERROR_BYTES = 1 << 20;

/** @param stop ends every exchange, and lets none begin any more */
export function createTransport(connection: Connection, stop?: AbortSignal): Transport {
  const fail = (cause: unknown): KubeError => failure(connection.server, cause);

  /** 401 says that nothing was done: with credentials read anew it is worth a second try. */
  const send = async (request: Exchange, signal: AbortSignal): Promise<Dispatcher.ResponseData> => {
    const answer = await sendOnce(connection, request, signal);
    if (answer.statusCode !== 401) return answer;
    await answer.body.dump().catch(() => undefined);
    connection.renew();
    return sendOnce(connection, request, signal);
  };

  const checked = async (request: Exchange, signal: AbortSignal): Promise<Dispatcher.ResponseData> => {
    const answer = await send(request, signal);
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    const text = await wholeText(answer.body, ERROR_BYTES);
    const header = answer.headers['retry-after'];
    const waitMs = retryAfterMs(typeof header === 'string' ? header : undefined, Date.now());
    throw errorOf(answer.statusCode, text, { retryAfterMs: waitMs });
  };

  return {
    async exchange(request, { withinMs, mostBytes, signal }) {
      const deadline = new Deadline(withinMs, `no answer within ${withinMs / 1000} s`, [signal, stop]);
      try {
        const { body } = await checked(request, deadline.signal);
        return await wholeText(body, mostBytes);
      } catch (cause) {
        throw fail(deadline.reason ?? cause);
      } finally {
        deadline.cancel();
      }
    },

    async stream(request, { signal, withinMs, silenceMs }) {
      const deadline = new Deadline(withinMs, `no answer within ${withinMs / 1000} s`, [signal, stop]);
      try {
        const { body } = await checked(request, deadline.signal);
        deadline.extend(silenceMs, `silent for ${silenceMs / 1000} s`);
        return pieces(body, deadline, silenceMs, fail);
      } catch (cause) {
        deadline.cancel();
        throw fail(deadline.reason ?? cause);
      }
    },
  };
}

async function* pieces(
  body: Dispatcher.ResponseData['body'],
  deadline: Deadline,
  silenceMs: number,
  fail: (cause: unknown) => KubeError,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) {
      deadline.extend(silenceMs, `silent for ${silenceMs / 1000} s`);
      yield chunk as Uint8Array;
    }
  } catch (cause) {
    throw fail(deadline.reason ?? cause);
  } finally {
    deadline.cancel();
    // Whoever stops reading early closes the connection: there is no other way to end a watch.
    body.on('error', () => undefined).destroy();
  }
}

async function sendOnce(
  connection: Connection,
  { method, path, body, contentType = 'application/json', accept = 'application/json' }: Exchange,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const { origin, prefix, headers, dispatcher } = await connection.access();
  return dispatcher.request({
    origin,
    path: `${prefix}${path}`,
    method,
    headers: {
      ...headers,
      accept,
      'user-agent': 'manx',
      ...(body !== undefined && { 'content-type': contentType }),
    },
    ...(body !== undefined && { body }),
    signal,
    // Deadlines are ours: one for the whole exchange, or for each silence.
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
  } as Dispatcher.RequestOptions);
}

async function wholeText(body: AsyncIterable<Uint8Array>, mostBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > mostBytes) throw new KubeError('unavailable', `an answer of more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** What ends one exchange before it ends itself: a time, or whoever stops us. */
class Deadline {
  private readonly controller = new AbortController();
  private readonly outer: readonly AbortSignal[];
  private timer: NodeJS.Timeout;
  /** Why it was ended. */
  reason: Error | undefined;

  constructor(ms: number, says: string, outer: readonly (AbortSignal | undefined)[]) {
    this.timer = this.start(ms, says);
    this.outer = outer.filter((signal) => signal !== undefined);
    for (const signal of this.outer) signal.addEventListener('abort', this.stop, { once: true });
    if (this.outer.some(({ aborted }) => aborted)) this.stop();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Another time from now on. */
  extend(ms: number, says: string): void {
    if (this.reason !== undefined) return;
    clearTimeout(this.timer);
    this.timer = this.start(ms, says);
  }

  cancel(): void {
    clearTimeout(this.timer);
    for (const signal of this.outer) signal.removeEventListener('abort', this.stop);
  }

  private readonly stop = (): void => this.abort(new KubeError('unavailable', 'stopped'));

  private abort(reason: Error): void {
    this.reason ??= reason;
    this.cancel();
    this.controller.abort(reason);
  }

  private start(ms: number, says: string): NodeJS.Timeout {
    return setTimeout(() => this.abort(new Error(says)), ms);
  }
}

function failure(server: string, cause: unknown): KubeError {
  if (cause instanceof KubeError) return cause;
  return new KubeError('unavailable', `the API server ${server} cannot be reached: ${reasonText(cause)}`, { cause });
}

/** Several addresses of one name fail as an AggregateError, whose own message is empty. */
function reasonText(cause: unknown): string {
  if (cause instanceof AggregateError) return [...new Set(cause.errors.map(reasonText))].join('; ');
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
