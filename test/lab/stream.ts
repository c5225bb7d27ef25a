// An open TCP connection with something on it every ten milliseconds, and what it went through: the proof that a restart
// costs established connections nothing. Run as a program by its own functions, in the host concerned.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from './host.ts';
import { until } from './until.ts';

const port = 7008;
const self = new URL(import.meta.url).pathname;

export interface Stream {
  /** Ends it: lines that came back, and lines that did not. */
  end(): Promise<{ readonly echoed: number; readonly lost: number }>;
}

/** Starts the other end in a host; resolves when it listens. It ends with the host. */
export async function startStreamEnd(host: Host): Promise<void> {
  const server = host.start(process.execPath, [self, 'serve'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout!, 'data');
}

/** Connects from a host; resolves when the first line has come back. */
export async function startStream(from: Host, address: string): Promise<Stream> {
  const client = from.start(process.execPath, [self, 'stream', address], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(client.stdout!)[Symbol.asyncIterator]();
  await lines.next();
  return {
    end: async () => {
      client.stdin!.end();
      const { value } = (await lines.next()) as { value: string | undefined };
      if (value === undefined) throw new Error(`the connection to ${address} broke`);
      return JSON.parse(value) as { echoed: number; lost: number };
    },
  };
}

async function serve(): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(port, '::');
  await once(server, 'listening');
  console.log('listening');
}

async function stream(address: string): Promise<void> {
  const socket = connect({ port, host: address, noDelay: true });
  await once(socket, 'connect');
  let [sent, echoed] = [0, 0];
  createInterface(socket).on('line', (line) => {
    if (Number(line) !== echoed++) throw new Error(`line ${line} where ${echoed - 1} was due`);
    if (echoed === 1) console.log('flowing');
  });
  const asked = once(process.stdin.resume(), 'end').then(() => 'end' as const);
  while ((await Promise.race([asked, sleep(10)])) !== 'end') socket.write(`${sent++}\n`);
  await until('every line has come back', () => echoed === sent, 5000).catch(() => undefined); // the count says it
  console.log(JSON.stringify({ echoed, lost: sent - echoed }));
  socket.destroy();
}

if (process.argv[1] === self) await (process.argv[2] === 'serve' ? serve() : stream(process.argv[3]!));
