// Pings between many pairs at once, and long pings that count what they lose.
import { once } from 'node:events';
import type { Host } from './host.ts';

export interface Party {
  readonly name: string;
  readonly host: Host;
  readonly addresses: readonly string[];
}

/** One ping between every ordered pair, on every address of the target: the pairs that got no answer, in words. */
export async function unreachable(parties: readonly Party[]): Promise<{ tried: number; lost: string[] }> {
  const pairs = parties.flatMap((from) =>
    parties.filter((to) => to !== from).flatMap((to) => to.addresses.map((address) => ({ from, to, address }))),
  );
  const lost: string[] = [];
  const queue = pairs.values();
  const worker = async (): Promise<void> => {
    for (const { from, to, address } of queue) {
      const { code } = await from.host.run('ping', ['-c', '1', '-W', '2', address], { mayFail: true });
      if (code !== 0) lost.push(`${from.name} -> ${to.name} (${address})`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return { tried: pairs.length, lost };
}

export interface PingCount {
  readonly sent: number;
  readonly received: number;
}

/** A ping every 10 ms until it is told to stop; then what was sent and what came back. */
export function startPing(from: Host, address: string): { stop(): Promise<PingCount> } {
  // -W so that replies on their way at the end still count; SIGINT makes ping print its summary.
  const ping = from.start('ping', ['-n', '-q', '-i', '0.01', '-W', '1', address], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  ping.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
  ping.stderr!.setEncoding('utf8').on('data', (text: string) => (output += text));
  return {
    async stop() {
      const end = once(ping, 'close');
      ping.kill('SIGINT');
      await end;
      const counts = output.match(/(\d+) packets transmitted, (\d+) received/);
      if (counts === null) throw new Error(`ping of ${address} said: ${output}`);
      return { sent: Number(counts[1]), received: Number(counts[2]) };
    },
  };
}
