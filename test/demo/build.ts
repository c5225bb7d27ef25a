// Building the demo's data centre: programs, fabric, agents, router, pods; each step said when it is done.
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { type DataCentre, buildDataCentre } from '../lab/datacentre.ts';
import { lacking } from '../lab/needs.ts';
import { buildPrograms } from '../lab/programs.ts';
import { startTor } from '../lab/tor.ts';
import type { Say } from './words.ts';

const folder = '/run/demo';

/** Resolves when every pod is wired. Sessions may still be coming up. */
export async function build(say: Say): Promise<DataCentre> {
  const begin = Date.now();
  const done = (what: string): void => say(`  ${((Date.now() - begin) / 1000).toFixed(1).padStart(5)} s  ${what}`);
  const programs = await buildPrograms(`${folder}/dist`);
  await provideManxctl(programs.manxctl);
  done('programs bundled: manxd, manxctl, and manx, the CNI plugin');
  const centre = await buildDataCentre({ prefix: '', folder, programs });
  done('three nodes, a top-of-rack router and a host behind it; an agent on each node');
  const tor = await startTor(centre, programs);
  done(tor !== undefined ? 'BIRD runs on the router, in AS 65001' : `Manx runs on the router: ${lacking('bird')}`);
  for (const [index, name] of ['web-1', 'web-2', 'web-3', 'api-1', 'api-2', 'api-3'].entries()) {
    await centre.addPod(name, centre.nodes[index % 3]!);
  }
  done('two pods a node, wired by executing the plugin as a container runtime does');
  return centre;
}

/** manxctl as a command of its own, for those who join the demo. */
async function provideManxctl(bundle: string): Promise<void> {
  await mkdir(`${folder}/bin`, { recursive: true });
  const script = `#!/bin/sh\nexec '${process.execPath}' ${bundle} --run "$MANX_RUN" "$@"\n`;
  await writeFile(`${folder}/bin/manxctl`, script);
  await chmod(`${folder}/bin/manxctl`, 0o755);
}
