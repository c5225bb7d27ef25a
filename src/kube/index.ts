// The Kubernetes API as one value: whoever needs the API server is handed this, or the narrowest part of it.
import { setMaxListeners } from 'node:events';
import { createClient } from './client.ts';
import { type ConnectionOptions, openConnection } from './connection.ts';
import type { KubeClient, Reflect } from './port.ts';
import { createReflect } from './reflector.ts';
import { createTransport } from './transport.ts';

export * from './port.ts';

export interface Kube extends AsyncDisposable {
  /** For messages: "https://10.96.0.1:443". */
  readonly server: string;
  /** The namespace that we run in: as told, else of the service account or the kubeconfig's context, else kube-system. */
  readonly namespace: string;
  readonly client: KubeClient;
  readonly reflect: Reflect;
  /** Whatever is asked at present is not waited for, and nothing is asked any more. */
  giveUp(): void;
}

/**
 * Whom to talk to, and how. Nothing is sent yet: the server may be away.
 * @throws Error when kubeconfig or service account say nothing usable
 */
export async function openKube(options: ConnectionOptions & { readonly namespace?: string } = {}): Promise<Kube> {
  const connection = await openConnection(options);
  const stop = new AbortController();
  // Each exchange listens to it as long as it lasts, and there may be many.
  setMaxListeners(0, stop.signal);
  const client = createClient(createTransport(connection, stop.signal));
  return {
    server: connection.server,
    namespace: options.namespace ?? connection.namespace ?? 'kube-system',
    client,
    reflect: createReflect(client),
    giveUp: () => stop.abort(),
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}
