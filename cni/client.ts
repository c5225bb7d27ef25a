// The plugin's side of the socket: one line there, one line back.
import { connect } from 'node:net';
import { CniError } from './error.ts';
import type { PluginAnswer, PluginRequest } from './request.ts';

/** Nobody serves the socket, or whoever did went away before answering. */
export class AgentAway extends Error {
  override readonly name = 'AgentAway';
}

/**
 * Asks the agent.
 * @throws AgentAway; CniError 5 when the socket is there but closed to us.
 */
export function askAgent(path: string, request: PluginRequest, withinMs = 60_000): Promise<PluginAnswer> {
  const socket = connect(path);
  socket.setEncoding('utf8');
  return new Promise<PluginAnswer>((resolve, reject) => {
    let received = '';
    const timer = setTimeout(() => {
      reject(new AgentAway(`the Manx agent did not answer on ${path} within ${withinMs / 1000} s`));
      socket.destroy();
    }, withinMs);
    socket.once('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('data', (text: string) => {
      received += text;
    });
    socket.once('error', (error) => reject(explain(path, error)));
    socket.once('close', () => {
      clearTimeout(timer);
      const answer = decodeAnswer(received);
      if (answer) resolve(answer);
      else reject(new AgentAway(`the Manx agent on ${path} went away before it answered`));
    });
  });
}

function explain(path: string, error: NodeJS.ErrnoException): Error {
  const away = ['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EAGAIN'];
  if (away.includes(error.code ?? '')) {
    const reason = error.code === 'ECONNREFUSED' ? 'nobody serves it' : error.message;
    return new AgentAway(`no Manx agent answers on ${path} (${reason}): is manxd running on this node?`);
  }
  return new CniError(5, `the Manx agent's socket ${path} cannot be used: ${error.message}`, { cause: error });
}

/** A line that was cut off is no JSON, and no answer. */
function decodeAnswer(text: string): PluginAnswer | undefined {
  try {
    const value = JSON.parse(text) as PluginAnswer;
    return value.exit === 0 || value.exit === 1 ? value : undefined;
  } catch {
    return undefined; // the same as no answer: the caller says so
  }
}
