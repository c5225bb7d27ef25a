// Network settings of the host, written through the file system.
import { open } from 'node:fs/promises';
import { CniError } from './error.ts';
import type { HostSysctls, Sysctl } from './port.ts';

/**
 * The settings of this process's own namespace. `root` is another mount of the same files where /proc/sys is read-only,
 * as in a container without privileges.
 */
export function fileSysctls(root = '/proc/sys/net'): HostSysctls {
  return {
    // Not synchronously: some of these writes wait for the kernel's lock on links.
    write: async (sysctls) => void (await Promise.all(sysctls.map((sysctl) => writeOne(root, sysctl)))),
  };
}

async function writeOne(root: string, { key, value, mayBeAbsent }: Sysctl): Promise<void> {
  const path = `${root}/${key}`;
  try {
    // Never created: a file that is not there is a setting that this kernel does not have.
    await using file = await open(path, 'r+');
    await file.writeFile(value);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' && mayBeAbsent) return;
    throw new CniError(5, `the agent cannot write ${value} to ${path}: ${message}`, { cause });
  }
}
