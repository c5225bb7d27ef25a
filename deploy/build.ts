// Bundles the three programs into dist/, manxctl also as the plugin of kubectl: node deploy/build.ts [--node PATH] [--out DIR]
import { rm, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle, programs, root } from './bundle.ts';

const { values } = parseArgs({
  options: { node: { type: 'string' }, out: { type: 'string', default: join(root, 'dist') } },
});
const out = resolve(values.out);
await bundle(programs, out, { node: values.node });
// kubectl takes a program of this name on the PATH for `kubectl manx`: the same one, which then works on the cluster.
const plugin = join(out, 'kubectl-manx');
await rm(plugin, { force: true });
await symlink('manxctl.mjs', plugin);
