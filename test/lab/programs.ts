// The programs as they ship: bundles made by deploy/build.ts into a folder of the lab.
import { run } from './host.ts';

export interface Programs {
  readonly manxd: string;
  readonly manxctl: string;
  /** The folder of the CNI plugin, which is called manx in it. */
  readonly cniPath: string;
}

/** Bundles them; about a second. */
export async function buildPrograms(dist: string): Promise<Programs> {
  const build = new URL('../../deploy/build.ts', import.meta.url).pathname;
  await run(process.execPath, [build, '--out', dist, '--node', process.execPath]);
  return { manxd: `${dist}/manxd.mjs`, manxctl: `${dist}/manxctl.mjs`, cniPath: dist };
}
