// Bundles the three programs into dist/: node deploy/build.ts [--node PATH] [--out DIR]
//
// Each entry file is a program of its own: import.meta.main is true in every module that is inlined into a bundle, so
// nothing here relies on it. The plugin is CommonJS, which starts a few milliseconds faster, and a runtime executes it
// directly: its first line names the Node that runs it.
import { build } from 'esbuild';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = new URL('..', import.meta.url).pathname;

const programs = [
  { entry: 'src/main.ts', name: 'manxd.mjs', format: 'esm' },
  { entry: 'src/cli/main.ts', name: 'manxctl.mjs', format: 'esm' },
  { entry: 'cni/plugin.ts', name: 'manx', format: 'cjs' },
] as const;

// Dependencies that are CommonJS call require(); an ES module has to be given one.
const requireForEsm =
  "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);";

const { values } = parseArgs({
  options: { node: { type: 'string' }, out: { type: 'string', default: join(root, 'dist') } },
});
if (values.node !== undefined && !isAbsolute(values.node))
  throw new Error(`--node ${values.node}: is no absolute path`);
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
const out = resolve(values.out);
await mkdir(out, { recursive: true });
await Promise.all(programs.map(writeProgram));

async function writeProgram({ entry, name, format }: (typeof programs)[number]): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [join(root, entry)],
    format,
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node26',
    legalComments: 'none',
    logLevel: 'warning',
    define: { MANX_VERSION: JSON.stringify(version) },
    ...(format === 'esm' && { banner: { js: requireForEsm } }),
  });
  // An entry file may have a first line of its own, for running from sources.
  const code = outputFiles[0]!.text.replace(/^#!.*\n/, '');
  const file = join(out, name);
  // By rename: a program that is being executed, or started just now, is never half of two.
  await writeFile(`${file}.new`, `${firstLine()}\n${code}`, { mode: 0o755 });
  await rename(`${file}.new`, file);
}

/** env -S where Node is looked up: it alone takes more words than one. The kernel reads 255 bytes. */
function firstLine(): string {
  // bgp's socket options go through node:ffi, whose warning belongs into no log.
  const option = '--disable-warning=ExperimentalWarning';
  const line = values.node === undefined ? `#!/usr/bin/env -S node ${option}` : `#!${values.node} ${option}`;
  if (Buffer.byteLength(line) > 255) throw new Error(`--node ${values.node}: too long for the first line of a program`);
  return line;
}
