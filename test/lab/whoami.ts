// Who does the other end think I am? A TCP server that answers with the address it sees, and its client: the plainest
// proof that nothing on the way translates addresses. Run as a program by its own functions, in the host concerned.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Host } from './host.ts';

const port = 7007;

/** Starts the server in a host; resolves when it listens. It ends with the host. */
export async function startWhoami(host: Host): Promise<void> {
  const server = host.start(process.execPath, [new URL(import.meta.url).pathname, 'serve'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(server.stdout!, 'data');
}

/** Connects from a host to an address where the server runs: the address that the server saw. */
export async function whoami(from: Host, address: string): Promise<string> {
  const { stdout } = await from.run(process.execPath, [new URL(import.meta.url).pathname, 'ask', address]);
  return stdout.trim();
}

async function serve(): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy()); // the asker may be gone; the next one is answered all the same
    socket.end((socket.remoteAddress ?? '').replace(/^::ffff:/, ''));
  });
  server.listen(port, '::');
  await once(server, 'listening');
  console.log('listening');
}

async function ask(address: string): Promise<void> {
  const socket = connect({ port, host: address, timeout: 3000 });
  socket.once('timeout', () => socket.destroy(new Error(`no answer from ${address} within 3 s`)));
  for await (const chunk of socket) process.stdout.write(chunk as Buffer);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  await (process.argv[2] === 'serve' ? serve() : ask(process.argv[3]!));
}
