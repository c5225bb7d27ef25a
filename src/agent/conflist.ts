// The network configuration that makes a container runtime call the plugin. Its presence is what makes the node ready for
// pods, so it is written when pods can be wired, and never taken away by a restart.
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeAtomically } from '../store/atomic.ts';

/** 1.0.0 first, since containerd 1.6 and podman 4.3 refuse 1.1.0; a runtime that reads cniVersions takes the newest. */
const preset = {
  cniVersion: '1.0.0',
  cniVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
  name: 'k8s-pod-network',
  plugins: [{ type: 'manx' }],
};

/**
 * Sees to it that the file is there: what `template` has, or the preset. By a rename within its folder: runtimes do not
 * notice what is moved in from another one.
 * @returns whether it had to be written
 * @throws when the template is no configuration that calls Manx
 */
export async function publishConflist(file: string, template?: string): Promise<boolean> {
  const text = template === undefined ? `${JSON.stringify(preset, undefined, 2)}\n` : await readTemplate(template);
  const present = await readFile(file, 'utf8').catch(() => undefined);
  if (present === text) return false;
  await mkdir(dirname(file), { recursive: true });
  await writeAtomically(file, text);
  return true;
}

async function readTemplate(file: string): Promise<string> {
  const text = await readFile(file, 'utf8');
  let value: Partial<typeof preset> | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch (cause) {
    throw new Error(`${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const isOurs = Array.isArray(value?.plugins) && value.plugins.some((plugin) => plugin?.type === 'manx');
  if (typeof value?.name !== 'string' || !isOurs) {
    throw new Error(`${file} has no "name", or no plugin {"type": "manx"} in "plugins"`);
  }
  return text;
}
