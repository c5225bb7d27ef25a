// The tests against a real Kubernetes. `npm run test:cluster` starts this inside namespaces of its own.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/cluster/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // An API server and its etcd keep a core busy while they start.
    maxWorkers: 2,
  },
});
