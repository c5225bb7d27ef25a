// `npm test`: every test that needs no Kubernetes (for those: test/cluster/run.ts), vitest's arguments passed through.
import { runSuite } from './lab/suite.ts';
import { provide, toolsOf } from './lab/tools.ts';

const { path, missing } = await provide(toolsOf('network'));
const config = new URL('vitest.config.ts', import.meta.url).pathname;
process.exitCode = await runSuite({ config, path, missing, args: process.argv.slice(2) });
