// What the API server says of a pod and its namespace: annotations, and the namespace's labels. The runtime passes none.
//
// A reflection holds the pods of this node, so an ADD asks nothing as a rule. What it does not hold is asked for, but not
// for long: a runtime waits. While the API server is away, what was heard last counts; of a pod or namespace that was
// never heard of nothing is known, and it is wired as if it had no annotations, which is said in the log. An agent that
// refused such pods would let none start in the very hour in which it was restarted, and hardly any pod has annotations.
import { setTimeout as pause } from 'node:timers/promises';
import type { DescribePod, PodFacts } from '../../cni/port.ts';
import type { KubeClient, KubeObject, Reflect, Reflection, ResourcePath } from '../kube/port.ts';
import type { Log } from '../log.ts';

export interface PodFactsOptions {
  readonly client: Pick<KubeClient, 'get'>;
  readonly reflect: Reflect;
  readonly node: string;
  readonly log: Pick<Log, 'warn'>;
  /** How long an ADD waits for an answer. */
  readonly patienceMs?: number;
  /** Monotonic ms. */
  readonly uptime?: () => number;
}

export interface PodDescriptions extends AsyncDisposable {
  readonly describe: DescribePod;
}

type Metadata = Pick<KubeObject['metadata'], 'annotations' | 'labels'>;

const PATIENCE_MS = 2000;
/** A namespace's word changes seldom, and a burst of pods asks once. */
const NAMESPACE_FRESH_MS = 10_000;

const pods: ResourcePath = { group: '', version: 'v1', plural: 'pods' };
const namespaces: ResourcePath = { group: '', version: 'v1', plural: 'namespaces' };

export function openPodDescriptions(options: PodFactsOptions): PodDescriptions {
  const { reflect, node } = options;
  const here = reflect(pods, { fieldSelector: `spec.nodeName=${node}`, keep: onlyMetadata });
  const known = new Map<string, { readonly metadata: Metadata; readonly at: number }>();
  return {
    async describe(pod): Promise<PodFacts> {
      const [own, namespace] = await Promise.all([
        podMetadata(options, here, pod),
        namespaceMetadata(options, known, pod.namespace),
      ]);
      return {
        annotations: own?.annotations ?? {},
        namespaceAnnotations: namespace?.annotations ?? {},
        ...(namespace?.labels && { namespaceLabels: namespace.labels }),
      };
    },
    [Symbol.asyncDispose]: () => here[Symbol.asyncDispose](),
  };
}

async function podMetadata(
  options: PodFactsOptions,
  here: Reflection<KubeObject>,
  { namespace, name, uid }: Parameters<DescribePod>[0],
): Promise<Metadata | undefined> {
  const held = here.get(name, namespace)?.metadata;
  // Of a pod of that name there may have been an earlier one (a StatefulSet's).
  if (held !== undefined && (uid === undefined || held.uid === uid)) return held;
  try {
    // Unknown to the API server: a static pod whose mirror is still to be made. It has no annotations there.
    return (await bounded(options, options.client.get({ ...pods, namespace }, name)))?.metadata;
  } catch (error) {
    const { message } = error as Error;
    options.log.warn(
      { namespace, pod: name, error: message },
      'wired as a pod without annotations: they are not known',
    );
    return undefined;
  }
}

async function namespaceMetadata(
  options: PodFactsOptions,
  known: Map<string, { readonly metadata: Metadata; readonly at: number }>,
  name: string,
): Promise<Metadata | undefined> {
  const uptime = options.uptime ?? (() => performance.now());
  const before = known.get(name);
  if (before !== undefined && uptime() - before.at < NAMESPACE_FRESH_MS) return before.metadata;
  try {
    const present = await bounded(options, options.client.get(namespaces, name));
    if (present === undefined) return undefined;
    const { annotations, labels } = present.metadata;
    const metadata = { ...(annotations && { annotations }), ...(labels && { labels }) };
    known.set(name, { metadata, at: uptime() });
    return metadata;
  } catch (error) {
    const { message } = error as Error;
    const knows = before === undefined ? 'nothing' : 'what it said last';
    options.log.warn({ namespace: name, error: message, knows }, 'the namespace of a pod cannot be read');
    return before?.metadata;
  }
}

async function bounded<T>({ patienceMs = PATIENCE_MS }: PodFactsOptions, answer: Promise<T>): Promise<T> {
  const enough = new AbortController();
  const late = pause(patienceMs, undefined, { signal: enough.signal, ref: false }).then(() => {
    throw new Error(`no answer within ${patienceMs} ms`);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    // Whichever lost is nobody's business any more.
    enough.abort();
    late.catch(() => undefined);
    answer.catch(() => undefined);
  }
}

function onlyMetadata({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, annotations } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(annotations && { annotations }),
    },
  };
}
