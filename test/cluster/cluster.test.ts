// The whole of it: three nodes with containerd, kubelet and kube-proxy, a router with BIRD, a data-centre host.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cgroupsLacking } from '../lab/kubernetes/cgroups.ts';
import { type Cluster, startCluster } from '../lab/kubernetes/cluster.ts';
import { echoDeployment, gone, podsOf, rolledOut } from '../lab/kubernetes/pods.ts';
import { layStockNetwork, removeStockNetwork } from '../lab/kubernetes/stock-network.ts';
import { lacking } from '../lab/needs.ts';

const reason =
  lacking('kubernetes', 'etcd', 'openssl', 'containerd', 'runc', 'cni-plugins', 'busybox', 'nft', 'bird', 'ping') ??
  cgroupsLacking();
let cluster: Cluster;

beforeAll(async () => {
  if (reason !== undefined) return;
  cluster = await startCluster({ nodes: 3, prefix: 'k-', folder: '/run/lab/cluster' });
}, 180_000);
afterAll(() => cluster?.[Symbol.asyncDispose](), 60_000);

const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);

test.skipIf(reason)(
  title('the lab itself: with stock plugins, 60 pods come and go'),
  async () => {
    await layStockNetwork(cluster);
    await cluster.api.kubectl(['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=60s']);
    const start = Date.now();
    await cluster.api.apply(echoDeployment(cluster, 'stock', 60));
    await rolledOut(cluster, 'deployment/stock');
    console.log(`60 pods of stock ptp ready in ${Date.now() - start} ms`);
    const pods = await podsOf(cluster, 'app=stock');
    expect(pods).toHaveLength(60);
    const again = Date.now();
    await cluster.api.kubectl(['delete', 'deployment', 'stock']);
    await gone(cluster, 'app=stock');
    console.log(`and gone in ${Date.now() - again} ms`);
    await removeStockNetwork(cluster);
  },
  240_000,
);
