// The top-of-rack router as FRR: zebra and bgpd, the same job as bird.ts gives to BIRD.
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { startWithAccounts } from './accounts.ts';
import { torAsn } from './bird.ts';
import type { Host } from './host.ts';
import { Hopeless, until } from './until.ts';
import { vty } from './frr-vty.ts';

export interface Frr {
  /** Asks bgpd, as in vtysh. */
  ask(command: string): Promise<string>;
}

/** Starts both daemons in the host and resolves when bgpd answers. */
export async function startFrr(host: Host, folder: string, configuration = torConfiguration()): Promise<Frr> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o777); // both run as frr
  await writeFile(`${folder}/zebra.conf`, 'ip forwarding\nipv6 forwarding\n');
  await writeFile(`${folder}/bgpd.conf`, configuration);
  const common = ['--vty_socket', folder, '-z', `${folder}/zserv`, '-P', '0'];
  const accounts = ['frr', 'frrvty'];
  const zebraWords = ['-f', `${folder}/zebra.conf`, '-i', `${folder}/zebra.pid`, ...common];
  await startWithAccounts(host, `${folder}/zebra`, accounts, ['frr-zebra', ...zebraWords], { stdio: 'ignore' });
  await until('zebra answers', async () => (await vty(`${folder}/zebra.vty`, 'show version')).includes('FRR'));
  const bgpdWords = ['-f', `${folder}/bgpd.conf`, '-i', `${folder}/bgpd.pid`, ...common];
  const bgpd = await startWithAccounts(host, `${folder}/bgpd`, accounts, ['frr-bgpd', ...bgpdWords], {
    stdio: 'ignore',
  });
  const ask = (command: string): Promise<string> => vty(`${folder}/bgpd.vty`, 'enable', command);
  await until('bgpd answers', async () => {
    if (bgpd.exitCode !== null) throw new Hopeless(`bgpd ended with ${bgpd.exitCode}`);
    return (await ask('show version')).includes('FRR');
  });
  return { ask };
}

function torConfiguration(): string {
  const group = (
    name: string,
    family: 'ipv4' | 'ipv6',
    range: string,
    network: string,
  ): string => ` neighbor ${name} peer-group
 neighbor ${name} remote-as 64512
 neighbor ${name} graceful-restart-helper
 bgp listen range ${range} peer-group ${name}
 address-family ${family} unicast
  network ${network}
  neighbor ${name} activate
 exit-address-family`;
  return `router bgp ${torAsn}
 bgp router-id 10.250.1.254
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
${group('nodes4', 'ipv4', '10.250.1.0/24', '198.51.100.0/24')}
${group('nodes6', 'ipv6', 'fd10:250:1::/64', 'fd10:250:100::/64')}
`;
}
