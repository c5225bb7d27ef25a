// bgp/ as a library: packed with npm, put into another project, the example of its README compiles and runs there, with
// nothing but Node and without privileges.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = new URL('../..', import.meta.url).pathname;
const run = promisify(execFile);
const example = readFileSync(join(root, 'bgp/README.md'), 'utf8').match(/```ts\n([\s\S]+?)```/)![1]!;

/** A folder with `node_modules/manx-bgp` as npm would install it, and `example.ts`. */
const project = mkdtempSync(join(tmpdir(), 'manx-library-'));
const installed = join(project, 'node_modules/manx-bgp');

beforeAll(async () => {
  const source = join(project, 'source');
  await run(process.execPath, [join(root, 'deploy/pack-bgp.ts'), '--out', source]);
  const options = ['--ignore-scripts', '--offline', '--silent', '--pack-destination', project];
  await run('npm', ['pack', source, ...options], { env: { ...process.env, npm_config_cache: join(project, 'cache') } });
  rmSync(source, { recursive: true });
  mkdirSync(installed, { recursive: true });
  const [tarball] = readdirSync(project).filter((name) => name.endsWith('.tgz'));
  await run('tar', ['-xzf', join(project, tarball!), '-C', installed, '--strip-components', '1']);
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(project, 'example.ts'), example);
});

afterAll(() => rmSync(project, { recursive: true }));

test('the package depends on nothing, and every import in it leads to a file of it or to Node', () => {
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Record<string, unknown>;
  expect(Object.keys(manifest).filter((key) => /dependencies|scripts/i.test(key))).toEqual([]);
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((name) => /\.(js|d\.ts)$/.test(name));
  expect(sources.filter((name) => name.endsWith('.d.ts')).length).toBeGreaterThan(50);
  const specifiers = sources.flatMap((name) =>
    [...readFileSync(join(installed, name), 'utf8').matchAll(/(?:from|import\() ?['"]([^'"]+)['"]/g)].map(([, to]) => {
      return to!.startsWith('.') ? files.includes(join(name, '..', to!)) || `${name} imports ${to}` : to!;
    }),
  );
  const odd = specifiers.filter((each) => each !== true && each !== '#ip' && !each.startsWith('node:'));
  expect(odd).toEqual([]);
  expect(files.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))).toEqual([]);
});

test('the example has about twenty lines, and runs elsewhere without privileges and ends by itself', async () => {
  expect(example.split('\n').filter((line) => line.trim() !== '').length).toBeLessThan(25);
  const command = `grep CapEff /proc/self/status && exec '${process.execPath}' example.ts`;
  const without = ['--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', 'sh', '-c', command];
  const { stdout, stderr } = await run('setpriv', without, { cwd: project, timeout: 30_000 });
  const capabilities = `CapEff:\t${'0'.repeat(16)}`;
  expect([stdout, stderr]).toEqual([`${capabilities}\n10.82.0.0/26 via 192.0.2.1 from node\n`, '']);
});

test('the example compiles against the declarations of the package, which are whole', async () => {
  const compilerOptions = {
    ...{ target: 'esnext', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: false },
    ...{ exactOptionalPropertyTypes: true, types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
  };
  const config = join(project, 'tsconfig.json');
  writeFileSync(config, JSON.stringify({ compilerOptions, files: ['example.ts'] }));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const compile = () =>
    run(process.execPath, [tsc, '-p', config]).then(
      () => '',
      ({ stdout }: { stdout: string }) => stdout,
    );
  expect(await compile()).toBe('');
  // And they say something.
  writeFileSync(join(project, 'example.ts'), example.replace('asn: 64512,', `asn: '64512',`));
  expect(await compile()).toContain("Type 'string' is not assignable to type 'number'");
});
