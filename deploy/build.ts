// Bundles the three programs into dist/: node deploy/build.ts [--node PATH] [--out DIR]
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle, programs, root } from './bundle.ts';

const { values } = parseArgs({
  options: { node: { type: 'string' }, out: { type: 'string', default: join(root, 'dist') } },
});
await bundle(programs, resolve(values.out), values.node);
