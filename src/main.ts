// manxd: the entry file. Flags in, an agent that runs until it is told to stop, an exit code out.
import { hostname } from 'node:os';
import { FolderTaken } from './agent/lock.ts';
import { startAgent } from './agent.ts';
import { type AgentConfig, type Command, UsageError, readConfig } from './config.ts';
import { type Log, createLog } from './log.ts';
import { loadFolder } from './store/file.ts';
import { formatProblems } from './store/problems.ts';
import { countText } from './text.ts';

/** How long an orderly end may take before it is cut short; routes and pods stay either way. */
const CLOSE_WITHIN_MS = 5_000;

const command = readCommand();
switch (command?.do) {
  case undefined:
    process.exitCode = 2;
    break;
  case 'print':
    console.log(command.text);
    break;
  case 'check':
    process.exitCode = await check(command.folder);
    break;
  case 'run':
    await run(command.config);
}

function readCommand(): Command | undefined {
  try {
    return readConfig(process.argv.slice(2), process.env, hostname());
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return undefined;
  }
}

async function check(folder: string): Promise<number> {
  const { problems, resources } = await loadFolder(folder);
  if (problems.length === 0) {
    console.log(`${folder}: ${resources.length} resources, no problem`);
    return 0;
  }
  console.error(`manxd: ${countText(problems.length, 'problem')} in ${folder}\n${formatProblems(problems)}`);
  return 1;
}

async function run(config: AgentConfig): Promise<void> {
  const { log, flush } = createLog({ level: config.logLevel, node: config.node });
  const die = (error: unknown, message: string): never => {
    log.fatal({ error }, message);
    flush();
    process.exit(1);
  };
  // A bug: what is in memory cannot be trusted any more. The routes stay, and whoever started us starts us again.
  process.on('uncaughtException', (error) => die(error, 'crashed'));
  // Node's own warnings go where everything goes. That node:ffi is experimental is known, and accepted.
  process.removeAllListeners('warning');
  process.on('warning', (error) => {
    if (error.name === 'ExperimentalWarning') log.debug({ error }, 'Node warns');
    else log.warn({ error }, 'Node warns');
  });
  const { promise: told, resolve: stop } = Promise.withResolvers<NodeJS.Signals>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop);
  try {
    const starting = startAgent(config, log);
    // Who is told to stop while it starts stops as soon as it has.
    await Promise.race([starting, told]);
    process.on('SIGHUP', () => void starting.then((agent) => agent.look()));
    await end(starting, await told, log);
  } catch (error) {
    if (error instanceof FolderTaken) console.error(`manxd: ${error.message}`);
    die(error, 'cannot run');
  }
  flush();
  process.exit();
}

/** Closes as for a restart: no NOTIFICATION, routes and pods as they are. A second signal ends it at once. */
async function end(starting: Promise<AsyncDisposable>, signal: NodeJS.Signals, log: Log): Promise<void> {
  log.info({ signal }, 'stopping; routes and pods stay');
  const { promise: impatience, resolve: hurry } = Promise.withResolvers<string>();
  for (const again of ['SIGTERM', 'SIGINT'] as const) process.once(again, () => hurry('a second signal'));
  const timer = setTimeout(() => hurry(`${CLOSE_WITHIN_MS} ms have passed`), CLOSE_WITHIN_MS);
  const closing = starting.then((agent) => agent[Symbol.asyncDispose]());
  const reason = await Promise.race([closing, impatience]);
  clearTimeout(timer);
  if (reason === undefined) log.info('stopped');
  else log.warn({ reason }, 'stopped before everything was closed');
}
