// Which of the host's addresses is the node's: what each method admits, in which order, and how to say so. Pure.
//
// Interfaces are gone through from the last to the first, and the addresses of one in the kernel's order, as Calico
// does: a mixed cluster finds the same ones. An address that the node has already is kept as long as its method admits
// it: an interface that appears later must not take all sessions down.
import { type Address, type Family, type InterfaceAddress, familyOf, containsAddress, hostPrefix, lengthOf } from '#ip';
import { classOf } from '../resources/classify.ts';
import { type Method, methodText } from './method.ts';

export interface HostInterface {
  readonly name: string;
  /** In the kernel's order. */
  readonly addresses: readonly HostAddress[];
}

export interface HostAddress extends InterfaceAddress {
  /** Temporary (RFC 8981), deprecated or not yet known to be unique: no address to be known by. */
  readonly fleeting?: boolean;
}

/** What is known of the host. */
export interface Host {
  /** Those that are up, in the kernel's order. */
  readonly interfaces: readonly HostInterface[];
  /** InternalIPs of the Kubernetes Node. */
  readonly internalIps: readonly Address[];
  /** The source of packets to the destination of can-reach, or why there is none. */
  readonly source?: Address | { readonly error: string };
}

/** "10.0.0.5/24" and where it is; or why there is none. `how` says how it came about, for people. */
export type Detection =
  | { readonly address: string; readonly interface?: string; readonly how: string }
  | { readonly none: string };

/** Names of interfaces that are not the node's way into the world. */
const inner = [
  ...[
    'docker',
    'cbr',
    'dummy',
    'podman',
    'virbr',
    'lxcbr',
    'veth',
    'lo',
    'cali',
    'tunl',
    'flannel',
    'kube-ipvs',
    'cni',
  ],
  ...['vxlan.calico', 'vxlan-v6.calico', 'wireguard.cali', 'wg-v6.cali', 'nodelocaldns', 'kube-bridge'],
];

/** @param present what the node is known by so far */
export function detectAddress(method: Method, family: Family, host: Host, present?: string): Detection {
  const candidates = candidatesOf(method, family, host);
  if ('none' in candidates) return candidates;
  const [first] = candidates;
  if (first === undefined) return { none: nothingFound(method, family, host) };
  const kept = candidates.find((candidate) => textOf(candidate) === present);
  const { interface: name } = kept ?? first;
  const others = candidates.length - 1;
  const from = others > 0 ? ` of ${candidates.length} addresses` : '';
  return {
    address: textOf(kept ?? first),
    ...(name !== undefined && { interface: name }),
    how: `${methodText(method)}${kept !== undefined && kept !== first ? ', kept' : from}`,
  };
}

/** The same for an address that is given: where it is, or that it is nowhere. */
export function locateAddress(given: InterfaceAddress, host: Host): Detection {
  const found = placed(familyOf(given.address), host).find(({ address }) => address === given.address);
  return {
    address: `${given.address}/${lengthOf(given.prefix)}`,
    ...(found?.interface !== undefined && { interface: found.interface }),
    how: found === undefined ? 'given, and on no interface that is up' : 'given',
  };
}

interface Candidate extends HostAddress {
  readonly interface?: string;
}

function candidatesOf(method: Method, family: Family, host: Host): readonly Candidate[] | { readonly none: string } {
  const all = placed(family, host).filter(({ address, fleeting }) => isForPeers(address) && !fleeting);
  switch (method.by) {
    case 'first-found':
      return all.filter(isOuter);
    case 'skip-interface':
      return all.filter(isOuter).filter((one) => !fits(method.patterns, one));
    case 'interface':
      return all.filter((one) => fits(method.patterns, one));
    case 'cidr':
      return all.filter(({ address }) => method.prefixes.some((prefix) => containsAddress(prefix, address)));
    case 'can-reach':
      return towards(host, family, method.destination);
    case 'kubernetes-internal-ip':
      return host.internalIps
        .filter((address) => familyOf(address) === family)
        .slice(0, 1)
        .map((address) => withSubnet(address, host));
    default:
      return method satisfies never;
  }
}

/** All of a family, the last interface first. */
function placed(family: Family, { interfaces }: Host): Candidate[] {
  return [...interfaces]
    .reverse()
    .flatMap(({ name, addresses }) => addresses.map((address) => ({ ...address, interface: name })))
    .filter(({ address }) => familyOf(address) === family);
}

function isForPeers(address: Address): boolean {
  return classOf(address) === 'unicast';
}

function isOuter({ interface: name = '' }: Candidate): boolean {
  return !inner.some((beginning) => name.startsWith(beginning));
}

function fits(patterns: readonly RegExp[], { interface: name = '' }: Candidate): boolean {
  return patterns.some((pattern) => pattern.test(name));
}

function towards(host: Host, family: Family, destination: string): readonly Candidate[] | { readonly none: string } {
  const { source } = host;
  if (source === undefined) return { none: `can-reach=${destination}: not asked yet` };
  if (typeof source === 'object') return { none: `can-reach=${destination}: ${source.error}` };
  if (familyOf(source) !== family || !isForPeers(source)) {
    return {
      none: `can-reach=${destination}: packets there leave from ${source}, which is no IPv${family} address for peers`,
    };
  }
  return [withSubnet(source, host)];
}

/** Without an interface that has it, the address is alone on its subnet. */
function withSubnet(address: Address, host: Host): Candidate {
  const found = placed(familyOf(address), host).find((one) => one.address === address);
  return found ?? { address, prefix: hostPrefix(address) };
}

function textOf({ address, prefix }: InterfaceAddress): string {
  return `${address}/${lengthOf(prefix)}`;
}

function nothingFound(method: Method, family: Family, host: Host): string {
  if (method.by === 'kubernetes-internal-ip') return `kubernetes-internal-ip: the Node has no IPv${family} InternalIP`;
  const seen = host.interfaces.map(({ name }) => name);
  const list = seen.length === 0 ? 'no interface is up' : `looked at ${seen.join(', ')}`;
  return `${methodText(method)}: no IPv${family} address fits (${list})`;
}
