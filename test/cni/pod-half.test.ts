// What the plugin does for an agent, and above all what not. That it does it, kernel.test.ts sees.
import { describe, expect, test } from 'vitest';
import { parseAddress } from '#ip';
import { linesToSee } from '../../cni/check.ts';
import { objectionTo } from '../../cni/pod-half.ts';
import { planWiring } from '../../cni/wiring.ts';

const place = { netns: '/run/netns/x', ifname: 'net1.5' };
const plan = planWiring({
  ...place,
  hostInterface: 'cali0123456789a',
  addresses: ['10.82.0.1', 'fd82::1'].map(parseAddress),
  mtu: 1500,
  podMac: '02:00:00:00:00:01',
  allowIpForwarding: true,
  protocol: 201,
});

describe('the plugin carries out', () => {
  test("the whole pod's half of a plan", () => {
    const lines = [...plan.pod.lines, ...plan.pod.routes.map(({ line }) => line)];
    expect(lines).toHaveLength(7);
    expect(objectionTo({ do: 'apply', netns: place.netns, sysctls: plan.pod.sysctls, lines }, place)).toBeUndefined();
  });

  test('all that a CHECK and a DEL look at', () => {
    const { pod } = linesToSee({ ...plan, ...place } as unknown as Parameters<typeof linesToSee>[0]);
    const lines = [...pod, `link show dev ${place.ifname}`];
    expect(objectionTo({ do: 'show', netns: place.netns, lines }, place)).toBeUndefined();
  });
});

describe('the plugin does not', () => {
  const objection = (more: object): string | undefined =>
    objectionTo({ do: 'apply', netns: place.netns, sysctls: [], lines: [], ...more }, place);

  test.each([
    ['run a program', 'netns exec x sh -c reboot'],
    ['load a program into the kernel', 'link set dev net1.5 xdp object /tmp/x.o'],
    ['make an interface', 'link add x type veth peer name y'],
    ['give one away', 'link set dev net1.5 netns 1'],
    ['touch another one', 'link set dev eth0 up'],
    ['touch one whose name only looks alike', 'link set dev net1x5 up'],
    ['run a second line behind one', 'link set dev net1.5 up\nnetns exec x sh'],
    ['look at what is not asked of it, either', 'addr show dev net1.5'],
  ])('%s', (_, line) => {
    expect(objection({ lines: [line] })).toContain(line);
  });

  test.each([
    ['a file elsewhere', { key: '../../kernel/core_pattern', value: '|/x' }],
    ['another setting', { key: 'ipv4/conf/all/rp_filter', value: '0' }],
    ['another value', { key: 'ipv4/ip_forward', value: '2' }],
    ['two lines', { key: 'ipv4/ip_forward', value: '1\n' }],
  ])('write %s', (_, sysctl) => {
    expect(objection({ sysctls: [sysctl] })).toContain(sysctl.key);
  });

  test('work in another namespace than that of its call', () => {
    expect(objection({ netns: '/proc/1/ns/net' })).toContain('/proc/1/ns/net');
  });

  test.each([
    null,
    {},
    { do: 'fly' },
    { do: 'apply', netns: place.netns },
    { do: 'show', netns: place.netns, lines: [1] },
  ])('know %j', (order) => {
    expect(objectionTo(order, place)).toEqual(expect.any(String));
  });
});
