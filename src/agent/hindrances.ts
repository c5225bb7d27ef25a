// What keeps this process from doing its work on this host, whatever the configuration says: what only whoever deployed it
// can give. An agent that lacks it must not look ready, or a rolling update would take a whole cluster's nodes down.
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentConfig } from '../config.ts';
import { CAP_NET_ADMIN, mayUse } from './privilege.ts';

/** One sentence each, empty if there is none. `processStatus`: as /proc/self/status. */
export async function hindrances(
  { fib, cni, sysctls }: Pick<AgentConfig, 'fib' | 'cni' | 'sysctls'>,
  processStatus?: string,
): Promise<readonly string[]> {
  const found: string[] = [];
  if ((fib || cni) && !(await mayUse(CAP_NET_ADMIN, processStatus))) {
    found.push('this process lacks CAP_NET_ADMIN, without which neither routes nor pods come into the kernel');
  }
  // Written for each pod; any of them tells whether the mount can be written.
  const setting = join(sysctls, 'ipv4/conf/all/proxy_arp');
  const refusal = cni ? await access(setting, constants.W_OK).then(noRefusal, codeOf) : undefined;
  if (refusal !== undefined) {
    found.push(
      `${sysctls} cannot be written (${refusal}), without which no pod can be wired: name another mount of it`,
    );
  }
  return found;
}

const noRefusal = (): undefined => undefined;
const codeOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message;
