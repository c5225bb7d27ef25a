// The programs as they ship: bundles made by deploy/build.ts into a folder of the lab.
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { run } from './host.ts';

export interface Programs {
  readonly manxd: string;
  readonly manxctl: string;
  /** The folder of the CNI plugin, which is called manx in it. */
  readonly cniPath: string;
}

/**
 * Bundles them into a folder; about two seconds. In a run of tests, whose processes all want the same, into one for all
 * of them, which whoever comes first has made.
 */
export async function buildPrograms(folder: string): Promise<Programs> {
  const shared = process.env['MANX_PROGRAMS'];
  const dist = shared ?? folder;
  if (shared === undefined || !existsSync(shared)) await bundle(dist);
  return { manxd: `${dist}/manxd.mjs`, manxctl: `${dist}/manxctl.mjs`, cniPath: dist };
}

async function bundle(dist: string): Promise<void> {
  const build = new URL('../../deploy/build.ts', import.meta.url).pathname;
  const draft = `${dist}.${process.pid}`;
  await run(process.execPath, [build, '--out', draft, '--node', process.execPath]);
  // All at once: nobody sees half of it, and of two that come first together one is enough.
  await rename(draft, dist).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
}
