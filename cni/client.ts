// The plugin's side of the socket: one line there, one line back, and in between whatever the agent has it do.
import { type Socket, connect } from 'node:net';
import { CniError } from './error.ts';
import { linesOf } from './lines.ts';
import type { PluginAnswer, PluginRequest } from './request.ts';

/** Nobody serves the socket, or whoever did went away before answering. */
export class AgentAway extends Error {
  override readonly name = 'AgentAway';
}

/**
 * Asks the agent. `carryOut`: does what an order of the agent's says, and returns the report.
 * @throws AgentAway; CniError 5 when the socket is there but closed to us.
 */
export async function askAgent(
  path: string,
  request: PluginRequest,
  { withinMs = 60_000, carryOut = refuse }: { withinMs?: number; carryOut?: (order: unknown) => unknown } = {},
): Promise<PluginAnswer> {
  const socket = connect(path);
  const { promise: broken, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new AgentAway(`the Manx agent did not answer on ${path} within ${withinMs / 1000} s`));
  }, withinMs);
  socket.once('connect', () => socket.write(`${JSON.stringify(request)}\n`));
  socket.once('error', (error) => reject(explain(path, error)));
  try {
    return await Promise.race([broken, converse(path, socket, carryOut)]);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

async function converse(path: string, socket: Socket, carryOut: (order: unknown) => unknown): Promise<PluginAnswer> {
  const lines = linesOf(socket);
  for (;;) {
    const said = decode(await lines.next());
    if (said?.exit === 0 || said?.exit === 1) return said as PluginAnswer;
    if (said?.order === undefined) throw new AgentAway(`the Manx agent on ${path} went away before it answered`);
    socket.write(`${JSON.stringify({ report: carryOut(said.order) })}\n`);
  }
}

function refuse(): object {
  return { error: 'this call has no namespace to work in' };
}

function explain(path: string, error: NodeJS.ErrnoException): Error {
  const away = ['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EAGAIN'];
  if (away.includes(error.code ?? '')) {
    const reason = error.code === 'ECONNREFUSED' ? 'nobody serves it' : error.message;
    return new AgentAway(`no Manx agent answers on ${path} (${reason}): is manxd running on this node?`);
  }
  return new CniError(5, `the Manx agent's socket ${path} cannot be used: ${error.message}`, { cause: error });
}

/** A line that was cut off is no JSON, and the same as none. */
function decode(line: string | undefined): (Partial<PluginAnswer> & { readonly order?: unknown }) | undefined {
  try {
    return JSON.parse(line ?? '') as Partial<PluginAnswer> & { readonly order?: unknown };
  } catch {
    return undefined; // the caller says so
  }
}
