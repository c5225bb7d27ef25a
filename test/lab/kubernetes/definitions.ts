// The kinds of deploy/crds in an API server, ready for use.
import type { ApiServer } from './api-server.ts';

const folder = new URL('../../../deploy/crds', import.meta.url).pathname;

export async function installDefinitions(server: Pick<ApiServer, 'kubectl'>): Promise<void> {
  await server.kubectl(['apply', '--server-side', '-k', folder]);
  const all = ['crd', '-l', 'app.kubernetes.io/part-of=manx'];
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...all]);
}
