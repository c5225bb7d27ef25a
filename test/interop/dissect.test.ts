// Everything that we put on the wire, as Wireshark's dissector sees it: not one malformed message.
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import type { Prefix } from '#ip';
import type { OriginatedRoute } from '../../bgp/wish.ts';
import { run } from '../lab/host.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { bird } from './daemons/bird.ts';
import { type PairOptions, established, pair } from './pair.ts';

const lane = 6;

/** Enough prefixes and attribute sets for several UPDATEs of every shape. */
function originatedOf(family: 4 | 6): OriginatedRoute[] {
  return Array.from({ length: 3000 }, (_, index) => ({
    prefix: (family === 4
      ? `100.${64 + (index >> 8)}.${index & 255}.0/24`
      : `2001:db8:${index.toString(16)}::/48`.replace(':0::', '::')) as Prefix,
    ...(index % 3 === 0 && { med: index }),
    ...(index % 5 === 0 && { communities: [((65_100 << 16) >>> 0) + index, 0xffff029a] }),
    ...(index % 7 === 0 && { largeCommunities: [[4_200_000_001, index, 1]] as const }),
  }));
}

const cases: readonly (PairOptions & { readonly title: string })[] = [
  { title: 'eBGP over IPv4', family: 4, internal: false, dialer: 'us', daemon: { gracefulRestart: true } },
  {
    title: 'iBGP over IPv6 with ADD-PATH',
    family: 6,
    internal: true,
    dialer: 'them',
    peer: { addPath: { receive: true, send: 2 } },
    daemon: { addPath: true },
  },
];

test.for(cases)('what we send is dissected without a malformed message: $title', async (options, context) => {
  const reason = lacking('bird', 'tcpdump', 'tshark');
  context.skip(reason !== undefined, reason);
  await using two = await pair(bird, lane, { ...options, speaker: { originated: originatedOf(options.family) } });
  await mkdir('/run/lab/dissect', { recursive: true });
  const file = `/run/lab/dissect/${options.family}.pcap`;
  // On the daemon's side of the cable, before our OPEN: the session is begun anew for it.
  const capture = two.host.start(
    'tcpdump',
    ['-Z', 'root', '--immediate-mode', '-U', '-i', 'eth0', '-s', '0', '-w', file, 'tcp port 179'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  await once(createInterface(capture.stderr!), 'line');
  await established(two);
  two.speaker.reset(two.status().name);
  await until('the session is down', () => two.status().state !== 'Established');
  await established(two);
  await until('all is announced', async () => (await two.daemon.learned()).size === 3000, 20_000, 200);
  two.speaker.refresh(two.status().name);
  two.speaker.apply({ ...two.wish, originated: [] });
  await until('all is withdrawn', async () => (await two.daemon.learned()).size === 0, 20_000, 200);
  const ended = once(capture, 'exit');
  capture.kill('SIGINT');
  await ended;

  const from = `${options.family === 4 ? 'ip.src' : 'ipv6.src'}==${two.localAddress}`;
  const dissect = async (filter: string): Promise<string[]> => {
    const words = ['-r', file, '-Y', `${from} && (${filter})`, '-T', 'fields', '-e', 'frame.number', '-e', 'bgp.type'];
    const { stdout } = await run('tshark', ['-2', ...words]);
    return stdout.split('\n').filter((line) => line !== '');
  };
  const messages = (await dissect('bgp')).flatMap((line) => line.split('\t')[1]!.split(','));
  expect(new Set(messages)).toEqual(new Set(['1', '2', '3', '4', '5']));
  expect(await dissect('_ws.malformed || _ws.expert.severity >= 8388608')).toEqual([]);
});
