// What is in the image, and nothing else is: the runtime that the host gets as well, the programs, `nft`, and the few
// files that a system without a shell still wants.
//
//   /opt/manx/rt-VERSION   node, ip, their libraries: at the same path on the host, where the plugin runs by it
//   /usr/lib/manx          the bundles, nft and its libraries, and checksums.json of what is installed on the host
//   /usr/bin, /usr/sbin    links to them
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tool } from '../debian.ts';
import { type Program, bundle, programs, root } from '../bundle.ts';
import { type Executable, findProgram, interpreterIn, librariesFor, relocate } from './elf.ts';
import { type Entry, sha256 } from './tar.ts';

const iproute: Tool = { package: 'iproute2', commands: { ip: 'ip' } };
const nftables: Tool = { package: 'nftables', commands: { nft: 'nft' } };

/** Where the runtime is, in the image and on hosts. */
export const runtimeHome = 'opt/manx';
const library = 'usr/lib/manx';

/** What else runs in the image. */
const helpers = ['install', 'uninstall'].map((name): Program => ({
  entry: `deploy/image/${name}.ts`,
  name: `manx-${name}.mjs`,
  format: 'esm',
}));

const texts: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/:/sbin/nologin\n',
  'etc/group': 'root:x:0:\n',
  'etc/nsswitch.conf': 'hosts: files dns\n',
};

/** Where volumes are mounted: a read-only root needs them to be there. */
const folders = ['dev', 'etc/manx', 'host', 'proc', 'run/manx', 'run/netns', 'sys', 'tmp', 'var/lib/manx'];

export interface Contents {
  readonly entries: readonly Entry[];
  /** Absolute. */
  readonly runtime: string;
}

export async function assemble(version: string): Promise<Contents> {
  const scratch = await mkdtemp(join(tmpdir(), 'manx-image-'));
  try {
    const runtime = await assembleRuntime(scratch);
    const nft = await assembleNft(runtime, scratch);
    const bundles = await assembleBundles(runtime, scratch, version);
    const checksums = checksumsOf([...runtime.entries, ...bundles.filter(({ path }) => path === `${library}/manx`)]);
    return {
      runtime: `/${runtime.home}`,
      entries: [
        ...[...runtime.entries, ...nft, ...bundles],
        file(`${library}/checksums.json`, Buffer.from(`${JSON.stringify(checksums, undefined, 1)}\n`)),
        file('etc/iproute2/rt_protos.d/manx.conf', await readFile(join(root, 'deploy/rt_protos.d/manx.conf'))),
        ...Object.entries(texts).map(([path, text]) => file(path, Buffer.from(text))),
        ...folders.map((path) => ({ path, kind: 'folder' as const, mode: path === 'tmp' ? 0o1777 : 0o755 })),
        ...['manxd', 'manxctl', 'manx-install', 'manx-uninstall'].map((name) =>
          link(`usr/bin/${name}`, `../lib/manx/${name}.mjs`),
        ),
        link('usr/sbin/ip', `/${runtime.home}/ip`),
        link('usr/sbin/nft', '../lib/manx/nft'),
        // Runtimes name a pod's namespace by either.
        link('var/run', '../run'),
      ],
    };
  } finally {
    await rm(scratch, { recursive: true });
  }
}

interface Runtime {
  /** Relative to the root. */
  readonly home: string;
  readonly entries: readonly FileEntry[];
  readonly libraries: ReadonlyMap<string, string>;
}

type FileEntry = Extract<Entry, { kind: 'file' }>;

/** Named after what is in it: where two versions of Manx have the same, an upgrade leaves it alone. */
async function assembleRuntime(scratch: string): Promise<Runtime> {
  const executables = { node: { file: process.execPath, libraries: [] }, ip: await findProgram(iproute, 'ip') };
  const libraries = new Map<string, string>();
  for (const executable of Object.values(executables)) {
    for (const [name, path] of await librariesFor(executable)) libraries.set(name, path);
  }
  const sources = [...Object.values(executables).map(({ file: path }) => path), ...[...libraries.values()].sort()];
  const digest = sha256(await Promise.all(sources.map((path) => readFile(path))));
  const home = `${runtimeHome}/rt-${process.versions.node}-${digest.slice(0, 8)}`;
  const place = { folders: [`/${home}`], interpreter: interpreterIn(libraries.keys()), scratch };
  const entries: FileEntry[] = [];
  for (const [name, executable] of Object.entries<Executable>(executables)) {
    entries.push(file(`${home}/${name}`, await relocate(executable, place), 0o755));
  }
  for (const [name, path] of libraries) entries.push(file(`${home}/${name}`, await readFile(path), 0o755));
  return { home, entries, libraries };
}

async function assembleNft({ home, libraries }: Runtime, scratch: string): Promise<FileEntry[]> {
  const nft = await findProgram(nftables, 'nft');
  const place = { folders: [`/${home}`, `/${library}`], interpreter: interpreterIn(libraries.keys()), scratch };
  const own = [...(await librariesFor(nft))].filter(([name]) => !libraries.has(name));
  return [
    file(`${library}/nft`, await relocate(nft, place), 0o755),
    ...(await Promise.all(own.map(async ([name, path]) => file(`${library}/${name}`, await readFile(path), 0o755)))),
  ];
}

async function assembleBundles({ home }: Runtime, scratch: string, version: string): Promise<FileEntry[]> {
  const wanted = [...programs, ...helpers];
  await bundle(wanted, scratch, { node: `/${home}/node`, version });
  return Promise.all(
    wanted.map(async ({ name }) => file(`${library}/${name}`, await readFile(join(scratch, name)), 0o755)),
  );
}

/** What the init container installs on the host, path by path. */
function checksumsOf(entries: readonly FileEntry[]): Record<string, string> {
  return Object.fromEntries(entries.map(({ path, content }) => [`/${path}`, sha256([content])]));
}

function file(path: string, content: Uint8Array, mode = 0o644): FileEntry {
  return { path, kind: 'file', mode, content };
}

function link(path: string, target: string): Entry {
  return { path, kind: 'link', target };
}
