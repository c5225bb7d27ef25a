// What a runtime says through the environment: CNI_COMMAND and its variables, and the K=V pairs of CNI_ARGS.
import { CniError } from './error.ts';

export const commands = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION'] as const;
export type Command = (typeof commands)[number];

/** Variables that a command does not use are empty. */
export interface Environment {
  readonly command: Command;
  readonly containerId: string;
  /** As given: /run/netns/x, /var/run/netns/x, /proc/PID/ns/net. */
  readonly netns: string;
  readonly ifname: string;
  /** CNI_ARGS; keys as written. */
  readonly args: ReadonlyMap<string, string>;
  /** CNI_NETNS_OVERRIDE: CNI_NETNS may be the host's own namespace. */
  readonly mayBeOwnNetns: boolean;
}

const required: Record<Command, readonly string[]> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  STATUS: [],
  GC: [],
  VERSION: [],
};

/** What CNI_CONTAINERID and a network's name look like (CNI 1.1.0, sections 1 and 2). */
export const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

type Variables = Readonly<Record<string, string | undefined>>;

/** @throws CniError 4, which names every variable that is missing. */
export function parseEnvironment(variables: Variables): Environment {
  const command = parseCommand(variables['CNI_COMMAND']);
  const missing = required[command].filter((name) => !variables[name]);
  if (missing.length > 0) throw new CniError(4, `${command} needs ${missing.join(', ')} in the environment`);
  const uses = (name: string): string => (required.ADD.includes(name) ? (variables[name] ?? '') : '');
  const attaches = command === 'ADD' || command === 'CHECK' || command === 'DEL';
  const environment: Environment = {
    command,
    containerId: attaches ? uses('CNI_CONTAINERID') : '',
    netns: attaches ? uses('CNI_NETNS') : '',
    ifname: attaches ? uses('CNI_IFNAME') : '',
    args: parseArgs(variables['CNI_ARGS'] ?? '', command),
    mayBeOwnNetns: ['1', 'true'].includes((variables['CNI_NETNS_OVERRIDE'] ?? '').toLowerCase()),
  };
  if (attaches) checkValues(environment);
  return environment;
}

function parseCommand(value: string | undefined): Command {
  const command = commands.find((known) => known === value);
  if (command !== undefined) return command;
  if (!value) {
    throw new CniError(
      4,
      'CNI_COMMAND is missing in the environment: a container runtime runs this program, people use manxctl',
    );
  }
  throw new CniError(4, `CNI_COMMAND ${JSON.stringify(value)} is none of ${commands.join(', ')}`);
}

function checkValues({ command, containerId, netns, ifname }: Environment): void {
  if (!namePattern.test(containerId)) {
    throw new CniError(4, `CNI_CONTAINERID ${JSON.stringify(containerId)} must match ${namePattern.source}`);
  }
  const complaint = complainAboutIfname(ifname);
  if (complaint) throw new CniError(4, `CNI_IFNAME ${JSON.stringify(ifname)} ${complaint}`);
  // DEL finds everything by container and interface; a namespace's odd path is no reason to fail it.
  if (command !== 'DEL' && !/^\/[^\s'"#\\]+$/.test(netns)) {
    throw new CniError(4, `CNI_NETNS ${JSON.stringify(netns)} must be an absolute path without spaces, quotes and #`);
  }
}

/** The kernel's rule (dev_valid_name), and past it what `ip` reads as something else: %d is a template, # a comment. */
function complainAboutIfname(ifname: string): string | undefined {
  if (Buffer.byteLength(ifname) > 15) return 'is longer than 15 bytes';
  if (ifname === '.' || ifname === '..' || /[/:\s]/.test(ifname)) return 'is no name for an interface';
  if (!/^[a-zA-Z0-9_][a-zA-Z0-9_.+-]*$/.test(ifname)) return 'may only have letters, digits and _ . + -';
  return undefined;
}

/** Unknown keys are the business of others, with IgnoreUnknown=1 or without. DEL forgives what is no pair. */
function parseArgs(text: string, command: Command): ReadonlyMap<string, string> {
  const args = new Map<string, string>();
  for (const pair of text.split(';').filter((part) => part.trim() !== '')) {
    const equals = pair.indexOf('=');
    if (equals > 0) args.set(pair.slice(0, equals).trim(), pair.slice(equals + 1).trim());
    else if (command !== 'DEL') throw new CniError(4, `CNI_ARGS has ${JSON.stringify(pair)}, which is not KEY=VALUE`);
  }
  return args;
}
