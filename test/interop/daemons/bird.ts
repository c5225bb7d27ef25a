// BIRD 2.
import { startBird } from '../../lab/bird.ts';
import { run } from '../../lab/host.ts';
import type { Daemon, SessionSetting } from './daemon.ts';

export const bird: Daemon = {
  name: 'BIRD',
  tools: ['bird'],
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
  ]),
  async version() {
    const { stderr, stdout } = await run('bird', ['--version'], { mayFail: true });
    return (stderr + stdout).match(/version (\S+)/)?.[1] ?? 'unknown';
  },
  async start(host, folder, setting) {
    const running = await startBird(host, folder, configuration(setting));
    return {
      established: async () => /^peer0 +BGP .* Established/m.test(await running.birdc('show protocols peer0')),
      async learned() {
        const routes = await running.birdc('show route protocol peer0 all');
        return new Map(
          routes
            .split(/^(?=\S+\/\d+ )/m)
            .filter((block) => /^\S+\/\d+ /.test(block))
            .map((block) => [block.split(' ')[0]!, block]),
        );
      },
      stop: (signal) => running.stop(signal),
      log: () => running.log.join('\n'),
    };
  },
};

function configuration(setting: SessionSetting): string {
  const routes = setting.announce.map((prefix) => `  route ${prefix} blackhole;`).join('\n');
  const channel = `ipv${setting.family} {
    import all; export ${setting.gracefulShutdown ? 'filter leaving' : 'where source = RTS_STATIC'};
    ${setting.addPath ? 'add paths on;' : ''}
  };`;
  const extended = `ipv4 { import all; export all; extended next hop on; };`;
  return `
log stderr all;
router id ${setting.routerId};
protocol device {}
filter leaving { if source != RTS_STATIC then reject; bgp_community.add((65535, 0)); accept; }
protocol static { ipv${setting.extendedNextHop ? 4 : setting.family};
${routes}
}
protocol bgp peer0 {
  local ${setting.localAddress} as ${setting.localAsn};
  neighbor ${setting.peerAddress} as ${setting.peerAsn};
  hold time ${setting.holdSeconds};
  connect delay time 1; connect retry time 2; error wait time 1, 2;
  passive ${setting.passive ? 'on' : 'off'};
  ${setting.password === undefined ? '' : `password "${setting.password}";`}
  ${setting.ttlSecurity ? 'ttl security on;' : ''}
  ${setting.reflectorClient ? 'rr client;' : ''}
  graceful restart ${setting.gracefulRestart ? 'on' : 'aware'};
  ${setting.longLived ? 'graceful restart time 1; long lived graceful restart on; long lived stale time 3600;' : ''}
  ${setting.extendedMessage ? 'enable extended messages on;' : ''}
  ${setting.extendedNextHop ? extended : channel}
}
`;
}
