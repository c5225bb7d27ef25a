// Makes an npm package of bgp/: node deploy/pack-bgp.ts [--out DIR]
//
// The folder holds JavaScript and declarations, file by file as in bgp/, so that stack traces and declarations lead to
// something readable; `#ip` is part of it and resolved by the package's own "imports". It depends on nothing.
// `npm pack DIR` or `npm publish DIR` does the rest.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = new URL('..', import.meta.url).pathname;
const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'dist/bgp') } } });
const out = resolve(values.out);

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await compile();
await mendDeclarations();
await writeFile(join(out, 'package.json'), `${JSON.stringify(await manifest(), undefined, 2)}\n`);
await copyFile(join(root, 'LICENSE'), join(out, 'LICENSE'));
await copyFile(join(root, 'bgp/README.md'), join(out, 'README.md'));
await copyFile(join(root, 'bgp/STATEMENTS.md'), join(out, 'STATEMENTS.md'));
console.log(out);

/** Everything that bgp/index.ts reaches, under out/bgp and out/src/ip. */
async function compile(): Promise<void> {
  const config = join(out, 'tsconfig.json');
  const compilerOptions = {
    ...{ noEmit: false, allowImportingTsExtensions: false, rewriteRelativeImportExtensions: true, declaration: true },
    ...{ rootDir: root, outDir: out, typeRoots: [join(root, 'node_modules/@types')] },
  };
  const files = [join(root, 'bgp/index.ts')];
  await writeFile(
    config,
    JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions, files, include: [] }),
  );
  const tsc = spawn(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', config], {
    stdio: 'inherit',
  });
  const [code] = (await once(tsc, 'exit')) as [number | null];
  await rm(config);
  if (code !== 0) throw new Error('bgp/ does not compile: see what tsc says above');
}

/** tsc leaves `./x.ts` in declarations as it is; beside them there is an `x.js`. */
async function mendDeclarations(): Promise<void> {
  for (const name of await readdir(out, { recursive: true })) {
    if (!name.endsWith('.d.ts')) continue;
    const text = await readFile(join(out, name), 'utf8');
    await writeFile(join(out, name), text.replace(/(['"]\.{1,2}\/[^'"]*)\.ts(?=['"])/g, '$1.js'));
  }
}

async function manifest(): Promise<Record<string, unknown>> {
  const text = await readFile(join(root, 'package.json'), 'utf8');
  const { version, license } = JSON.parse(text) as Record<string, string>;
  return {
    name: 'manx-bgp',
    version,
    description: 'A BGP-4 speaker: told what to be, it says what came of it',
    license,
    type: 'module',
    engines: { node: '>=26' },
    exports: { '.': { types: './bgp/index.d.ts', default: './bgp/index.js' } },
    imports: { '#ip': { types: './src/ip/index.d.ts', default: './src/ip/index.js' } },
    sideEffects: false,
  };
}
