// GoBGP 3.
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { run } from '../../lab/host.ts';
import { Hopeless, until } from '../../lab/until.ts';
import { type Daemon, type SessionSetting, collect } from './daemon.ts';

export const gobgp: Daemon = {
  name: 'GoBGP',
  tools: ['gobgp'],
  supports: new Set([
    'refresh',
    'restartHelper',
    'password',
    'ttlSecurity',
    'internalTtlSecurity',
    'gracefulRestart',
    'addPath',
    'reflectorClient',
  ]),
  async version() {
    return (await run('gobgpd', ['--version'])).stdout.match(/(\d+\.\d+\.\d+)/)?.[1] ?? 'unknown';
  },
  async start(host, folder, setting) {
    await mkdir(folder, { recursive: true });
    await writeFile(`${folder}/gobgpd.toml`, configuration(setting));
    const log: string[] = [];
    const child = host.start(
      'gobgpd',
      ['-f', `${folder}/gobgpd.toml`, '--api-hosts', '127.0.0.1:50051', '--pprof-disable'],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    collect(child.stdout, log);
    collect(child.stderr, log);
    const ask = async (...words: string[]): Promise<string> =>
      (await host.run('gobgp', ['-u', '127.0.0.1', '-p', '50051', ...words])).stdout;
    await until('gobgpd answers', async () => {
      if (child.exitCode !== null) throw new Hopeless(`gobgpd ended: ${log.join('')}`);
      return (await ask('global')).includes('AS:');
    });
    const family = setting.family === 4 ? 'ipv4' : 'ipv6';
    const marked = setting.gracefulShutdown ? ['community', '65535:0'] : [];
    for (const prefix of setting.announce) await ask('global', 'rib', 'add', prefix, ...marked, '-a', family);
    return {
      established: async () => /BGP state = ESTABLISHED/i.test(await ask('neighbor', setting.peerAddress)),
      async learned() {
        const text = await ask('neighbor', setting.peerAddress, 'adj-in', '-a', family);
        const lines = text.split('\n').filter((line) => line.includes('/'));
        return new Map(lines.map((line) => [line.match(/\S+\/\d+/)![0], line]));
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

function configuration(setting: SessionSetting): string {
  const family = setting.family === 4 ? 'ipv4-unicast' : 'ipv6-unicast';
  return `
[global.config]
  as = ${setting.localAsn}
  router-id = "${setting.routerId}"
  local-address-list = ["${setting.localAddress}"]
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${setting.peerAddress}"
    peer-as = ${setting.peerAsn}
    ${setting.password === undefined ? '' : `auth-password = "${setting.password}"`}
  [neighbors.transport.config]
    local-address = "${setting.localAddress}"
    passive-mode = ${setting.passive}
  [neighbors.timers.config]
    connect-retry = 2
    hold-time = ${setting.holdSeconds}
    keepalive-interval = ${Math.max(1, Math.floor(setting.holdSeconds / 3))}
  ${setting.ttlSecurity ? '[neighbors.ttl-security.config]\n    enabled = true\n    ttl-min = 255' : ''}
  ${setting.reflectorClient ? `[neighbors.route-reflector.config]\n    route-reflector-client = true\n    route-reflector-cluster-id = "${setting.routerId}"` : ''}
  ${setting.gracefulRestart ? '[neighbors.graceful-restart.config]\n    enabled = true\n    restart-time = 20' : ''}
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "${family}"
    ${setting.gracefulRestart ? '[neighbors.afi-safis.mp-graceful-restart.config]\n      enabled = true' : ''}
    ${setting.addPath ? '[neighbors.afi-safis.add-paths.config]\n      receive = true\n      send-max = 8' : ''}
`;
}
