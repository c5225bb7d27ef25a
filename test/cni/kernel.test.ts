// The real thing: the plugin as a process, the agent's socket, the kernel, in namespaces of the lab. Twice: with an agent
// that enters pods' namespaces itself, and with one that has NET_ADMIN and nothing else, so that the plugin does it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../lab/host.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { bundlePlugin } from './support/bundle.ts';
import { type LabPod, type Node, type PodLike, addressesOf, createNode, createPod, nothing } from './support/lab.ts';

const scratch = '/run/lab/cni-kernel';
let node: Node;
let executable: Node['executable'];
beforeAll(async () => {
  await mkdir(scratch, { recursive: true });
  executable = [process.execPath, await bundlePlugin(scratch)];
});
afterAll(() => rm(scratch, { recursive: true }));
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(node.log.join('\n'));
  await node[Symbol.asyncDispose]();
});

const noPing = lacking('ping');
const pingable = test.skipIf(noPing);
const reason = noPing ? ` (${noPing})` : '';

async function reaches(from: { run: Node['host']['run'] }, address: string): Promise<boolean> {
  return (await from.run('ping', ['-c', '1', '-W', '2', address], { mayFail: true })).code === 0;
}

/** The kernel gives an interface its link-local address in its own time, and routes with it. */
function isSettled(shown: string): boolean {
  return shown.includes('inet6 fe80') && !shown.includes('tentative');
}

/** What is the same for every pod: without indices, the pod's own MAC and names of namespaces. */
function plain(text: string): string[] {
  return text
    .replace(/^\d+: (\S+@if)\d+/gm, 'N: $1N')
    .replace(/link\/ether (?!ee:)\S+/g, 'link/ether POD-MAC')
    .replace(/inet6 fe80::(?!ecee:)\S+/g, 'inet6 POD-LINK-LOCAL')
    .replace(/link-netns \S+/g, 'link-netns OTHER')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

const fixture = (name: string): Promise<string> =>
  readFile(new URL(`../fixtures/calico/${name}`, import.meta.url), 'utf8');

describe.each(['agent', 'plugin'] as const)("the pod's half by the %s:", (podHalf) => {
  beforeEach(async () => void (node = await createNode('cni-node', executable, podHalf)));

  describe('a wired pod', () => {
    // The name and the addresses of the captured pod.
    const web1 = { args: { cni: { ips: ['10.82.0.72', 'fd82::9905:f003:c7bd:fb00'] } } };

    test("looks like Calico's from inside", async () => {
      await using pod = await createPod('web-1');
      await node.add(pod, web1);
      const show = async (): Promise<string> =>
        (await pod.host.run('sh', ['-c', 'ip -d addr show dev eth0; ip route; ip -6 route'])).stdout;
      await until('its link-local address is settled', async () => isSettled(await show()));
      // The one difference: nobody is asked for duplicates of the address.
      expect(plain((await show()).replace(' nodad', ''))).toEqual(plain(await fixture('pod-side.txt')));
    });

    test("looks like Calico's from the host, but for the mark of our routes", async () => {
      await using pod = await createPod('web-1');
      await node.add(pod, web1);
      const name = 'cali0761ccbeace';
      const captured = (await fixture('host-side.txt')).split('\n');
      const settings = captured.filter((line) => line.includes(' = ')).map((line) => line.split(' = ')[0]!);
      const commands = [
        `ip -d link show dev ${name}; ip addr show dev ${name}; ip route; ip -6 route`,
        ...settings.map((key) => `echo ${key} = $(cat /proc/sys/net/${key})`),
      ];
      const show = async (): Promise<string> => (await node.host.run('sh', ['-c', commands.join('; ')])).stdout;
      await until('its link-local address is settled', async () => isSettled(await show()));
      const seen = await show();
      // Not of other pods, and not of the nodes' own networks.
      const others = /dev (cali(?!0761)|eth0|lo)/;
      const [ours, calicos] = [seen.replaceAll(' proto 201', ''), captured.join('\n')].map((text) =>
        plain(text).filter((line) => !others.test(line)),
      );
      expect(ours).toEqual(calicos);
      expect(settings).toHaveLength(10);
    });

    pingable(`and its node reach each other at once, both ways, both families${reason}`, async () => {
      await using pod = await createPod('reach');
      const [v4, v6] = addressesOf(await node.add(pod));
      expect(await Promise.all([reaches(node.host, v4!), reaches(node.host, v6!)])).toEqual([true, true]);
      expect(await Promise.all(['10.250.1.11', 'fd10:250:1::11'].map((to) => reaches(pod.host, to)))).toEqual([
        true,
        true,
      ]);
    });

    pingable(`reaches another pod of its node${reason}`, async () => {
      await using a = await createPod('pod-a');
      await using b = await createPod('pod-b');
      const [, result] = await Promise.all([node.add(a), node.add(b)]);
      await node.host.run('sysctl', ['-qw', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.ip_forward=1']);
      expect(await Promise.all(addressesOf(result).map((to) => reaches(a.host, to)))).toEqual([true, true]);
    });

    pingable(`finds its gateway by proxy ARP as well, once the node has a route that covers it${reason}`, async () => {
      await using pod = await createPod('arp');
      await node.add(pod);
      await pod.host.ip('neigh del 169.254.1.1 dev eth0');
      expect(await reaches(pod.host, '10.250.1.11')).toBe(false);
      await node.host.ip('route add 169.254.1.1/32 dev lo');
      expect(await reaches(pod.host, '10.250.1.11')).toBe(true);
    });

    test('is what the result says', async () => {
      await using pod = await createPod('result');
      const result = await node.add(pod);
      const [host, inside] = result.interfaces;
      const show = async (from: LabPod['host'], line: string): Promise<Record<string, unknown>[]> =>
        JSON.parse(await from.ip(`-j ${line}`)) as Record<string, unknown>[];
      expect((await show(node.host, `link show dev ${host!.name}`))[0]).toMatchObject({
        address: host!.mac,
        mtu: host!.mtu,
      });
      const [eth0] = await show(pod.host, 'addr show dev eth0');
      expect(eth0).toMatchObject({ address: inside!.mac, mtu: inside!.mtu });
      const infos = eth0!['addr_info'] as { local: string; prefixlen: number; scope: string }[];
      const global = infos
        .filter(({ scope }) => scope === 'global')
        .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
      expect(result.ips.map(({ address }) => address)).toEqual(global);
      const routes = [...(await show(pod.host, 'route')), ...(await show(pod.host, '-6 route show default'))];
      expect(result.routes.map(({ gw }) => gw).filter((gw) => gw !== undefined)).toEqual(
        routes.map(({ gateway }) => gateway).filter((gateway) => gateway !== undefined),
      );
      expect(inside!.sandbox).toBe(pod.netns);
    });

    test.each([
      ['IPv4 alone', { ipam: { assign_ipv6: false } }, 1],
      ['IPv6 alone', { ipam: { assign_ipv4: false } }, 1],
    ])('may have %s', async (_, extra, count) => {
      await using pod = await createPod('single');
      const result = await node.add(pod, extra);
      expect(result.ips).toHaveLength(count);
      await node.del(pod);
      expect(await node.remains()).toEqual(nothing);
    });

    test('has IPv6 although the sandbox, or the whole node, was made without', async () => {
      await using pod = await createPod('no-v6');
      await pod.host.run('sysctl', ['-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1']);
      await node.host.run('sysctl', [
        '-qw',
        'net.ipv6.conf.default.disable_ipv6=1',
        'net.ipv6.conf.default.addr_gen_mode=1',
      ]);
      const [, v6] = addressesOf(await node.add(pod));
      expect(await pod.host.ip('-6 addr show dev eth0')).toContain(v6);
      expect(await node.host.ip('-6 addr show')).toContain('fe80::ecee:eeff:feee:eeee/64');
    });

    test('does not forward, unless its network allows it', async () => {
      await using closed = await createPod('closed');
      await using open = await createPod('open');
      for (const pod of [closed, open]) await pod.host.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
      await node.add(closed);
      await node.add(open, { container_settings: { allow_ip_forwarding: true } });
      const settings = [closed, open].map(
        async ({ host }) => (await host.run('sysctl', ['-n', 'net.ipv4.ip_forward'])).stdout,
      );
      expect(await Promise.all(settings)).toEqual(['0\n', '1\n']);
    });

    test('never has its end in the host, not even for an instant', async () => {
      const monitor = node.host.start('ip', ['monitor', 'link'], { stdio: ['ignore', 'pipe', 'ignore'] });
      let seen = '';
      monitor.stdout!.setEncoding('utf8').on('data', (text: string) => (seen += text));
      await using pod = await createPod('born');
      const { interfaces } = await node.add(pod);
      await until('the monitor saw the host end', () => seen.includes(interfaces[0]!.name));
      expect(seen).not.toMatch(/\beth0\b/);
    });
  });

  describe('namespaces', () => {
    test.each([
      ['/run/netns/x', (pod: LabPod) => pod.netns],
      ['/var/run/netns/x', (pod: LabPod) => `/var${pod.netns}`],
    ])('given as %s', async (_, path) => {
      await using pod = await createPod('path');
      const asGiven: PodLike = { ...pod, netns: path(pod) };
      const result = await node.add(asGiven);
      expect(result.interfaces[1]!.sandbox).toBe(asGiven.netns);
      const check = await node.cni('CHECK', asGiven, { prevResult: result });
      expect([check.code, check.stdout]).toEqual([0, '']);
      await node.del(asGiven);
      expect(await node.remains()).toEqual(nothing);
    });

    test('given as /proc/PID/ns/net, without any name', async () => {
      const sandbox = spawn('unshare', ['--net', 'sleep', '1000'], { stdio: 'ignore' });
      await once(sandbox, 'spawn');
      const own = await run('readlink', ['/proc/self/ns/net'], {});
      const netns = `/proc/${sandbox.pid}/ns/net`;
      await until('it has its namespace', async () => (await run('readlink', [netns], {})).stdout !== own.stdout);
      const pod: PodLike = { name: 'nameless', containerId: 'c0ffee', netns };
      if (podHalf === 'agent') {
        const result = await node.add(pod);
        expect((await node.cni('CHECK', pod, { prevResult: result })).code).toBe(0);
      } else {
        // The kernel shows it to nobody with fewer privileges than the process has.
        expect(JSON.parse((await node.cni('ADD', pod)).stdout)).toMatchObject({
          code: 5,
          msg: expect.stringContaining(netns),
        });
      }
      await node.del(pod);
      expect(await node.remains()).toEqual(nothing);
      sandbox.kill('SIGKILL');
      await once(sandbox, 'exit');
    });

    test('that is missing, or only its file left, is a clean failure with code 3', async () => {
      for (const netns of ['/run/netns/never', `${scratch}/manx.cjs`]) {
        const outcome = await node.cni('ADD', { name: 'x', containerId: 'x', netns });
        expect(JSON.parse(outcome.stdout)).toMatchObject({ code: 3, msg: expect.stringContaining(netns) });
      }
      expect(await node.remains()).toEqual(nothing);
    });

    test("that is the host's own is code 8", async () => {
      const outcome = await node.cni('ADD', { name: 'x', containerId: 'x', netns: node.host.netns });
      expect(JSON.parse(outcome.stdout)).toMatchObject({ code: 8 });
      expect(await node.remains()).toEqual(nothing);
    });
  });

  describe('two interfaces of one pod', () => {
    test('are wired side by side; the first keeps the ways out', async () => {
      await using pod = await createPod('multi');
      await node.add(pod);
      const second: PodLike = { ...pod, ifname: 'net1' };
      const result = await node.add(second);
      expect(result.routes).toEqual([]);
      expect(await pod.host.ip('route show default')).toContain('dev eth0');
      expect((await node.cni('CHECK', second, { prevResult: result })).code).toBe(0);
      await node.del(second);
      expect(await pod.host.ip('addr show dev eth0')).toContain('10.82.0.1/32');
      await node.del(pod);
      expect(await node.remains()).toEqual(nothing);
    });

    test('the same one twice is an error that leaves the first as it was', async () => {
      await using pod = await createPod('twice');
      await node.add(pod);
      const look = async (): Promise<string> =>
        (await pod.host.run('sh', ['-c', 'ip -o addr; ip route; ip -6 route'])).stdout;
      const settled = async (): Promise<string> => look().then((seen) => (isSettled(seen) ? seen : ''));
      const before = [await until('addresses are settled', settled), await node.remains()];
      const again = await node.cni('ADD', pod);
      expect(JSON.parse(again.stdout)).toMatchObject({ code: 101 });
      expect([await look(), await node.remains()]).toEqual(before);
    });

    test("somebody else's interface of that name stays, and nothing is left", async () => {
      await using pod = await createPod('taken');
      await pod.host.ip('link add eth0 type veth peer name other');
      const outcome = await node.cni('ADD', pod);
      expect(JSON.parse(outcome.stdout)).toMatchObject({ code: 101 });
      expect(await pod.host.ip('link show dev eth0')).toContain('eth0@other');
      expect(await node.remains()).toEqual(nothing);
    });
  });

  describe('DEL', () => {
    test.each([
      ['as it was', (pod: PodLike) => pod],
      ['with an empty namespace', (pod: PodLike) => ({ ...pod, netns: '' })],
      ['with a namespace that never was', (pod: PodLike) => ({ ...pod, netns: '/run/netns/never' })],
    ])('%s leaves nothing, three times in a row', async (_, change) => {
      await using pod = await createPod('gone');
      await node.add(pod);
      for (let i = 0; i < 3; i++) await node.del(change(pod));
      expect(await node.remains()).toEqual(nothing);
    });

    test('after the namespace has died leaves nothing', async () => {
      const pod = await createPod('dead');
      await node.add(pod);
      await pod[Symbol.asyncDispose]();
      await node.del(pod);
      expect(await node.remains()).toEqual(nothing);
    });

    test('of an old sandbox leaves the new one of the same pod alone', async () => {
      await using old = await createPod('sandbox-1');
      await using fresh = await createPod('sandbox-2');
      const [oldPod, freshPod] = [old, fresh].map((pod) => ({ ...pod, name: 'web-1' }));
      await node.add(oldPod!);
      const result = await node.add(freshPod!);
      for (const netns of [old.netns, '']) await node.del({ ...oldPod!, netns });
      expect((await node.cni('CHECK', freshPod!, { prevResult: result })).code).toBe(0);
      expect(await node.leases()).toEqual({ 'pods.c0ffee-sandbox-2': expect.any(Number) });
      await node.del(freshPod!);
      expect(await node.remains()).toEqual(nothing);
    });

    test('of a pod that Calico wired, of which there is no record, removes its link', async () => {
      await using pod = await createPod('web-1');
      const wired = 'link add cali0761ccbeace type veth peer name eth0 netns';
      await node.host.ip(`${wired} ${pod.netns}`);
      await node.del(pod);
      expect(await node.remains()).toEqual(nothing);
    });
  });

  describe('CHECK', () => {
    test.each([
      [
        "the host's link",
        (_: LabPod, link: string) => node.host.ip(`link del ${link}`),
        /interface cali\S+ is missing/,
      ],
      ["the host's link is down", (_: LabPod, link: string) => node.host.ip(`link set ${link} down`), /is down/],
      [
        "the host's MAC address",
        (_: LabPod, link: string) => node.host.ip(`link set ${link} address 02:00:00:00:00:01`),
        /MAC/,
      ],
      ["the host's IPv4 route", () => node.host.ip('route del 10.82.0.1/32'), /no route to 10\.82\.0\.1/],
      ["the host's IPv6 route", () => node.host.ip('-6 route del fd82::1/128'), /no route to fd82::1/],
      [
        "the pod's IPv4 address",
        (pod: LabPod) => pod.host.ip('addr del 10.82.0.1/32 dev eth0'),
        /lost its address 10\.82/,
      ],
      [
        "the pod's IPv6 address",
        (pod: LabPod) => pod.host.ip('addr del fd82::1/128 dev eth0'),
        /lost its address fd82/,
      ],
      ["the pod's link is down", (pod: LabPod) => pod.host.ip('link set eth0 down'), /eth0 is down/],
      ["the pod's IPv4 default route", (pod: LabPod) => pod.host.ip('route del default'), /no default route via 169/],
      [
        "the pod's IPv6 default route",
        (pod: LabPod) => pod.host.ip('-6 route del default'),
        /no default route via fe80/,
      ],
    ])('passes right after ADD and fails without %s', async (_, harm, message) => {
      await using pod = await createPod('check');
      const prevResult = await node.add(pod);
      expect((await node.cni('CHECK', pod, { prevResult })).code).toBe(0);
      await harm(pod, prevResult.interfaces[0]!.name);
      const outcome = await node.cni('CHECK', pod, { prevResult });
      expect([outcome.code, JSON.parse(outcome.stdout)]).toEqual([
        1,
        { cniVersion: '1.1.0', code: 100, msg: expect.stringMatching(message) },
      ]);
    });

    test("tolerates a later plugin's MTU, MAC address, further address and route", async () => {
      await using pod = await createPod('tuned');
      const prevResult = await node.add(pod);
      for (const line of [
        'link set eth0 mtu 1400',
        'link set eth0 address 02:00:00:00:00:07',
        'addr add 192.0.2.7/32 dev eth0',
        'route add 198.51.100.0/24 via 169.254.1.1 dev eth0',
      ]) {
        await pod.host.ip(line);
      }
      const chained = { ...prevResult, interfaces: [...prevResult.interfaces, { name: 'ifb0' }] };
      expect(await node.cni('CHECK', pod, { prevResult: chained })).toMatchObject({ code: 0, stdout: '' });
    });

    test("fails with another attachment's result", async () => {
      await using pod = await createPod('mine');
      const result = await node.add(pod);
      const prevResult = { ...result, ips: [{ address: '10.82.0.99/32', interface: 1 }] };
      expect((await node.cni('CHECK', pod, { prevResult })).code).toBe(1);
    });
  });

  describe('while the agent is away', () => {
    test('DEL succeeds, and is carried out when it is back', async () => {
      const pod = await createPod('later');
      await node.add(pod);
      await node.stopAgent();
      await node.del(pod);
      await pod[Symbol.asyncDispose]();
      await node.startAgent();
      expect(await node.remains()).toEqual(nothing);
    });

    test.each(['SIGTERM', 'SIGKILL'] as const)(
      'pods stay wired through %s, and are known afterwards',
      async (signal) => {
        await using pod = await createPod('stays');
        const prevResult = await node.add(pod);
        await node.stopAgent(signal);
        await node.startAgent();
        expect((await node.cni('CHECK', pod, { prevResult })).code).toBe(0);
        await node.del(pod);
        expect(await node.remains()).toEqual(nothing);
      },
    );

    test('pods that died without a DEL are cleaned up when it is back', async () => {
      const pod = await createPod('lost');
      await node.add(pod);
      await node.stopAgent('SIGKILL');
      await pod[Symbol.asyncDispose]();
      await until('the kernel has removed the link', async () => !(await node.host.ip('link show')).includes('cali'));
      await node.startAgent();
      expect(await node.remains()).toEqual(nothing);
    });

    test('an ADD that it was killed in is undone by its next start, or was whole and goes by DEL', async () => {
      for (const afterMs of [30, 35, 40, 45, 50, 60, 80]) {
        await using pod = await createPod('cut');
        const add = node.cni('ADD', pod);
        await new Promise((resolve) => setTimeout(resolve, afterMs));
        await node.stopAgent('SIGKILL');
        const { code, stdout } = await add;
        if (code !== 0) expect(JSON.parse(stdout)).toMatchObject({ code: 11 });
        await node.startAgent();
        const left = await node.remains();
        const when = `killed after ${afterMs} ms`;
        if (code === 0) expect(left.links, when).toHaveLength(1);
        // All or nothing: what it has written down as wired, whose answer alone was lost, has link, routes and lease.
        const counts = [left.links, left.routes, left.routes6, Object.keys(left.leases)].map(({ length }) => length);
        expect(counts, when).toEqual(counts.map(() => left.records.length));
        await node.del(pod);
        expect(await node.remains(), when).toEqual(nothing);
      }
    });
  });

  describe('many at once', () => {
    test('SIGKILL of the plugin at any moment of an ADD, then DEL: nothing leaks', async () => {
      const delays = [5, 15, 22, 26, 30, 34, 38, 42, 46, 50, 60, 80];
      const pods = await Promise.all(delays.map((_, index) => createPod(`kill-${index}`)));
      for (const [index, pod] of pods.entries()) {
        await node.cniKilled('ADD', pod, delays[index]!);
        await node.del(pod);
      }
      expect(await node.remains()).toEqual(nothing);
      for (const pod of pods) await pod[Symbol.asyncDispose]();
    });

    test('50 ADDs, some killed, and 50 DELs, all in parallel: no address twice, nothing left', async () => {
      const pods = await Promise.all(Array.from({ length: 50 }, (_, index) => createPod(`many-${index}`)));
      const outcomes = await Promise.all(
        pods.map((pod, index) => (index % 5 === 0 ? node.cniKilled('ADD', pod, 20 * index) : node.add(pod))),
      );
      const given = outcomes.flatMap((result) => (result ? addressesOf(result) : []));
      expect(given).toHaveLength(80);
      expect(new Set(given).size).toBe(80);
      await Promise.all(pods.map((pod) => node.del(pod)));
      expect(await node.remains()).toEqual(nothing);
      await Promise.all(pods.map((pod) => pod[Symbol.asyncDispose]()));
    });

    test('GC removes what the runtime does not know', async () => {
      await using kept = await createPod('kept');
      await using stale = await createPod('stale');
      const prevResult = await node.add(kept);
      await node.add(stale);
      const valid = [{ containerID: kept.containerId, ifname: 'eth0' }];
      const gc = await node.cni('GC', { ...kept, netns: '' }, { 'cni.dev/valid-attachments': valid });
      expect([gc.code, gc.stdout]).toEqual([0, '']);
      expect(await node.leases()).toEqual({ 'pods.c0ffee-kept': expect.any(Number) });
      expect((await node.cni('CHECK', kept, { prevResult })).code).toBe(0);
    });

    test('STATUS succeeds', async () => {
      const status = await node.cni('STATUS', { name: '', containerId: '', netns: '' });
      expect([status.code, status.stdout]).toEqual([0, '']);
    });
  });
});
