// The import arrows of DESIGN: bgp, fib and cni import only themselves and #ip; #ip imports nothing; src never imports
// test or deploy. Static, dynamic, re-exporting and bare imports all count.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { builtinModules } from 'node:module';
import { expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;

/** Which rooms and bare packages a room may import; node's built-ins are open to all but #ip. */
const arrows: Record<string, { rooms: readonly string[]; packages: 'none' | 'any' }> = {
  'src/ip': { rooms: ['src/ip'], packages: 'none' },
  bgp: { rooms: ['bgp', '#ip'], packages: 'none' },
  fib: { rooms: ['fib', '#ip'], packages: 'none' },
  cni: { rooms: ['cni', '#ip'], packages: 'none' },
  src: { rooms: ['src', 'bgp', 'fib', 'cni', '#ip'], packages: 'any' },
};

/** Every module specifier in a source text: import/export … from, bare import, import(), require(). */
export function specifiersIn(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const forms = [
    /^\s*(?:import|export)\s+(?:type\s+)?(?:[\w$]+\s*,?\s*)?(?:\{[^}]*\}|\*(?:\s+as\s+[\w$]+)?)?\s*from\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\b(?:import|require)\s*\(\s*['"`]([^'"`]+)['"`]/g,
  ];
  return forms.flatMap((form) => [...code.matchAll(form)].map((match) => match[1]!));
}

/** Why this import is not allowed in this file, or undefined. */
export function objection(file: string, specifier: string): string | undefined {
  const room = roomOf(file)!;
  const allowed = arrows[room]!;
  if (specifier.startsWith('node:') || builtinModules.includes(specifier)) {
    return room === 'src/ip' ? `${file} imports ${specifier}, and #ip imports nothing` : undefined;
  }
  if (specifier === '#ip') return allowed.rooms.includes('#ip') ? undefined : `${file} imports #ip`;
  if (specifier.startsWith('.')) {
    const target = relative(root, join(root, dirname(file), specifier));
    const targetRoom = roomOf(target) ?? target.split('/')[0]!;
    if (targetRoom === 'src/ip' && room !== 'src/ip') return `${file} reaches ${target} past #ip`;
    return allowed.rooms.includes(targetRoom) ? undefined : `${file} imports ${target}`;
  }
  return allowed.packages === 'any' ? undefined : `${file} imports the package ${specifier}`;
}

function roomOf(file: string): string | undefined {
  return Object.keys(arrows).find((room) => file.startsWith(`${room}/`));
}

const files = ['src', 'bgp', 'fib', 'cni'].flatMap((room) =>
  readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.[cm]?[jt]s$/.test(name))
    .map((name) => join(room, name)),
);

test('every room has sources to look at', () => {
  for (const room of Object.keys(arrows)) expect(files.filter((file) => roomOf(file) === room)).not.toEqual([]);
});

test('imports follow the arrows', () => {
  const found = files.flatMap((file) =>
    specifiersIn(readFileSync(join(root, file), 'utf8')).flatMap((specifier) => objection(file, specifier) ?? []),
  );
  expect(found).toEqual([]);
});

test.each([
  ['bgp/speaker.ts', `import { x } from '../fib/route.ts'`, 'bgp/speaker.ts imports fib/route.ts'],
  ['bgp/rib/a.ts', `const x = await import('../../src/agent.ts')`, 'bgp/rib/a.ts imports src/agent.ts'],
  ['fib/ip.ts', `import 'fastify'`, 'fib/ip.ts imports the package fastify'],
  ['cni/ops.ts', `export * from '../src/ip/index.ts'`, 'cni/ops.ts reaches src/ip/index.ts past #ip'],
  ['src/ip/a.ts', `import { join } from 'node:path'`, 'src/ip/a.ts imports node:path, and #ip imports nothing'],
  ['src/agent.ts', `import type { Host }\n  from '../test/lab/host.ts'`, 'src/agent.ts imports test/lab/host.ts'],
])('an arrow drawn the wrong way in %s is seen', (file, source, why) => {
  expect(specifiersIn(source).map((specifier) => objection(file, specifier))).toEqual([why]);
});
