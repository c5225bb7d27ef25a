// OpenBGPD 7, whose processes want a user and a folder of their own: the lab's private mounts give it both.
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { startWithAccounts } from '../../lab/accounts.ts';
import { run } from '../../lab/host.ts';
import { Hopeless, until } from '../../lab/until.ts';
import { type Daemon, type SessionSetting, collect } from './daemon.ts';

export const openbgpd: Daemon = {
  name: 'OpenBGPD',
  tools: ['openbgpd'],
  // No password: it wants PF_KEY, which Linux has not. No restart of its own: when its main process is killed, the one
  // that holds the sessions still says goodbye (Cease). It says that it can refresh; asked to, it sent nothing again
  // within ten seconds. GTSM: on external sessions; on internal ones it dialled without a session coming up.
  supports: new Set(['restartHelper', 'ttlSecurity', 'addPath', 'reflectorClient']),
  async version() {
    const { stdout, stderr } = await run('openbgpd-bgpd', ['-V'], { mayFail: true });
    return (stdout + stderr).match(/OpenBGPD (\S+)/)?.[1] ?? 'unknown';
  },
  async start(host, folder, setting) {
    await mkdir(folder, { recursive: true });
    await mkdir('/run/openbgpd', { recursive: true });
    await writeFile(`${folder}/bgpd.conf`, configuration(setting, folder));
    await chmod(`${folder}/bgpd.conf`, 0o600);
    const log: string[] = [];
    const command = ['openbgpd-bgpd', '-d', '-f', `${folder}/bgpd.conf`] as const;
    const child = await startWithAccounts(host, folder, ['_openbgpd'], command, { stdio: ['ignore', 'pipe', 'pipe'] });
    collect(child.stdout, log);
    collect(child.stderr, log);
    const ask = async (...words: string[]): Promise<string> =>
      (await host.run('openbgpd-bgpctl', ['-s', `${folder}/socket`, ...words])).stdout;
    await until('bgpd answers', async () => {
      if (child.exitCode !== null) throw new Hopeless(`bgpd ended: ${log.join('')}`);
      return (await ask('show', 'summary')).includes('Neighbor');
    });
    return {
      established: async () => /BGP state = Established/.test(await ask('show', 'neighbor', setting.peerAddress)),
      async learned() {
        const answer = JSON.parse(await ask('-j', 'show', 'rib', 'detail', 'neighbor', setting.peerAddress)) as {
          rib?: readonly { prefix: string }[];
        };
        return new Map((answer.rib ?? []).map((route) => [route.prefix, JSON.stringify(route)]));
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

function configuration(setting: SessionSetting, folder: string): string {
  return `
AS ${setting.localAsn}
router-id ${setting.routerId}
listen on ${setting.localAddress}
socket "${folder}/socket"
fib-update no
${setting.announce.map((prefix) => `network ${prefix}${setting.gracefulShutdown ? ' set community GRACEFUL_SHUTDOWN' : ''}`).join('\n')}
neighbor ${setting.peerAddress} {
  remote-as ${setting.peerAsn}
  local-address ${setting.localAddress}
  holdtime ${setting.holdSeconds}
  ${setting.passive ? 'passive' : ''}
  announce IPv4 ${setting.family === 4 ? 'unicast' : 'none'}
  announce IPv6 ${setting.family === 6 ? 'unicast' : 'none'}
  ${setting.password === undefined ? '' : `tcp md5sig password "${setting.password}"`}
  ${setting.ttlSecurity ? 'ttl-security yes' : ''}
  ${setting.reflectorClient ? 'route-reflector' : ''}
  announce restart ${setting.gracefulRestart ? 'yes' : 'no'}
  ${setting.addPath ? 'announce add-path recv yes\n  announce add-path send all' : ''}
}
allow from any
allow to any
`;
}
