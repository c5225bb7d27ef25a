// The plugin as it is shipped: one CommonJS file without any package.
import { build } from 'esbuild';

const entry = new URL('../../../cni/plugin.ts', import.meta.url).pathname;

/** Bundles the plugin into a folder and returns the file. @throws when it needs anything but node's own modules. */
export async function bundlePlugin(folder: string): Promise<string> {
  const outfile = `${folder}/manx.cjs`;
  const { metafile } = await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'cjs',
    minify: true,
    metafile: true,
    logLevel: 'warning',
  });
  const packages = Object.keys(metafile.inputs).filter((input) => input.includes('node_modules'));
  if (packages.length > 0) throw new Error(`the plugin carries packages: ${packages.join(', ')}`);
  return outfile;
}
