// What goes to standard output: the result of ADD and the error object, in the very version that was asked for.
//
// The library of version 0.3.x and 0.4.0 wants `version` in each of `ips`; 1.0.0 dropped it; 1.1.0 added `mtu` to
// interfaces and `scope` to routes. An index in `ips` that is out of range panics containerd 1.6.
import { familyOf, hostPrefix } from '#ip';
import type { CniError } from './error.ts';
import { type Json, isObject, malformed, objectsAt } from './json.ts';
import type { Attachment } from './port.ts';
import { type Version, isAtLeast, newest, versions } from './version.ts';
import { type PodRoute, gateways, hostMac } from './wiring.ts';

export interface Attached {
  readonly attachment: Attachment;
  /** The ways out that this interface has; not those that the pod had before. */
  readonly routes: readonly PodRoute[];
}

/** The lists of a result that a plugin before this one left. @throws CniError 7 when it is none. */
export function parsePrevResult(raw: Json): Json | undefined {
  const previous = raw['prevResult'] ?? undefined;
  if (previous === undefined) return undefined;
  if (!isObject(previous)) throw malformed('prevResult', previous, 'an object');
  for (const list of ['interfaces', 'ips', 'routes']) objectsAt(previous, list, `prevResult.${list}`);
  return previous;
}

/** The result of ADD: behind what a plugin before this one made, if there was one. */
export function addResult(version: Version, attached: Attached, previous?: Json, dns?: Json): Json {
  const { attachment } = attached;
  const before = (list: string): readonly Json[] => (previous && objectsAt(previous, list)) ?? [];
  const interfaces = [...before('interfaces'), ...describeInterfaces(version, attachment)];
  const podInterface = interfaces.length - 1;
  return {
    ...previous,
    cniVersion: version,
    interfaces,
    ips: [...before('ips'), ...describeAddresses(version, attachment, podInterface)],
    routes: [...before('routes'), ...attached.routes.map((route) => describeRoute(version, route))],
    ...(dns && { dns }),
  };
}

function describeInterfaces(version: Version, { hostInterface, ifname, netns, podMac, mtu }: Attachment): Json[] {
  const withMtu = isAtLeast(version, '1.1.0') ? { mtu } : {};
  return [
    { name: hostInterface, mac: hostMac, ...withMtu },
    { name: ifname, ...(podMac !== undefined && { mac: podMac }), ...withMtu, sandbox: netns },
  ];
}

function describeAddresses(version: Version, { addresses }: Attachment, podInterface: number): Json[] {
  return addresses.map((address) => ({
    ...(!isAtLeast(version, '1.0.0') && { version: `${familyOf(address)}` }),
    address: hostPrefix(address),
    gateway: gateways[familyOf(address)],
    interface: podInterface,
  }));
}

function describeRoute(version: Version, { dst, gw }: PodRoute): Json {
  if (gw !== undefined) return { dst, gw };
  return isAtLeast(version, '1.1.0') ? { dst, scope: 253 } : { dst }; // 253: link
}

/** The error object of the specification, section 5. */
export function errorResult(cniVersion: string, error: CniError, command: string): Json {
  // containerd takes any failed DEL whose text has these words for a success, and the address would leak.
  const say = (text: string): string => (command === 'DEL' ? text.replaceAll(/not found/gi, 'missing') : text);
  return {
    cniVersion,
    code: error.code,
    msg: say(error.message),
    ...(error.details !== undefined && { details: say(error.details) }),
  };
}

/** The answer to VERSION. */
export function versionsResult(cniVersion: string): Json {
  return { cniVersion, supportedVersions: versions };
}

/** Errors, too, are in the version that was asked for, even one that is not spoken. */
export function versionToAnswerIn(config: unknown): string {
  const asked = isObject(config) ? config['cniVersion'] : undefined;
  return typeof asked === 'string' ? asked : newest;
}
