// Working inside a pod's namespace by way of the plugin that waits for an answer: for an agent that may not enter it,
// which takes SYS_ADMIN. The runtime runs the plugin as root on the host.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { readShown } from './batch-answers.ts';
import { CniError } from './error.ts';
import { isObject } from './json.ts';
import { identify, podHalfFailed } from './namespaces.ts';
import type { LineAnswer, Namespaces } from './port.ts';
import type { PluginEnd } from './request.ts';

const execute = promisify(execFile);

/** `plugin` is absent where no call waits: at start, and for what was asked for while no agent ran. */
export function pluginNamespaces(plugin?: PluginEnd): Namespaces {
  return {
    async apply(netns, sysctls, lines) {
      if (plugin === undefined) throw new CniError(11, `no plugin waits to work in ${netns}`);
      const report = await plugin({ do: 'apply', netns, sysctls, lines });
      const answers = isObject(report) ? report['answers'] : undefined;
      if (Array.isArray(answers) && answers.length === lines.length && answers.every(isAnswer)) return answers;
      throw podHalfFailed(netns, complaintOf(report));
    },
    async show(netns, lines) {
      if (netns === undefined) return Promise.all(lines.map(showHere));
      // Nobody looks: nothing is seen, and nothing is taken for proven.
      const report = await plugin?.({ do: 'show', netns, lines });
      const shown = isObject(report) ? report['shown'] : undefined;
      return Array.isArray(shown) && shown.every(Array.isArray) ? shown : lines.map(() => []);
    },
    identify,
  };
}

async function showHere(line: string): Promise<readonly unknown[]> {
  try {
    const { stdout } = await execute('ip', ['-j', '-d', '-N', ...line.split(' ')], {
      env: { ...process.env, LC_ALL: 'C' },
    });
    return readShown(stdout);
  } catch (error) {
    if (typeof (error as { code?: unknown }).code === 'number') return []; // `ip` ran, and shows nothing
    throw new CniError(102, `ip cannot be started: ${(error as Error).message}`, { cause: error });
  }
}

function isAnswer(value: unknown): value is LineAnswer {
  return isObject(value) && (value['ok'] === true || (value['ok'] === false && typeof value['error'] === 'string'));
}

function complaintOf(report: unknown): string {
  const error = isObject(report) ? report['error'] : undefined;
  return typeof error === 'string' ? error : 'the plugin does not know how: install the one that came with this agent';
}
