// The lines of a connection, as the other side sends them: whole ones, one after the other.
import type { Socket } from 'node:net';
import { CniError } from './error.ts';

export interface Lines {
  /**
   * The next line; undefined when there will be none. What stands before the end without a newline is a line too.
   * @throws CniError 6 when one is too long
   */
  next(): Promise<string | undefined>;
}

interface Waiting {
  readonly resolve: (line: string | undefined) => void;
  readonly reject: (error: CniError) => void;
}

/** Reads from now on. Of a connection that breaks off, what is half said is dropped. */
export function linesOf(socket: Socket, maxBytes = Infinity): Lines {
  const whole: string[] = [];
  let chunks: Buffer[] = [];
  let length = 0;
  let ended = false;
  let failure: CniError | undefined;
  let waiting: Waiting | undefined;

  const settle = (): void => {
    if (waiting === undefined) return;
    const { resolve, reject } = waiting;
    if (whole.length > 0) resolve(whole.shift());
    else if (failure) reject(failure);
    else if (ended) resolve(undefined);
    else return;
    waiting = undefined;
  };
  const cut = (): void => {
    whole.push(Buffer.concat(chunks).toString('utf8'));
    chunks = [];
    length = 0;
  };
  const receive = (chunk: Buffer): void => {
    for (let rest = chunk; rest.length > 0 && !failure;) {
      const end = rest.indexOf(10);
      const part = end < 0 ? rest : rest.subarray(0, end);
      length += part.length;
      if (length > maxBytes) failure = new CniError(6, `the request is longer than ${maxBytes} bytes`);
      else chunks.push(part);
      if (end < 0) break;
      if (!failure) cut();
      rest = rest.subarray(end + 1);
    }
    settle();
  };
  const end = (): void => {
    ended = true;
    settle();
  };
  socket.on('data', receive);
  socket.once('end', () => {
    if (length > 0) cut();
    end();
  });
  socket.once('close', end);

  return {
    next: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        settle();
      }),
  };
}
