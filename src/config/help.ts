// manxd --help: the table of options, and what they are good for together.
import { version } from '../version.ts';
import { options } from './options.ts';

export function help(): string {
  const rows = options.map(({ flag, value, env, preset, says }) => {
    const notes = [preset, env].filter((note) => note !== undefined).join(', ');
    return [
      `  --${flag}${value === undefined ? '' : ` ${value}`}`,
      notes === '' ? says : `${says} [${notes}]`,
    ] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  const listed = rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`).join('\n');
  return `${intro}\n\nOptions, with their defaults and environment variables:\n${listed}\n\n${recipes}`;
}

const intro = `manxd ${version}: the routing agent of a node

  manxd [options]         runs until SIGTERM or SIGINT
  manxd --check [DIR]     validates a configuration folder

Routes stay in the kernel when it ends, however it ends: stopping, crashing and upgrading lose no packet.
A second signal ends it at once. It logs JSON lines on standard output; manxctl shows what it does.`;

const recipes = `Every part can be left out:
  a node of a cluster          manxd
  a plain router, no pods      manxd --no-cni
  a route server               manxd --no-fib --no-cni         PeerOptions "role: RouteServer", BGPPeer "nextHopMode: Keep"
  only announcing prefixes     manxd --no-fib --no-cni         BGPConfiguration serviceExternalIPs names them
  peers that dial us           PeerOptions "passive: true", or "dynamicPrefix" for whole networks
  several on one host          give each its own --state, --run and --node, and one --listen-port or namespace each
  several nodes, one folder    the same --config and --datastore, a --node of its own each
  a node of Kubernetes         --kubeconfig FILE, or --store kubernetes in a pod; --node is the Node's name
  without root                 --no-fib --no-cni, a --listen-port from 1024 on, and folders that you may write

Methods that find a node's address on Kubernetes, as Calico has them:
  first-found                  the last interface that leads outside: not lo, docker…, veth…, cali…, tunl…, …
  interface=R,R                on an interface whose name fits one of these regular expressions
  skip-interface=R,R           as first-found, but not on these
  cidr=P,P                     an address inside one of these prefixes
  can-reach=HOST               the one that packets to HOST leave from
  kubernetes-internal-ip       the Node's InternalIP

Files:
  CONFIG/*.yaml                Node, IPPool, BGPConfiguration, BGPPeer, BGPFilter, IPReservation, IPAMConfig (Calico's v3)
                               and PeerOptions (projectmanx.org/v1), several documents a file
  RUN/agent.sock, RUN/cni.sock the API that manxctl speaks (its description: GET /openapi.json), and the CNI plugin's
  STATE/attachments            what is wired here; STATE/tombstones: pods that were deleted while no agent ran`;
