// One table says each option's flag, variable, default and meaning: reading and --help share it.
import type { Family } from '#ip';
import { logLevels } from './model.ts';

export interface Option {
  readonly flag: string;
  readonly short?: string;
  /** How the value is called in --help; absent for a switch. */
  readonly value?: string;
  /** The environment variable that says the same; the flag wins. */
  readonly env?: string;
  readonly preset?: string;
  readonly says: string;
}

export const options: readonly Option[] = [
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
