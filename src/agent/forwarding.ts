// A router forwards. Both families' forwarding is switched on, and back on when somebody switches it off.
//
// The kernel stops taking router advertisements on an interface once IPv6 forwards (accept_ra 1 means "unless
// forwarding"); a node that got its default route that way would lose it, so where such a route is, accept_ra becomes 2.
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../log.ts';

export interface ForwardingProblem {
  readonly family: 4 | 6;
  readonly problem: string;
}

const switches = { 4: 'ipv4/ip_forward', 6: 'ipv6/conf/all/forwarding' } as const;

/**
 * Sees to it that this network namespace forwards. What cannot be had is returned; the rest is as it should be.
 * `sysctls`: another mount of /proc/sys/net, where that is read-only.
 */
export async function ensureForwarding(
  log: Log,
  proc = '/proc',
  sysctls = join(proc, 'sys/net'),
): Promise<readonly ForwardingProblem[]> {
  const problems: ForwardingProblem[] = [];
  for (const family of [4, 6] as const) {
    const file = join(sysctls, switches[family]);
    const sysctl = `net.${switches[family].replaceAll('/', '.')}`;
    try {
      if ((await readFile(file, 'utf8')).trim() === '1') continue;
      if (family === 6) await keepRouterAdvertisements(log, proc, sysctls);
      await writeFile(file, '1');
      log.info({ sysctl }, 'forwarding switched on');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // A kernel without IPv6 has nothing to forward.
      if (family === 6 && code === 'ENOENT') continue;
      problems.push({
        family,
        problem: `${sysctl} is not 1 and cannot be set (${code ?? message}): set it on the host`,
      });
    }
  }
  return problems;
}

async function keepRouterAdvertisements(log: Log, proc: string, sysctls: string): Promise<void> {
  const conf = join(sysctls, 'ipv6/conf');
  const learnt = advertisedInterfaces(await readFile(join(proc, 'net/ipv6_route'), 'utf8'));
  for (const name of await readdir(conf)) {
    const file = join(conf, name, 'accept_ra');
    if (!learnt.has(name) || (await readFile(file, 'utf8')).trim() !== '1') continue;
    await writeFile(file, '2');
    log.info({ interface: name }, 'router advertisements stay accepted while IPv6 forwards');
  }
}

/**
 * Interfaces with a default route from a router advertisement, from /proc/net/ipv6_route: ten columns, the first two the
 * destination and its length, the last two flags and interface. RTF_DEFAULT 0x10000 and RTF_ADDRCONF 0x40000 are
 * linux/ipv6_route.h's.
 */
export function advertisedInterfaces(table: string): ReadonlySet<string> {
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/));
  const learnt = rows.filter(
    (words) => words.length === 10 && (Number.parseInt(words[8]!, 16) & 0x5_0000) === 0x5_0000,
  );
  return new Set(learnt.map((words) => words[9]!));
}
