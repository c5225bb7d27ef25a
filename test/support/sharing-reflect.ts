// Many agents in one process: what the API server tells all of them alike is reflected once for all, and what is of one
// node alone (by a label selector) by each itself. So the server bears what agents of their own would ask of it after
// their start, and the process does not hold everything a thousand times.
import type { KubeObject, Reflect, Reflection } from '../../src/kube/port.ts';

export interface SharingReflect extends AsyncDisposable {
  readonly reflect: Reflect;
}

export function shareReflections(reflect: Reflect): SharingReflect {
  const shared = new Map<string, Reflection<KubeObject>>();
  return {
    reflect: (path, options) => {
      if (options?.labelSelector !== undefined) return reflect(path, options);
      const key = JSON.stringify(path);
      const one = (shared.get(key) ?? reflect(path, options)) as Reflection<never>;
      shared.set(key, one);
      return {
        ready: one.ready,
        all: () => one.all(),
        get: (name, namespace) => one.get(name, namespace),
        watch: (look) => one.watch(look),
        status: () => one.status(),
        // Whoever shares it ends it.
        [Symbol.asyncDispose]: async () => {},
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...shared.values()].map((one) => one[Symbol.asyncDispose]()));
    },
  };
}
