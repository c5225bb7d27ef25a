// Working inside pods' network namespaces, by nsenter out of a waiting shell: it takes every kind of path that runtimes
// pass (`ip -n` and `ip netns exec` only take names under /run/netns).
import { stat, statfs } from 'node:fs/promises';
import { CniError } from './error.ts';
import type { LineAnswer, Namespaces, Sysctl } from './port.ts';
import { type Shells, quote } from './shell.ts';

/** `ip` cannot know this object. Its complaint proves that every line before was read. */
const lastLine = 'manx-end';
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
      return readAnswers(output, lines.length, netns);
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

/** Errors stand before "Command failed -:N", where N is the line; a line that worked is silent. */
function readAnswers(output: string, count: number, netns: string): LineAnswer[] {
  const answers: LineAnswer[] = Array.from({ length: count }, () => ({ ok: true }));
  let rest = output;
  for (const match of output.matchAll(/^Command failed -:(\d+)$/gm)) {
    const error = output.slice(output.length - rest.length, match.index).trim();
    rest = output.slice(match.index + match[0].length);
    const line = Number(match[1]) - 1;
    if (line === count) return answers;
    answers[line] = { ok: false, error };
  }
  throw new CniError(102, `the pod's half of the wiring failed in ${netns}: ${rest.trim() || 'no answer'}`);
}

function readShown(text: string): readonly unknown[] {
  if (text.trim() === '') return [];
  const value: unknown = JSON.parse(text);
  return Array.isArray(value) ? value : [];
}

async function identify(netns: string): Promise<'pod' | 'own' | 'none'> {
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
