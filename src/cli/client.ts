// The agent's API over its unix socket, as manxctl speaks it.
import { request } from 'node:http';
import type { Problem } from '../store/port.ts';
import { CliError } from './exit.ts';

export interface Api {
  get<T>(path: string): Promise<T>;
  /** Text of JSON whose numbers may have 64 bits: for resources. */
  getText(path: string): Promise<string>;
  send(
    method: 'PUT' | 'POST' | 'DELETE',
    path: string,
    body?: string,
    headers?: Record<string, string>,
  ): Promise<{ readonly status: number; readonly text: string }>;
}

/** An answer of the agent's that is an error. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly code: string;
  readonly problems: readonly Problem[];

  constructor(status: number, code: string, message: string, problems: readonly Problem[]) {
    super(message);
    this.status = status;
    this.code = code;
    this.problems = problems;
  }
}

/** @throws CliError when nobody answers on the socket, ApiError when the agent says no. */
export function connectApi(socketPath: string): Api {
  const call = async (method: string, path: string, body?: string, headers: Record<string, string> = {}) => {
    const answer = await exchange(socketPath, method, path, body, headers);
    if (answer.status >= 400) throw readError(answer.status, answer.text);
    return answer;
  };
  return {
    get: async <T>(path: string) => JSON.parse((await call('GET', path)).text) as T,
    getText: async (path) => (await call('GET', path)).text,
    send: call,
  };
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  body: string | undefined,
  headers: Record<string, string>,
): Promise<{ status: number; text: string }> {
  const sent = body === undefined ? headers : { 'content-type': 'application/json', ...headers };
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers: sent }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.once('error', reject);
      incoming.once('end', () =>
        resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    outgoing.once('error', (cause: NodeJS.ErrnoException) => reject(unreachable(socketPath, cause)));
    outgoing.end(body);
  });
}

const words: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ECONNREFUSED: 'connection refused',
  EACCES: 'permission denied: only root may',
  ECONNRESET: 'it ended while answering',
};

function unreachable(socketPath: string, cause: NodeJS.ErrnoException): CliError {
  return new CliError('unreachable', [
    `no agent answers on ${socketPath} (${words[cause.code ?? ''] ?? cause.message})`,
    'on this host:   systemctl status manxd, or manxd --check /etc/manx',
    'elsewhere:      manxctl --run DIR names the run directory of the agent that is meant',
    'another node:   manxctl --kubeconfig FILE --node NAME node status',
  ]);
}

function readError(status: number, text: string): ApiError {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string; problems?: readonly Problem[] } };
    return new ApiError(status, error.code, error.message, error.problems ?? []);
  } catch {
    return new ApiError(status, 'unknown', `the agent answered ${status}: ${text.slice(0, 200)}`, []);
  }
}
