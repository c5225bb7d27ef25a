// Asking the pods that answer who asks: HTTP from any host of the lab. Run as a program by its own functions.
import type { Host } from '../host.ts';

export interface EchoAnswer {
  /** host:port as asked. */
  readonly asked: string;
  /** The address that the pod saw, or why there was no answer. */
  readonly client?: string;
  readonly pod?: string;
  readonly error?: string;
}

/** Asks pods or Services by address, each once, all at the same time. */
export async function askEcho(from: Host, addresses: readonly string[], port = 8080): Promise<EchoAnswer[]> {
  const targets = addresses.map((address) => `${address.includes(':') ? `[${address}]` : address}:${port}`);
  const { stdout } = await from.run(process.execPath, [new URL(import.meta.url).pathname, ...targets]);
  return JSON.parse(stdout) as EchoAnswer[];
}

async function ask(asked: string): Promise<EchoAnswer> {
  try {
    const answer = await fetch(`http://${asked}/cgi-bin/whoami`, { signal: AbortSignal.timeout(5000) });
    const [client, pod] = (await answer.text()).split(' ');
    return { asked, client: client!.replace(/^\[(::ffff:)?|\]$/g, ''), pod: pod! };
  } catch (error) {
    const { cause, message } = error as Error;
    return { asked, error: cause instanceof Error ? cause.message : message };
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  console.log(JSON.stringify(await Promise.all(process.argv.slice(2).map(ask))));
}
