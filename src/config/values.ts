// Words that were given into what they mean, and what is wrong with them.
import { join, resolve } from 'node:path';
import { type Family, familyOf, readAddress } from '#ip';
import { type AddressWish, readAddressWish } from '../autodetect/wish.ts';
import { parseEndpoint } from '../resources/endpoint.ts';
import { parseResource } from '../resources/parse.ts';
import type { IPPool, NodeResource } from '../resources/types.ts';
import { calicoGroups } from '../store/kubernetes/places.ts';
import { type AgentConfig, type KubernetesConfig, logLevels, podHalves } from './model.ts';
import { options } from './options.ts';

/** Flags to values; a switch has the value "true". */
export type Given = Map<string, string>;

export function assemble(given: Given, hostname: string, problems: string[]): AgentConfig {
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
