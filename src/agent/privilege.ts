// What this process may do.
import { readFile } from 'node:fs/promises';

/** Numbers of linux/capability.h. */
export const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;

/** Whether pods' namespaces can be entered from here, by setns(2). In a user namespace the kernel may still refuse. */
export function mayEnterNamespaces(status?: string): Promise<boolean> {
  return mayUse(CAP_SYS_ADMIN, status);
}

/** Whether a capability is in this process's effective set. */
export async function mayUse(capability: bigint, status = '/proc/self/status'): Promise<boolean> {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile(status, 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
}
