// What an operator would want to see: sessions, routes, and that everybody reaches everybody without translation.
import { type DataCentre, everyone } from '../lab/datacentre.ts';
import { hostAddresses } from '../lab/fabric.ts';
import { lacking } from '../lab/needs.ts';
import { unreachable } from '../lab/reach.ts';
import { converged } from '../lab/wait.ts';
import { startWhoami, whoami } from '../lab/whoami.ts';
import { type Say, heading } from './words.ts';

/** Shows it all; true when all of it is as it should be. */
export async function show(centre: DataCentre, say: Say): Promise<boolean> {
  const begin = Date.now();
  await converged(centre);
  say(`         sessions Established and routes in the kernels ${((Date.now() - begin) / 1000).toFixed(1)} s later`);
  const [node] = centre.nodes;
  say(heading('worker-1: manxctl node status'));
  say((await node!.manxctl('node', 'status')).stdout);
  if (lacking('bird') === undefined) {
    say(heading('tor: birdc show route (one block a node and family, no pod of its own)'));
    say((await centre.fabric.tor.run('birdc', ['-s', `${centre.folder}/tor/bird.ctl`, 'show route'])).stdout);
  }
  say(heading('worker-1: ip route show proto 201 (what Manx put into the kernel)'));
  say(await node!.host.ip('route show proto 201'));
  say(await node!.host.ip('-6 route show proto 201'));
  say(heading('who reaches whom'));
  return (await showReach(centre, say)) && (await showAddresses(centre, say));
}

async function showReach(centre: DataCentre, say: Say): Promise<boolean> {
  const reason = lacking('ping');
  if (reason !== undefined) {
    say(`  not pinged: ${reason}`);
    return true;
  }
  const { tried, lost } = await unreachable(everyone(centre));
  say(`  ${tried - lost.length} of ${tried} pings answered: 6 pods, 3 nodes and the host, each to each, IPv4 and IPv6`);
  for (const pair of lost) say(`  no answer: ${pair}`);
  return lost.length === 0;
}

/** Both ways between a pod and the host, and between pods: the address that the other end sees is the sender's own. */
async function showAddresses(centre: DataCentre, say: Say): Promise<boolean> {
  const [first, second] = centre.pods as [DataCentre['pods'][0], DataCentre['pods'][0]];
  const host = { name: 'host', host: centre.fabric.host, addresses: hostAddresses };
  for (const party of [second, host, first]) await startWhoami(party.host);
  let good = true;
  for (const [from, to] of [
    [first, second],
    [first, host],
    [host, first],
  ] as const) {
    for (const [family, address] of to.addresses.entries()) {
      const seen = await whoami(from.host, address);
      good &&= seen === from.addresses[family];
      say(`  ${from.name} -> ${to.name}: ${address} saw the connection come from ${seen}`);
    }
  }
  say(
    good ? '  each its own address: no translation on the way' : "  NOT the sender's own address: something translates",
  );
  return good;
}
