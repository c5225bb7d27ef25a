// The network configuration: what every verb reads of it, and what ADD wishes for beyond that.
//
// Keys of ours: socket, stateDir, mtu, ipam {assign_ipv4, assign_ipv6, ipv4_pools, ipv6_pools} and container_settings
// {allow_ip_forwarding}, the last two as Calico's plugin has them. Unknown keys are somebody else's.
import { type Address, IpError, familyOf, parseAddress, parseInterfaceAddress } from '#ip';
import { mergeAnnotations, wishFromAnnotations } from './annotations.ts';
import { CniError } from './error.ts';
import { namePattern } from './environment.ts';
import {
  type Json,
  booleanAt,
  integerAt,
  isObject,
  malformed,
  objectAt,
  objectsAt,
  stringAt,
  stringsAt,
  withLowerCaseKeys,
} from './json.ts';
import type { PodFacts } from './port.ts';
import { type Version, parseVersion } from './version.ts';

export interface NetworkConfig {
  readonly cniVersion: Version;
  readonly name: string;
  /** The agent's unix socket. */
  readonly socket: string;
  /** Where the agent keeps its state: tombstones go to `${stateDir}/tombstones`. */
  readonly stateDir: string;
  /** The whole object, for fields that only one verb reads. */
  readonly raw: Json;
}

/** What ADD is asked for. */
export interface Wish {
  readonly mtu?: number;
  /** true or false where the configuration says so; undefined leaves it to the agent. */
  readonly assign: { readonly v4?: boolean; readonly v6?: boolean };
  /** Names or CIDRs; a family without a list may use any pool. */
  readonly pools: { readonly 4?: readonly string[]; readonly 6?: readonly string[] };
  readonly addresses?: readonly Address[];
  readonly mac?: string;
  readonly allowIpForwarding: boolean;
  readonly dns?: Json;
  readonly namespaceLabels?: Readonly<Record<string, string>>;
}

export const defaultSocket = '/run/manx/cni.sock';
export const defaultStateDir = '/var/lib/manx';

/**
 * Reads what every verb needs. The rest may be malformed: it must not keep DEL from cleaning up.
 * @throws CniError 7 for a bad name, 1 for a version that is not spoken.
 */
export function parseConfig(raw: unknown, command: string): NetworkConfig {
  if (!isObject(raw)) throw new CniError(6, 'the network configuration is not a JSON object');
  const cniVersion = parseVersion(raw['cniVersion'], command);
  const name = raw['name'];
  if (typeof name !== 'string' || !namePattern.test(name)) {
    const found = name === undefined ? 'is missing' : `${JSON.stringify(name)} must match ${namePattern.source}`;
    throw new CniError(7, `the network's name ${found}`);
  }
  const socket = pathAt(raw, 'socket') ?? defaultSocket;
  const stateDir = pathAt(raw, 'stateDir') ?? defaultStateDir;
  return { cniVersion, name, socket, stateDir, raw };
}

/**
 * Decodes standard input.
 * @throws CniError 6 when it is empty or no JSON.
 */
export function decodeConfig(text: string): unknown {
  if (text.trim() === '') throw new CniError(6, 'standard input is empty: the network configuration belongs there');
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new CniError(6, `the network configuration is not JSON: ${reason}`, { cause });
  }
}

/**
 * Reads what ADD is asked for. Where several say the same, the more particular wins: runtimeConfig (the pod's own
 * annotations least of it, and its namespace's least of those), then args.cni, then CNI_ARGS.
 * @throws CniError 7 for an expected field that is malformed, 2 for one that asks for what Manx does not do.
 */
export function parseWish(raw: Json, args: ReadonlyMap<string, string>, facts?: PodFacts): Wish {
  const runtime = withLowerCaseKeys(objectAt(raw, 'runtimeConfig'));
  refuseUnsupported(raw, runtime);
  const cniArgs = objectAt(objectAt(raw, 'args'), 'cni', 'args.cni');
  const passed = objectAt(runtime, podAnnotations, `runtimeConfig.${podAnnotations}`);
  const annotated = wishFromAnnotations(mergeAnnotations(facts, passed));
  const ipam = objectAt(raw, 'ipam');

  const addresses =
    addressesFrom(stringsAt(runtime, 'ips', 'runtimeConfig.ips'), 'runtimeConfig.ips') ??
    annotated.addresses ??
    addressesFrom(stringsAt(cniArgs, 'ips', 'args.cni.ips'), 'args.cni.ips') ??
    addressesFrom(args.get('IP')?.split(','), 'CNI_ARGS IP');
  const mac =
    stringAt(runtime, 'mac', 'runtimeConfig.mac') ??
    annotated.mac ??
    stringAt(cniArgs, 'mac', 'args.cni.mac') ??
    args.get('MAC');
  const v4 = annotated.assign?.v4 ?? booleanAt(ipam, 'assign_ipv4', 'ipam.assign_ipv4');
  const v6 = annotated.assign?.v6 ?? booleanAt(ipam, 'assign_ipv6', 'ipam.assign_ipv6');
  const v4Pools = annotated.v4Pools ?? stringsAt(ipam, 'ipv4_pools', 'ipam.ipv4_pools');
  const v6Pools = annotated.v6Pools ?? stringsAt(ipam, 'ipv6_pools', 'ipam.ipv6_pools');
  const mtu = parseMtu(raw);
  const dns = parseDns(raw, runtime);
  return {
    pools: { ...(v4Pools?.length && { 4: v4Pools }), ...(v6Pools?.length && { 6: v6Pools }) },
    assign: { ...(v4 !== undefined && { v4 }), ...(v6 !== undefined && { v6 }) },
    allowIpForwarding:
      booleanAt(objectAt(raw, 'container_settings'), 'allow_ip_forwarding', 'container_settings.allow_ip_forwarding') ??
      false,
    ...(mtu !== undefined && { mtu }),
    ...(addresses !== undefined && { addresses }),
    ...(mac && { mac: parseMac(mac) }),
    ...(dns !== undefined && { dns }),
    ...(facts?.namespaceLabels && { namespaceLabels: facts.namespaceLabels }),
  };
}

const podAnnotations = 'io.kubernetes.cri.pod-annotations';

function pathAt(raw: Json, key: string): string | undefined {
  const path = stringAt(raw, key);
  if (path !== undefined && !path.startsWith('/')) throw malformed(key, path, 'an absolute path');
  return path;
}

/** Capabilities that would need wiring of their own: better refused than silently not done. */
const unsupported = ['portmappings', 'bandwidth', 'ipranges', 'infinibandguid', 'deviceid'];

function refuseUnsupported(raw: Json, runtime: Json): void {
  const type = stringAt(objectAt(raw, 'ipam'), 'type', 'ipam.type');
  if (type !== undefined && type !== 'manx' && type !== 'calico-ipam') {
    throw new CniError(2, `ipam.type ${JSON.stringify(type)} is not supported: the agent gives the addresses itself`);
  }
  for (const key of unsupported) {
    const value = runtime[key] ?? undefined;
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    const name = Object.keys(objectAt(raw, 'runtimeConfig')).find((written) => written.toLowerCase() === key);
    throw new CniError(
      2,
      `runtimeConfig.${name} ${JSON.stringify(value)} is not supported: chain a plugin that does it (portmap, bandwidth)`,
    );
  }
}

/** IPv6 needs 1280 octets (RFC 8200, section 5): below, the kernel takes IPv6 off the link. */
function parseMtu(raw: Json): number | undefined {
  const mtu = integerAt(raw, 'mtu');
  if (mtu === undefined || mtu === 0) return undefined;
  if (mtu < 1280 || mtu > 65535) throw malformed('mtu', mtu, '1280 to 65535, or 0 for the default');
  return mtu;
}

/** Addresses with or without a length, which says nothing here: a pod's address is always a /32 or /128. */
function addressesFrom(texts: readonly string[] | undefined, path: string): readonly Address[] | undefined {
  if (texts === undefined || texts.length === 0) return undefined;
  const addresses = texts.map((text) => {
    try {
      const trimmed = text.trim();
      return trimmed.includes('/') ? parseInterfaceAddress(trimmed).address : parseAddress(trimmed);
    } catch (error) {
      if (error instanceof IpError) throw new CniError(7, `${path}: ${error.message}`, { cause: error });
      throw error;
    }
  });
  return addresses;
}

function parseMac(text: string): string {
  const mac = text.toLowerCase();
  const isUnicast = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac) && mac !== '00:00:00:00:00:00';
  if (!isUnicast) throw malformed('mac', text, 'a unicast MAC address such as 02:00:5e:10:00:01');
  return mac;
}

/** Passed on into the result; the runtime's words go before the configuration's. */
function parseDns(raw: Json, runtime: Json): Json | undefined {
  const asked = withLowerCaseKeys(objectAt(runtime, 'dns', 'runtimeConfig.dns'));
  const configured = objectAt(raw, 'dns');
  const domain = stringAt(configured, 'domain', 'dns.domain');
  const lists = {
    nameservers:
      stringsAt(asked, 'servers', 'runtimeConfig.dns.servers') ??
      stringsAt(configured, 'nameservers', 'dns.nameservers'),
    search: stringsAt(asked, 'searches', 'runtimeConfig.dns.searches') ?? stringsAt(configured, 'search', 'dns.search'),
    options:
      stringsAt(asked, 'options', 'runtimeConfig.dns.options') ?? stringsAt(configured, 'options', 'dns.options'),
  };
  const filled = Object.entries(lists).filter(([, list]) => list !== undefined && list.length > 0);
  const dns = { ...Object.fromEntries(filled), ...(domain !== undefined && { domain }) };
  return Object.keys(dns).length > 0 ? dns : undefined;
}

/** Which attachments of this network are alive, from a GC call. @throws CniError 7 when the list is missing. */
export function parseValidAttachments(raw: Json): ReadonlySet<string> {
  const list = objectsAt(raw, 'cni.dev/valid-attachments');
  // An absent list read as an empty one would unplug every pod of the network.
  if (list === undefined) throw new CniError(7, 'GC needs cni.dev/valid-attachments in the network configuration');
  return new Set(
    list.map((item, index) => {
      const path = `cni.dev/valid-attachments[${index}]`;
      const containerId = stringAt(item, 'containerID', `${path}.containerID`);
      const ifname = stringAt(item, 'ifname', `${path}.ifname`);
      if (!containerId || !ifname) throw malformed(path, item, '{containerID, ifname}');
      return attachmentName(containerId, ifname);
    }),
  );
}

export function attachmentName(containerId: string, ifname: string): string {
  return `${containerId}/${ifname}`;
}

/**
 * The families to assign: as wished, or as the fixed addresses are. Never none.
 * @throws CniError 7 when the configuration rules out both; 11 when it leaves the choice, and there are no pools.
 */
export function chooseFamilies(wish: Wish, byDefault: readonly (4 | 6)[]): readonly (4 | 6)[] {
  if (wish.addresses) return ([4, 6] as const).filter((family) => wish.addresses!.some((a) => familyOf(a) === family));
  const chosen = ([4, 6] as const).filter(
    (family) => (family === 4 ? wish.assign.v4 : wish.assign.v6) ?? byDefault.includes(family),
  );
  if (chosen.length > 0) return chosen;
  if (byDefault.length === 0) throw new CniError(11, 'no address can be given: there is no pool of addresses');
  throw new CniError(7, 'ipam.assign_ipv4 and ipam.assign_ipv6 leave the pod without any address');
}
