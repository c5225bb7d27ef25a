// The network configuration and the wishes in it.
import { describe, expect, test } from 'vitest';
import { chooseFamilies, decodeConfig, parseConfig, parseValidAttachments, parseWish } from '../../cni/config.ts';
import type { CniError } from '../../cni/error.ts';

const minimal = { cniVersion: '1.0.0', name: 'pods', type: 'manx' };
const noArgs = new Map<string, string>();

const errorOf = (work: () => unknown): CniError => {
  try {
    work();
  } catch (error) {
    return error as CniError;
  }
  throw new Error('nothing was thrown');
};

describe('what every verb needs', () => {
  test.each(['', ' \n', '{', 'not json', '{"a":1}{"b":2}'])('standard input %j is code 6', (text) => {
    expect(errorOf(() => decodeConfig(text)).code).toBe(6);
  });

  test.each([['[]'], ['"x"'], ['null'], ['7']])('a configuration %s is code 6', (text) => {
    expect(errorOf(() => parseConfig(decodeConfig(text), 'ADD')).code).toBe(6);
  });

  test.each([undefined, '', 'a b', '/a', '-a', 7])('the name %j is code 7', (name) => {
    expect(errorOf(() => parseConfig({ ...minimal, name }, 'ADD')).code).toBe(7);
  });

  test.each([undefined, '0.1.0', '0.2.0', '1.2.0', '2.0.0', '', 1])('cniVersion %j is code 1', (cniVersion) => {
    expect(errorOf(() => parseConfig({ ...minimal, cniVersion }, 'ADD')).code).toBe(1);
  });

  test.each(['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'])('cniVersion %s is spoken', (cniVersion) => {
    expect(parseConfig({ ...minimal, cniVersion }, 'ADD').cniVersion).toBe(cniVersion);
  });

  test.each([
    ['CHECK', '0.3.1', '0.4.0'],
    ['STATUS', '1.0.0', '1.1.0'],
    ['GC', '1.0.0', '1.1.0'],
  ])('%s is code 1 at %s and spoken from %s on', (command, tooOld, first) => {
    expect(errorOf(() => parseConfig({ ...minimal, cniVersion: tooOld }, command)).code).toBe(1);
    expect(parseConfig({ ...minimal, cniVersion: first }, command).cniVersion).toBe(first);
  });

  test('socket and state folder have defaults', () => {
    const { socket, stateDir } = parseConfig(minimal, 'ADD');
    expect([socket, stateDir]).toEqual(['/run/manx/cni.sock', '/var/lib/manx']);
  });

  test.each(['socket', 'stateDir'])('%s must be an absolute path', (key) => {
    expect(errorOf(() => parseConfig({ ...minimal, [key]: 'run/x' }, 'ADD'))).toMatchObject({
      code: 7,
      message: expect.stringContaining(key),
    });
  });

  test('what only ADD reads may be malformed without keeping DEL from its work', () => {
    expect(parseConfig({ ...minimal, mtu: 'big', ipam: 7, runtimeConfig: [] }, 'DEL').name).toBe('pods');
  });
});

describe('the wish of ADD', () => {
  test('a minimal configuration wishes for nothing', () => {
    expect(parseWish(minimal, noArgs)).toEqual({ assign: {}, pools: {}, allowIpForwarding: false });
  });

  test('unknown keys, args, capabilities and the keys of others are tolerated', () => {
    const config = {
      ...minimal,
      nodename: 'x',
      policy: { type: 'k8s' },
      capabilities: { portMappings: true },
      args: { 'org.example': 1 },
      'cni.dev/attachments': [],
      runtimeConfig: { aliases: { pods: ['a'] }, cgroupPath: '/x', portMappings: [] },
    };
    expect(parseWish(config, noArgs)).toEqual({ assign: {}, pools: {}, allowIpForwarding: false });
  });

  test('ours are read', () => {
    const config = {
      mtu: 1400,
      ipam: { type: 'calico-ipam', assign_ipv4: 'true', assign_ipv6: false, ipv4_pools: ['a'], ipv6_pools: ['b', 'c'] },
      container_settings: { allow_ip_forwarding: true },
      dns: { nameservers: ['10.0.0.1'], domain: 'x' },
    };
    expect(parseWish({ ...minimal, ...config }, noArgs)).toEqual({
      mtu: 1400,
      assign: { v4: true, v6: false },
      pools: { 4: ['a'], 6: ['b', 'c'] },
      allowIpForwarding: true,
      dns: { nameservers: ['10.0.0.1'], domain: 'x' },
    });
  });

  test.each([
    ['mtu', { mtu: 'big' }],
    ['mtu', { mtu: 1279 }],
    ['mtu', { mtu: 65536 }],
    ['mtu', { mtu: 1400.5 }],
    ['ipam', { ipam: [] }],
    ['ipam.assign_ipv4', { ipam: { assign_ipv4: 'yes' } }],
    ['ipam.ipv4_pools', { ipam: { ipv4_pools: 'a' } }],
    ['ipam.ipv6_pools', { ipam: { ipv6_pools: [1] } }],
    ['args', { args: 7 }],
    ['args.cni.ips', { args: { cni: { ips: '10.0.0.1' } } }],
    ['args.cni.ips', { args: { cni: { ips: ['10.0.0.300'] } } }],
    ['runtimeConfig', { runtimeConfig: [] }],
    ['runtimeConfig.ips', { runtimeConfig: { Ips: ['x'] } }],
    ['mac', { runtimeConfig: { mac: '01:00:5e:00:00:01' } }],
    ['mac', { runtimeConfig: { mac: 'nonsense' } }],
    ['runtimeConfig.dns.servers', { runtimeConfig: { dns: { Servers: 'x' } } }],
    ['container_settings.allow_ip_forwarding', { container_settings: { allow_ip_forwarding: 3 } }],
  ])('a malformed %s is code 7 and named', (path, config) => {
    const error = errorOf(() => parseWish({ ...minimal, ...config }, noArgs));
    expect([error.code, error.message.startsWith(path)]).toEqual([7, true]);
  });

  test.each([
    ['portMappings', [{ hostPort: 80 }]],
    ['PortMappings', [{ HostPort: 80 }]],
    ['bandwidth', { ingressRate: 1 }],
    ['ipRanges', [[{ subnet: '10.0.0.0/8' }]]],
    ['infinibandGUID', 'c2:11'],
    ['deviceID', '0000:00'],
  ])('what would need wiring of its own, %s, is code 2 with key and value', (key, value) => {
    const error = errorOf(() => parseWish({ ...minimal, runtimeConfig: { [key]: value } }, noArgs));
    expect([error.code, error.message.includes(key), error.message.includes(JSON.stringify(value))]).toEqual([
      2,
      true,
      true,
    ]);
  });

  test("another plugin's IPAM is code 2, not silently replaced", () => {
    const error = errorOf(() => parseWish({ ...minimal, ipam: { type: 'host-local' } }, noArgs));
    expect([error.code, error.message]).toEqual([2, expect.stringContaining('"host-local"')]);
  });

  test.each(['ips', 'Ips', 'IPS', 'IPs'])('runtimeConfig is read whatever the case of its keys: %s', (key) => {
    const wish = parseWish({ ...minimal, runtimeConfig: { [key]: ['10.82.0.9/24', 'FD82::9'] } }, noArgs);
    expect(wish.addresses).toEqual(['10.82.0.9', 'fd82::9']);
  });

  test("containerd's PascalCase is read inside of dns, too", () => {
    const dns = { Servers: ['10.96.0.10'], Searches: ['svc.cluster.local'], Options: ['ndots:5'] };
    expect(parseWish({ ...minimal, runtimeConfig: { DNS: dns } }, noArgs).dns).toEqual({
      nameservers: ['10.96.0.10'],
      search: ['svc.cluster.local'],
      options: ['ndots:5'],
    });
  });

  const places = {
    args: { cni: { ips: ['10.82.0.2'], mac: '02:00:00:00:00:02' } },
    runtimeConfig: { ips: ['10.82.0.1'], mac: '02:00:00:00:00:01' },
  };
  const cniArgs = new Map([
    ['IP', '10.82.0.3'],
    ['MAC', '02:00:00:00:00:03'],
  ]);

  test('runtimeConfig beats args.cni, which beats CNI_ARGS', () => {
    const picks = [places, { args: places.args }, {}].map((config) => parseWish({ ...minimal, ...config }, cniArgs));
    expect(picks.map(({ addresses, mac }) => [addresses, mac])).toEqual([
      [['10.82.0.1'], '02:00:00:00:00:01'],
      [['10.82.0.2'], '02:00:00:00:00:02'],
      [['10.82.0.3'], '02:00:00:00:00:03'],
    ]);
  });

  test('CNI_ARGS IP may be several, as CIDRs', () => {
    const wish = parseWish(minimal, new Map([['IP', '10.82.0.3/24, fd82::3/64']]));
    expect(wish.addresses).toEqual(['10.82.0.3', 'fd82::3']);
  });
});

describe("Calico's annotations, passed on by the runtime", () => {
  const wish = (annotations: Record<string, string>, config: object = {}): unknown =>
    parseWish({ ...minimal, ...config, runtimeConfig: { 'io.kubernetes.cri.pod-annotations': annotations } }, noArgs);

  test('are followed', () => {
    expect(
      wish({
        'cni.projectcalico.org/ipAddrs': '["10.82.0.77","fd82::77"]',
        'cni.projectcalico.org/hwAddr': '1C:0C:0A:C0:FF:EE',
        'kubernetes.io/x': 'y',
      }),
    ).toMatchObject({ addresses: ['10.82.0.77', 'fd82::77'], mac: '1c:0c:0a:c0:ff:ee' });
  });

  test('beat the network configuration', () => {
    const annotations = {
      'cni.projectcalico.org/ipv4pools': '["mine"]',
      'cni.projectcalico.org/ipFamilies': '["IPv4"]',
    };
    const ipam = { assign_ipv6: true, ipv4_pools: ['all'], ipv6_pools: ['six'] };
    expect(wish(annotations, { ipam })).toMatchObject({
      assign: { v4: true, v6: false },
      pools: { 4: ['mine'], 6: ['six'] },
    });
  });

  test.each([
    ['ipAddrs', '10.82.0.77', 7],
    ['ipAddrs', '["10.82.0.777"]', 7],
    ['ipv4pools', '{"a":1}', 7],
    ['ipAddrsNoIpam', '["10.0.0.1"]', 2],
    ['floatingIPs', '["10.0.0.1"]', 2],
    ['allowedSourcePrefixes', '["10.0.0.0/8"]', 2],
  ])('%s: %s is code %i and named', (name, text, code) => {
    const error = errorOf(() => wish({ [`cni.projectcalico.org/${name}`]: text }));
    expect([error.code, error.message.includes(`cni.projectcalico.org/${name}`)]).toEqual([code, true]);
  });
});

describe('what is known of a pod and its namespace', () => {
  const at = (annotations: Record<string, string>): Record<string, string> =>
    Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`cni.projectcalico.org/${name}`, value]));
  const facts = {
    annotations: at({ ipv4pools: '["of-pod"]', hwAddr: '02:00:5e:00:00:01' }),
    namespaceAnnotations: at({
      ipv4pools: '["of-namespace"]',
      ipv6pools: '["of-namespace"]',
      ipFamilies: '["IPv4","IPv6"]',
      ipAddrs: '["10.82.0.9"]',
    }),
    namespaceLabels: { tier: 'gold' },
  };

  test('goes before the configuration, and the pod before its namespace, which may not give addresses', () => {
    const config = { ...minimal, ipam: { ipv4_pools: ['of-config'], assign_ipv6: false } };
    expect(parseWish(config, noArgs, facts)).toEqual({
      pools: { 4: ['of-pod'], 6: ['of-namespace'] },
      assign: { v4: true, v6: true },
      mac: '02:00:5e:00:00:01',
      allowIpForwarding: false,
      namespaceLabels: { tier: 'gold' },
    });
  });

  test('gives way to what the runtime passes', () => {
    const passed = { 'io.kubernetes.cri.pod-annotations': at({ ipv4pools: '["of-runtime"]' }) };
    expect(parseWish({ ...minimal, runtimeConfig: passed }, noArgs, facts).pools[4]).toEqual(['of-runtime']);
  });
});

describe('families', () => {
  const wishOf = (config: object): ReturnType<typeof parseWish> => parseWish({ ...minimal, ...config }, noArgs);

  test.each([
    [{}, [4, 6], [4, 6]],
    [{}, [4], [4]],
    [{ ipam: { assign_ipv6: true } }, [4], [4, 6]],
    [{ ipam: { assign_ipv4: false } }, [4, 6], [6]],
    [{ runtimeConfig: { ips: ['fd82::1'] } }, [4], [6]],
  ] as const)('%j with %j by default gives %j', (config, byDefault, expected) => {
    expect(chooseFamilies(wishOf(config), byDefault)).toEqual(expected);
  });

  test('none at all is code 7', () => {
    const wish = wishOf({ ipam: { assign_ipv4: false, assign_ipv6: false } });
    expect(errorOf(() => chooseFamilies(wish, [4, 6])).code).toBe(7);
  });
});

test('a node without pools is worth another try, code 11', () => {
  expect(errorOf(() => chooseFamilies(parseWish(minimal, noArgs), [])).code).toBe(11);
});

describe("GC's list", () => {
  test('is read', () => {
    const list = [
      { containerID: 'a', ifname: 'eth0' },
      { containerID: 'a', ifname: 'net1' },
    ];
    expect([...parseValidAttachments({ 'cni.dev/valid-attachments': list })]).toEqual(['a/eth0', 'a/net1']);
  });

  test('may be empty', () => {
    expect(parseValidAttachments({ 'cni.dev/valid-attachments': [] }).size).toBe(0);
  });

  test.each([[undefined], [null], ['x'], [[{ containerID: 'a' }]], [[7]]])(
    'is never guessed at: %j is code 7',
    (list) => {
      expect(errorOf(() => parseValidAttachments({ 'cni.dev/valid-attachments': list })).code).toBe(7);
    },
  );
});
