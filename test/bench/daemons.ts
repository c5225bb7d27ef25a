// The daemons under test, each a plain eBGP router between the tester's two sessions and without a kernel table.
import { mkdir, writeFile } from 'node:fs/promises';
import type { ChildProcess } from 'node:child_process';
import type { Host } from '../lab/host.ts';
import type { ToolName } from '../lab/tools.ts';

export const dut = { address: '10.99.0.1', asn: 65000 } as const;
export const feeder = { address: '10.99.0.10', asn: 65010 } as const;
export const sink = { address: '10.99.0.11', asn: 65020 } as const;

export interface Contender {
  readonly name: string;
  readonly tools: readonly ToolName[];
  start(host: Host, folder: string): Promise<ChildProcess>;
}

export const manx: Contender = {
  name: 'Manx',
  tools: [],
  async start(host) {
    return host.start(process.execPath, [new URL('manx.ts', import.meta.url).pathname], { stdio: 'inherit' });
  },
};

export const bird: Contender = {
  name: 'BIRD',
  tools: ['bird'],
  async start(host, folder) {
    const session = (name: string, peer: typeof feeder | typeof sink): string => `
protocol bgp ${name} {
  local ${dut.address} as ${dut.asn}; neighbor ${peer.address} as ${peer.asn};
  passive on; hold time 90;
  ipv4 { import all; export all; };
}`;
    await write(
      folder,
      'bird.conf',
      `router id ${dut.address};\nprotocol device {}\n${session('feeder', feeder)}${session('sink', sink)}\n`,
    );
    return host.start('bird', ['-f', '-c', `${folder}/bird.conf`, '-s', `${folder}/ctl`], { stdio: 'ignore' });
  },
};

export const frr: Contender = {
  name: 'FRR',
  tools: ['frr'],
  async start(host, folder) {
    const peers = [feeder, sink];
    const configuration = `router bgp ${dut.asn}
 bgp router-id ${dut.address}
 no bgp ebgp-requires-policy
 no bgp network import-check
${peers.map(({ address, asn }) => ` neighbor ${address} remote-as ${asn}\n neighbor ${address} passive\n neighbor ${address} timers 30 90\n neighbor ${address} advertisement-interval 0`).join('\n')}
`;
    await write(folder, 'bgpd.conf', configuration);
    const words = ['-f', `${folder}/bgpd.conf`, '-i', `${folder}/pid`, '--vty_socket', folder, '-z', `${folder}/zserv`];
    return host.start('frr-bgpd', [...words, '-S', '-n', '-P', '0'], { stdio: 'ignore' });
  },
};

async function write(folder: string, file: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(`${folder}/${file}`, text);
}
