// FRR: bgpd, and zebra beside it, without which bgpd knows no interfaces and refuses link-local next hops.
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { startWithAccounts } from '../../lab/accounts.ts';
import { type Host, run } from '../../lab/host.ts';
import { Hopeless, until } from '../../lab/until.ts';
import { type Daemon, type SessionSetting, collect } from './daemon.ts';
import { vty } from '../../lab/frr-vty.ts';

export const frr: Daemon = {
  name: 'FRR',
  tools: ['frr'],
  supports: new Set([
    'restartHelper',
    'password',
    'ttlSecurity',
    'internalTtlSecurity',
    'gracefulRestart',
    'longLived',
    'refresh',
    'extendedMessage',
    'addPath',
    'extendedNextHop',
    'reflectorClient',
    'role',
  ]),
  async version() {
    return (await run('frr-bgpd', ['--version'])).stdout.match(/version (\S+)/)?.[1] ?? 'unknown';
  },
  async start(host, folder, setting) {
    await mkdir(`${folder}/vty`, { recursive: true });
    await chmod(folder, 0o777);
    await chmod(`${folder}/vty`, 0o777);
    await writeFile(`${folder}/bgpd.conf`, configuration(setting));
    await startZebra(host, folder);
    const log: string[] = [];
    const words = [
      '-f',
      `${folder}/bgpd.conf`,
      '-i',
      `${folder}/pid`,
      '--vty_socket',
      `${folder}/vty`,
      '-z',
      `${folder}/zserv`,
    ];
    const child = host.start('frr-bgpd', [...words, '-S', '-P', '0', '--log', 'stdout'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    collect(child.stdout, log);
    collect(child.stderr, log);
    const ask = (command: string): Promise<string> => vty(`${folder}/vty/bgpd.vty`, 'enable', command);
    await until('bgpd answers', async () => {
      if (child.exitCode !== null) throw new Hopeless(`bgpd ended: ${log.join('')}`);
      return (await ask('show version')).includes('FRR');
    });
    const family = setting.extendedNextHop || setting.family === 4 ? 'ipv4' : 'ipv6';
    return {
      async established() {
        const answer = JSON.parse(await ask('show bgp neighbors json')) as Record<string, { bgpState: string }>;
        return answer[setting.peerAddress]?.bgpState === 'Established';
      },
      async learned() {
        const answer = JSON.parse(
          await ask(`show bgp ${family} unicast neighbors ${setting.peerAddress} routes json`),
        ) as {
          routes: Record<string, unknown>;
        };
        const learned = new Map<string, string>();
        for (const prefix of Object.keys(answer.routes)) {
          learned.set(prefix, await ask(`show bgp ${family} unicast ${prefix} json`));
        }
        return learned;
      },
      async stop(signal = 'SIGTERM') {
        const end = once(child, 'exit');
        child.kill(signal);
        await end;
      },
      log: () => log.join(''),
    };
  },
};

/** Zebra goes on when bgpd is restarted. */
async function startZebra(host: Host, folder: string): Promise<void> {
  const answers = async (): Promise<boolean> => (await vty(`${folder}/vty/zebra.vty`, 'show version')).includes('FRR');
  if (await answers().catch(() => false)) return;
  await writeFile(`${folder}/zebra.conf`, '');
  const words = ['-f', `${folder}/zebra.conf`, '-i', `${folder}/zebra.pid`, '--vty_socket', `${folder}/vty`];
  const command = ['frr-zebra', ...words, '-z', `${folder}/zserv`, '-P', '0'] as const;
  await startWithAccounts(host, `${folder}/zebra`, ['frr', 'frrvty'], command, { stdio: 'ignore' });
  await until('zebra answers', answers);
}

function configuration(setting: SessionSetting): string {
  const peer = setting.peerAddress;
  const family = setting.extendedNextHop || setting.family === 4 ? 'ipv4' : 'ipv6';
  const lines = [
    `router bgp ${setting.localAsn}`,
    ` bgp router-id ${setting.routerId}`,
    ' no bgp ebgp-requires-policy',
    ' no bgp default ipv4-unicast',
    ' no bgp network import-check',
    ' bgp log-neighbor-changes',
    ...(setting.gracefulRestart ? [' bgp graceful-restart', ' bgp graceful-restart preserve-fw-state'] : []),
    ...(setting.longLived
      ? [' bgp graceful-restart restart-time 1', ' bgp long-lived-graceful-restart stale-time 3600']
      : []),
    ...(setting.gracefulShutdown ? [' bgp graceful-shutdown'] : []),
    ` neighbor ${peer} remote-as ${setting.peerAsn}`,
    ` neighbor ${peer} update-source ${setting.localAddress}`,
    ` neighbor ${peer} timers ${Math.max(1, Math.floor(setting.holdSeconds / 3))} ${setting.holdSeconds}`,
    ` neighbor ${peer} timers connect 1`,
    ...(setting.passive ? [` neighbor ${peer} passive`] : []),
    ...(setting.password === undefined ? [] : [` neighbor ${peer} password ${setting.password}`]),
    ...(setting.ttlSecurity ? [` neighbor ${peer} ttl-security hops 1`] : []),
    ...(setting.role === undefined ? [] : [` neighbor ${peer} local-role ${setting.role}`]),
    ...(setting.extendedNextHop ? [` neighbor ${peer} capability extended-nexthop`] : []),
    ` address-family ${family} unicast`,
    ...setting.announce.map((prefix) => `  network ${prefix}`),
    `  neighbor ${peer} activate`,
    ...(setting.addPath ? [`  neighbor ${peer} addpath-tx-all-paths`] : []),
    ...(setting.reflectorClient ? [`  neighbor ${peer} route-reflector-client`] : []),
    ' exit-address-family',
  ];
  return `${lines.join('\n')}\n`;
}
