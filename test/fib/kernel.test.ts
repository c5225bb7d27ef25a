// All of fib/ against the real kernel, in a host of the lab with two links to neighbours.
import type { Address, Prefix } from '#ip';
import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { cleanup } from '../../fib/cleanup.ts';
import { startDump } from '../../fib/dump.ts';
import { startBatch } from '../../fib/ip.ts';
import { type Fib, openFib } from '../../fib/open.ts';
import { BGP_METRIC, type NextHop, type Route } from '../../fib/route.ts';
import { type Host, connect, createHost } from '../lab/host.ts';
import { until } from '../lab/until.ts';
import { childrenOf } from './processes.ts';

const via = (address: string, dev?: string): NextHop => ({
  via: address as Address,
  ...(dev !== undefined && { dev }),
});
const route = (prefix: string, ...nextHops: NextHop[]): Route => ({
  prefix: prefix as Prefix,
  kind: nextHops.length === 0 ? 'blackhole' : 'unicast',
  metric: BGP_METRIC,
  nextHops,
});
const pod = (prefix: string, dev: string): Route => ({ ...route(prefix, { dev }), metric: 0 });

const a4 = via('10.250.1.2', 'eth0');
const b4 = via('10.250.2.2', 'eth1');
const a6 = via('fd01::2', 'eth0');
const b6 = via('fd02::2', 'eth1');

/** eth0 with 10.250.1.1/24 and fd01::1/64, eth1 with 10.250.2.1/24 and fd02::1/64; the far ends in a host of their own. */
async function lay(): Promise<{ host: Host; far: Host } & AsyncDisposable> {
  await using built = new AsyncDisposableStack();
  const host = built.use(await createHost());
  const far = built.use(await createHost());
  for (const [i, dev] of ['eth0', 'eth1'].entries()) {
    await connect(host, dev, far, dev);
    await address(host, i);
  }
  const kept = built.move();
  return { host, far, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function address(host: Host, i: number): Promise<void> {
  await host.ip(`addr replace 10.250.${i + 1}.1/24 dev eth${i}`);
  await host.ip(`addr replace fd0${i + 1}::1/64 dev eth${i} nodad`);
}

async function open(host: Host, wishes: readonly Route[]): Promise<Fib> {
  const fib = openFib({ command: ['ip', '-n', host.name] });
  fib.reconciler.wish(wishes);
  await fib.reconciler.settled();
  return fib;
}

/** The routes of ours as `ip` shows them, one line each. */
async function ours(host: Host): Promise<string[]> {
  const lines = `${await host.ip('-4 -o route show proto 201')}${await host.ip('-6 -o route show proto 201')}`.split(
    '\n',
  );
  return lines.filter(Boolean).map((line) => line.replaceAll('\\', '').replaceAll(/\s+/g, ' ').trim());
}

test('every kind of route is put into the kernel as wished, and taken out again', async () => {
  await using lab = await lay();
  await using fib = await open(lab.host, [
    route('10.82.0.0/26', a4),
    route('10.82.1.0/26', a4, b4),
    route('10.82.2.0/26'),
    route('10.82.3.0/26', via('fd01::2', 'eth0')),
    route('10.82.4.0/26', via('10.250.1.2')),
    pod('10.82.5.7/32', 'eth1'),
    route('fd82:0:0:1::/64', a6),
    route('fd82:0:0:2::/64', a6, b6),
    route('fd82:0:0:3::/64'),
    route('fd82:0:0:4::/64', via('fe80::2', 'eth1')),
    pod('fd82::7/128', 'eth1'),
    route('0.0.0.0/0', b4),
    route('::/0', b6),
  ]);
  expect(fib.reconciler.status()).toMatchObject({ desired: 13, installed: 13, missing: 0, troubles: [] });
  expect(await ours(lab.host)).toEqual([
    'default via 10.250.2.2 dev eth1 metric 1024',
    '10.82.0.0/26 via 10.250.1.2 dev eth0 metric 1024',
    '10.82.1.0/26 metric 1024 nexthop via 10.250.1.2 dev eth0 weight 1 nexthop via 10.250.2.2 dev eth1 weight 1',
    'blackhole 10.82.2.0/26 metric 1024',
    '10.82.3.0/26 via inet6 fd01::2 dev eth0 metric 1024',
    '10.82.4.0/26 via 10.250.1.2 dev eth0 metric 1024',
    '10.82.5.7 dev eth1 scope link',
    'fd82::7 dev eth1 metric 1024 pref medium',
    'fd82:0:0:1::/64 via fd01::2 dev eth0 metric 1024 pref medium',
    'fd82:0:0:2::/64 metric 1024 pref medium nexthop via fd01::2 dev eth0 weight 1 nexthop via fd02::2 dev eth1 weight 1',
    'blackhole fd82:0:0:3::/64 dev lo metric 1024 pref medium',
    'fd82:0:0:4::/64 via fe80::2 dev eth1 metric 1024 pref medium',
    'default via fd02::2 dev eth1 metric 1024 pref medium',
  ]);
  fib.reconciler.look();
  await fib.reconciler.settled();
  expect(fib.reconciler.status()).toMatchObject({ installed: 13, repairs: 0 });
  fib.reconciler.wish([]);
  await fib.reconciler.settled();
  expect(await ours(lab.host)).toEqual([]);
});

/** Resolves when the monitor in the host has joined its multicast groups. */
async function listening(host: Host): Promise<void> {
  await until('the monitor listens', async () => {
    const { stdout } = await host.run('cat', ['/proc/net/netlink']);
    // Columns: socket, protocol (0: NETLINK_ROUTE), port, groups.
    return stdout.split('\n').some((line) => /^\S+ +0 +\d+ +(?!00000000)[0-9a-f]{8} /.test(line));
  });
}

const deletions: [string, Route, string][] = [
  ['an IPv4 route', route('10.82.0.0/26', a4), 'route del 10.82.0.0/26'],
  ['IPv4 multipath', route('10.82.0.0/26', a4, b4), 'route del 10.82.0.0/26'],
  ['a pod’s route', pod('10.82.0.7/32', 'eth1'), 'route del 10.82.0.7'],
  ['a blackhole', route('10.82.0.0/26'), 'route del 10.82.0.0/26'],
  ['an IPv6 route', route('fd82::/64', a6), 'route del fd82::/64'],
  ['IPv6 multipath', route('fd82::/64', a6, b6), 'route del fd82::/64'],
  ['one next hop of IPv6 multipath', route('fd82::/64', a6, b6), 'route del fd82::/64 via fd02::2'],
  [
    'a route replaced by hand',
    route('10.82.0.0/26', a4),
    'route replace 10.82.0.0/26 via 10.250.2.2 proto 201 metric 1024',
  ],
  [
    'a route with an MTU',
    route('10.82.0.0/26', a4),
    'route replace 10.82.0.0/26 via 10.250.1.2 proto 201 metric 1024 mtu 1400',
  ],
];
test.each(deletions)('%s is put right within a second after somebody changed it', async (_, wish, line) => {
  await using lab = await lay();
  await using fib = await open(lab.host, [wish]);
  const before = await ours(lab.host);
  await listening(lab.host);
  await lab.host.ip(line);
  await until('it is repaired', () => fib.reconciler.status().repairs === 1, 1000, 5);
  expect(await ours(lab.host)).toEqual(before);
});

test.each([
  ['10.82.0.0/26', a4, '10.250.2.9'],
  ['fd82::/64', a6, 'fd02::9'],
])(
  'a foreign route to %s is left alone and reported, and ours goes in when it has gone',
  async (prefix, hop, theirs) => {
    await using lab = await lay();
    await lab.host.ip(`route add ${prefix} via ${theirs} proto static metric ${BGP_METRIC}`);
    const show = (): Promise<string> => lab.host.ip(`route show to exact ${prefix}`);
    const before = await show();
    await using fib = await open(lab.host, [route(prefix, hop)]);
    fib.reconciler.release();
    await fib.reconciler.settled();
    expect(await show()).toBe(before);
    expect(fib.reconciler.status()).toMatchObject({
      missing: 1,
      troubles: [
        { prefix, trouble: 'foreign', reason: 'a route of proto static, metric 1024, is there, with the same metric' },
      ],
    });
    await listening(lab.host);
    await lab.host.ip(`route del ${prefix} proto static`);
    await until('ours is in', async () => (await ours(lab.host)).length === 1, 5000, 10);
    await fib.reconciler.settled();
    expect(fib.reconciler.status().troubles).toEqual([]);
  },
);

test('a better foreign route leaves ours behind it, and that is reported', async () => {
  await using lab = await lay();
  await lab.host.ip('route add 10.82.0.0/26 via 10.250.2.9');
  await using fib = await open(lab.host, [route('10.82.0.0/26', a4)]);
  expect(await ours(lab.host)).toHaveLength(1);
  expect(await lab.host.ip('route get 10.82.0.1')).toContain('via 10.250.2.9');
  expect(fib.reconciler.status().troubles).toMatchObject([{ trouble: 'shadowed' }]);
});

test('a worse foreign route keeps its traffic', async () => {
  await using lab = await lay();
  await lab.host.ip('route add default via 10.250.2.9 proto dhcp metric 20100');
  await using fib = await open(lab.host, [route('0.0.0.0/0', a4)]);
  expect(await lab.host.ip('route get 192.0.2.1')).toContain('via 10.250.2.9');
  expect(fib.reconciler.status().troubles).toMatchObject([
    {
      trouble: 'foreign',
      reason: 'a route of proto dhcp, metric 20100, is there, and ours would take its traffic (metric 1024)',
    },
  ]);
});

test('a route whose gateway is on no link is refused with the kernel’s words, and goes in when the link comes', async () => {
  await using lab = await lay();
  const wishes = [route('10.82.0.0/26', via('10.250.3.2')), route('fd82::/64', via('fd03::2'))];
  await using fib = await open(lab.host, wishes);
  expect(fib.reconciler.status()).toMatchObject({
    missing: 2,
    troubles: [
      { trouble: 'refused', reason: 'Error: Nexthop has invalid gateway.' },
      { trouble: 'refused', reason: 'RTNETLINK answers: No route to host' },
    ],
  });
  // The third try has failed, so the back-off alone would take four seconds.
  await until('the third try', () => {
    const [first] = fib.reconciler.status().troubles;
    return first?.retryAt !== undefined && first.retryAt - first.since > 6000;
  });
  await connect(lab.host, 'eth2', lab.far, 'eth2');
  await address(lab.host, 2);
  await until('both are in', async () => (await ours(lab.host)).length === 2, 5000, 10);
  await fib.reconciler.settled();
  expect(fib.reconciler.status().troubles).toEqual([]);
});

test('routes that the kernel dropped with a link are back within a second after the link', async () => {
  await using lab = await lay();
  const wishes = [route('10.82.0.0/26', a4), route('fd82::/64', a6), pod('10.82.0.7/32', 'eth0')];
  await using fib = await open(lab.host, wishes);
  const before = await ours(lab.host);
  await listening(lab.host);
  await lab.host.ip('link set eth0 down');
  await until('they are gone', async () => (await ours(lab.host)).length === 0);
  await lab.host.ip('link set eth0 up');
  await address(lab.host, 0);
  await until('they are back', async () => String(await ours(lab.host)) === String(before), 5000, 10);
  await fib.reconciler.settled();
});

test('multipath that the kernel dropped with one interface, without a word, is back with the interface', async () => {
  await using lab = await lay();
  await using fib = await open(lab.host, [route('10.82.0.0/26', a4, b4)]);
  const before = await ours(lab.host);
  await listening(lab.host);
  await lab.host.ip('link del eth1');
  await until('it is refused', () => fib.reconciler.status().troubles[0]?.trouble === 'refused', 5000, 10);
  await connect(lab.host, 'eth1', lab.far, 'eth1');
  await address(lab.host, 1);
  await until('it is back', async () => String(await ours(lab.host)) === String(before), 5000, 10);
});

test('a pod whose interface is made anew under the old name gets its route on the new one', async () => {
  await using lab = await lay();
  await using fib = await open(lab.host, []);
  await listening(lab.host);
  for (let life = 0; life < 3; life++) {
    await lab.host.ip('link add cali1 type veth peer name pod1');
    await lab.host.ip('link set cali1 up');
    fib.reconciler.change([{ prefix: '10.82.0.7/32' as Prefix, metric: 0, route: pod('10.82.0.7/32', 'cali1') }]);
    await until('the route is in', async () => (await ours(lab.host)).length === 1);
    await lab.host.ip('link del cali1');
  }
});

const transitions: Record<string, Route[]> = {
  IPv4: [[a4], [a4, b4], [b4], [], [b4, a4], [], [a4], [via('fd01::2', 'eth0')], [a4, b4]].map((hops) =>
    route('10.82.0.0/26', ...hops),
  ),
  IPv6: [[a6], [a6, b6], [b6], [], [b6, a6], [], [a6], [{ dev: 'eth1' }], [a6, b6], [b6, via('fe80::9', 'eth0')]].map(
    (hops) => route('fd82::/64', ...hops),
  ),
};
test.each(Object.keys(transitions))(
  '%s next hops change, more and fewer, to a blackhole and back, without a gap',
  async (family) => {
    await using lab = await lay();
    const [first, ...rest] = transitions[family]!;
    await using fib = await open(lab.host, [first!]);
    const monitor = lab.host.start('ip', ['-o', '-d', 'monitor', 'route'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let told = '';
    monitor.stdout!.on('data', (text: Buffer) => (told += text.toString()));
    let probes = 0;
    await until('the monitor listens', async () => {
      // Another one each time: the kernel says nothing about a replacement that changes nothing.
      await lab.host.ip(`route replace blackhole 198.18.0.${probes++ % 256}`);
      return told !== '';
    });
    for (const wish of rest) {
      fib.reconciler.wish([wish]);
      await fib.reconciler.settled();
      expect(fib.reconciler.status()).toMatchObject({ installed: 1, troubles: [] });
      expect(await ours(lab.host)).toHaveLength(1);
    }
    await lab.host.ip('route replace blackhole 192.0.2.9');
    await until('the last event', () => told.includes('192.0.2.9'));
    const events = told.split('\n').filter((line) => line.includes(first!.prefix));
    expect(events.length).toBeGreaterThanOrEqual(rest.length);
    expect(events.filter((line) => line.startsWith('Deleted'))).toEqual([]);
  },
);

test('a wish that moves a prefix to another metric is never without a route', async () => {
  await using lab = await lay();
  await using fib = await open(lab.host, [route('10.82.0.7/32', a4)]);
  const monitor = lab.host.start('ip', ['-o', '-d', 'monitor', 'route'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let told = '';
  monitor.stdout!.on('data', (text: Buffer) => (told += text.toString()));
  let probes = 0;
  await until('the monitor listens', async () => {
    // Another one each time: the kernel says nothing about a replacement that changes nothing.
    await lab.host.ip(`route replace blackhole 198.18.0.${probes++ % 256}`);
    return told !== '';
  });
  fib.reconciler.wish([pod('10.82.0.7/32', 'eth1')]);
  await until('the old one is gone', () => told.includes('Deleted'));
  const events = told.split('\n').filter((line) => line.includes('10.82.0.7'));
  expect(events.map((line) => line.startsWith('Deleted'))).toEqual([false, true]);
  expect(await ours(lab.host)).toEqual(['10.82.0.7 dev eth1 scope link']);
});

test('next hops that somebody appended to our IPv6 route stay', async () => {
  await using lab = await lay();
  await using fib = await open(lab.host, [route('fd82::/64', a6)]);
  await listening(lab.host);
  await lab.host.ip(`-6 route append fd82::/64 via fd02::9 proto static metric ${BGP_METRIC}`);
  await until('it is reported', () => fib.reconciler.status().troubles[0]?.trouble === 'foreign', 5000, 10);
  expect(await lab.host.ip('-6 route show fd82::/64')).toContain('via fd02::9');
  fib.reconciler.wish([]);
  await until('ours is gone', async () => !(await lab.host.ip('-6 route show fd82::/64')).includes('fd01::2'));
  expect(await lab.host.ip('-6 route show fd82::/64')).toContain('via fd02::9');
});

const many = (count: number): Route[] =>
  Array.from({ length: count }, (_, i) => route(`10.${128 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`, a4));

test('twelve thousand routes go in, survive the death of every ip child half way, and go out', async () => {
  await using lab = await lay();
  await using fib = await open(lab.host, []);
  const wishes = many(12_000);
  fib.reconciler.wish(wishes);
  await until('some are in', () => fib.reconciler.status().installed > 1000, 10_000, 1);
  for (const pid of childrenOf(process.pid, `-n\0${lab.host.name}\0`)) process.kill(pid, 'SIGKILL');
  await until('all are in', () => fib.reconciler.status().installed === wishes.length);
  await fib.reconciler.settled();
  expect(await ours(lab.host)).toHaveLength(wishes.length);
  expect(fib.reconciler.status()).toMatchObject({ missing: 0, troubles: [] });
  expect(fib.reconciler.status()).not.toHaveProperty('error');
  fib.reconciler.wish([]);
  await until('all are out', async () => (await ours(lab.host)).length === 0);
});

test('many routes do not hold the event loop', async () => {
  await using lab = await lay();
  await using fib = await open(lab.host, []);
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  fib.reconciler.wish(many(30_000));
  await fib.reconciler.settled();
  fib.reconciler.look();
  await fib.reconciler.settled();
  clearInterval(timer);
  expect(fib.reconciler.status().installed).toBe(30_000);
  // Measured: 20 ms. The rest is for a busy machine.
  expect(longest).toBeLessThan(150);
});

test('our own writes do not make us look at the kernel again', async () => {
  await using lab = await lay();
  await using fib = await open(lab.host, [route('10.82.0.0/26', a4)]);
  const first = fib.reconciler.status().lastFullCheck;
  // The monitor's own hint, when it may be expected to listen.
  const before = await until('the second look', () => {
    const { lastFullCheck } = fib.reconciler.status();
    return lastFullCheck !== first && lastFullCheck;
  });
  fib.reconciler.wish([route('10.82.0.0/26', a4, b4), route('10.82.1.0/26', a4), route('fd82::/64', a6, b6)]);
  await fib.reconciler.settled();
  await wait(300);
  expect(fib.reconciler.status()).toMatchObject({ installed: 3, lastFullCheck: before });
});

test('routes outlive the reconciler; the next one keeps them until release()', async () => {
  await using lab = await lay();
  const wishes = [route('10.82.0.0/26', a4), route('10.82.1.0/26', a4, b4), route('fd82::/64', a6)];
  const first = await open(lab.host, wishes);
  const before = await ours(lab.host);
  await first[Symbol.asyncDispose]();
  expect(await ours(lab.host)).toEqual(before);

  await using second = await open(lab.host, [wishes[0]!]);
  expect(await ours(lab.host)).toEqual(before);
  expect(second.reconciler.status()).toMatchObject({ installed: 1, stale: 2, repairs: 0 });
  second.reconciler.release();
  await second.reconciler.settled();
  expect(await ours(lab.host)).toEqual([before[0]]);
});

test('the resolver follows the links', async () => {
  await using lab = await lay();
  let changes = 0;
  await using fib = openFib({ command: ['ip', '-n', lab.host.name], onNextHops: () => changes++ });
  await fib.ready;
  const resolve = (): object => fib.resolver.resolve('10.250.1.2' as Address);
  const [there, away] = [{ reachable: true, interface: 'eth0' }, { reachable: false }];
  expect(resolve()).toEqual(there);
  await listening(lab.host);
  await lab.far.ip('link set eth0 down');
  await until('it is unreachable, and we are told so', () => changes > 0 && isDeepStrictEqual(resolve(), away));
  const before = changes;
  await lab.far.ip('link set eth0 up');
  await until('it is reachable, and we are told so', () => changes > before && isDeepStrictEqual(resolve(), there));
  expect(fib.links.find(({ name }) => name === 'eth0')?.addresses).toContainEqual({
    ...{ address: '10.250.1.1', prefix: '10.250.1.0/24' },
  });
});

test('cleaning up removes exactly what carries our protocol', async () => {
  await using lab = await lay();
  const fib = await open(lab.host, [
    route('10.82.0.0/26', a4, b4),
    pod('10.82.0.7/32', 'eth1'),
    route('fd82::/64', a6, b6),
  ]);
  await fib[Symbol.asyncDispose]();
  for (const theirs of [
    '10.82.0.0/26 via 10.250.1.9',
    '10.82.0.7 via 10.250.1.9 metric 5',
    'fd82::/64 via fd01::9 metric 5',
  ]) {
    await lab.host.ip(`route add ${theirs} proto static`);
  }
  const all = async (): Promise<string> => `${await lab.host.ip('-4 route')}${await lab.host.ip('-6 route')}`;
  const theirs = (await all())
    .split('\n')
    .filter((line) => !/proto 201|nexthop via (10.250.[12].2|fd0[12]::2)/.test(line));
  const command = ['ip', '-n', lab.host.name];
  await using batch = startBatch({ command });
  await using dump = startDump({ command });
  expect(await cleanup(batch, dump)).toEqual({ removed: 3, left: [] });
  expect((await all()).split('\n')).toEqual(theirs);
  expect(await cleanup(batch, dump)).toEqual({ removed: 0, left: [] });
});
