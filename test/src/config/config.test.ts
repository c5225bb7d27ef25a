import { describe, expect, test } from 'vitest';
import { UsageError, readConfig } from '../../../src/config.ts';

const read = (words: string, env: NodeJS.ProcessEnv = {}) =>
  readConfig(
    words.split(' ').filter((word) => word !== ''),
    env,
    'worker-1',
  );

function problemsOf(words: string, env: NodeJS.ProcessEnv = {}): readonly string[] {
  try {
    read(words, env);
  } catch (error) {
    if (error instanceof UsageError) return error.problems;
    throw error;
  }
  return [];
}

describe('manxd without flags', () => {
  test('runs on the documented folders under the host name, with every part', () => {
    expect(read('')).toEqual({
      do: 'run',
      config: {
        config: '/etc/manx',
        datastore: '/var/lib/manx/datastore',
        state: '/var/lib/manx',
        run: '/run/manx',
        node: 'worker-1',
        fib: true,
        cni: true,
        podHalf: 'auto',
        sysctls: '/proc/sys/net',
        addresses: { 4: { from: 'node', otherwise: { by: 'first-found' } }, 6: { from: 'node' } },
        pools: [],
        logLevel: 'info',
      },
    });
  });
});

describe('what is asked of Kubernetes, in flags or in the variables of Calico', () => {
  test('addresses are autodetected, given, or none', () => {
    const env = { IP: 'autodetect', IP_AUTODETECTION_METHOD: 'can-reach=192.0.2.1', IP6: 'fd00::1/64' };
    expect(read('', env)).toMatchObject({
      config: {
        addresses: {
          4: { from: 'autodetect', method: { by: 'can-reach', destination: '192.0.2.1' } },
          6: { from: 'given', address: { address: 'fd00::1', prefix: 'fd00::/64' } },
        },
      },
    });
    expect(read('--ip none', env)).toMatchObject({ config: { addresses: { 4: { from: 'none' } } } });
  });
  test('pools are as Calico would make them', () => {
    const env = { CALICO_IPV4POOL_CIDR: '10.82.0.0/16', CALICO_IPV6POOL_CIDR: 'fd82::/48' };
    expect(read('--pool4-block-size 28', env)).toMatchObject({
      config: {
        pools: [
          {
            metadata: { name: 'default-ipv4-ippool' },
            spec: { cidr: '10.82.0.0/16', blockSize: 28, natOutgoing: true },
          },
          {
            metadata: { name: 'default-ipv6-ippool' },
            spec: { cidr: 'fd82::/48', blockSize: 122, natOutgoing: false },
          },
        ],
      },
    });
  });
  test('a pool is limited to nodes and kept from peers as the variables say', () => {
    const env = {
      CALICO_IPV6POOL_CIDR: 'fd82::/48',
      CALICO_IPV6POOL_NAT_OUTGOING: 'true',
      CALICO_IPV6POOL_DISABLE_BGP_EXPORT: 'true',
      CALICO_IPV6POOL_NODE_SELECTOR: "rack == 'a'",
      CALICO_IPV6POOL_VXLAN: 'Never',
    };
    const spec = { natOutgoing: true, disableBGPExport: true, nodeSelector: "rack == 'a'", vxlanMode: 'Never' };
    expect(read('', env)).toMatchObject({ config: { pools: [{ spec }] } });
  });
  test('no pool is made where none is wanted, whatever else is said of pools', () => {
    const env = { CALICO_IPV4POOL_CIDR: '10.82.0.0/16', CALICO_IPV4POOL_IPIP: 'Always' };
    expect(read('', { ...env, NO_DEFAULT_POOLS: 'true' })).toMatchObject({ config: { pools: [] } });
    // Calico's manifests ask for tunnels even where they leave the pool out.
    expect(read('', { CALICO_IPV4POOL_IPIP: 'Always' })).toMatchObject({ config: { pools: [] } });
  });
  test.each([
    ['64513', 64_513],
    ['1.10', 65_546],
  ])('the AS number %s is that of the node', (text, asNumber) => {
    expect(read('--store kubernetes', { AS: text })).toMatchObject({ config: { asNumber } });
  });
  test('elsewhere AS is not ours: it is the name of an assembler', () => {
    expect(read('', { AS: '/usr/bin/as' })).toMatchObject({ do: 'run' });
  });
  test.each(['hash', '192.0.2.1'])('the router ID may be %s', (routerId) => {
    expect(read('', { CALICO_ROUTER_ID: routerId })).toMatchObject({ config: { routerId } });
  });
  test.each([
    ['--store kubernetes --as 4294967296', '--as 4294967296: '],
    ['--store kubernetes --as leaf', '--as leaf: '],
    ['--router-id 0.0.0.0', '--router-id 0.0.0.0: is neither hash nor an IPv4 address other than 0.0.0.0'],
    ['--router-id fd00::1', '--router-id fd00::1: is neither hash nor an IPv4 address'],
    ['--pool4 10.82.0.0/16 --pool4-ipip Always', 'spec.ipipMode: Always: this build has no tunnels'],
    ['--pool6 fd82::/48 --pool6-no-export yes', 'spec.disableBGPExport: "yes" is not true or false'],
    ['--pool4 10.82.0.0/16 --pool4-node-selector (', '--pool4 10.82.0.0/16: spec.nodeSelector: '],
    ['--ip 10.0.0.300', '--ip 10.0.0.300: is neither autodetect nor none nor an IPv4 address'],
    ['--ip6 autodetect --ip6-method eth0', '--ip6-method eth0: is none of first-found,'],
    ['--pool4 10.82.0.1/16', '--pool4 10.82.0.1/16: spec.cidr: "10.82.0.1/16" has host bits set'],
    ['--pool4 fd82::/48', '--pool4 fd82::/48: is not IPv4'],
    ['--pool6 fd82::/48 --pool6-nat yes', 'spec.natOutgoing: "yes" is not true or false'],
  ])('%s is refused: %s', (line, why) => {
    expect(() => read(line)).toThrow(why);
  });
});

describe('the flags of manxd', () => {
  test('parts can be left out, and the port can be any free one', () => {
    expect(read('--no-fib --no-cni --listen-port 0')).toMatchObject({
      config: { fib: false, cni: false, listenPort: 0 },
    });
  });

  test('folders become absolute', () => {
    expect(read('--config conf')).toMatchObject({ config: { config: `${process.cwd()}/conf` } });
  });

  test('a flag wins over the environment, which wins over the default', () => {
    const env = { MANX_NODE: 'from-env', MANX_CONFIG: '/from/env', MANX_NO_CNI: 'true' };
    expect(read('--node from-flag', env)).toMatchObject({
      config: { node: 'from-flag', config: '/from/env', cni: false, fib: true },
    });
  });

  test('every problem is reported at once, in the words of who typed it', () => {
    const words = '--no-fib=yes --listen-port 70000 --log-level loud --node a/b --state --check';
    expect(problemsOf(words)).toEqual([
      '--no-fib takes no value',
      '--state needs a value: DIR',
      '--node a/b: is no node name',
      '--listen-port 70000: a port is a number from 0 to 65535',
      '--log-level loud: is one of trace, debug, info, warn, error, fatal',
    ]);
  });

  test('a misspelt flag names the one that was probably meant', () => {
    expect(problemsOf('--datastor /x')).toEqual(['--datastor: unknown option (did you mean --datastore?)']);
  });

  test('a run folder too long for a socket is refused before the kernel refuses it', () => {
    expect(problemsOf(`--run /${'x'.repeat(92)}`)).toEqual([
      `--run /${'x'.repeat(92)}: too long for a socket (at most 92 bytes)`,
    ]);
    expect(problemsOf(`--run /${'x'.repeat(91)}`)).toEqual([]);
  });

  test('a variable of a switch is true or false, nothing else', () => {
    expect(problemsOf('', { MANX_NO_FIB: 'yes' })).toEqual(['MANX_NO_FIB=yes: is true or false']);
  });

  test('probes are answered where --health says, and nowhere without', () => {
    expect(read('--health 127.0.0.1:9179')).toMatchObject({
      config: { health: { address: '127.0.0.1', port: 9179 } },
    });
    expect(problemsOf('--health 127.0.0.1')).toEqual(['--health 127.0.0.1: names no port, as in 127.0.0.1:9179']);
    expect(problemsOf('--health :9179')).toEqual(['--health: ":9179" is not an address']);
  });

  test('a kubeconfig implies Kubernetes; in a pod there is none', () => {
    expect(read('--kubeconfig k')).toMatchObject({ config: { kubernetes: { kubeconfig: `${process.cwd()}/k` } } });
    expect(read('', { MANX_STORE: 'kubernetes' })).toMatchObject({ config: { kubernetes: {} } });
    expect(read('--store kubernetes --namespace net', { CALICO_API_GROUP: 'projectcalico.org/v3' })).toMatchObject({
      config: { kubernetes: { namespace: 'net', group: 'projectcalico.org/v3' } },
    });
  });

  test('files and a kubeconfig, a store and a group that do not exist are refused', () => {
    expect(problemsOf('--store file --kubeconfig k')).toEqual(['--store file: --kubeconfig says otherwise']);
    expect(problemsOf('--store etcd --calico-api-group v2')).toEqual([
      '--store etcd: is file or kubernetes',
      '--calico-api-group v2: is crd.projectcalico.org/v1 or projectcalico.org/v3',
    ]);
  });

  test('a word that belongs to no flag is refused', () => {
    expect(problemsOf('start')).toEqual(['start: unexpected (only --check takes a folder)']);
  });
});

describe('manxd --check', () => {
  test('takes the folder behind it, else that of --config', () => {
    expect(read('--check /a')).toEqual({ do: 'check', folder: '/a' });
    expect(read('--config /b --check')).toEqual({ do: 'check', folder: '/b' });
  });
});

describe('manxd --help', () => {
  const help = read('--help --nonsense');

  test('is answered whatever else stands on the line', () => {
    expect(help.do).toBe('print');
  });

  test('says every flag, and every way to leave parts out', () => {
    const text = help.do === 'print' ? help.text : '';
    for (const word of [
      '--config DIR',
      '--datastore DIR',
      '--state DIR',
      '--run DIR',
      '--node NAME',
      '--listen-port N',
      '--health ADDRESS:PORT',
    ]) {
      expect(text).toContain(word);
    }
    for (const recipe of ['route server', 'only announcing prefixes', 'peers that dial us', 'several on one host']) {
      expect(text).toContain(recipe);
    }
  });

  test('fits a terminal of 130 columns', () => {
    const widest = Math.max(...(help.do === 'print' ? help.text : '').split('\n').map((line) => line.length));
    expect(widest).toBeLessThanOrEqual(130);
  });
});
