// Programs and the libraries that they need, made to run from one folder wherever that is put: their interpreter and
// their library path name it, so nothing of the file system around them is used.
import { execFile } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { type Tool, commandsOf, isExecutable, librariesOf, programIn, unpack } from '../debian.ts';

const execute = promisify(execFile);

export interface Executable {
  readonly file: string;
  /** Where its libraries are looked for besides the system's own places. */
  readonly libraries: readonly string[];
}

/** A program of this machine, or out of its Debian package where the machine has none. */
export async function findProgram(tool: Tool, command: string): Promise<Executable> {
  for (const folder of ['/usr/sbin', '/usr/bin', '/sbin', '/bin']) {
    const file = join(folder, tool.commands[command]!);
    if (isExecutable(file) && (await isElf(file))) return { file, libraries: [] };
  }
  await unpack(tool);
  return { file: programIn(tool, command)!, libraries: librariesOf(tool) };
}

async function isElf(file: string): Promise<boolean> {
  await using handle = await open(file);
  const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
  return buffer.equals(Buffer.from('\x7fELF', 'latin1'));
}

/** Its libraries by the name under which it asks for them, and the interpreter with them. */
export async function librariesFor({ file, libraries }: Executable): Promise<ReadonlyMap<string, string>> {
  const env = { ...process.env, LD_LIBRARY_PATH: libraries.join(':'), LC_ALL: 'C' };
  const { stdout } = await execute('ldd', [file], { env });
  const found = new Map<string, string>();
  for (const line of stdout.split('\n').map((text) => text.trim())) {
    const [, name, path] = /^(\S+) => (.+?)(?: \(0x[0-9a-f]+\))?$/.exec(line) ?? [];
    if (path === 'not found') throw new Error(`${file} needs ${name}, which is not on this machine`);
    if (name !== undefined) found.set(name, path!);
    const [, interpreter] = /^(\/\S+) \(0x/.exec(line) ?? [];
    if (interpreter !== undefined) found.set(basename(interpreter), interpreter);
  }
  return found;
}

const isInterpreter = (name: string): boolean => name.startsWith('ld-linux') || name.startsWith('ld.so');

/** The interpreter among the libraries. */
export function interpreterIn(libraries: Iterable<string>): string {
  const name = [...libraries].find(isInterpreter);
  if (name === undefined) throw new Error('no program has an interpreter: are they linked statically?');
  return name;
}

const patchelf: Tool = { package: 'patchelf', commands: { patchelf: 'patchelf' } };
const binutils: Tool = { package: 'binutils', commands: { strip: 'strip' } };

/** What patches and strips, from this machine or unpacked. */
export async function provideTools(): Promise<{ patchelf: string; strip: string }> {
  const wrapper = async (tool: Tool, name: string): Promise<string> => {
    const here = join('/usr/bin', name);
    if (isExecutable(here)) return here;
    await unpack(tool);
    return join(commandsOf(tool), name);
  };
  return { patchelf: await wrapper(patchelf, 'patchelf'), strip: await wrapper(binutils, 'strip') };
}

/** The program without symbols, which takes its interpreter from the first folder and its libraries from all of them. */
export async function relocate(
  { file }: Executable,
  { folders, interpreter, scratch }: { folders: readonly string[]; interpreter: string; scratch: string },
): Promise<Uint8Array> {
  const tools = await provideTools();
  const copy = join(scratch, basename(file));
  await writeFile(copy, await readFile(file), { mode: 0o755 });
  // In this order: what is stripped after it was patched is broken.
  await execute(tools.strip, [copy]);
  // RPATH, not RUNPATH: it also holds for what the libraries need.
  const paths = ['--force-rpath', '--set-rpath', folders.join(':')];
  await execute(tools.patchelf, ['--set-interpreter', join(folders[0]!, interpreter), ...paths, copy]);
  return readFile(copy);
}
