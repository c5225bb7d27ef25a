// Programs out of Debian packages, without installing anything: no root needed, no service started, nothing on the host
// changed. One folder a package: $XDG_CACHE_HOME/manx/tools/PACKAGE/{root,bin}; bin has a wrapper a command, which finds
// the libraries beside it.
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
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

export const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'manx', 'tools');
const searched = ['bin', 'sbin', 'usr/bin', 'usr/sbin', 'usr/lib/frr', 'usr/lib/cni'];
const execute = promisify(execFile);

/** Where the commands of a package are once it is unpacked. */
export function commandsOf(tool: Tool): string {
  return join(cache, tool.package, 'bin');
}

/** The folders of its libraries, once it is unpacked. */
export function librariesOf(tool: Tool): readonly string[] {
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const folders = [`usr/lib/${triplet}`, `lib/${triplet}`, ...(tool.libraries ?? [])];
  return folders.map((folder) => join(cache, tool.package, 'root', folder));
}

/** The program itself in the unpacked package, past the wrapper. */
export function programIn(tool: Tool, command: string, root = join(cache, tool.package, 'root')): string | undefined {
  const files = searched.map((folder) => join(root, folder, tool.commands[command]!));
  return files.find(isExecutable);
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Unpacks a package unless it is there. @throws when it cannot be had. */
export async function unpack(tool: Tool): Promise<void> {
  if (Object.keys(tool.commands).every((command) => isExecutable(join(commandsOf(tool), command)))) return;
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
  const environment = { LD_LIBRARY_PATH: librariesOf(tool).join(':'), ...tool.environment?.(join(home, 'root')) };
  const assignments = Object.entries(environment).map(([name, value]) => `${name}='${value}'`);
  for (const [command, program] of Object.entries(tool.commands)) {
    const found = programIn(tool, command, join(scratch, 'root'));
    if (found === undefined) throw new Error(`it has no ${program}`);
    const file = join(scratch, 'bin', command);
    const target = found.replace(scratch, home);
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
