// The long-lived `ip` children against the real `ip` and the real kernel.
import { expect, test } from 'vitest';
import { startDump } from '../../fib/dump.ts';
import { startBatch } from '../../fib/ip.ts';
import { startMonitor } from '../../fib/monitor.ts';
import type { Hint, KernelRoute, LineResult } from '../../fib/port.ts';
import { type Host, createHost } from '../lab/host.ts';
import { until } from '../lab/until.ts';
import { childrenOf } from './processes.ts';

const inside = (host: Host): { command: string[] } => ({ command: ['ip', '-n', host.name] });
const blackholes = (count: number, verb = 'add'): string[] =>
  Array.from({ length: count }, (_, i) => `route ${verb} blackhole 10.82.${i >> 8}.${i & 255}/32 proto 201`);
const failures = (results: readonly LineResult[]): [number, string][] =>
  results.flatMap((result, i) => (result.ok ? [] : [[i, result.error] as [number, string]]));
const countOf = async (host: Host): Promise<number> =>
  (await host.ip('route show proto 201')).split('\n').filter(Boolean).length;

test('every line gets its answer, and a failing one the kernel’s words', async () => {
  await using host = await createHost();
  await using batch = startBatch(inside(host));
  const results = await batch.run([...blackholes(2), 'route del 192.0.2.0/24', ...blackholes(1), 'link show lo']);
  expect(failures(results)).toEqual([
    [2, 'RTNETLINK answers: No such process'],
    [3, 'RTNETLINK answers: File exists'],
  ]);
});

test('runs that overlap get their own answers', async () => {
  await using host = await createHost();
  await using batch = startBatch(inside(host));
  const runs = await Promise.all(
    blackholes(50).flatMap((line) => [batch.run([line]), batch.run([line, 'link show lo'])]),
  );
  expect(runs.flatMap(failures)).toEqual(Array.from({ length: 50 }, () => [0, 'RTNETLINK answers: File exists']));
});

test('a line that ends ip is found, and all the others are carried out', async () => {
  await using host = await createHost();
  await using batch = startBatch(inside(host));
  const lines = blackholes(1000, 'replace');
  lines[3] = 'route add 10.0.0.0/8 via nowhere';
  lines[4] = 'route add 10.0.0.0/8 dev lo bogus 7';
  lines[997] = 'route add 10.0.0.0/8 via';
  expect(failures(await batch.run(lines))).toEqual([
    [3, 'Error: inet address is expected rather than "nowhere".'],
    [4, 'Error: either "to" is duplicate, or "bogus" is a garbage.'],
    [997, 'Command line is not complete. Try option "help"'],
  ]);
  expect(await countOf(host)).toBe(997);
});

test('a line that ends ip does no harm to the lines of others', async () => {
  await using host = await createHost();
  await using batch = startBatch(inside(host));
  const [good, bad, next] = await Promise.all([
    batch.run(blackholes(3)),
    batch.run(['route add 10.0.0.0/8 via nowhere']),
    batch.run(blackholes(4, 'replace')),
  ]);
  expect([good, bad, next].map((results) => failures(results).length)).toEqual([0, 1, 0]);
});

test('ip killed in the middle of the work: every line is answered, and every route is there', async () => {
  await using host = await createHost();
  await using batch = startBatch(inside(host));
  const work = batch.run(blackholes(20_000, 'replace'));
  for (let kills = 0; kills < 4; kills++) {
    const { pid } = batch;
    process.kill(pid!, 'SIGKILL');
    await until('another ip', () => batch.pid !== undefined && batch.pid !== pid);
  }
  expect(failures(await work)).toEqual([]);
  expect(await countOf(host)).toBe(20_000);
});

test('a line that may have been carried out before ip was killed says so when it fails the second time', async () => {
  await using host = await createHost();
  await using batch = startBatch(inside(host));
  const work = batch.run(blackholes(20_000));
  await until('some are in', async () => (await countOf(host)) > 100);
  process.kill(batch.pid!, 'SIGKILL');
  const failed = failures(await work);
  const again = 'RTNETLINK answers: File exists (asked again after ip ended; the first time may have worked)';
  expect(failed.length).toBeLessThanOrEqual(64);
  for (const [, words] of failed) expect(words).toBe(again);
  expect(await countOf(host)).toBe(20_000);
});

test('an idle ip that is killed is replaced', async () => {
  await using host = await createHost();
  await using batch = startBatch(inside(host));
  await batch.run(['link show lo']);
  process.kill(batch.pid!, 'SIGKILL');
  expect(await batch.run(blackholes(1))).toEqual([{ ok: true }]);
});

test.each(['a\nb', 'link set lo down # not', '', 'route add 10.0.0.0/8 \\'])(
  'the line %j never reaches ip',
  async (line) => {
    await using host = await createHost();
    await using batch = startBatch(inside(host));
    const results = await batch.run([...blackholes(1), line, 'route show']);
    expect(results.map(({ ok }) => ok)).toEqual([true, false, true]);
  },
);

test('an ip that cannot be started is an error that says what to install', async () => {
  await using batch = startBatch({ command: ['/nowhere/ip'] });
  await expect(batch.run(['route show'])).rejects.toMatchObject({
    code: 'ip-missing',
    message: 'ip cannot be started: spawn /nowhere/ip ENOENT (install iproute2)',
  });
});

test('an ip that gives no answer is killed, and another one asked, until it is given up', async () => {
  await using batch = startBatch({ command: ['sh', '-c', 'exec sleep 1000', 'sh'], patienceMs: 50 });
  await expect(batch.run(['route show'])).rejects.toMatchObject({
    code: 'ip-ended',
    message: expect.stringMatching(/^ip ended 5 times without an answer: ip gave no answer for 0.05 s/) as string,
  });
});

test('a line that ip gives no answer to is answered with that, and the lines behind it are carried out', async () => {
  await using host = await createHost();
  await using batch = startBatch({ ...inside(host), patienceMs: 300 });
  const results = await batch.run([...blackholes(1), 'monitor link', ...blackholes(1)]);
  expect(failures(results)).toEqual([
    [
      1,
      'ip gave no answer for 0.3 s\nip was killed by SIGKILL (asked again after ip ended; the first time may have worked)',
    ],
    [2, 'RTNETLINK answers: File exists'],
  ]);
});

test('an ip that cannot begin is given up with its own words, and tried again with the next run', async () => {
  await using batch = startBatch({ command: ['ip', '-n', 'nowhere'] });
  const failure = { code: 'ip-ended', message: expect.stringContaining('nowhere') as string };
  await expect(batch.run(['route show'])).rejects.toMatchObject(failure);
  await expect(batch.run(Array<string>(100).fill('route show'))).rejects.toMatchObject(failure);
});

test('what was asked before the end is still carried out', async () => {
  await using host = await createHost();
  const batch = startBatch(inside(host));
  const work = batch.run(blackholes(5000));
  await batch[Symbol.asyncDispose]();
  expect(failures(await work)).toEqual([]);
  await expect(batch.run(['route show'])).rejects.toMatchObject({ code: 'closed' });
});

test('an interface that was made anew under its old name is the one that a line means', async () => {
  await using host = await createHost();
  await using batch = startBatch(inside(host));
  for (let life = 0; life < 3; life++) {
    await host.ip('link add cali1 type veth peer name pod1');
    await host.ip('link set cali1 up');
    expect(await batch.run(['route add 10.82.0.7 dev cali1 proto 201'])).toEqual([{ ok: true }]);
    await host.ip('link del cali1');
  }
});

test('after linksChanged() the old name of a renamed interface is not taken for it', async () => {
  await using host = await createHost();
  await using batch = startBatch({ ...inside(host), learnLinks: 'when told' });
  await host.ip('link add cali1 type veth peer name pod1');
  await host.ip('link set cali1 up');
  expect(failures(await batch.run(['route add 10.82.0.7 dev cali1 proto 201']))).toEqual([]);
  await rename(host, 'cali1', 'cali2');
  batch.linksChanged();
  const results = await batch.run([
    'route add 10.82.0.8 dev cali1 proto 201',
    'route add 10.82.0.8 dev cali2 proto 201',
  ]);
  expect(failures(results)).toEqual([[0, 'Cannot find device "cali1"']]);
});

test('a dump says what a renamed interface is called now', async () => {
  await using host = await createHost();
  await using dump = startDump(inside(host));
  await host.ip('link add cali1 type veth peer name pod1');
  await host.ip('link set cali1 up');
  await host.ip('route add 10.82.0.7 dev cali1 proto 201');
  const interfaces = async (): Promise<(string | undefined)[]> => {
    const seen: KernelRoute[] = [];
    await dump.routes((routes) => void seen.push(...routes));
    return seen.filter(({ protocol }) => protocol === 201).map(({ nextHops }) => nextHops[0]?.dev);
  };
  expect(await interfaces()).toEqual(['cali1']);
  await rename(host, 'cali1', 'cali2');
  await host.ip('route replace 10.82.0.7 dev cali2 proto 201');
  expect(await interfaces()).toEqual(['cali2']);
});

test('a dump has both families, everybody’s routes, and comes in pieces', async () => {
  await using host = await createHost();
  await using batch = startBatch(inside(host));
  await using dump = startDump(inside(host));
  const six = Array.from({ length: 3000 }, (_, i) => `route add blackhole fd82:0:0:${i.toString(16)}::/64 proto 4`);
  await batch.run([...blackholes(3000), ...six]);
  const pieces: (readonly KernelRoute[])[] = [];
  expect(await dump.routes((routes) => void pieces.push(routes))).toEqual({ complete: true });
  const all = pieces.flat();
  const count = (protocol: number): number => new Set(all.filter((one) => one.protocol === protocol)).size;
  expect([count(201), count(4)]).toEqual([3000, 3000]);
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(3000);
});

test('a dump whose ip is killed fails, and the next one works', async () => {
  await using host = await createHost();
  await using batch = startBatch(inside(host));
  await batch.run(blackholes(20_000));
  await using dump = startDump(inside(host));
  let killed = false;
  // While this runs, the child can print no more than fits into the pipe.
  const broken = dump.routes(() => {
    if (!killed) process.kill(childrenOf(process.pid, `ip\0-n\0${host.name}\0-4\0`)[0]!, 'SIGKILL');
    killed = true;
  });
  await expect(broken).rejects.toMatchObject({ code: 'ip-ended', message: 'ip was killed by SIGKILL' });
  let all = 0;
  await dump.routes((routes) => void (all += routes.length));
  expect(all).toBe(20_000);
});

test('links have their addresses of both families', async () => {
  await using host = await createHost();
  await using dump = startDump(inside(host));
  await host.ip('link add eth0 type veth peer name far');
  await host.ip('link set eth0 up');
  await host.ip('addr add 10.250.1.11/24 dev eth0');
  await host.ip('addr add fd10::11/64 dev eth0 nodad');
  const links = await dump.links();
  expect(links.find(({ name }) => name === 'eth0')).toEqual({
    name: 'eth0',
    up: false,
    addresses: [
      { address: '10.250.1.11', prefix: '10.250.1.0/24' },
      { address: 'fd10::11', prefix: 'fd10::/64' },
    ],
  });
  expect(links.map(({ name }) => name).sort()).toEqual(['eth0', 'far', 'lo']);
});

test('the monitor tells of routes, links and addresses', async () => {
  await using host = await createHost();
  const hints: Hint[] = [];
  await using monitor = startMonitor((hint) => void hints.push(hint), inside(host));
  expect(monitor.pid).toBeTypeOf('number');
  await until('the monitor listens', () => hints.length > 0);
  await host.ip('link add eth0 type veth peer name far');
  await until('a link', () => hints.some(({ about }) => about === 'link'));
  await host.ip('addr add 10.250.1.11/24 dev eth0');
  await until('an address', () => hints.some(({ about }) => about === 'address'));
  await host.ip('route add blackhole 10.82.0.0/26 proto 201');
  await until('a route', () => hints.some((hint) => hint.about === 'route' && hint.route.prefix === '10.82.0.0/26'));
});

test('a monitor that is killed is started again, and says that it may have missed something', async () => {
  await using host = await createHost();
  const hints: Hint[] = [];
  await using monitor = startMonitor((hint) => void hints.push(hint), inside(host));
  await until('the monitor listens', () => hints.length > 0);
  hints.length = 0;
  const { pid } = monitor;
  process.kill(pid!, 'SIGKILL');
  await until(
    'another one listens',
    () => monitor.pid !== pid && hints.filter(({ about }) => about === 'anything').length === 2,
  );
  await host.ip('route add blackhole 10.82.0.0/26 proto 201');
  await until('a route', () => hints.some(({ about }) => about === 'route'));
});

async function rename(host: Host, from: string, to: string): Promise<void> {
  await host.ip(`link set ${from} down`);
  await host.ip(`link set ${from} name ${to}`);
  await host.ip(`link set ${to} up`);
}
