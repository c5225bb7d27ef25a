// The mark of a run: one small file that tells the next agent that it is a restart, and whether the kernel, and with it
// every route and pod, has lived on in between. What graceful restart says on the wire (RFC 4724 §3: the R and F bits)
// rests on it, so it is on disk before the first OPEN is sent.
import { open, readFile, readlink, rename } from 'node:fs/promises';
import { join } from 'node:path';

/** How far the world is still the one that the last run left. */
export type Continuity =
  /** No run before this one, as far as the state folder knows. */
  | 'first'
  /** Same kernel, same network namespace: whatever was forwarding still is. */
  | 'preserved'
  /** The node has booted since, or this is another network namespace. */
  | 'lost';

/** Says what the last run left, and marks this one. */
export async function markRun(stateFolder: string): Promise<Continuity> {
  const file = join(stateFolder, 'run');
  const world = await describeWorld();
  const before = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  await writeDurably(file, world);
  if (before === undefined) return 'first';
  return before === world ? 'preserved' : 'lost';
}

/** Boots and namespaces have identities of their own; a namespace's inode may come again after a boot, hence both. */
async function describeWorld(): Promise<string> {
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  return `${boot} ${await readlink('/proc/self/ns/net')}\n`;
}

async function writeDurably(file: string, text: string): Promise<void> {
  const fresh = `${file}.new`;
  await using handle = await open(fresh, 'w', 0o600);
  await handle.writeFile(text);
  await handle.sync();
  await rename(fresh, file);
}
