// A network of stock plugins, without Manx: ptp and host-local with a range a node, and static routes between them. It
// proves the lab, and is what times are compared with.
import { nodeAddresses } from '../fabric.ts';
import type { Cluster } from './cluster.ts';

/** Gives every node its conflist and everybody the routes. */
export async function layStockNetwork({ nodes, fabric, control }: Cluster): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    const [v4, v6] = rangesOf(index);
    await node.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    const ranges = [[{ subnet: v4 }], [{ subnet: v6 }]];
    const ptp = { type: 'ptp', ipam: { type: 'host-local', ranges, routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] } };
    const conflist = { cniVersion: '1.0.0', name: 'stock', plugins: [ptp] };
    await node.writeFile('/etc/cni/net.d/10-stock.conflist', JSON.stringify(conflist));
    for (const other of [...nodes.map(({ host }) => host), fabric.tor, control]) {
      if (other === node.host) continue;
      const [via4, via6] = nodeAddresses(index + 1);
      await other.ip(`route add ${v4} via ${via4}`);
      await other.ip(`-6 route add ${v6} via ${via6}`);
    }
  }
}

/** Takes it away again, with no pods on it any more. */
export async function removeStockNetwork({ nodes, fabric, control }: Cluster): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    await node.run('rm', ['/etc/cni/net.d/10-stock.conflist']);
    for (const other of [...nodes.map(({ host }) => host), fabric.tor, control]) {
      if (other === node.host) continue;
      for (const range of rangesOf(index)) await other.ip(`${range.includes(':') ? '-6 ' : ''}route del ${range}`);
    }
  }
}

function rangesOf(index: number): readonly [v4: string, v6: string] {
  return [`10.244.${index + 1}.0/24`, `fd44:0:0:${index + 1}::/64`];
}
