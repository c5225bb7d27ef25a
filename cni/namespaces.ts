// Working inside pods' network namespaces, by nsenter out of a waiting shell: it takes every kind of path that runtimes
// pass (`ip -n` and `ip netns exec` only take names under /run/netns).
import { stat, statfs } from 'node:fs/promises';
import { lastLine, readAnswers, readShown } from './batch-answers.ts';
import { CniError } from './error.ts';
import type { Namespaces, Sysctl } from './port.ts';
import { type Shells, quote } from './shell.ts';

const separator = '--manx--';
const nsfs = 0x6e736673;

export function shellNamespaces(shells: Pick<Shells, 'run'>): Namespaces {
  return {
    async apply(netns, sysctls, lines) {
      const script = `${sysctls.map(writeCommand).join('')}exec ip -force -batch -`;
      const { output } = await shells.run(
        `nsenter --net=${quote(netns)} sh -c ${quote(script)} 2>&1 <<'${separator}'\n` +
          `${[...lines, lastLine].join('\n')}\n${separator}`,
      );
      const answers = readAnswers(output, lines.length);
      if (typeof answers === 'string') throw podHalfFailed(netns, answers);
      return answers;
    },
    async show(netns, lines) {
      const script = lines.map((line) => `ip -j -d -N ${line} 2>/dev/null; echo; echo ${separator}`).join('; ');
      const enter = netns === undefined ? '' : `nsenter --net=${quote(netns)} `;
      const { output } = await shells.run(`${enter}sh -c ${quote(script)} 2>/dev/null </dev/null`);
      const shown = output.split(`${separator}\n`);
      return lines.map((_, index) => readShown(shown[index] ?? ''));
    },
    identify,
  };
}

function writeCommand({ key, value, mayBeAbsent }: Sysctl): string {
  const path = quote(`/proc/sys/net/${key}`);
  const unless = mayBeAbsent ? `[ ! -e ${path} ] || ` : '';
  return `${unless}echo ${quote(value)} >${path} || exit 1; `;
}

export function podHalfFailed(netns: string, reason: string): CniError {
  return new CniError(102, `the pod's half of the wiring failed in ${netns}: ${reason}`);
}

/** By looking at the file alone, which takes no privilege. */
export async function identify(netns: string): Promise<'pod' | 'own' | 'none'> {
  try {
    const [fileSystem, found, own] = await Promise.all([statfs(netns), stat(netns), stat('/proc/self/ns/net')]);
    // A name under /run/netns outlives its namespace as an empty file.
    if (fileSystem.type !== nsfs) return 'none';
    return found.dev === own.dev && found.ino === own.ino ? 'own' : 'pod';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ESRCH' || code === 'EINVAL') return 'none';
    throw new CniError(5, `the agent cannot look at ${netns}: ${(error as Error).message}`, { cause: error });
  }
}
