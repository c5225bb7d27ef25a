// ExaBGP 4, which only speaks and prints: what it receives comes as JSON on the standard input of a process of ours.
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { run } from '../../lab/host.ts';
import { Hopeless } from '../../lab/until.ts';
import { type Daemon, type SessionSetting, collect } from './daemon.ts';

interface Line {
  readonly type: string;
  readonly neighbor?: {
    readonly state?: string;
    readonly message?: {
      readonly update?: {
        readonly attribute?: object;
        readonly announce?: Record<string, Record<string, readonly { readonly nlri: string }[]>>;
        readonly withdraw?: Record<string, readonly { readonly nlri: string }[]>;
      };
    };
  };
}

export const exabgp: Daemon = {
  name: 'ExaBGP',
  tools: ['exabgp'],
  // GTSM and ADD-PATH are in its manual; with this configuration no session came up, and no path identifier was agreed.
  supports: new Set(['password', 'gracefulRestart']),
  async version() {
    return (await run('exabgp-run', ['--version'])).stdout.match(/ExaBGP : (\S+)/)?.[1] ?? 'unknown';
  },
  async start(host, folder, setting) {
    await mkdir(folder, { recursive: true });
    await writeFile(`${folder}/exabgp.conf`, configuration(setting, folder));
    // It runs as nobody.
    await writeFile(`${folder}/received`, '');
    await chmod(`${folder}/received`, 0o666);
    // Not a bare cat: started as `exec cat`, ExaBGP reported the helper as dead at once.
    const receive = `while IFS= read -r line; do printf '%s\n' "$line"; done >> ${folder}/received`;
    await writeFile(
      `${folder}/receive.sh`,
      `#!/bin/sh
${receive}
`,
    );
    await chmod(`${folder}/receive.sh`, 0o755);
    const log: string[] = [];
    const child = host.start('exabgp-run', [`${folder}/exabgp.conf`], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        // Underscores: a shell passes on no variable with dots in its name.
        exabgp_api_cli: 'false',
        exabgp_daemon_user: 'root',
        exabgp_tcp_bind: setting.passive ? setting.localAddress : '',
        exabgp_tcp_port: '179',
      },
    });
    collect(child.stdout, log);
    collect(child.stderr, log);
    await once(child, 'spawn');
    const lines = async (): Promise<Line[]> =>
      (await readFile(`${folder}/received`, 'utf8'))
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => JSON.parse(line) as Line);
    return {
      async established() {
        if (child.exitCode !== null) throw new Hopeless(`ExaBGP ended: ${log.join('')}`);
        return (await lines()).findLast((line) => line.type === 'state')?.neighbor?.state === 'up';
      },
      learned: async () => tableOf(await lines()),
      async stop(signal = 'SIGTERM') {
        const end = once(child, 'exit');
        child.kill(signal);
        await end;
      },
      log: () => log.join(''),
    };
  },
};

/** Plays the messages since the session came up into a table. */
function tableOf(lines: readonly Line[]): ReadonlyMap<string, string> {
  const table = new Map<string, string>();
  for (const { type, neighbor } of lines) {
    if (type === 'state' && neighbor?.state !== 'up') table.clear();
    const update = neighbor?.message?.update;
    for (const routes of Object.values(update?.withdraw ?? {})) for (const { nlri } of routes) table.delete(nlri);
    for (const nextHops of Object.values(update?.announce ?? {})) {
      for (const [nextHop, routes] of Object.entries(nextHops)) {
        if (!Array.isArray(routes)) continue; // End-of-RIB is announced in this place too
        for (const { nlri } of routes) table.set(nlri, JSON.stringify({ nextHop, ...update?.attribute }));
      }
    }
  }
  return table;
}

function configuration(setting: SessionSetting, folder: string): string {
  const routes = setting.announce.map(
    (prefix) => `    unicast ${prefix} next-hop self${setting.gracefulShutdown ? ' community [65535:0]' : ''};`,
  );
  return `
process receiver {
  run ${folder}/receive.sh;
  encoder json;
}
neighbor ${setting.peerAddress} {
  router-id ${setting.routerId};
  local-address ${setting.localAddress};
  local-as ${setting.localAsn};
  peer-as ${setting.peerAsn};
  hold-time ${setting.holdSeconds};
  ${setting.passive ? 'passive true;' : ''}
  ${setting.password === undefined ? '' : `md5-password "${setting.password}"; md5-base64 false;`}
  ${setting.ttlSecurity ? 'incoming-ttl 255; outgoing-ttl 255;' : ''}
  family { ipv${setting.family} unicast; }
  capability {
    ${setting.gracefulRestart ? 'graceful-restart 60;' : ''}
    ${setting.addPath ? 'add-path send/receive;' : ''}
    route-refresh enable;
  }
  api { processes [ receiver ]; neighbor-changes; receive { parsed; update; } }
  announce { ipv${setting.family} {
${routes.join('\n')}
  } }
}
`;
}
