// The router of the lab: BIRD where it can be had, a Manx speaker in its place otherwise.
import { mkdir, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { type Bird, startBird, torAsn } from './bird.ts';
import type { DataCentre } from './datacentre.ts';
import { nodeAddresses, torAddresses } from './fabric.ts';
import { lacking } from './needs.ts';
import type { Programs } from './programs.ts';

/** Starts the router: BIRD's handle, or undefined where a Manx speaker had to take its place. */
export async function startTor(centre: DataCentre, programs: Programs): Promise<Bird | undefined> {
  const folder = `${centre.folder}/tor`;
  if (lacking('bird') === undefined) return startBird(centre.fabric.tor, folder);
  await mkdir(`${folder}/config`, { recursive: true });
  await writeFile(`${folder}/config/tor.yaml`, manxTorConfiguration(centre.nodes.length));
  const places = ['--config', `${folder}/config`, '--datastore', `${folder}/datastore`];
  const own = ['--state', `${folder}/state`, '--run', `${folder}/run`, '--node', 'tor', '--no-cni'];
  const agent = centre.fabric.tor.start(process.execPath, [programs.manxd, ...places, ...own], { stdio: 'ignore' });
  await once(agent, 'spawn');
  return undefined;
}

/** A Manx router in the routers' AS that peers with each node and announces the data centre's networks. */
function manxTorConfiguration(nodeCount: number): string {
  const peers = Array.from({ length: nodeCount }, (_, index) =>
    nodeAddresses(index + 1).map(
      (address, family) => `---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: worker-${index + 1}-v${family === 0 ? 4 : 6}}
spec: {peerIP: "${address}", asNumber: 64512}
`,
    ),
  );
  return `apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: tor}
spec: {bgp: {ipv4Address: ${torAddresses[0]}/24, ipv6Address: "${torAddresses[1]}/64"}}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
  asNumber: ${torAsn}
  nodeToNodeMeshEnabled: false
  serviceExternalIPs: [{cidr: 198.51.100.0/24}, {cidr: "fd10:250:100::/64"}]
${peers.flat().join('')}`;
}
