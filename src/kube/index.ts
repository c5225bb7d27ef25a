// The Kubernetes API as one value: whoever needs the API server is handed this, or the narrowest part of it.
import { createClient } from './client.ts';
import { type ConnectionOptions, openConnection } from './connection.ts';
import type { KubeClient, Reflect } from './port.ts';
import { createReflect } from './reflector.ts';
import { createTransport } from './transport.ts';

export * from './port.ts';

export interface Kube extends AsyncDisposable {
  /** For messages: "https://10.96.0.1:443". */
  readonly server: string;
  /** The namespace that we run in, if the service account or the kubeconfig's context says one. */
  readonly namespace: string | undefined;
  readonly client: KubeClient;
  readonly reflect: Reflect;
}

/**
 * Whom to talk to, and how. Nothing is sent yet: the server may be away.
 * @throws Error when kubeconfig or service account say nothing usable
 */
export async function openKube(options: ConnectionOptions = {}): Promise<Kube> {
  const connection = await openConnection(options);
  const client = createClient(createTransport(connection));
  return {
    server: connection.server,
    namespace: connection.namespace,
    client,
    reflect: createReflect(client),
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}
