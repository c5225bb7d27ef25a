// The tests against a real Kubernetes. `npm run test:cluster` starts this inside namespaces of its own.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/cluster/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // One after the other: a cluster of three nodes takes a small machine whole, and what is measured in there is packets.
    maxWorkers: 1,
  },
});
