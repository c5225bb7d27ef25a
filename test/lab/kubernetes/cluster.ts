// A whole cluster: the lab's fabric with a control plane and three nodes on the rack.
//
// Nothing wires pods yet: the caller puts a network onto the nodes (Manx by its manifests, or stockNetwork).
import { mkdir, rm } from 'node:fs/promises';
import { programIn } from '../../../deploy/debian.ts';
import { type Fabric, layFabric, nodeAddresses, torAddresses } from '../fabric.ts';
import type { Host } from '../host.ts';
import { tools } from '../tools.ts';
import { until } from '../until.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { Daemon } from './daemon.ts';
import { type Image, packLabImages } from './images.ts';
import { ClusterNode } from './node.ts';

export interface Cluster extends AsyncDisposable {
  readonly fabric: Fabric;
  readonly api: ApiServer;
  readonly control: Host;
  readonly nodes: readonly ClusterNode[];
  /** A pod that answers HTTP on port 8080: /cgi-bin/whoami says who asks and who answers. */
  readonly echo: Image;
  /** Every node has this image from now on. */
  importImage(image: Image): Promise<void>;
  /** Takes a node away and puts a new machine in its place, with the same name and addresses and nothing on its disk.
   * The Node object stays as it is. */
  rebuild(node: ClusterNode): Promise<void>;
}

export interface ClusterOptions {
  readonly nodes: number;
  /** Before the names of the lab's hosts. */
  readonly prefix: string;
  /** Where everything is kept; below /run/lab, which the nodes see too. */
  readonly folder: string;
}

export const controlAddresses = ['10.250.1.2', 'fd10:250:1::2'] as const;

/** Starts it; resolves when every node has registered. Nodes are not Ready before they have a network. */
export async function startCluster({ nodes: count, prefix, folder }: ClusterOptions): Promise<Cluster> {
  await mkdir(folder, { recursive: true });
  await using unfinished = new AsyncDisposableStack();
  const fabric = unfinished.use(await layFabric(prefix, count));
  const control = await fabric.plugIn('control', controlAddresses);
  await Promise.all([control, ...fabric.nodes].map(leaveByRouter));
  const names = fabric.nodes.map((_, index) => `worker-${index + 1}`);
  const kubelets = names.map((name) => [`system:node:${name}`, ['system:nodes']] as const);
  const components = ['kube-controller-manager', 'kube-scheduler', 'kube-proxy'].map(
    (name) => [`system:${name}`, []] as const,
  );
  const api = unfinished.use(
    await startApiServer({
      host: { host: control, addresses: controlAddresses },
      users: Object.fromEntries([...kubelets, ...components]),
      controllers: true,
    }),
  );
  const controllers = await startControllers(api, control, folder);
  const { pause, echo } = await packLabImages(folder, programIn(tools.busybox, 'busybox-static')!);
  const proxyKubeconfig = await api.kubeconfigFor('system:kube-proxy');
  const kubeletKubeconfigs = await Promise.all(kubelets.map(([user]) => api.kubeconfigFor(user)));
  const makeNode = (index: number): ClusterNode =>
    new ClusterNode({
      name: names[index]!,
      host: fabric.nodes[index]!,
      addresses: nodeAddresses(index + 1),
      folder: `${folder}/${names[index]!}`,
      kubeletKubeconfig: kubeletKubeconfigs[index]!,
      proxyKubeconfig,
      pause,
    });
  const nodes = names.map((_, index) => makeNode(index));
  unfinished.defer(async () => void (await Promise.all(nodes.map((node) => node.kill()))));
  await Promise.all(nodes.map((node) => node.boot()));
  await Promise.all(nodes.map((node) => node.importImage(echo)));
  await Promise.all(nodes.map((node) => node.join()));
  await registered(api, names);
  const rest = unfinished.move();
  return {
    ...{ fabric, api, control, nodes, echo },
    importImage: async (image) => void (await Promise.all(nodes.map((node) => node.importImage(image)))),
    rebuild: async (node) => {
      await node.kill();
      await rm(node.folder, { recursive: true });
      await fabric.renew(node.host, node.addresses);
      await leaveByRouter(node.host);
      await node.boot();
      await node.join();
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(nodes.map((node) => node.kubelet.stop()));
      await Promise.all(controllers.map((daemon) => daemon.stop()));
      await rest.disposeAsync();
    },
  };
}

/** As on every machine. The addresses of Services need it, too: where no route leads, nothing is translated. */
async function leaveByRouter(host: Host): Promise<void> {
  await host.ip(`route add default via ${torAddresses[0]}`);
  await host.ip(`-6 route add default via ${torAddresses[1]}`);
}

async function startControllers(api: ApiServer, control: Host, folder: string): Promise<readonly Daemon[]> {
  const manager = [
    ...['--kubeconfig', await api.kubeconfigFor('system:kube-controller-manager'), '--leader-elect=false'],
    ...['--use-service-account-credentials', '--service-account-private-key-file', api.serviceAccountKeyFile],
    ...['--root-ca-file', api.certificateFile, '--allocate-node-cidrs=false'],
  ];
  const scheduler = ['--kubeconfig', await api.kubeconfigFor('system:kube-scheduler'), '--leader-elect=false'];
  const daemons = [
    new Daemon(folder, ['kube-controller-manager', ...manager], control),
    new Daemon(folder, ['kube-scheduler', ...scheduler], control),
  ];
  await Promise.all(daemons.map((daemon) => daemon.start()));
  return daemons;
}

async function registered(api: ApiServer, names: readonly string[]): Promise<void> {
  await until(
    'every node has registered',
    async () => {
      const { stdout } = await api.kubectl(['get', 'nodes', '-o', 'name']);
      return names.every((name) => stdout.includes(`node/${name}\n`));
    },
    60_000,
    200,
  );
}
