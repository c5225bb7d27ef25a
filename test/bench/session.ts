// One session of the tester with the daemon under test.
import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { countPrefixes, keepalive, open, reader } from './wire.ts';

export interface Session {
  readonly socket: Socket;
  /** Prefixes announced to us less those withdrawn, since the session began. */
  readonly held: () => number;
  /** Resolves when that many are held. */
  holds(count: number): Promise<void>;
  /** The longest time between two messages from the daemon, ms. */
  readonly longestSilence: () => number;
  close(): void;
}

/** Dials the daemon from a local address until it takes the session; resolves when it is Established. */
export async function establish(setting: {
  readonly local: string;
  readonly remote: string;
  readonly asn: number;
  readonly holdSeconds: number;
}): Promise<Session> {
  for (let left = 100; ; left--) {
    try {
      return await attempt(setting);
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function attempt(setting: Parameters<typeof establish>[0]): Promise<Session> {
  const socket = connect({ host: setting.remote, port: 179, localAddress: setting.local });
  socket.setNoDelay(true);
  await once(socket, 'connect');
  socket.write(open(setting.asn, setting.holdSeconds, setting.local.split('.').map(Number)));
  let held = 0;
  let lastMessage = performance.now();
  let longestSilence = 0;
  const waiting = new Set<() => void>();
  const established = Promise.withResolvers<void>();
  const alive = setInterval(() => socket.write(keepalive), (setting.holdSeconds / 3) * 1000);
  socket.on('close', () => {
    clearInterval(alive);
    established.reject(new Error('the daemon closed the session'));
  });
  socket.on('error', (error) => established.reject(error));
  const read = reader((type, body) => {
    const now = performance.now();
    longestSilence = Math.max(longestSilence, now - lastMessage);
    lastMessage = now;
    if (type === 1) socket.write(keepalive);
    if (type === 4) established.resolve();
    if (type === 3) socket.destroy(new Error(`NOTIFICATION ${body[0]}/${body[1]}`));
    if (type !== 2) return;
    const { announced, withdrawn } = countPrefixes(body);
    held += announced - withdrawn;
    for (const look of waiting) look();
  });
  socket.on('data', read);
  await established.promise;
  return {
    socket,
    held: () => held,
    longestSilence: () => longestSilence,
    holds: (count) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (held !== count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    close: () => socket.destroy(),
  };
}
