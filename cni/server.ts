// The agent's side of the socket: one request a connection, one line each way.
import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, chmod, rm } from 'node:fs/promises';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { CniError, asCniError } from './error.ts';
import { type PluginAnswer, type PluginRequest, decodeRequest } from './request.ts';
import { errorResult } from './result.ts';
import { newest } from './version.ts';

export interface ServeOptions {
  /** Bytes; a longer line is refused. 4 MiB by default: a GC for thousands of pods fits. */
  readonly maxRequest?: number;
  /** How long a client may take to send its line. */
  readonly patienceMs?: number;
}

interface Handler {
  handle(request: PluginRequest): Promise<PluginAnswer>;
}

/**
 * Serves the operations on a unix socket that only its owner may open. Disposing of it ends after the last answer.
 * @throws CniError 5 when another agent answers there. A socket that a killed agent left is replaced.
 */
export async function serve(path: string, operations: Handler, options: ServeOptions = {}): Promise<AsyncDisposable> {
  const { maxRequest = 4 << 20, patienceMs = 10_000 } = options;
  const waiting = new Set<Socket>();
  // A client that has sent its line may close its half, and still wants the answer.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined); // the client died: what it asked for is done all the same
    socket.setTimeout(patienceMs, () => socket.destroy());
    waiting.add(socket);
    socket.once('close', () => waiting.delete(socket));
    void serveOne(socket, operations, maxRequest, () => {
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

async function serveOne(socket: Socket, operations: Handler, maxRequest: number, received: () => void): Promise<void> {
  let answer: PluginAnswer;
  try {
    const line = await readLine(socket, maxRequest);
    if (line === undefined) return void socket.destroy();
    received();
    answer = await operations.handle(decodeRequest(line));
  } catch (error) {
    answer = { exit: 1, print: errorResult(newest, asCniError(error), '') };
  }
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    if (socket.destroyed) resolve();
    socket.end(`${JSON.stringify(answer)}\n`, () => socket.destroySoon());
  });
}

/** Up to the newline, or the end of what the client sends; undefined when it sent nothing. @throws CniError 6 */
function readLine(socket: Socket, maxBytes: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (): void => {
      const text = Buffer.concat(chunks).toString('utf8');
      resolve(text === '' ? undefined : text);
    };
    socket.on('data', (chunk: Buffer) => {
      const end = chunk.indexOf(10);
      const part = end < 0 ? chunk : chunk.subarray(0, end);
      length += part.length;
      if (length > maxBytes) reject(new CniError(6, `the request is longer than ${maxBytes} bytes`));
      else chunks.push(part);
      if (end >= 0) finish();
    });
    socket.once('end', finish);
    socket.once('close', () => resolve(undefined));
  });
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
