// manx-install, the init container: puts the CNI plugin and the runtime that it runs by onto the host. Nothing else is
// written, and nothing that is there as it should be is touched.
//
//   manx-install [--opt DIR] [--cni-bin DIR]      the host's /opt/manx and /opt/cni/bin, as they are mounted here
//
// The plugin goes last, so that a runtime never finds one that cannot run. Each file is written under another name,
// read back, compared with the checksum that the build wrote down, and only then renamed.
import { createHash, randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';

const library = '/usr/lib/manx';
const home = '/opt/manx';
const plugin = join(library, 'manx');

const { values } = parseArgs({
  options: {
    opt: { type: 'string', default: '/host/opt/manx' },
    'cni-bin': { type: 'string', default: '/host/opt/cni/bin' },
  },
});
const checksums = JSON.parse(await readFile(join(library, 'checksums.json'), 'utf8')) as Record<string, string>;
const place = (source: string): string =>
  source === plugin ? join(values['cni-bin'], 'manx') : join(values.opt, relative(home, source));

const before = await runtimeNamedBy(place(plugin));
const sources = Object.keys(checksums).sort((a, b) => Number(a === plugin) - Number(b === plugin));
let written = 0;
for (const source of sources) written += (await install(source, place(source), checksums[source]!)) ? 1 : 0;
const now = await runtimeNamedBy(plugin);
for (const name of await readdir(values.opt)) {
  // A call that began a moment ago may still be about to start the runtime of before.
  if (name.startsWith('rt-') && name !== now && name !== before)
    await rm(join(values.opt, name), { recursive: true, force: true });
}
console.log(`manx-install: ${written} of ${sources.length} files written; the plugin runs by ${join(home, now!)}`);

/** @returns whether it had to be written. */
async function install(source: string, target: string, checksum: string): Promise<boolean> {
  if ((await checksumOf(target)) === checksum) return false;
  await mkdir(dirname(target), { recursive: true });
  const draft = join(dirname(target), `.${basename(target)}.${randomBytes(4).toString('hex')}`);
  try {
    await copyFile(source, draft);
    await chmod(draft, 0o755);
    await sync(draft);
    if ((await checksumOf(draft)) !== checksum) throw new Error(`${source} did not arrive whole in ${target}`);
    await rename(draft, target);
    await sync(dirname(target));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  return true;
}

async function sync(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

async function checksumOf(path: string): Promise<string | undefined> {
  try {
    const hash = createHash('sha256');
    await using handle = await open(path, 'r');
    for await (const piece of handle.createReadStream({ autoClose: false })) hash.update(piece as Uint8Array);
    return hash.digest('hex');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The folder under /opt/manx that the first line of a plugin names. */
async function runtimeNamedBy(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return /^#!\/opt\/manx\/(rt-[^/\s]+)\//.exec(text)?.[1];
}
