// How large a packet of a pod may be: as large as the node's own network carries, since nothing is wrapped around it.
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { NodeSpec } from '../resources/types.ts';

/** Ethernet's, where nothing else is known. */
const ETHERNET = 1500;

/** The smallest MTU of the interfaces that have one of the node's addresses. The loopback's says nothing about them. */
export function nodeMtu({ bgp }: NodeSpec = {}): number {
  const own = [bgp?.ipv4Address, bgp?.ipv6Address].map((text) => text?.replace(/\/.*/, ''));
  const interfaces = Object.entries(networkInterfaces()).filter(([, addresses = []]) =>
    addresses.some(({ address, internal }) => !internal && own.includes(address)),
  );
  const known = interfaces.map(([name]) => mtuOf(name)).filter((mtu) => mtu > 0);
  return known.length === 0 ? ETHERNET : Math.min(...known);
}

function mtuOf(name: string): number {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/mtu`, 'utf8'));
  } catch {
    return 0; // gone meanwhile, or a /sys of another namespace: not known
  }
}
