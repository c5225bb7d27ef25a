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
  /** Plugs one more host into the rack, with these addresses on eth0. */
  plugIn(name: string, addresses: Addresses): Promise<Host>;
  /** Puts a new machine in the place of one on the rack: its name, these addresses, and nothing of what was in it. */
  renew(host: Host, addresses: Addresses): Promise<void>;
}

type Addresses = readonly [v4: string, v6: string];

export const hostAddresses = ['198.51.100.10', 'fd10:250:100::10'] as const;
export const torAddresses = ['10.250.1.254', 'fd10:250:1::254'] as const;

/** The addresses of the node with this number, counted from 1. */
export function nodeAddresses(number: number): Addresses {
  return [`10.250.1.${10 + number}`, `fd10:250:1::${10 + number}`];
}

/**
 * Lays the wires. Dispose of it to take everything down, commands that still run in the hosts included. The prefix goes
 * before the names of the namespaces, so that tests can run side by side.
 */
export async function layFabric(prefix = '', nodeCount = 3): Promise<Fabric> {
  const hosts = new AsyncDisposableStack();
  await using unfinished = new AsyncDisposableStack();
  unfinished.use(hosts);
  const make = async (name: string): Promise<Host> => hosts.use(await createHost(`${prefix}${name}`));
  const rack = await make('rack');
  await rack.ip('link add br0 type bridge');
  await rack.ip('link set br0 up');
  let ports = 0;
  const plug = async (host: Host, [v4, v6]: Addresses): Promise<void> => {
    const port = `port${++ports}`;
    await connect(host, 'eth0', rack, port);
    await rack.ip(`link set ${port} master br0`);
    await host.ip(`addr add ${v4}/24 dev eth0`);
    await host.ip(`addr add ${v6}/64 dev eth0 nodad`);
  };
  const plugIn = async (name: string, addresses: Addresses): Promise<Host> => {
    const host = await make(name);
    await plug(host, addresses);
    return host;
  };
  const renew = async (host: Host, addresses: Addresses): Promise<void> => {
    await host[Symbol.asyncDispose]();
    await host.boot();
    await plug(host, addresses);
  };

  const nodes: Host[] = [];
  for (let number = 1; number <= nodeCount; number++) {
    nodes.push(await plugIn(`worker-${number}`, nodeAddresses(number)));
  }

  const tor = await plugIn('tor', torAddresses);
  await tor.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);

  const host = await make('host');
  await connect(host, 'eth0', tor, 'eth1');
  await tor.ip('addr add 198.51.100.254/24 dev eth1');
  await tor.ip('addr add fd10:250:100::254/64 dev eth1 nodad');
  await host.ip(`addr add ${hostAddresses[0]}/24 dev eth0`);
  await host.ip(`addr add ${hostAddresses[1]}/64 dev eth0 nodad`);
  await host.ip('route add default via 198.51.100.254');
  await host.ip('-6 route add default via fd10:250:100::254');

  unfinished.move();
  return { nodes, tor, host, plugIn, renew, [Symbol.asyncDispose]: () => hosts.disposeAsync() };
}
