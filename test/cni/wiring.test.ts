// The plan of a pod's wiring, against what Calico's plugin made (test/fixtures/calico).
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseAddress } from '#ip';
import { handleOf, hostInterfaceName, planWiring, type Wiring } from '../../cni/wiring.ts';

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/calico/${name}`, import.meta.url), 'utf8');
const key = { network: 'k8s-pod-network', containerId: 'c0ffee-web-1', ifname: 'eth0' };
const wiring: Wiring = {
  hostInterface: 'cali0761ccbeace',
  ifname: 'eth0',
  netns: '/run/netns/cap-web-1',
  addresses: ['10.82.0.72', 'fd82::9905:f003:c7bd:fb00'].map(parseAddress),
  mtu: 1450,
  podMac: '52:3f:d3:4e:34:fc',
  allowIpForwarding: false,
  protocol: 201,
};

test("the host's interface is named as Calico names it", () => {
  const name = hostInterfaceName(key, { namespace: 'default', name: 'web-1' });
  expect(fixture('cni-add-result.json')).toContain(`"name":"${name}"`);
});

test('outside of Kubernetes it is named after the container', () => {
  const other = { ...key, containerId: 'c0ffee-web-2' };
  expect(hostInterfaceName(key, undefined)).toMatch(/^cali[0-9a-f]{11}$/);
  expect(hostInterfaceName(key, undefined)).not.toBe(hostInterfaceName(other, undefined));
});

test('two interfaces of one container have two names and two handles', () => {
  const second = { ...key, ifname: 'net1' };
  const pod = { namespace: 'default', name: 'web-1' };
  expect(hostInterfaceName(second, pod)).not.toBe(hostInterfaceName(key, pod));
  expect([handleOf(key), handleOf(second)]).toEqual([
    'k8s-pod-network.c0ffee-web-1',
    'k8s-pod-network.c0ffee-web-1.net1',
  ]);
});

test("the host's settings are those that Calico leaves, and one more for the link-local address", () => {
  const captured = fixture('host-side.txt')
    .split('\n')
    .filter((line) => /^ipv[46]\//.test(line) && !line.includes('rp_filter')); // rp_filter is the node's, untouched by both
  const planned = planWiring(wiring)
    .host.sysctls.map(({ key, value }) => `${key} = ${value}`)
    .filter((line) => line !== 'ipv6/conf/cali0761ccbeace/addr_gen_mode = 0');
  expect(planned).toHaveLength(planWiring(wiring).host.sysctls.length - 1);
  expect(captured.length).toBeGreaterThan(8);
  expect(planned.sort()).toEqual(captured.sort());
});

test("the pod's end is born in its namespace", () => {
  expect(planWiring(wiring).plug).toBe(
    'link add cali0761ccbeace address ee:ee:ee:ee:ee:ee txqueuelen 0 mtu 1450 numtxqueues 1 numrxqueues 1 ' +
      'type veth peer name eth0 address 52:3f:d3:4e:34:fc mtu 1450 numtxqueues 1 numrxqueues 1 netns /run/netns/cap-web-1',
  );
});

test("the host's routes lead to the link and carry the given protocol", () => {
  expect(planWiring(wiring).host.routes.map(({ words }) => words)).toEqual([
    '10.82.0.72/32 dev cali0761ccbeace proto 201 scope link',
    'fd82::9905:f003:c7bd:fb00/128 dev cali0761ccbeace proto 201',
  ]);
});

test("the pod's half", () => {
  const { sysctls, lines, routes } = planWiring(wiring).pod;
  expect({ sysctls, lines, routes: routes.map(({ line }) => line) }).toEqual({
    sysctls: [
      { key: 'ipv4/ip_forward', value: '0' },
      { key: 'ipv6/conf/all/disable_ipv6', value: '0' },
      { key: 'ipv6/conf/default/disable_ipv6', value: '0' },
    ],
    lines: [
      'link set dev eth0 up',
      'addr add 10.82.0.72/32 dev eth0',
      'addr add fd82::9905:f003:c7bd:fb00/128 dev eth0 nodad',
      'neigh replace 169.254.1.1 lladdr ee:ee:ee:ee:ee:ee dev eth0 nud permanent',
    ],
    routes: [
      'route add 169.254.1.1/32 dev eth0 scope link',
      'route add default via 169.254.1.1 dev eth0',
      'route add default via fe80::ecee:eeff:feee:eeee dev eth0',
    ],
  });
});

test('a pod without IPv6 is left alone there, but for router advertisements to the host', () => {
  const { host, pod } = planWiring({ ...wiring, addresses: [parseAddress('10.82.0.72')] });
  const v6 = [...host.sysctls, ...pod.sysctls].filter(({ key }) => key.startsWith('ipv6/'));
  expect(v6).toEqual([{ key: 'ipv6/conf/cali0761ccbeace/accept_ra', value: '0', mayBeAbsent: true }]);
  expect([...host.routes.map(({ words }) => words), ...pod.lines].filter((line) => line.includes('::'))).toEqual([]);
});

test('a pod without IPv4 has no trace of it', () => {
  const { host, pod } = planWiring({ ...wiring, addresses: [parseAddress('fd82::1')] });
  const everything = JSON.stringify([host, pod]);
  expect(everything).not.toMatch(/ipv4|169\.254/);
});

test('forwarding in the pod is on only where the configuration allows it', () => {
  const { sysctls } = planWiring({ ...wiring, allowIpForwarding: true }).pod;
  expect(sysctls).toContainEqual({ key: 'ipv4/ip_forward', value: '1' });
});
