// What manxctl works on: the agent of this node, a cluster, or a folder in which no agent runs.
//
// As with calicoctl, DATASTORE_TYPE=kubernetes and KUBECONFIG lead to a cluster; --kubeconfig does so by itself. Without
// a word about it the agent of this node is asked, and where none answers, what else there is.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Kube } from '../kube/index.ts';
import type { Store } from '../store/port.ts';
import { openFileStore } from '../store/file.ts';
import type { Api } from './client.ts';
import { CliError } from './exit.ts';

export interface Choice {
  readonly config?: string;
  readonly datastore?: string;
  readonly kubeconfig?: string;
  /** It was asked for a cluster, whatever answers here. */
  readonly cluster: boolean;
  /** We run in a pod, whose service account leads to the cluster. */
  readonly inPod: boolean;
}

export type Target =
  | { readonly at: 'agent'; readonly api: Api }
  | { readonly at: 'folder'; readonly store: Store }
  | { readonly at: 'cluster'; readonly store: Store; readonly kube: Kube };

export type OpenTarget<T extends Target = Target> = () => Promise<T & AsyncDisposable>;

/** @throws CliError when there is nothing to work on */
export async function openTarget(api: Api, choice: Choice): Promise<Target & AsyncDisposable> {
  if (choice.cluster) return openCluster(choice.kubeconfig);
  const away = await api.get('/v1/version').then(
    () => undefined,
    (error: unknown) => error,
  );
  if (away === undefined) return { at: 'agent', api, [Symbol.asyncDispose]: async () => undefined };
  if (!(away instanceof CliError)) throw away;
  if (choice.config !== undefined) return openFolder(choice.config, choice.datastore);
  if (choice.kubeconfig !== undefined || choice.inPod) {
    return openCluster(choice.kubeconfig);
  }
  throw new CliError(away.ending, [
    ...away.lines,
    'a cluster:      manxctl --kubeconfig FILE, or DATASTORE_TYPE=kubernetes',
  ]);
}

/** For what only the datastore itself can tell or take. @throws CliError */
export async function openStore(choice: Choice): Promise<Exclude<Target, { at: 'agent' }> & AsyncDisposable> {
  if (!choice.cluster && choice.config !== undefined && choice.datastore !== undefined) {
    return openFolder(choice.config, choice.datastore);
  }
  if (choice.cluster || choice.kubeconfig !== undefined) return openCluster(choice.kubeconfig);
  throw new CliError('usage', [
    'this is done in the datastore itself, not through an agent',
    'a cluster:  manxctl --kubeconfig FILE, or DATASTORE_TYPE=kubernetes',
    'files:      manxctl --config DIR --datastore DIR, the folders of the agents',
  ]);
}

async function openFolder(
  config: string,
  datastore = `${config}/datastore`,
): Promise<Extract<Target, { at: 'folder' }> & AsyncDisposable> {
  const store = await openFileStore({ config, datastore });
  return { at: 'folder', store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** What talks to Kubernetes is loaded only where it is wanted: it is most of the program. */
export async function openCluster(
  kubeconfig: string | undefined,
): Promise<Extract<Target, { at: 'cluster' }> & AsyncDisposable> {
  const [{ openKube }, { openKubernetesStore }] = await Promise.all([
    import('../kube/index.ts'),
    import('../store/kubernetes.ts'),
  ]);
  const file = kubeconfigFile(kubeconfig);
  const kube = await openKube(file === undefined ? {} : { kubeconfig: file }).catch((cause: unknown) => {
    throw new CliError('usage', [
      `there is no way to a cluster: ${(cause as Error).message}`,
      'name one:  manxctl --kubeconfig FILE, or KUBECONFIG',
    ]);
  });
  try {
    // A server that does not answer, or not us, says so here at once.
    await kube.client.read('/version');
    // Nobody's affinities are held: whoever asks for them gets them from the server.
    const store = await openKubernetesStore({ kube, node: '' });
    const trouble = await whyNotInStep(store);
    if (trouble !== undefined) {
      await store[Symbol.asyncDispose]();
      throw new CliError('unreachable', [`the cluster at ${kube.server} cannot be read: ${trouble}`]);
    }
    const dispose = async (): Promise<void> => {
      await store[Symbol.asyncDispose]();
      await kube[Symbol.asyncDispose]();
    };
    return { at: 'cluster', store, kube, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await kube[Symbol.asyncDispose]();
    throw error;
  }
}

const IN_STEP_WITHIN_MS = 30_000;

/** A server that has much to do, or a store that has much to tell, is waited for a little longer than an agent waits. */
async function whyNotInStep(store: Store): Promise<string | undefined> {
  for (const end = Date.now() + IN_STEP_WITHIN_MS; ; await pause(100)) {
    const { inStepSince, error } = store.status();
    if (inStepSince !== undefined) return undefined;
    if (Date.now() > end) return error ?? 'it has not told everything';
  }
}

/** As kubectl finds it; of several files in KUBECONFIG the first that is there. Undefined in a pod. */
function kubeconfigFile(given: string | undefined): string | undefined {
  if (given !== undefined) {
    const files = given.split(delimiter).filter((file) => file !== '');
    return files.find((file) => existsSync(file)) ?? files[0];
  }
  const usual = join(homedir(), '.kube/config');
  return existsSync(usual) ? usual : undefined;
}
