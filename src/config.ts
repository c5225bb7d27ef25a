// The flags and environment of manxd, read once into a frozen value. Nothing else reads process.argv or process.env.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { help } from './config/help.ts';
import type { AgentConfig } from './config/model.ts';
import { options } from './config/options.ts';
import { type Given, assemble } from './config/values.ts';
import { version } from './version.ts';

export type { AgentConfig, KubernetesConfig, LogLevel } from './config/model.ts';

/** What manxd was asked to do. */
export type Command =
  | { readonly do: 'run'; readonly config: AgentConfig }
  | { readonly do: 'check'; readonly folder: string }
  | { readonly do: 'print'; readonly text: string };

/** What is wrong with the flags or the environment: every problem, one line each. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      [
        `manxd: ${problems.length === 1 ? 'one problem' : `${problems.length} problems`} on the command line`,
        ...problems.map((problem) => `  ${problem}`),
        '  manxd --help lists what there is',
      ].join('\n'),
    );
    this.problems = problems;
  }
}

/**
 * Reads the command line and the environment of manxd.
 * @param argv without the interpreter and the script
 * @throws UsageError with every problem
 */
export function readConfig(argv: readonly string[], env: NodeJS.ProcessEnv, hostname: string): Command {
  const problems: string[] = [];
  const { given, positionals } = readFlags(argv, problems);
  if (given.has('help')) return { do: 'print', text: help() };
  if (given.has('version')) return { do: 'print', text: `manxd ${version}` };
  readEnvironment(env, given, problems);
  const config = assemble(given, hostname, problems);
  const folder = given.has('check') ? positionals.shift() : undefined;
  // A word behind an unknown option is probably that option's value: one complaint is enough.
  const strays = problems.some((problem) => problem.includes('unknown option')) ? [] : positionals;
  for (const word of strays) problems.push(`${word}: unexpected (only --check takes a folder)`);
  if (problems.length > 0) throw new UsageError(problems);
  return given.has('check')
    ? { do: 'check', folder: resolve(folder ?? config.config) }
    : { do: 'run', config: Object.freeze(config) };
}

function readFlags(argv: readonly string[], problems: string[]): { given: Given; positionals: string[] } {
  const { tokens, positionals } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    options: Object.fromEntries(options.map(({ flag, value }) => [flag, { type: value ? 'string' : 'boolean' }])),
  });
  const given: Given = new Map();
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const option = options.find(({ flag, short }) => token.rawName === `--${flag}` || token.rawName === short);
    if (option === undefined) problems.push(`${token.rawName}: unknown option${suggestion(token.rawName)}`);
    else if (option.value === undefined && token.value !== undefined) problems.push(`--${option.flag} takes no value`);
    else if (option.value !== undefined && isMissing(token))
      problems.push(`--${option.flag} needs a value: ${option.value}`);
    else given.set(option.flag, token.value ?? 'true');
  }
  return { given, positionals };
}

function readEnvironment(env: NodeJS.ProcessEnv, given: Given, problems: string[]): void {
  for (const { flag, value, env: variable } of options) {
    const text = variable === undefined ? undefined : env[variable];
    if (text === undefined || text === '' || given.has(flag)) continue;
    if (value !== undefined || text === 'true') given.set(flag, text);
    else if (text !== 'false') problems.push(`${variable}=${text}: is true or false`);
  }
}

/** `--node --check` is a forgotten value, `--node=--check` is meant. */
function isMissing(token: { value: string | undefined; inlineValue: boolean | undefined }): boolean {
  return !token.value || (!token.inlineValue && token.value.startsWith('-'));
}

/** The option that begins as this one does, or has the same letters but one: enough for a slip of the finger. */
function suggestion(name: string): string {
  const near = options.find(
    ({ flag }) => flag.startsWith(name.slice(2, 6)) || (flag.length > 2 && name.slice(2).startsWith(flag.slice(0, 3))),
  );
  return near && name.length > 4 ? ` (did you mean --${near.flag}?)` : '';
}
