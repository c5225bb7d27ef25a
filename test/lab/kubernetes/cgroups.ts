// The cgroups of a node: a subtree in each hierarchy, under which the kubelet makes its own (cgroup v1).
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { until } from '../until.ts';

const hierarchies = '/run/cgroup';

/** Why no kubelet can run here, or undefined. */
export function cgroupsLacking(): string | undefined {
  if (!existsSync(`${hierarchies}/pids`)) return 'a kubelet of the lab needs cgroup v1, which this machine has not';
  try {
    accessSync(`${hierarchies}/pids`, constants.W_OK);
    return undefined;
  } catch {
    return 'a kubelet needs root, to make cgroups';
  }
}

export async function makeCgroup(name: string): Promise<void> {
  for (const hierarchy of await readdir(hierarchies)) {
    const root = `${hierarchies}/${hierarchy}`;
    await mkdir(`${root}/${name}`, { recursive: true });
    if (hierarchy !== 'cpuset') continue;
    // A new cpuset is empty, and nothing can enter it.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      await writeFile(`${root}/${name}/${file}`, await readFile(`${root}/${file}`, 'utf8'));
    }
  }
}

/** Every process in it and below; with `part`, only of cgroups whose path has this in it. */
export async function processesIn(name: string, part = ''): Promise<readonly number[]> {
  const folders = (await subtree(`${hierarchies}/pids/${name}`)).filter((folder) => folder.includes(part));
  const lists = await Promise.all(folders.map((folder) => read(`${folder}/cgroup.procs`)));
  return lists.flatMap((list) => list.split('\n').filter(Boolean).map(Number));
}

/** Removes it; nothing may run in it any more. The kernel lets go of what has just been killed a moment later. */
export async function removeCgroup(name: string): Promise<void> {
  for (const hierarchy of await readdir(hierarchies)) {
    await until(`${hierarchy} lets go of ${name}`, async () => {
      for (const folder of (await subtree(`${hierarchies}/${hierarchy}/${name}`)).toReversed()) await rmdir(folder);
      return true;
    });
  }
}

/** The folder and all below it, parents first. */
async function subtree(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [];
  const below = entries.filter((entry) => entry.isDirectory()).map((entry) => subtree(`${folder}/${entry.name}`));
  return [folder, ...(await Promise.all(below)).flat()];
}

/** A cgroup may go while it is looked at. */
function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}
