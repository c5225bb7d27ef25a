// How a pod is wired, as lines for `ip` and sysctls: pure, and the same shape as Calico's, so that pods wired by either
// work under both.
//
//   pod eth0 ──── veth ──── caliXXXXXXXXXXX host
//   10.82.0.72/32           ee:ee:ee:ee:ee:ee, fe80::ecee:eeff:feee:eeee
//   default via 169.254.1.1  (nobody has it: the host answers for it by proxy ARP)
//   default via fe80::ecee:eeff:feee:eeee
//
// Two halves, because they need different powers: the host's needs NET_ADMIN, the pod's needs to enter its namespace.
import { createHash } from 'node:crypto';
import { type Address, familyOf, hostPrefix } from '#ip';
import type { Attachment, AttachmentKey, Sysctl } from './port.ts';

/** Every host end has this MAC address, so a pod's neighbour entry stays right when its link is made anew. */
export const hostMac = 'ee:ee:ee:ee:ee:ee';
/** The gateways of every pod. The second is the link-local address that hostMac gives (RFC 4291, appendix A). */
export const gateways = { 4: '169.254.1.1', 6: 'fe80::ecee:eeff:feee:eeee' } as const;

export interface Wiring {
  readonly hostInterface: string;
  readonly ifname: string;
  readonly netns: string;
  readonly addresses: readonly Address[];
  readonly mtu: number;
  readonly podMac: string;
  readonly allowIpForwarding: boolean;
  /** What our routes in the host carry, so that the FIB's reconciler knows them as its own. */
  readonly protocol: number;
}

export interface Plan {
  /** Makes both ends, each where it belongs: the pod's is never seen in the host's namespace. */
  readonly plug: string;
  readonly host: HostHalf;
  readonly pod: PodHalf;
}

export interface HostHalf {
  /** Written while the link is down: they decide what happens when it comes up. */
  readonly sysctls: readonly Sysctl[];
  /** Brings the link up. */
  readonly up: string;
  readonly routes: readonly HostRoute[];
}

/** A pod's route in the host, without the verb: `route add …` or `route replace …`. */
export interface HostRoute {
  readonly address: Address;
  readonly words: string;
}

export interface PodHalf {
  readonly sysctls: readonly Sysctl[];
  /** Each must work. */
  readonly lines: readonly string[];
  /** The ways out. Those that a second interface of the pod finds taken stay with the first. */
  readonly routes: readonly PodRoute[];
}

export interface PodRoute {
  readonly family: 4 | 6;
  readonly line: string;
  /** As it stands in the result. */
  readonly dst: string;
  readonly gw?: string;
}

/**
 * The host's end of a pod's veth: by pod for Kubernetes, so that a new sandbox takes the place of the old one as
 * Calico's does, else by container. Further interfaces of the same pod get names of their own.
 */
export function hostInterfaceName(key: AttachmentKey, pod: Attachment['pod']): string {
  const owner = pod ? `${pod.namespace}.${pod.name}` : `:${key.containerId}`; // no pod's name begins with a colon
  const further = key.ifname === 'eth0' ? '' : `/${key.ifname}`;
  return `cali${createHash('sha1').update(`${owner}${further}`).digest('hex').slice(0, 11)}`;
}

/** Under which name IPAM holds an attachment's addresses: Calico's for eth0, so that a DEL frees what Calico gave. */
export function handleOf(key: AttachmentKey): string {
  const first = `${key.network}.${key.containerId}`;
  return key.ifname === 'eth0' ? first : `${first}.${key.ifname}`;
}

export function planWiring(wiring: Wiring): Plan {
  const { hostInterface, ifname, netns, mtu, podMac } = wiring;
  const families = ([4, 6] as const).filter((family) => wiring.addresses.some((a) => familyOf(a) === family));
  // One queue a direction, as Calico has it: the default of one a processor only costs memory here.
  const common = `mtu ${mtu} numtxqueues 1 numrxqueues 1`;
  const hostEnd = `${hostInterface} address ${hostMac} txqueuelen 0 ${common}`;
  const podEnd = `${ifname} address ${podMac} ${common} netns ${netns}`;
  return {
    plug: `link add ${hostEnd} type veth peer name ${podEnd}`,
    host: planHost(wiring, families),
    pod: planPod(wiring, families),
  };
}

function planHost({ hostInterface, addresses, protocol }: Wiring, families: readonly (4 | 6)[]): HostHalf {
  const conf4 = `ipv4/conf/${hostInterface}`;
  const conf6 = `ipv6/conf/${hostInterface}`;
  const v4: Sysctl[] = [
    { key: `${conf4}/route_localnet`, value: '1' },
    { key: `${conf4}/proxy_arp`, value: '1' },
    // The kernel waits up to 0.8 s before it answers for somebody else; the pod's first packet would wait with it.
    { key: `ipv4/neigh/${hostInterface}/proxy_delay`, value: '0' },
    { key: `${conf4}/forwarding`, value: '1' },
  ];
  const v6: Sysctl[] = [
    { key: `${conf6}/disable_ipv6`, value: '0' },
    { key: `${conf6}/proxy_ndp`, value: '1' },
    { key: `${conf6}/forwarding`, value: '1' },
    // The pod's gateway must be usable at once, not after a second of asking for duplicates.
    { key: `${conf6}/accept_dad`, value: '0' },
    // Whatever the node's default is: the link-local address must be the one that hostMac gives (0: EUI-64).
    { key: `${conf6}/addr_gen_mode`, value: '0' },
  ];
  return {
    sysctls: [
      // Also for a pod without IPv6: a router advertisement from a pod must not become the node's default route.
      { key: `${conf6}/accept_ra`, value: '0', mayBeAbsent: !families.includes(6) },
      ...(families.includes(4) ? v4 : []),
      ...(families.includes(6) ? v6 : []),
    ],
    up: `link set dev ${hostInterface} up`,
    routes: addresses.map((address) => ({ address, words: hostRouteWords(address, hostInterface, protocol) })),
  };
}

function hostRouteWords(address: Address, hostInterface: string, protocol: number): string {
  const scope = familyOf(address) === 4 ? ' scope link' : '';
  return `${hostPrefix(address)} dev ${hostInterface} proto ${protocol}${scope}`;
}

function planPod({ ifname, addresses, allowIpForwarding }: Wiring, families: readonly (4 | 6)[]): PodHalf {
  const v6 = families.includes(6);
  const enableV6 = ['all', 'default'].map((name) => ({ key: `ipv6/conf/${name}/disable_ipv6`, value: '0' }));
  return {
    sysctls: [
      ...(families.includes(4) ? [{ key: 'ipv4/ip_forward', value: allowIpForwarding ? '1' : '0' }] : []),
      ...(v6 ? enableV6 : []),
    ],
    lines: [
      `link set dev ${ifname} up`,
      ...addresses.map((address) => {
        // Nobody else is on this link, so there is no duplicate to ask for.
        const nodad = familyOf(address) === 6 ? ' nodad' : '';
        return `addr add ${hostPrefix(address)} dev ${ifname}${nodad}`;
      }),
      // Proxy ARP is silent on a node that has no route which covers the gateway; a fixed entry needs no answer.
      ...(families.includes(4) ? [`neigh replace ${gateways[4]} lladdr ${hostMac} dev ${ifname} nud permanent`] : []),
    ],
    routes: [
      ...(families.includes(4) ? podRoutes4(ifname) : []),
      ...(v6
        ? [
            {
              family: 6 as const,
              line: `route add default via ${gateways[6]} dev ${ifname}`,
              dst: '::/0',
              gw: gateways[6],
            },
          ]
        : []),
    ],
  };
}

function podRoutes4(ifname: string): PodRoute[] {
  const link = `${gateways[4]}/32`;
  return [
    { family: 4, line: `route add ${link} dev ${ifname} scope link`, dst: link },
    { family: 4, line: `route add default via ${gateways[4]} dev ${ifname}`, dst: '0.0.0.0/0', gw: gateways[4] },
  ];
}
