// The wires of the lab's data centre: three nodes and a top-of-rack router on one subnet, a host behind the router.
//
//   worker-1  worker-2  worker-3      10.250.1.11 .12 .13, fd10:250:1::11 …
//       └────────┼────────┘
//              rack (bridge)
//                │
//               tor                   10.250.1.254, fd10:250:1::254 │ 198.51.100.254, fd10:250:100::254
//                │
//               host                  198.51.100.10, fd10:250:100::10
import { type Host, connect, createHost } from './host.ts';

export interface Fabric extends AsyncDisposable {
  readonly nodes: readonly Host[];
  readonly tor: Host;
  readonly host: Host;
}

export const hostAddresses = ['198.51.100.10', 'fd10:250:100::10'] as const;
export const torAddresses = ['10.250.1.254', 'fd10:250:1::254'] as const;

/** The addresses of the node with this number, counted from 1. */
export function nodeAddresses(number: number): readonly [v4: string, v6: string] {
  return [`10.250.1.${10 + number}`, `fd10:250:1::${10 + number}`];
}

/**
 * Lays the wires. Dispose of it to take everything down, commands that still run in the hosts included. The prefix goes
 * before the names of the namespaces, so that tests can run side by side.
 */
export async function layFabric(prefix = '', nodeCount = 3): Promise<Fabric> {
  await using laid = new AsyncDisposableStack();
  const make = async (name: string): Promise<Host> => laid.use(await createHost(`${prefix}${name}`));
  const rack = await make('rack');
  await rack.ip('link add br0 type bridge');
  await rack.ip('link set br0 up');
  let ports = 0;
  const plug = async (host: Host): Promise<void> => {
    const port = `port${++ports}`;
    await connect(host, 'eth0', rack, port);
    await rack.ip(`link set ${port} master br0`);
  };

  const nodes: Host[] = [];
  for (let number = 1; number <= nodeCount; number++) {
    const node = await make(`worker-${number}`);
    await plug(node);
    const [v4, v6] = nodeAddresses(number);
    await node.ip(`addr add ${v4}/24 dev eth0`);
    await node.ip(`addr add ${v6}/64 dev eth0 nodad`);
    nodes.push(node);
  }

  const tor = await make('tor');
  await plug(tor);
  await tor.ip(`addr add ${torAddresses[0]}/24 dev eth0`);
  await tor.ip(`addr add ${torAddresses[1]}/64 dev eth0 nodad`);
  await tor.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);

  const host = await make('host');
  await connect(host, 'eth0', tor, 'eth1');
  await tor.ip('addr add 198.51.100.254/24 dev eth1');
  await tor.ip('addr add fd10:250:100::254/64 dev eth1 nodad');
  await host.ip(`addr add ${hostAddresses[0]}/24 dev eth0`);
  await host.ip(`addr add ${hostAddresses[1]}/64 dev eth0 nodad`);
  await host.ip('route add default via 198.51.100.254');
  await host.ip('-6 route add default via fd10:250:100::254');

  const all = laid.move();
  return { nodes, tor, host, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
