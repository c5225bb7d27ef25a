// Bundles the programs, one file each.
//
// Each entry file is a program of its own: import.meta.main is true in every module that is inlined into a bundle, so
// nothing here relies on it. The plugin is CommonJS, which starts a few milliseconds faster, and a runtime executes it
// directly: its first line names the Node that runs it.
import { type Plugin, build } from 'esbuild';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';

export const root = new URL('..', import.meta.url).pathname;

export interface Program {
  readonly entry: string;
  readonly name: string;
  readonly format: 'esm' | 'cjs';
}

export const programs: readonly Program[] = [
  { entry: 'src/main.ts', name: 'manxd.mjs', format: 'esm' },
  { entry: 'src/cli/main.ts', name: 'manxctl.mjs', format: 'esm' },
  { entry: 'cni/plugin.ts', name: 'manx', format: 'cjs' },
];

// Dependencies that are CommonJS call require(); an ES module has to be given one.
const requireForEsm =
  "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);";

export async function versionOf(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  return version;
}

export interface BundleOptions {
  /** The absolute path of what runs them, else whatever PATH leads to. */
  readonly node?: string | undefined;
  /** What they say that they are, else what package.json says. */
  readonly version?: string | undefined;
}

/** Writes the bundles into a folder. */
export async function bundle(wanted: readonly Program[], out: string, options: BundleOptions = {}): Promise<void> {
  const { node, version = await versionOf() } = options;
  if (node !== undefined && !isAbsolute(node)) throw new Error(`--node ${node}: is no absolute path`);
  await mkdir(out, { recursive: true });
  await Promise.all(
    wanted.map(async (program) => {
      const file = join(out, program.name);
      // By rename: a program that is being executed, or started just now, is never half of two.
      await writeFile(`${file}.new`, `${firstLine(node)}\n${await codeOf(program, version)}`, { mode: 0o755 });
      await rename(`${file}.new`, file);
    }),
  );
}

async function codeOf({ entry, format }: Program, version: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(root, entry)],
    // What is written does not depend on where it was written.
    absWorkingDir: root,
    format,
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node26',
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [withoutModels],
    define: { MANX_VERSION: JSON.stringify(version) },
    ...(format === 'esm' && { banner: { js: requireForEsm } }),
  });
  // An entry file may have a first line of its own, for running from sources.
  return outputFiles[0]!.text.replace(/^#!.*\n/, '');
}

/**
 * KubeConfig takes two names out of the index of all generated models of the API, which does nothing to show that it
 * could be left out: 18 MB, parsed at every start. Here it gets them from the modules that define them.
 */
const withoutModels: Plugin = {
  name: 'without-models',
  setup(bundling) {
    bundling.onResolve({ filter: /^\.\/gen\/index\.js$/ }, ({ importer, resolveDir, path }) =>
      importer.endsWith('/@kubernetes/client-node/dist/config.js')
        ? { path: join(resolveDir, path), namespace: 'without-models' }
        : undefined,
    );
    bundling.onLoad({ filter: /.*/, namespace: 'without-models' }, ({ path }) => ({
      contents:
        "export { createConfiguration } from './configuration.js'; export { ServerConfiguration } from './servers.js';",
      resolveDir: dirname(path),
    }));
  },
};

/** env -S where Node is looked up: it alone takes more words than one. The kernel reads 255 bytes. */
function firstLine(node: string | undefined): string {
  // bgp's socket options go through node:ffi, whose warning belongs into no log.
  const option = '--disable-warning=ExperimentalWarning';
  const line = node === undefined ? `#!/usr/bin/env -S node ${option}` : `#!${node} ${option}`;
  if (Buffer.byteLength(line) > 255) throw new Error(`--node ${node}: too long for the first line of a program`);
  return line;
}
