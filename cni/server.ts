// The agent's side of the socket: one request a connection, a line each way. Before its answer the agent may have orders
// for the plugin, each a line that is answered by one.
import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, chmod, rm } from 'node:fs/promises';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { CniError, asCniError } from './error.ts';
import { type Lines, linesOf } from './lines.ts';
import { type PluginAnswer, type PluginEnd, type PluginOrder, type PluginRequest, decodeRequest } from './request.ts';
import { errorResult } from './result.ts';
import { newest } from './version.ts';

export interface ServeOptions {
  /** Bytes; a longer line is refused. 4 MiB by default: a GC for thousands of pods fits. */
  readonly maxRequest?: number;
  /** How long a client may take to send its line. */
  readonly patienceMs?: number;
  /** How long the plugin may take to carry out an order. */
  readonly orderPatienceMs?: number;
}

interface Handler {
  handle(request: PluginRequest, plugin: PluginEnd): Promise<PluginAnswer>;
}

/**
 * Serves the operations on a unix socket that only its owner may open. Disposing of it ends after the last answer.
 * @throws CniError 5 when another agent answers there. A socket that a killed agent left is replaced.
 */
export async function serve(path: string, operations: Handler, options: ServeOptions = {}): Promise<AsyncDisposable> {
  const { maxRequest = 4 << 20, patienceMs = 10_000, orderPatienceMs = 30_000 } = options;
  const waiting = new Set<Socket>();
  // A client that has sent its line may close its half, and still wants the answer.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined); // the client died: what it asked for is done all the same
    socket.setTimeout(patienceMs, () => socket.destroy());
    waiting.add(socket);
    socket.once('close', () => waiting.delete(socket));
    const client = { socket, lines: linesOf(socket, maxRequest), orderPatienceMs };
    void serveOne(client, operations, () => {
      waiting.delete(socket);
      socket.setTimeout(0);
    });
  });
  const inode = await bind(server, path);
  return {
    async [Symbol.asyncDispose]() {
      // Calls back when the last connection has ended, which each does with its answer.
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of waiting) socket.destroy();
      await closed;
      // Another agent may have taken the place over.
      if ((await inodeOf(path)) === inode) await rm(path, { force: true });
    },
  };
}

interface Client {
  readonly socket: Socket;
  readonly lines: Lines;
  readonly orderPatienceMs: number;
}

async function serveOne(client: Client, operations: Handler, received: () => void): Promise<void> {
  const { socket, lines } = client;
  let answer: PluginAnswer;
  try {
    const line = await lines.next();
    if (line === undefined || line === '') return void socket.destroy();
    received();
    answer = await operations.handle(decodeRequest(line), (order) => have(client, order));
  } catch (error) {
    answer = { exit: 1, print: errorResult(newest, asCniError(error), '') };
  }
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    if (socket.destroyed) resolve();
    socket.end(`${JSON.stringify(answer)}\n`, () => socket.destroySoon());
  });
}

/**
 * Has the plugin carry out an order, and reports what it says of it.
 * @throws CniError 11 when its end of the connection closes first: it was killed, and nobody waits for the pod.
 */
async function have({ socket, lines, orderPatienceMs }: Client, order: PluginOrder): Promise<unknown> {
  if (socket.writable) socket.write(`${JSON.stringify({ order })}\n`);
  const timer = setTimeout(() => socket.destroy(), orderPatienceMs);
  const line = await lines.next();
  clearTimeout(timer);
  if (line === undefined) {
    throw new CniError(11, "the plugin ended before it had carried out the pod's half of the work");
  }
  try {
    return (JSON.parse(line) as { report?: unknown }).report;
  } catch (cause) {
    throw new CniError(6, `the plugin's report is not JSON: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Binds under another name, closes it to others and only then moves it to its place: at no instant may anybody else
 * connect, and of two agents that start together one gets the name.
 */
async function bind(server: Server, path: string): Promise<bigint | undefined> {
  await mkdir(dirname(path), { recursive: true });
  const draft = join(dirname(path), `.${randomBytes(3).toString('hex')}`);
  if (Buffer.byteLength(draft) > 107 || Buffer.byteLength(path) > 107) {
    throw new CniError(5, `the socket's path is too long for the kernel (107 bytes): ${path}`);
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(draft, () => resolve());
  });
  try {
    await chmod(draft, 0o600);
    await takePlace(draft, path);
    return await inodeOf(path);
  } catch (error) {
    server.close();
    throw asCniError(error, 5);
  } finally {
    await rm(draft, { force: true });
  }
}

async function takePlace(draft: string, path: string): Promise<void> {
  for (;;) {
    try {
      return await link(draft, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const before = await inodeOf(path);
    if (await answers(path))
      throw new CniError(5, `another agent serves ${path}: each needs a run directory of its own`);
    // Somebody else may have replaced it while we looked; then it is looked at again.
    if ((await inodeOf(path)) === before) await rm(path, { force: true });
  }
}

/** @throws when it is no socket: a file of somebody else's is not ours to remove. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const isDeserted = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
      if (isDeserted) void refuseFiles(path).then(() => resolve(false), reject);
      else reject(error);
    });
  });
}

async function refuseFiles(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found && !found.isSocket()) throw new CniError(5, `${path} is in the way and is no socket`);
}

async function inodeOf(path: string): Promise<bigint | undefined> {
  try {
    return (await lstat(path, { bigint: true })).ino;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
