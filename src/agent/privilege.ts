// What this process may do.
import { readFile } from 'node:fs/promises';

/** linux/capability.h */
const CAP_SYS_ADMIN = 21n;

/** Whether pods' namespaces can be entered from here, by setns(2). In a user namespace the kernel may still refuse. */
export async function mayEnterNamespaces(status = '/proc/self/status'): Promise<boolean> {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile(status, 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}
