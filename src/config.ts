// The flags and environment of manxd, read once into a frozen value. Nothing else reads process.argv or process.env.
//
// One table says each option's flag, variable, default and meaning: parsing and --help share it.
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Address, type Family, familyOf, readAddress } from '#ip';
import { type AddressWish, readAddressWish } from './autodetect/wish.ts';
import { parseEndpoint } from './resources/endpoint.ts';
import { parseResource } from './resources/parse.ts';
import type { IPPool, NodeResource } from './resources/types.ts';
import { type CalicoGroup, calicoGroups } from './store/kubernetes/places.ts';
import { version } from './version.ts';

/** What the agent runs with. Folders are absolute. */
export interface AgentConfig {
  /** YAML that an operator edits. */
  readonly config: string;
  /** Blocks, affinities and handles; may be shared by the agents of several nodes. */
  readonly datastore: string;
  /** Resources are kept in Kubernetes instead of in these two folders. */
  readonly kubernetes?: KubernetesConfig;
  /** What must outlive the process: records of attachments, tombstones, the mark of a run. */
  readonly state: string;
  /** Sockets. */
  readonly run: string;
  readonly node: string;
  /** Whether routes go into the kernel. */
  readonly fib: boolean;
  /** Whether pods are wired. */
  readonly cni: boolean;
  /** Who works inside pods' namespaces; auto: the agent where it may. */
  readonly podHalf: 'auto' | 'agent' | 'plugin';
  /** Written when pods can be wired: what makes the container runtime call the plugin. */
  readonly conflist?: string;
  /** What that has in it, instead of the preset. */
  readonly conflistFrom?: string;
  /** /proc/sys/net, or another mount of it. */
  readonly sysctls: string;
  /** Instead of BGPConfiguration's listenPort; 0 takes any free one. */
  readonly listenPort?: number;
  /** Where /readyz and /livez answer; absent: nowhere. */
  readonly health?: { readonly address: Address; readonly port: number };
  /** Where the node's addresses come from, on Kubernetes. */
  readonly addresses: Readonly<Record<Family, AddressWish>>;
  /** The node's AS number, on Kubernetes; absent: what its Node says, or the cluster's. */
  readonly asNumber?: number;
  /** Instead of the node's IPv4 address; hash: made from the node's name. */
  readonly routerId?: Address | 'hash';
  /** To be made on Kubernetes where a family has no pool. */
  readonly pools: readonly IPPool[];
  readonly logLevel: LogLevel;
}

export interface KubernetesConfig {
  /** Absent: the service account of the pod that we run in. */
  readonly kubeconfig?: string;
  /** Of the Secrets with passwords; absent: the one that we run in. */
  readonly namespace?: string;
  /** Which of Calico's API groups, whatever is served. */
  readonly group?: CalicoGroup;
}

const podHalves = ['auto', 'agent', 'plugin'] as const;
export type LogLevel = (typeof logLevels)[number];
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

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

interface Option {
  readonly flag: string;
  readonly short?: string;
  /** How the value is called in --help; absent for a switch. */
  readonly value?: string;
  /** The environment variable that says the same; the flag wins. */
  readonly env?: string;
  readonly preset?: string;
  readonly says: string;
}

const options: readonly Option[] = [
  {
    flag: 'config',
    value: 'DIR',
    env: 'MANX_CONFIG',
    preset: '/etc/manx',
    says: 'YAML files of resources; changes take effect by themselves',
  },
  {
    flag: 'datastore',
    value: 'DIR',
    env: 'MANX_DATASTORE',
    preset: '/var/lib/manx/datastore',
    says: 'which addresses are taken; nodes on one file system share it',
  },
  {
    flag: 'store',
    value: 'S',
    env: 'MANX_STORE',
    says: 'file: those two folders (default); kubernetes: the API server of our pod or --kubeconfig',
  },
  {
    flag: 'kubeconfig',
    value: 'FILE',
    env: 'MANX_KUBECONFIG',
    says: 'how to reach the API server; implies --store kubernetes',
  },
  {
    flag: 'namespace',
    value: 'NS',
    env: 'MANX_NAMESPACE',
    says: 'where Secrets with passwords are (default: ours, else kube-system)',
  },
  {
    flag: 'calico-api-group',
    value: 'G',
    env: 'CALICO_API_GROUP',
    says: 'crd.projectcalico.org/v1 or projectcalico.org/v3, if not what is served',
  },
  {
    flag: 'state',
    value: 'DIR',
    env: 'MANX_STATE',
    preset: '/var/lib/manx',
    says: 'what must outlive the process; one agent each',
  },
  { flag: 'run', value: 'DIR', env: 'MANX_RUN', preset: '/run/manx', says: 'agent.sock and cni.sock; one agent each' },
  {
    flag: 'node',
    value: 'NAME',
    env: 'MANX_NODE',
    says: "this node's name, as in its Node resource (default: the host name)",
  },
  { flag: 'no-fib', env: 'MANX_NO_FIB', says: "leave the kernel's routes alone" },
  { flag: 'no-cni', env: 'MANX_NO_CNI', says: 'wire no pods' },
  {
    flag: 'pod-half',
    value: 'WHO',
    env: 'MANX_POD_HALF',
    preset: 'auto',
    says: "enters pods' namespaces: agent (takes SYS_ADMIN), plugin, or auto",
  },
  {
    flag: 'conflist',
    value: 'FILE',
    env: 'MANX_CONFLIST',
    says: 'where to write the CNI configuration once pods can be wired',
  },
  {
    flag: 'conflist-from',
    value: 'FILE',
    env: 'MANX_CONFLIST_FROM',
    says: 'what to write there, for a chain with other plugins',
  },
  {
    flag: 'sysctls',
    value: 'DIR',
    env: 'MANX_SYSCTLS',
    preset: '/proc/sys/net',
    says: 'another mount of it where this one is read-only',
  },
  {
    flag: 'listen-port',
    value: 'N',
    env: 'MANX_LISTEN_PORT',
    says: "the BGP port here, instead of BGPConfiguration's listenPort (179); 0: any free one",
  },
  {
    flag: 'health',
    value: 'ADDRESS:PORT',
    env: 'MANX_HEALTH',
    says: 'answer GET /readyz and /livez there, for probes: 127.0.0.1:9179 (default: nowhere)',
  },
  ...addressOptions(4),
  ...addressOptions(6),
  {
    flag: 'as',
    value: 'N',
    env: 'AS',
    says: "on Kubernetes: this node's AS number (default: the Node's, else BGPConfiguration's)",
  },
  {
    flag: 'router-id',
    value: 'ID',
    env: 'CALICO_ROUTER_ID',
    says: "an IPv4 address, or hash: of the node's name (default: its IPv4 address, else hash)",
  },
  { flag: 'no-default-pools', env: 'NO_DEFAULT_POOLS', says: 'make no IPPool, whatever the following say' },
  ...poolOptions(4),
  ...poolOptions(6),
  { flag: 'log-level', value: 'L', env: 'MANX_LOG_LEVEL', preset: 'info', says: logLevels.join(', ') },
  { flag: 'check', says: 'say what is wrong in DIR (default: --config) and exit: 0 nothing, 1 something' },
  { flag: 'help', short: '-h', says: 'this' },
  { flag: 'version', says: 'the version' },
];

/** With Calico's variables: a DaemonSet that was written for it says the same to Manx. */
function addressOptions(family: Family): Option[] {
  const suffix = family === 4 ? '' : '6';
  const otherwise = family === 4 ? 'else autodetect' : 'else none';
  return [
    {
      flag: `ip${suffix}`,
      value: 'IP',
      env: `IP${suffix}`,
      says: `on Kubernetes: autodetect, none or an IPv${family} address (default: the Node's, ${otherwise})`,
    },
    {
      flag: `ip${suffix}-method`,
      value: 'M',
      env: `IP${suffix}_AUTODETECTION_METHOD`,
      preset: 'first-found',
      says: 'how it is found (below)',
    },
  ];
}

function poolOptions(family: Family): Option[] {
  const pool = `pool${family}`;
  // Calico has no IP in IP for IPv6.
  const tunnels = family === 4 ? ['IPIP', 'VXLAN'] : ['VXLAN'];
  const env = `CALICO_IPV${family}POOL`;
  const size = family === 4 ? 26 : 122;
  return [
    { flag: pool, value: 'CIDR', env: `${env}_CIDR`, says: `make this IPPool where there is none of IPv${family}` },
    {
      flag: `${pool}-block-size`,
      value: 'N',
      env: `${env}_BLOCK_SIZE`,
      says: `length of its blocks (default: ${size})`,
    },
    {
      flag: `${pool}-nat`,
      value: 'B',
      env: `${env}_NAT_OUTGOING`,
      preset: String(family === 4),
      says: 'its natOutgoing: true or false',
    },
    {
      flag: `${pool}-no-export`,
      value: 'B',
      env: `${env}_DISABLE_BGP_EXPORT`,
      preset: 'false',
      says: 'its disableBGPExport: true or false',
    },
    {
      flag: `${pool}-node-selector`,
      value: 'S',
      env: `${env}_NODE_SELECTOR`,
      preset: 'all()',
      says: 'nodes that may use it',
    },
    ...tunnels.map((tunnel) => ({
      flag: `${pool}-${tunnel.toLowerCase()}`,
      value: 'M',
      env: `${env}_${tunnel}`,
      preset: 'Never',
      says: 'a tunnel, which this build has none of: Never',
    })),
  ];
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

/** Flags to values; a switch has the value "true". */
type Given = Map<string, string>;

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

function assemble(given: Given, hostname: string, problems: string[]): AgentConfig {
  const text = (flag: string): string =>
    given.get(flag) ?? options.find((option) => option.flag === flag)?.preset ?? '';
  const node = given.get('node') ?? hostname;
  if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/i.test(node)) problems.push(`--node ${node}: is no node name`);
  const run = resolve(text('run'));
  // sockaddr_un holds 107 bytes and the closing zero (unix(7)); beyond, bind() fails with a message that helps nobody.
  const longest = join(run, 'agent.sock.new');
  if (Buffer.byteLength(longest) > 107) problems.push(`--run ${run}: too long for a socket (at most 92 bytes)`);
  const port = given.get('listen-port');
  if (port !== undefined && !isPort(port)) problems.push(`--listen-port ${port}: a port is a number from 0 to 65535`);
  const health = readHealth(given.get('health'), problems);
  const podHalf = podHalves.find((name) => name === text('pod-half'));
  if (podHalf === undefined) problems.push(`--pod-half ${text('pod-half')}: is one of ${podHalves.join(', ')}`);
  const conflist = given.get('conflist');
  const conflistFrom = given.get('conflist-from');
  const level = logLevels.find((name) => name === text('log-level'));
  if (level === undefined) problems.push(`--log-level ${text('log-level')}: is one of ${logLevels.join(', ')}`);
  const { kubernetes } = kubernetesOf(given, problems);
  return {
    config: resolve(text('config')),
    datastore: resolve(text('datastore')),
    ...(kubernetes && { kubernetes }),
    state: resolve(text('state')),
    run,
    node,
    fib: !given.has('no-fib'),
    cni: !given.has('no-cni'),
    podHalf: podHalf ?? 'auto',
    ...(conflist !== undefined && { conflist: resolve(conflist) }),
    ...(conflistFrom !== undefined && { conflistFrom: resolve(conflistFrom) }),
    sysctls: resolve(text('sysctls')),
    ...(port !== undefined && { listenPort: Number(port) }),
    ...(health && { health }),
    addresses: { 4: readWish(given, 4, problems), 6: readWish(given, 6, problems) },
    ...readAsNumber(given, kubernetes !== undefined, problems),
    ...readRouterId(given, problems),
    pools: given.has('no-default-pools') ? [] : [...readPool(given, 4, problems), ...readPool(given, 6, problems)],
    logLevel: level ?? 'info',
  };
}

function readWish(given: Given, family: Family, problems: string[]): AddressWish {
  const flag = family === 4 ? 'ip' : 'ip6';
  const reading = readAddressWish({ ip: given.get(flag), method: given.get(`${flag}-method`) }, family);
  if ('wish' in reading) return reading.wish;
  problems.push(`--${flag}${reading.of === 'method' ? '-method' : ''} ${reading.refused}`);
  return { from: 'none' };
}

function readPool(given: Given, family: Family, problems: string[]): IPPool[] {
  const flag = `pool${family}`;
  const cidr = given.get(flag);
  if (cidr === undefined) return [];
  const size = given.get(`${flag}-block-size`);
  const fields = {
    natOutgoing: truthOf(given.get(`${flag}-nat`)) ?? family === 4,
    disableBGPExport: truthOf(given.get(`${flag}-no-export`)),
    nodeSelector: given.get(`${flag}-node-selector`),
    ipipMode: given.get(`${flag}-ipip`),
    vxlanMode: given.get(`${flag}-vxlan`),
  };
  const spec = {
    cidr,
    ...(size !== undefined && { blockSize: Number(size) }),
    ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)),
  };
  const document = {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name: `default-ipv${family}-ippool` },
    spec,
  };
  const parsed = parseResource(document);
  problems.push(...parsed.problems.map(({ path, message }) => `--${flag} ${cidr}: ${path}: ${message}`));
  const pool = parsed.resource as IPPool | undefined;
  if (pool !== undefined && cidr.includes(':') !== (family === 6))
    problems.push(`--${flag} ${cidr}: is not IPv${family}`);
  return pool === undefined ? [] : [pool];
}

/** What is neither is left to be complained about. */
function truthOf(text: string | undefined): boolean | string | undefined {
  return text === 'true' ? true : text === 'false' ? false : text;
}

/** Only on Kubernetes: elsewhere the Node is in a file, and AS in the environment is mostly somebody's assembler. */
function readAsNumber(given: Given, inCluster: boolean, problems: string[]): Pick<AgentConfig, 'asNumber'> {
  const text = given.get('as');
  if (text === undefined || !inCluster) return {};
  const spec = { bgp: { asNumber: text } };
  const document = { apiVersion: 'projectcalico.org/v3', kind: 'Node', metadata: { name: 'as' }, spec };
  const parsed = parseResource(document);
  problems.push(...parsed.problems.map(({ message }) => `--as ${text}: ${message}`));
  const asNumber = (parsed.resource as NodeResource | undefined)?.spec.bgp?.asNumber;
  return asNumber === undefined ? {} : { asNumber };
}

/** RFC 6286 §2.1: any number but 0, mostly written as an address. */
function readRouterId(given: Given, problems: string[]): Pick<AgentConfig, 'routerId'> {
  const text = given.get('router-id');
  if (text === undefined || text === 'hash') return text === undefined ? {} : { routerId: text };
  const address = readAddress(text);
  if (address !== undefined && familyOf(address) === 4 && address !== '0.0.0.0') return { routerId: address };
  problems.push(`--router-id ${text}: is neither hash nor an IPv4 address other than 0.0.0.0`);
  return {};
}

function readHealth(text: string | undefined, problems: string[]): AgentConfig['health'] {
  if (text === undefined) return undefined;
  try {
    const { address, port } = parseEndpoint(text);
    if (port !== undefined) return { address, port };
    problems.push(`--health ${text}: names no port, as in 127.0.0.1:9179`);
  } catch (error) {
    problems.push(`--health: ${(error as Error).message}`);
  }
  return undefined;
}

function kubernetesOf(given: Given, problems: string[]): { readonly kubernetes?: KubernetesConfig } {
  const [kubeconfig, namespace, word] = ['kubeconfig', 'namespace', 'calico-api-group'].map((flag) => given.get(flag));
  const store = given.get('store') ?? (kubeconfig === undefined ? 'file' : 'kubernetes');
  if (store !== 'file' && store !== 'kubernetes') problems.push(`--store ${store}: is file or kubernetes`);
  if (store === 'file' && kubeconfig !== undefined) problems.push('--store file: --kubeconfig says otherwise');
  const group = calicoGroups.find((one) => one === word);
  if (word !== undefined && group === undefined) {
    problems.push(`--calico-api-group ${word}: is ${calicoGroups.join(' or ')}`);
  }
  if (store !== 'kubernetes') return {};
  return {
    kubernetes: {
      ...(kubeconfig !== undefined && { kubeconfig: resolve(kubeconfig) }),
      ...(namespace !== undefined && { namespace }),
      ...(group !== undefined && { group }),
    },
  };
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535;
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

function help(): string {
  const rows = options.map(({ flag, value, env, preset, says }) => {
    const notes = [preset, env].filter((note) => note !== undefined).join(', ');
    return [
      `  --${flag}${value === undefined ? '' : ` ${value}`}`,
      notes === '' ? says : `${says} [${notes}]`,
    ] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  const listed = rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`).join('\n');
  return `${intro}\n\nOptions, with their defaults and environment variables:\n${listed}\n\n${recipes}`;
}

const intro = `manxd ${version}: the routing agent of a node

  manxd [options]         runs until SIGTERM or SIGINT
  manxd --check [DIR]     validates a configuration folder

Routes stay in the kernel when it ends, however it ends: stopping, crashing and upgrading lose no packet.
A second signal ends it at once. It logs JSON lines on standard output; manxctl shows what it does.`;

const recipes = `Every part can be left out:
  a node of a cluster          manxd
  a plain router, no pods      manxd --no-cni
  a route server               manxd --no-fib --no-cni         PeerOptions "role: RouteServer", BGPPeer "nextHopMode: Keep"
  only announcing prefixes     manxd --no-fib --no-cni         BGPConfiguration serviceExternalIPs names them
  peers that dial us           PeerOptions "passive: true", or "dynamicPrefix" for whole networks
  several on one host          give each its own --state, --run and --node, and one --listen-port or namespace each
  several nodes, one folder    the same --config and --datastore, a --node of its own each
  a node of Kubernetes         --kubeconfig FILE, or --store kubernetes in a pod; --node is the Node's name
  without root                 --no-fib --no-cni, a --listen-port from 1024 on, and folders that you may write

Methods that find a node's address on Kubernetes, as Calico has them:
  first-found                  the last interface that leads outside: not lo, docker…, veth…, cali…, tunl…, …
  interface=R,R                on an interface whose name fits one of these regular expressions
  skip-interface=R,R           as first-found, but not on these
  cidr=P,P                     an address inside one of these prefixes
  can-reach=HOST               the one that packets to HOST leave from
  kubernetes-internal-ip       the Node's InternalIP

Files:
  CONFIG/*.yaml                Node, IPPool, BGPConfiguration, BGPPeer, BGPFilter, IPReservation, IPAMConfig (Calico's v3)
                               and PeerOptions (projectmanx.org/v1), several documents a file
  RUN/agent.sock, RUN/cni.sock the API that manxctl speaks (its description: GET /openapi.json), and the CNI plugin's
  STATE/attachments            what is wired here; STATE/tombstones: pods that were deleted while no agent ran`;
