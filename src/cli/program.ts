// The commands of manxctl and their options, as --help lists them. What each does is in commands/.
import { Command, Option } from 'commander';
import { basename, join } from 'node:path';
import { formatJson } from '../resources/json.ts';
import { formatYaml } from '../resources/yaml.ts';
import { version } from '../version.ts';
import { bgpPeer, bgpPeerDo } from './commands/bgp-peer.ts';
import { bgpPeers } from './commands/bgp-peers.ts';
import { bgpRoutes } from './commands/bgp-routes.ts';
import { applyFiles } from './commands/apply.ts';
import { deleteResources } from './commands/delete.ts';
import { fibRoutes } from './commands/fib-routes.ts';
import { getResources } from './commands/get.ts';
import { ipamCheck } from './commands/ipam-check.ts';
import { type ConfigureOptions, ipamConfigure } from './commands/ipam-configure.ts';
import { type ReleaseOptions, ipamRelease } from './commands/ipam-release.ts';
import { ipamShow } from './commands/ipam-show.ts';
import { type LabelOptions, labelResource } from './commands/label.ts';
import { nodeCleanup } from './commands/node-cleanup.ts';
import { nodeStatus } from './commands/node-status.ts';
import { services } from './commands/services.ts';
import { showVersion } from './commands/version.ts';
import { connectApi } from './client.ts';
import type { Context, OutputFormat } from './context.ts';
import { exitCodes } from './exit.ts';
import { paintFor } from './paint.ts';
import { type ResourceAccess, openResources } from './resource-access.ts';
import { type Choice, type OpenTarget, openStore, openTarget } from './target.ts';

/** Options of the whole program: they may stand before or behind the command. */
interface GlobalOptions {
  /** A format; with `ipam check` also a file. */
  readonly output?: string;
  readonly run: string;
  readonly socket?: string;
  readonly config?: string;
  readonly datastore?: string;
  readonly kubeconfig?: string;
  readonly datastoreType?: 'kubernetes' | 'file';
  readonly node?: string;
  readonly inPod?: string;
}

/** kubectl runs `kubectl-manx` for `kubectl manx`: whoever calls us so means the cluster. */
const PLUGIN = 'kubectl-manx';

export function createProgram(): Command {
  const program = new Command(isPlugin() ? 'kubectl manx' : 'manxctl')
    .description('Shows and changes what routing agents do: that of this node, or those of a cluster.')
    .version(`manxctl ${version}`)
    .option('-o, --output <format>', 'how to print (choices: "wide", "json", "yaml")')
    .addOption(new Option('--run <dir>', 'run directory of the agent').env('MANX_RUN').default('/run/manx'))
    .option('--socket <path>', 'its API socket (default: agent.sock in the run directory)')
    .option('--config <dir>', 'configuration folder to work on when no agent answers (get, create, apply, delete)')
    .option('--datastore <dir>', 'datastore folder beside --config')
    .addOption(new Option('--kubeconfig <file>', 'the cluster to work on, instead of an agent').env('KUBECONFIG'))
    .addOption(
      new Option('--datastore-type <type>', 'kubernetes: a cluster, as with --kubeconfig')
        .choices(['kubernetes', 'file'])
        .env('DATASTORE_TYPE'),
    )
    .option('--node <name>', 'the node that is meant (node status)')
    .addOption(new Option('--in-pod <address>').env('KUBERNETES_SERVICE_HOST').hideHelp())
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'manxctl: ')) })
    .showHelpAfterError('  manxctl --help lists what there is')
    .exitOverride()
    .hook('preAction', (_program, command) => requireFormat(command))
    .addHelpText(
      'after',
      '\nExit codes: 0 good, 1 degraded or refused, 2 wrong usage, 3 no agent or API server answers.',
    );
  addNodeCommands(program);
  addResourceCommands(program);
  addLabelCommand(program);
  addIpamCommands(program);
  addBgpCommands(program);
  addFibCommands(program);
  program
    .command('services')
    .description('which addresses of Services this node announces, and why not the others')
    .argument('[address or service...]')
    .action(act((context, command) => services(context, command.args)));
  program
    .command('version')
    .description("this program's version and the agent's, on a cluster those of all agents")
    .action(act((context, command) => showVersion(context, target(command), choiceOf(command).cluster)));
  return program;
}

function addNodeCommands(program: Command): void {
  const node = group(program, 'node', 'this node');
  node
    .command('status')
    .description('how a node does, and why if not well; on a cluster: all of them, or that of --node')
    .action(
      act((context, command) => nodeStatus(context, target(command), command.optsWithGlobals<GlobalOptions>().node)),
    );
  node
    .command('cleanup')
    .description("uninstall: remove Manx's routes and nft table from the kernel")
    .option('--yes', 'do it: pods of this node lose their routes')
    .action(act((context, command) => nodeCleanup(context, command.opts<{ yes?: true }>())));
}

function addResourceCommands(program: Command): void {
  program
    .command('get')
    .description('show resources')
    .argument('<kind>', 'node, ippool, bgppeer, bgpconfig, bgpfilter, ipreservation, peeroptions, …; or KIND/NAME...')
    .argument('[name...]')
    .action(act((context, command) => getResources(context, access(command), command.args)));
  for (const [verb, description] of [
    ['apply', 'create resources, or change those that are there'],
    ['create', 'create resources; those that are there stay as they are'],
    ['replace', 'change resources that are there'],
  ] as const) {
    program
      .command(verb)
      .description(description)
      .requiredOption('-f, --filename <file...>', 'YAML or JSON, a folder of it, or - for standard input')
      .action(
        act((context, command) =>
          applyFiles(context, access(command), verb, command.opts<{ filename: string[] }>().filename),
        ),
      );
  }
  program
    .command('delete')
    .description('delete resources')
    .argument('[kind]')
    .argument('[name...]')
    .option('-f, --filename <file...>', 'delete what these files describe')
    .option('--skip-not-exists', 'what is not there is no error')
    .action(act((context, command) => deleteResources(context, access(command), command.args, command.opts())));
}

function addLabelCommand(program: Command): void {
  program
    .command('label')
    .description('set labels of a resource (nodes among them), or remove them')
    .argument('<kind>', 'KIND NAME, or KIND/NAME')
    .argument('<words...>', 'KEY=VALUE, or KEY- to remove it')
    .option('--overwrite', 'also where the label has another value')
    .option('--remove', 'the words are KEYs, to be removed')
    .action(
      act((context, command) => labelResource(context, access(command), command.args, command.opts<LabelOptions>())),
    );
}

function addIpamCommands(program: Command): void {
  const ipam = group(program, 'ipam', 'addresses');
  ipam
    .command('check')
    .description("what is wrong in IPAM's data; on a cluster compared with its pods; -o FILE writes a report")
    .option('--show-all-ips', 'every address, and who has it')
    .option('--show-problem-ips', 'addresses with which something is wrong')
    .action(
      act((context, command) => {
        const file = reportFileOf(command);
        return ipamCheck(context, target(command), {
          ...command.opts(),
          ...(file !== undefined && { reportFile: file }),
        });
      }),
    );
  ipam
    .command('release')
    .description('give addresses back that nobody has any more')
    .option('--ip <address...>', 'one or several')
    .option(
      '--from-report <file...>',
      'all that ipam check -o FILE found leaked (of several files: what all of them did) and nobody has now',
    )
    .option('--force', 'with --ip: also one that a pod has; with --from-report: also an old or a foreign report')
    .action(
      act((context, command) =>
        ipamRelease(context, () => openStore(choiceOf(command)), command.opts<ReleaseOptions>()),
      ),
    );
  ipam
    .command('configure')
    .description('how addresses are given')
    .addOption(
      new Option('--strictaffinity <bool>', 'whether a node uses its own blocks alone').choices(['true', 'false']),
    )
    .option('--max-blocks-per-host <n>', 'how many blocks a node may have; 0: as many as Calico lets it (20)')
    .action(act((context, command) => ipamConfigure(context, access(command), command.opts<ConfigureOptions>())));
  ipam
    .command('show')
    .description('how many addresses are in use')
    .option('--show-blocks', 'also by block')
    .option('--show-borrowed', 'only addresses that lie in a block of another node')
    .option('--show-configuration', 'how addresses are given')
    .option('--ip <address>', 'who has this address')
    .action(act((context, command) => ipamShow(context, target(command), command.opts())));
}

function addBgpCommands(program: Command): void {
  const bgp = group(program, 'bgp', 'sessions and routes of the BGP speaker');
  bgp
    .command('peers')
    .description('all sessions')
    .action(act((context) => bgpPeers(context)));
  bgp
    .command('peer')
    .description('everything about one session')
    .argument('<name>', 'name or address')
    .addOption(new Option('--refresh', 'ask the peer for its routes again').conflicts('reset'))
    .option('--reset', 'end the session; it comes back by itself')
    .action(
      act(async (context, command) => {
        const [name = ''] = command.args;
        const { refresh, reset } = command.opts<{ refresh?: true; reset?: true }>();
        if (refresh) return bgpPeerDo(context, name, 'refresh');
        return reset ? bgpPeerDo(context, name, 'reset') : bgpPeer(context, name);
      }),
    );
  bgp
    .command('routes')
    .description('routes, or everything about one')
    .argument('[prefix]', 'a prefix, or an address for the longest prefix that contains it')
    .addOption(new Option('--family <family>').choices(['ipv4-unicast', 'ipv6-unicast']))
    .option('--peer <name>', 'only paths from this peer')
    .option('--limit <n>', 'prefixes at most (1000)')
    .action(
      act((context, command) => {
        const [prefix] = command.args;
        return bgpRoutes(context, { ...(prefix !== undefined && { prefix }), ...command.opts() });
      }),
    );
}

function addFibCommands(program: Command): void {
  const fib = group(program, 'fib', "this node's routes in the kernel");
  fib
    .command('routes')
    .description('all of them')
    .action(act((context) => fibRoutes(context, 'all')));
  fib
    .command('diff')
    .description('only what is not as it should be, and why')
    .action(act((context) => fibRoutes(context, 'differing')));
}

/** Without a command of it, commander prints its help as an error. */
function group(program: Command, name: string, description: string): Command {
  return program.command(name).description(description);
}

function access(command: Command): () => Promise<ResourceAccess & AsyncDisposable> {
  return () => openResources(target(command));
}

function target(command: Command): OpenTarget {
  const api = connectApi(socketOf(command.optsWithGlobals<GlobalOptions>()));
  return () => openTarget(api, choiceOf(command));
}

function choiceOf(command: Command): Choice {
  const { config, datastore, kubeconfig, datastoreType, node, inPod } = command.optsWithGlobals<GlobalOptions>();
  const isWished = command.getOptionValueSourceWithGlobals('kubeconfig') === 'cli';
  return {
    ...(config !== undefined && { config }),
    ...(datastore !== undefined && { datastore }),
    ...(kubeconfig !== undefined && { kubeconfig }),
    inPod: inPod !== undefined,
    // The agent here knows this node alone.
    cluster:
      isWished || isPlugin() || datastoreType === 'kubernetes' || (node !== undefined && kubeconfig !== undefined),
  };
}

function isPlugin(): boolean {
  return basename(process.argv[1] ?? '') === PLUGIN;
}

function socketOf({ socket, run }: Pick<GlobalOptions, 'socket' | 'run'>): string {
  return socket ?? join(run, 'agent.sock');
}

/** Gives a command what it needs; commander passes the command last, whatever arguments come before. */
function act(run: (context: Context, command: Command) => Promise<void>): (...passed: unknown[]) => Promise<void> {
  return (...passed) => {
    const command = passed.at(-1) as Command;
    return run(createContext(command.optsWithGlobals<GlobalOptions>()), command);
  };
}

const formats: readonly string[] = ['wide', 'json', 'yaml'] satisfies OutputFormat[];

/** As calicoctl has it: -o of `ipam check` may name the file for its report. */
function reportFileOf(command: Command): string | undefined {
  const { output } = command.optsWithGlobals<GlobalOptions>();
  return output === undefined || formats.includes(output) ? undefined : output;
}

function requireFormat(command: Command): void {
  const file = reportFileOf(command);
  if (file === undefined || (command.name() === 'check' && command.parent?.name() === 'ipam')) return;
  command.error(
    `error: option '-o, --output <format>' argument '${file}' is invalid. Allowed choices are ${formats.join(', ')}.`,
  );
}

function createContext(options: GlobalOptions): Context {
  const format = formats.includes(options.output ?? '') ? (options.output as OutputFormat) : 'text';
  const paint = paintFor(process.stdout);
  const print = (lines: readonly string[]): void =>
    void process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  return {
    api: connectApi(socketOf(options)),
    format,
    paint,
    now: () => Date.now(),
    print,
    warn: (lines) => console.error(`manxctl: ${lines.join('\n')}`),
    show: (value, render) => {
      if (format === 'json') process.stdout.write(`${formatJson(value, 2)}\n`);
      else if (format === 'yaml') process.stdout.write(`${formatYaml(value).trimEnd()}\n`);
      else print(render({ wide: format === 'wide', paint }));
    },
    degraded: () => {
      process.exitCode = exitCodes.degraded;
    },
  };
}
