// An agent with FIB beside one without, each in a network namespace of its own: what screens and API say about the
// kernel is what the kernel has.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Value } from 'typebox/value';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FibRoutes, Routes, Status } from '../../../src/api/schemas.ts';
import type { FibAnswer } from '../../../src/api/views.ts';
import { type Host, connect, createHost } from '../../lab/host.ts';
import { until } from '../../lab/until.ts';
import { TestAgent, addresses, configuration, established } from './pair.ts';

const learned = '203.0.113.0/24';
const kept = new AsyncDisposableStack();
let here: Host;
let one: TestAgent;
let two: TestAgent;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'manx-kernel-'));
  kept.defer(() => rm(folder, { recursive: true, force: true }));
  here = kept.use(await createHost());
  const there = kept.use(await createHost());
  await connect(here, 'eth0', there, 'eth0');
  await here.ip(`addr add ${addresses.one}/24 dev eth0`);
  await there.ip(`addr add ${addresses.two}/24 dev eth0`);
  one = new TestAgent(here, join(folder, 'one'), 'one', []);
  two = new TestAgent(there, join(folder, 'two'), 'two', ['--no-fib']);
  await one.write('all.yaml', configuration('one'));
  await two.write('all.yaml', configuration('two'));
  await Promise.all([one.start(), two.start()]);
  await established(one, two);
  await until('the route is in the kernel', async () => (await kernelRoutes()).includes(learned));
});
afterAll(() => kept.disposeAsync());

const kernelRoutes = () => here.ip('route show proto 201');

test('what is learned goes into the kernel under our own number, behind what an operator sets', async () => {
  expect((await kernelRoutes()).trim()).toBe(`${learned} via ${addresses.two} dev eth0 metric 1024`);
});

test.for([
  ['/v1/fib/routes', FibRoutes],
  ['/v1/bgp/routes', Routes],
  ['/v1/status', Status],
] as const)('answers of %s are what the description says, with a kernel too', async ([path, schema]) => {
  const errors = Value.Errors(schema, await one.api.get(path));
  expect(errors.map(({ instancePath, message }) => `${instancePath} ${message}`)).toEqual([]);
});

test('bgp routes says how the kernel has it', async () => {
  const { stdout } = await one.manxctl(`bgp routes ${learned}`);
  expect(stdout).toContain(`in the kernel: via ${addresses.two} dev eth0 proto manx (201) metric 1024, installed\n`);
});

test('fib diff is empty and ends with 0 when all is in place', async () => {
  const { code, stdout } = await one.manxctl('fib diff');
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^The kernel has all of 1 route\. Checked \d+ s ago\.\n$/)]);
});

test('a foreign route in the way is named, and left alone', async () => {
  await here.ip(`route replace ${learned} via ${addresses.two} dev eth0 proto static metric 10`);
  const { stdout } = await until('it is noticed', async () => {
    const outcome = await one.manxctl('fib diff');
    return outcome.code === 1 ? outcome : undefined;
  });
  expect(stdout).toMatch(/^203\.0\.113\.0\/24 .* a foreign route is preferred for \d+ s \(.*static.*\)/m);
  expect(await here.ip('route show proto static')).toContain('metric 10');
  await here.ip(`route del ${learned} metric 10`);
  await until('the way is free', async () => (await one.manxctl('fib diff')).code === 0);
});

test('the node forwards from the moment its agent runs', async () => {
  const { stdout } = await here.run('cat', ['/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv6/conf/all/forwarding']);
  expect(stdout).toBe('1\n1\n');
});

test('a route that nobody announces any more after a restart goes, and not before', async () => {
  await one.end('SIGKILL');
  await here.ip(`route add 192.168.99.0/24 via ${addresses.two} proto 201 metric 1024`);
  await one.start();
  const { routes } = await one.api.get<FibAnswer>('/v1/fib/routes');
  expect(routes.find(({ route }) => route.prefix === '192.168.99.0/24')?.state).toBe('stale');
  await until('it is gone', async () => !(await kernelRoutes()).includes('192.168.99.0/24'), 20_000);
  expect(await kernelRoutes()).toContain(learned);
});

test('node cleanup takes exactly our routes away, once no agent runs', async () => {
  await here.ip('route add 192.168.98.0/24 via 192.0.2.2 proto static');
  await one.end('SIGTERM');
  expect(await kernelRoutes()).toContain(learned);
  const { code, stdout } = await one.manxctl('node cleanup --yes');
  expect([code, stdout]).toEqual([0, '1 route removed\nthere is no nft table inet manx\n']);
  expect(await kernelRoutes()).toBe('');
  expect(await here.ip('route show proto static')).toContain('192.168.98.0/24');
});
