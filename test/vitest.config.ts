// Every test of the repository. `node test/run.ts` starts this inside namespaces of its own.
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'test/cluster/**', 'test/bench/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Most tests wait for a kernel or a daemon, most of the time: on two cores vitest would run one file at a time.
    maxWorkers: Math.max(3, availableParallelism() - 1),
  },
});
