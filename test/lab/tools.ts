// The other side of the tests: BIRD, ping, tcpdump and their like, from Debian's packages.
//
// What the machine has is used. What it lacks is unpacked from its packages into a cache of our own, without installing
// anything: no root needed, no service started, nothing on the host changed. One folder a package:
// $XDG_CACHE_HOME/manx/tools/PACKAGE/{root,bin}; bin has a wrapper a command, which finds the libraries beside it.
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** A Debian package, and the commands of it that we use: the name that we call each by → the program. */
export interface Tool {
  readonly package: string;
  /** Two daemons call themselves bgpd: a command that is renamed is never looked for on the machine, only unpacked. */
  readonly commands: Readonly<Record<string, string>>;
  /** Where the package keeps libraries besides the usual places. */
  readonly libraries?: readonly string[];
  readonly environment?: (root: string) => Readonly<Record<string, string>>;
}

export const tools = {
  bird: { package: 'bird2', commands: { bird: 'bird', birdc: 'birdc' } },
  ping: { package: 'iputils-ping', commands: { ping: 'ping' } },
  tcpdump: { package: 'tcpdump', commands: { tcpdump: 'tcpdump' } },
  tshark: { package: 'tshark', commands: { tshark: 'tshark' } },
  frr: {
    package: 'frr',
    commands: { 'frr-bgpd': 'bgpd', 'frr-zebra': 'zebra' },
    libraries: ['usr/lib/x86_64-linux-gnu/frr'],
  },
  gobgp: { package: 'gobgpd', commands: { gobgpd: 'gobgpd', gobgp: 'gobgp' } },
  openbgpd: { package: 'openbgpd', commands: { 'openbgpd-bgpd': 'bgpd', 'openbgpd-bgpctl': 'bgpctl' } },
  exabgp: {
    package: 'exabgp',
    commands: { 'exabgp-run': 'python3-exabgp' },
    environment: (root) => ({ PYTHONPATH: join(root, 'usr/lib/python3/dist-packages') }),
  },
} as const satisfies Record<string, Tool>;
export type ToolName = keyof typeof tools;

/** Which tools there are now, and for the others why not. */
export interface Provision {
  /** What PATH must be to find them. */
  readonly path: string;
  readonly missing: ReadonlyMap<ToolName, string>;
}

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'manx', 'tools');
const searched = ['bin', 'sbin', 'usr/bin', 'usr/sbin', 'usr/lib/frr'];
const execute = promisify(execFile);

/** Finds each tool on this machine or fetches it. A tool that cannot be had is reported, never an error. */
export async function provide(names: readonly ToolName[]): Promise<Provision> {
  const path = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const missing = new Map<ToolName, string>();
  for (const name of names) {
    const tool: Tool = tools[name];
    const bin = join(cache, tool.package, 'bin');
    try {
      const commands = Object.keys(tool.commands);
      if (commands.every((command) => path.some((folder) => isExecutable(join(folder, command))))) continue;
      if (!commands.every((command) => isExecutable(join(bin, command)))) await unpack(tool);
      path.push(bin);
    } catch (error) {
      missing.set(name, `package ${tool.package} cannot be had: ${(error as Error).message.trim()}`);
    }
  }
  return { path: path.join(delimiter), missing };
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function unpack(tool: Tool): Promise<void> {
  await mkdir(cache, { recursive: true });
  const scratch = await mkdtemp(join(cache, `${tool.package}.`));
  try {
    await download(tool.package, scratch);
    const archives = join(scratch, 'archives');
    for (const file of (await readdir(archives)).filter((name) => name.endsWith('.deb'))) {
      await execute('dpkg-deb', ['-x', join(archives, file), join(scratch, 'root')]);
    }
    await rm(archives, { recursive: true });
    await wrap(tool, scratch);
    await settle(scratch, join(cache, tool.package));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The package and what it depends on beyond what is installed. Stale or absent package lists are fetched privately. */
async function download(name: string, scratch: string): Promise<void> {
  await mkdir(join(scratch, 'archives', 'partial'), { recursive: true });
  await mkdir(join(cache, 'lists', 'partial'), { recursive: true });
  const common = ['-qq', '-o', 'Debug::NoLocking=1', '-o', `Dir::Cache=${scratch}`];
  const fetch = ['--download-only', '--no-install-recommends', '-y', 'install', name];
  try {
    await execute('apt-get', [...common, ...fetch]);
  } catch {
    const own = [...common, '-o', `Dir::State::Lists=${join(cache, 'lists')}`];
    await execute('apt-get', [...own, 'update']);
    await execute('apt-get', [...own, ...fetch]);
  }
}

/** The wrappers name the final place, not the scratch folder: they are only used after the rename. */
async function wrap(tool: Tool, scratch: string): Promise<void> {
  await mkdir(join(scratch, 'bin'));
  const home = join(cache, tool.package);
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const libraries = [`usr/lib/${triplet}`, `lib/${triplet}`, ...(tool.libraries ?? [])];
  const libraryPath = libraries.map((folder) => join(home, 'root', folder)).join(':');
  const environment = { LD_LIBRARY_PATH: libraryPath, ...tool.environment?.(join(home, 'root')) };
  const assignments = Object.entries(environment).map(([name, value]) => `${name}='${value}'`);
  for (const [command, program] of Object.entries(tool.commands)) {
    const place = searched.find((folder) => isExecutable(join(scratch, 'root', folder, program)));
    if (place === undefined) throw new Error(`it has no ${program}`);
    const file = join(scratch, 'bin', command);
    const target = join(home, 'root', place, program);
    const script = `#!/bin/sh\n${assignments.join(' ')} exec '${target}' "$@"\n`;
    await writeFile(file, script);
    await chmod(file, 0o755);
  }
}

/** Another run may have been faster: then its result, which is the same, stays. */
async function settle(scratch: string, home: string): Promise<void> {
  try {
    await rename(scratch, home);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
