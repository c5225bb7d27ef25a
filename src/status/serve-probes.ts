// /readyz and /livez over HTTP, for whoever started the agent. Off unless an address is given: without a kubelet nobody
// asks. It says nothing that a stranger may not know, takes nothing, and does as little as can be done per request.
import { type Server, createServer } from 'node:http';
import type { Address } from '#ip';
import { type Check, probeText } from './probes.ts';
import type { Failure } from '../agent/status.ts';

export interface ProbeSource {
  readiness(): readonly Check[];
  liveness(): readonly Check[];
  failures(): readonly Failure[];
}

/** A probe is one short request; nobody is waited for. */
const REQUEST_MS = 5_000;

/** @throws an Error of listen(2) */
export async function serveProbes(
  { address, port }: { readonly address: Address; readonly port: number },
  source: ProbeSource,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer({ requestTimeout: REQUEST_MS, keepAliveTimeout: REQUEST_MS }, (request, response) => {
    const checks = request.method === 'GET' ? answers[request.url ?? '']?.(source) : undefined;
    const status = checks === undefined ? 404 : checks.every(({ good }) => good) ? 200 : 503;
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(checks === undefined ? 'GET /readyz or /livez\n' : probeText(checks, source.failures()));
  });
  await listen(server, port, address);
  const bound = server.address();
  return {
    port: bound !== null && typeof bound === 'object' ? bound.port : port,
    [Symbol.asyncDispose]: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeAllConnections();
      await promise;
    },
  };
}

const answers: Readonly<Record<string, (source: ProbeSource) => readonly Check[]>> = {
  '/readyz': (source) => source.readiness(),
  '/livez': (source) => source.liveness(),
};

async function listen(server: Server, port: number, host: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, resolve);
  await promise;
  server.off('error', reject);
}
