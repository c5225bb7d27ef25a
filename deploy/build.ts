// Bundles the three programs into dist/: node deploy/build.ts [--node PATH] [--out DIR]
//
// Each entry file is a program of its own: import.meta.main is true in every module that is inlined into a bundle, so
// nothing here relies on it. The plugin is CommonJS, which starts a few milliseconds faster, and a runtime executes it
// directly: its first line names the Node that runs it.
import { build } from 'esbuild';
import { chmod } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { parseArgs } from 'node:util';

const root = new URL('..', import.meta.url).pathname;

const programs = [
  { entry: 'src/main.ts', out: 'manxd.mjs', format: 'esm' },
  { entry: 'src/cli/main.ts', out: 'manxctl.mjs', format: 'esm' },
  { entry: 'cni/plugin.ts', out: 'manx', format: 'cjs' },
] as const;

// Dependencies that are CommonJS call require(); an ES module has to be given one.
const requireForEsm =
  "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);";

const { values } = parseArgs({
  options: { node: { type: 'string' }, out: { type: 'string', default: join(root, 'dist') } },
});
if (values.node !== undefined && !isAbsolute(values.node))
  throw new Error(`--node ${values.node}: is no absolute path`);
for (const { entry, out, format } of programs) await bundle(entry, join(values.out, out), format);

async function bundle(entry: string, outfile: string, format: 'esm' | 'cjs'): Promise<void> {
  await build({
    entryPoints: [join(root, entry)],
    outfile,
    format,
    bundle: true,
    platform: 'node',
    target: 'node26',
    legalComments: 'none',
    logLevel: 'warning',
    banner: { js: [shebang(), ...(format === 'esm' ? [requireForEsm] : [])].join('\n') },
  });
  await chmod(outfile, 0o755);
}

/** env -S where Node is looked up: it alone takes more words than one. The kernel takes 255 bytes. */
function shebang(): string {
  const options = '--disable-warning=ExperimentalWarning';
  const line = values.node === undefined ? `#!/usr/bin/env -S node ${options}` : `#!${values.node} ${options}`;
  if (line.length > 255) throw new Error(`--node: ${values.node} is too long for the first line of a program`);
  return line;
}
