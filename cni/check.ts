// CHECK: what an attachment should look like against what the kernel shows. Pure; what later plugins of a chain may
// rightly change (MTU, the pod's MAC address, more addresses and routes) is not compared.
import { type Address, familyOf, readAddress, readPrefix, addressOf } from '#ip';
import { type Json, isObject, objectsAt } from './json.ts';
import type { Attachment } from './port.ts';
import { gateways, hostMac } from './wiring.ts';

/** What `ip -j` shows, both ends. */
export interface Seen {
  readonly hostLinks: readonly unknown[];
  /** Of both families. */
  readonly hostRoutes: readonly unknown[];
  readonly podLinks: readonly unknown[];
  readonly podRoutes: readonly unknown[];
}

/** The lines whose answers make a {@link Seen}. */
export function linesToSee(attachment: Attachment): { host: readonly string[]; pod: readonly string[] } {
  const routes = (dev: string): string[] => [`-4 route show dev ${dev}`, `-6 route show dev ${dev}`];
  return {
    host: [`link show dev ${attachment.hostInterface}`, ...routes(attachment.hostInterface)],
    pod: [`addr show dev ${attachment.ifname}`, ...routes(attachment.ifname)],
  };
}

/** Every difference as a clause of a sentence; none means that the attachment is as ADD left it. */
export function findDifferences(attachment: Attachment, previous: Json, seen: Seen): readonly string[] {
  const { hostInterface, ifname, addresses } = attachment;
  return [
    ...compareResult(attachment, previous),
    ...compareHostLink(hostInterface, seen.hostLinks.find(isObject)),
    ...addresses
      .filter((address) => !seen.hostRoutes.some((route) => isRouteTo(route, address)))
      .map((address) => `the host has no route to ${address} by ${hostInterface}`),
    ...comparePodLink(ifname, addresses, seen.podLinks.find(isObject)),
    ...compareGateways(ifname, previous, seen.podRoutes),
  ];
}

/** A result that was cached for another attachment must not pass. */
function compareResult({ addresses }: Attachment, previous: Json): string[] {
  const listed = (objectsAt(previous, 'ips', 'prevResult.ips') ?? []).map((ip) => String(ip['address']));
  const holds = (address: Address): boolean => listed.some((text) => text.split('/')[0] === address);
  return addresses.filter((address) => !holds(address)).map((address) => `prevResult does not have ${address}`);
}

function compareHostLink(name: string, link: Json | undefined): string[] {
  if (link === undefined) return [`the host's interface ${name} is missing`];
  return [
    ...(isUp(link) ? [] : [`the host's interface ${name} is down`]),
    // The pod's neighbour entry for its gateway says hostMac.
    ...(link['address'] === hostMac ? [] : [`the host's interface ${name} has another MAC address than ${hostMac}`]),
  ];
}

function comparePodLink(ifname: string, addresses: readonly Address[], link: Json | undefined): string[] {
  if (link === undefined) return [`the pod's interface ${ifname} is missing`];
  const infos = Array.isArray(link['addr_info']) ? link['addr_info'].filter(isObject) : [];
  const has = (address: Address): boolean => infos.some((info) => readAddress(String(info['local'])) === address);
  return [
    ...(isUp(link) ? [] : [`the pod's interface ${ifname} is down`]),
    ...addresses.filter((address) => !has(address)).map((address) => `${ifname} has lost its address ${address}`),
  ];
}

/** The ways out that ADD reported: a further interface of a pod may have none. */
function compareGateways(ifname: string, previous: Json, routes: readonly unknown[]): string[] {
  const reported = (objectsAt(previous, 'routes', 'prevResult.routes') ?? []).map((route) => route['gw']);
  return ([4, 6] as const)
    .map((family) => gateways[family])
    .filter((gateway) => reported.includes(gateway))
    .filter((gateway) => !routes.some((route) => isDefaultBy(route, gateway)))
    .map((gateway) => `the pod has no default route via ${gateway} by ${ifname}`);
}

function isUp(link: Json): boolean {
  return Array.isArray(link['flags']) && link['flags'].includes('UP');
}

function isRouteTo(route: unknown, address: Address): boolean {
  if (!isObject(route) || typeof route['dst'] !== 'string') return false;
  const prefix = readPrefix(route['dst']);
  const destination = prefix ? addressOf(prefix) : readAddress(route['dst']);
  return destination === address && (prefix === undefined || prefix.endsWith(familyOf(address) === 4 ? '/32' : '/128'));
}

function isDefaultBy(route: unknown, gateway: string): boolean {
  return isObject(route) && route['dst'] === 'default' && route['gateway'] === gateway;
}
