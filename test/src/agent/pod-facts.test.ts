// What an ADD learns of its pod from the API server, and what it does without.
import { describe, expect, it } from 'vitest';
import { openPodDescriptions } from '../../../src/agent/pod-facts.ts';
import {
  KubeError,
  type KubeObject,
  type Reflect,
  type ReflectOptions,
  type ResourcePath,
} from '../../../src/kube/port.ts';

function object(kind: string, name: string, metadata: Partial<KubeObject['metadata']> = {}): KubeObject {
  return { apiVersion: 'v1', kind, metadata: { name, ...metadata } };
}

function lab(held: readonly KubeObject[], served: readonly KubeObject[]) {
  const asked: string[] = [];
  const warnings: object[] = [];
  let uptime = 0;
  const state = { mood: 'well' as 'well' | 'away' | 'silent', selector: '' };
  const reflect = ((_path: ResourcePath, { fieldSelector, keep }: ReflectOptions<KubeObject> = {}) => {
    state.selector = fieldSelector ?? '';
    const kept = held.map((one) => keep?.(one) ?? one);
    return {
      get: (name: string, namespace?: string) =>
        kept.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }) as unknown as Reflect;
  const { describe: describePod } = openPodDescriptions({
    reflect,
    node: 'a',
    patienceMs: 20,
    uptime: () => uptime,
    log: { warn: (fields: object) => void warnings.push(fields) },
    client: {
      get: async (path, name) => {
        asked.push(`${path.plural} ${name}`);
        if (state.mood === 'away') throw new KubeError('unavailable', 'connection refused');
        if (state.mood === 'silent') await new Promise(() => undefined);
        const found = served.find(
          ({ metadata }) => metadata.name === name && (metadata.namespace ?? undefined) === path.namespace,
        );
        return found as never;
      },
    },
  });
  return { describePod, asked, warnings, state, pass: (ms: number) => (uptime += ms) };
}

const annotations = { 'cni.projectcalico.org/ipv4pools': '["fast"]' };
const web = object('Pod', 'web', { namespace: 'shop', uid: 'u1', annotations });
const shop = object('Namespace', 'shop', {
  labels: { tier: 'gold' },
  annotations: { 'cni.projectcalico.org/ipv6pools': '["six"]' },
});

describe('a pod', () => {
  it('of this node is known without a question, and its namespace is asked for once in ten seconds', async () => {
    const { describePod, asked, state, pass } = lab([web], [shop]);
    const facts = await describePod({ namespace: 'shop', name: 'web', uid: 'u1' });
    expect(state.selector).toBe('spec.nodeName=a');
    expect(facts).toEqual({
      annotations,
      namespaceAnnotations: shop.metadata.annotations,
      namespaceLabels: { tier: 'gold' },
    });
    await describePod({ namespace: 'shop', name: 'web', uid: 'u1' });
    expect(asked).toEqual(['namespaces shop']);
    pass(10_000);
    await describePod({ namespace: 'shop', name: 'web', uid: 'u1' });
    expect(asked).toEqual(['namespaces shop', 'namespaces shop']);
  });

  it('that is new under an old name is asked for', async () => {
    const successor = { ...web, metadata: { ...web.metadata, uid: 'u2', annotations: { fresh: 'yes' } } };
    const { describePod, asked } = lab([web], [successor, shop]);
    const { annotations: found } = await describePod({ namespace: 'shop', name: 'web', uid: 'u2' });
    expect([found, asked]).toEqual([{ fresh: 'yes' }, ['pods web', 'namespaces shop']]);
  });

  it('that the API server does not know, a static one, has no annotations, and nothing is wrong', async () => {
    const { describePod, warnings } = lab([], [shop]);
    expect((await describePod({ namespace: 'shop', name: 'etcd-a' })).annotations).toEqual({});
    expect(warnings).toEqual([]);
  });
});

describe('while the API server is away', () => {
  it('what was heard last of the pod and its namespace counts', async () => {
    const { describePod, state, pass } = lab([web], [shop]);
    await describePod({ namespace: 'shop', name: 'web', uid: 'u1' });
    state.mood = 'away';
    pass(3_600_000);
    expect(await describePod({ namespace: 'shop', name: 'web', uid: 'u1' })).toEqual({
      annotations,
      namespaceAnnotations: shop.metadata.annotations,
      namespaceLabels: { tier: 'gold' },
    });
  });

  it.each(['away', 'silent'] as const)(
    'a pod that was never heard of has none, and the log says so (%s)',
    async (mood) => {
      const { describePod, warnings, state } = lab([], [web, shop]);
      state.mood = mood;
      expect(await describePod({ namespace: 'shop', name: 'web' })).toEqual({
        annotations: {},
        namespaceAnnotations: {},
      });
      expect(warnings).toHaveLength(2);
      expect(warnings).toContainEqual(expect.objectContaining({ pod: 'web', namespace: 'shop' }));
    },
  );
});
