// The top-of-rack router: the real BIRD, in another AS than the nodes.
import { mkdir, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Host } from './host.ts';
import { Hopeless, until } from './until.ts';

export interface Bird {
  /** What birdc prints for a command, without its banner. */
  birdc(command: string): Promise<string>;
  /** Lines of BIRD's own log since its start. */
  readonly log: readonly string[];
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export const torAsn = 65001;

/**
 * Starts BIRD in a host and waits until it answers. It takes sessions from anywhere in the rack's subnets, announces
 * the data centre's networks, and puts what it learns into its kernel.
 */
export async function startBird(host: Host, folder: string, configuration = torConfiguration()): Promise<Bird> {
  await mkdir(folder, { recursive: true });
  const file = `${folder}/bird.conf`;
  const socket = `${folder}/bird.ctl`;
  await writeFile(file, configuration);
  const process = host.start('bird', ['-f', '-c', file, '-s', socket, '-P', `${folder}/bird.pid`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: string[] = [];
  for (const stream of [process.stdout!, process.stderr!]) createInterface(stream).on('line', (line) => log.push(line));

  const birdc = async (command: string): Promise<string> => {
    const { stdout } = await host.run('birdc', ['-s', socket, command]);
    return stdout.replace(/^BIRD [^\n]*ready\.\n/, '').replace(/^Access restricted\n/m, '');
  };
  await until('BIRD answers', async () => {
    if (process.exitCode !== null) throw new Hopeless(`BIRD ended: ${log.join('\n')}`);
    return (await host.run('birdc', ['-s', socket, 'show status'], { mayFail: true })).code === 0;
  });
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    const end = once(process, 'exit');
    process.kill(signal);
    await end;
  };
  return { birdc, log, stop };
}

/** A plain data-centre ToR: dynamic neighbours, graceful restart helper, both families. */
export function torConfiguration(): string {
  const session = (family: 4 | 6, range: string): string => `
protocol bgp nodes${family} {
  local ${family === 4 ? '10.250.1.254' : 'fd10:250:1::254'} as ${torAsn};
  neighbor range ${range} as 64512;
  dynamic name "node${family}_";
  dynamic name digits 2;
  graceful restart on;
  ipv${family} { import all; export where source = RTS_DEVICE; next hop self; };
}`;
  return `
log stderr { info, remote, warning, error, auth, fatal, bug };
router id 10.250.1.254;
protocol device { scan time 1; }
protocol direct { ipv4; ipv6; interface "eth1"; }
protocol kernel kernel4 { ipv4 { export where source = RTS_BGP; }; merge paths on; }
protocol kernel kernel6 { ipv6 { export where source = RTS_BGP; }; merge paths on; }
${session(4, '10.250.1.0/24')}
${session(6, 'fd10:250:1::/64')}
`;
}
