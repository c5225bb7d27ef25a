// When a data centre of the lab is ready: sessions up, everything learned in the kernels.
import type { DataCentre, LabNode } from './datacentre.ts';
import { hostAddresses } from './fabric.ts';
import type { Host } from './host.ts';
import { until } from './until.ts';

interface Status {
  readonly bgp: { readonly peers: readonly { readonly name: string; readonly state: string }[] };
}

/** Resolves when every session of every node is Established and nodes and router have a route to every block. */
export async function converged(centre: DataCentre, withinMs = 30_000): Promise<void> {
  await nodesConverged(centre, withinMs);
  await routesTo(centre, [centre.fabric.tor], withinMs);
  // Requests that arrive are no use without a way back.
  for (const { host } of centre.nodes) {
    for (const address of hostAddresses) {
      await until(`${host.name} has a route to ${address}`, () => host.ip(`route get ${address}`), withinMs, 50);
    }
  }
}

/** The same without the router. */
export async function nodesConverged(centre: DataCentre, withinMs = 30_000): Promise<void> {
  for (const node of centre.nodes) {
    await until(`all sessions of ${node.name} are Established`, () => allEstablished(node), withinMs, 100);
  }
  for (const node of centre.nodes) await routesTo(centre, [node.host], withinMs, node);
}

/** Each of these hosts has a route to every pod but those of one node. */
async function routesTo(centre: DataCentre, hosts: readonly Host[], withinMs: number, except?: LabNode): Promise<void> {
  for (const pod of centre.pods.filter(({ node }) => node !== except)) {
    for (const [address, host] of pod.addresses.flatMap((each) => hosts.map((host) => [each, host] as const))) {
      await until(
        `${host.name} has a route to ${pod.name} (${address})`,
        () => host.ip(`route get ${address}`),
        withinMs,
        50,
      );
    }
  }
}

/** Whether every session of the node is up, as manxctl says. */
export async function allEstablished(node: LabNode): Promise<boolean> {
  const { stdout } = await node.manxctl('node', 'status', '-o', 'json');
  const { peers } = (JSON.parse(stdout) as Status).bgp;
  return peers.length > 0 && peers.every((peer) => peer.state === 'Established');
}
