// `npm run test:cluster`: the tests that need a real Kubernetes, vitest's arguments passed through.
import { provideHelm } from '../lab/helm.ts';
import { provideKubernetes } from '../lab/kubernetes/programs.ts';
import { runSuite } from '../lab/suite.ts';
import { provide, toolsOf } from '../lab/tools.ts';

const { path, missing } = await provide([...toolsOf('network'), ...toolsOf('cluster')]);
const kubernetes = await provideKubernetes(path);
const helm = await provideHelm(kubernetes.path);
const config = new URL('vitest.config.ts', import.meta.url).pathname;
process.exitCode = await runSuite({
  config,
  path: helm.path,
  missing: new Map([...missing, ...kubernetes.missing, ...helm.missing]),
  args: process.argv.slice(2),
});
