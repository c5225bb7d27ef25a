// Sessions over links without addresses: Manx with Manx, and Manx with FRR, in real kernels.
//
//   one ── eth1 ─────── eth1 ── two        198.51.100.1/32 and 2001:db8:1::1/128 on one, 203.0.113.1/32 and
//    └──── eth2 ─────── eth1 ── frr        2001:db8:2::1/128 on two, 192.0.2.1/32 and 2001:db8:3::1/128 on frr
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PeerView } from '../../src/api/views.ts';
import { type Frr, startFrr } from '../lab/frr.ts';
import { type Host, connect, createHost } from '../lab/host.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { TestAgent } from '../src/api/pair.ts';

const networks = {
  one: ['198.51.100.1/32', '2001:db8:1::1/128'],
  two: ['203.0.113.1/32', '2001:db8:2::1/128'],
  frr: ['192.0.2.1/32', '2001:db8:3::1/128'],
} as const;
const asns = { one: 64_512, two: 65_001, frr: 65_002 } as const;
type Name = keyof typeof networks;

/** The whole configuration of a Manx router with one unnumbered peer a link. */
function configuration(name: Name, peers: Readonly<Record<string, Name>>): string {
  const sessions = Object.entries(peers).map(
    ([link, peer]) => `---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: ${peer}}
spec: {asNumber: ${asns[peer]}, ttlSecurity: 1}
---
apiVersion: projectmanx.org/v1
kind: PeerOptions
metadata: {name: ${peer}}
spec: {peers: [${peer}], interface: ${link}, connectRetryTime: 1s}
`,
  );
  return `apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: ${name}}
spec: {bgp: {asNumber: ${asns[name]}, ipv4Address: ${networks[name][0]}, ipv6Address: "${networks[name][1]}"}}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: false}
${sessions.join('')}`;
}

const frrConfiguration = `router bgp ${asns.frr}
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 neighbor eth1 interface remote-as ${asns.one}
 neighbor eth1 timers connect 1
 neighbor eth1 ttl-security hops 1
 address-family ipv4 unicast
  network ${networks.frr[0]}
 exit-address-family
 address-family ipv6 unicast
  network ${networks.frr[1]}
  neighbor eth1 activate
 exit-address-family
`;

const folder = '/run/lab/unnumbered';
const reason = lacking('frr', 'ping', 'tcpdump');
const stack = new AsyncDisposableStack();
let hosts: Record<Name, Host>;
let one: TestAgent;
let two: TestAgent;
let frr: Frr;

beforeAll(async () => {
  if (reason !== undefined) return;
  const names = ['one', 'two', 'frr'] as const;
  const made = await Promise.all(names.map((name) => createHost(`unnumbered-${name}`)));
  for (const host of made) stack.use(host);
  hosts = { one: made[0]!, two: made[1]!, frr: made[2]! };
  for (const name of names) for (const cidr of networks[name]) await hosts[name].ip(`addr add ${cidr} dev lo`);
  await connect(hosts.one, 'eth1', hosts.two, 'eth1');
  await connect(hosts.one, 'eth2', hosts.frr, 'eth1');
  one = new TestAgent(hosts.one, join(folder, 'one'), 'one', []);
  two = new TestAgent(hosts.two, join(folder, 'two'), 'two', []);
  await one.write('all.yaml', configuration('one', { eth1: 'two', eth2: 'frr' }));
  await two.write('all.yaml', configuration('two', { eth1: 'one' }));
  frr = await startFrr(hosts.frr, join(folder, 'frr'), frrConfiguration);
  await Promise.all([one.start(), two.start()]);
}, 60_000);
afterAll(() => stack.disposeAsync());

const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const peer = (agent: TestAgent, name: string): Promise<PeerView> => agent.api.get<PeerView>(`/v1/bgp/peers/${name}`);

async function established(agent: TestAgent, name: string, withinMs = 20_000): Promise<PeerView> {
  return until(
    `${agent.name} has a session with ${name}`,
    async () => {
      const view = await peer(agent, name);
      return view.state === 'Established' ? view : undefined;
    },
    withinMs,
  );
}

/** The link-local address of a host's interface. */
async function linkLocal(host: Host, name: string): Promise<string> {
  const text = await host.ip(`-6 -o addr show dev ${name} scope link`);
  return /inet6 (fe80[^/]+)/.exec(text)![1]!;
}

/** Pings from one network's address to another's, so that the way back is learned, too. */
async function reaches(from: Name, to: Name): Promise<void> {
  for (const family of [0, 1] as const) {
    const [source, target] = [from, to].map((name) => networks[name][family].split('/')[0]!) as [string, string];
    await until(
      `${from} reaches ${to} at ${target}`,
      async () => {
        const words = ['-c', '1', '-W', '1', '-I', source, target];
        return (await hosts[from].run('ping', words, { mayFail: true })).code === 0;
      },
      10_000,
    );
  }
}

describe.skipIf(reason)(title('Manx and Manx'), () => {
  test('find each other, and speak by their link-local addresses', async () => {
    const [here, there] = await Promise.all([established(one, 'two'), established(two, 'one')]);
    expect([here.address, here.interface]).toEqual([await linkLocal(hosts.two, 'eth1'), 'eth1']);
    expect(there.address).toBe(await linkLocal(hosts.one, 'eth1'));
  });

  test('forward IPv4 by IPv6 next hops (RFC 8950), both ways', async () => {
    await reaches('one', 'two');
    const via = await linkLocal(hosts.two, 'eth1');
    expect(await hosts.one.ip('-4 route show proto 201 dev eth1')).toMatch(
      new RegExp(`^203\\.0\\.113\\.1 via inet6 ${via} metric 1024`),
    );
    expect(await hosts.one.ip('-6 route show proto 201 dev eth1')).toMatch(`2001:db8:2::1 via ${via} `);
  });

  test('let the session and its routes go with the link, and have them back with it', async () => {
    const { flaps } = await established(one, 'two');
    await hosts.two.ip('link set eth1 down');
    const down = await until('the session has gone', async () => {
      const view = await peer(one, 'two');
      return view.state === 'Established' ? undefined : view;
    });
    expect(down.reason).toBe('eth1 is not there, not up, or has no IPv6 link-local address');
    expect(down.flaps).toBe(flaps + 1);
    await until('its routes have gone', async () => (await hosts.one.ip('route show proto 201 dev eth1')) === '');
    await hosts.two.ip('link set eth1 up');
    await Promise.all([established(one, 'two'), established(two, 'one')]);
    await reaches('two', 'one');
  });

  test('follow a neighbour to its new address', async () => {
    const before = await linkLocal(hosts.two, 'eth1');
    await hosts.two.ip('addr add fe80::2/64 dev eth1');
    await hosts.two.ip(`addr del ${before}/64 dev eth1`);
    await until(
      'the session is with the new address',
      async () => {
        const view = await peer(one, 'two');
        return view.state === 'Established' && view.address === 'fe80::2';
      },
      30_000,
    );
    await reaches('one', 'two');
  });

  test('keep every packet flowing over a restart', async () => {
    const lost = hosts.two.run('ping', ['-i', '0.05', '-c', '80', '-W', '1', '-I', '203.0.113.1', '198.51.100.1']);
    await one.end('SIGTERM');
    await one.start();
    await established(one, 'two');
    expect((await lost).stdout).toContain(' 0% packet loss');
  });
});

test.skipIf(reason)(title('what we say on a link makes us nobody’s default router'), async () => {
  await hosts.two.run('sysctl', ['-qw', 'net.ipv6.conf.eth1.accept_ra=2']);
  const filter = `icmp6 and ip6[40] == 134 and src ${await linkLocal(hosts.one, 'eth1')}`;
  const { stdout } = await hosts.two.run('tcpdump', ['-Z', 'root', '-n', '-v', '-c', '1', '-i', 'eth1', filter]);
  expect(stdout).toMatch(/hlim 255.*router advertisement.*\n.*hop limit 0, Flags \[none\].*router lifetime 0s/);
  expect(stdout).not.toContain('prefix info option');
  expect(await hosts.two.ip('-6 route show default')).toBe('');
});

describe.skipIf(reason)(title('Manx and FRR'), () => {
  const seen = async (): Promise<Record<string, { peerState?: string; state: string; hostname?: string }>> => {
    const all = JSON.parse(await frr.ask('show bgp ipv4 unicast summary json')) as { peers: Record<string, never> };
    return all.peers;
  };

  test('find each other by their router advertisements alone', async () => {
    const view = await established(one, 'frr', 30_000);
    expect(view.address).toBe(await linkLocal(hosts.frr, 'eth1'));
    expect((await seen())['eth1']?.state).toBe('Established');
  });

  test('forward IPv4 and IPv6 both ways', async () => {
    await reaches('one', 'frr');
    await reaches('frr', 'one');
    const via = await linkLocal(hosts.frr, 'eth1');
    expect(await hosts.one.ip('-4 route show proto 201 dev eth2')).toMatch(`192.0.2.1 via inet6 ${via} metric 1024`);
  });

  test('come back when the link does', async () => {
    await hosts.frr.ip('link set eth1 down');
    await until('the session has gone', async () => (await peer(one, 'frr')).state !== 'Established');
    await hosts.frr.ip('link set eth1 up');
    await established(one, 'frr', 30_000);
    await reaches('frr', 'one');
  });
});
