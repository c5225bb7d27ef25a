// manxctl on a cluster: Calico's own objects in a real API server, and what manxctl makes of them.
import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { kindNames } from '../../src/kinds.ts';
import { type Kube, type KubeObject, openKube } from '../../src/kube/index.ts';
import type { Kind } from '../../src/resources/types.ts';
import { readYamlDocuments, yamlValue } from '../../src/resources/yaml.ts';
import type { NodeRouting } from '../../src/status/model.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { type Outcome, run } from '../lab/host.ts';
import { lacking } from '../lab/needs.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const program = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const fixtures = new URL('../fixtures/calico/', import.meta.url);
let server: ApiServer;
let kube: Kube;
let folder: string;

beforeAll(async () => {
  if (reason !== undefined) return;
  server = await startApiServer();
  kube = await openKube({ kubeconfig: server.kubeconfig });
  folder = await mkdtemp('/run/manxctl-');
  const definitions = new URL('../../deploy/crds', import.meta.url).pathname;
  await server.kubectl(['apply', '--server-side', '-k', definitions]);
  const established = ['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all'];
  await server.kubectl(established);
  for (const node of ['worker-1', 'worker-2', 'worker-3']) await server.apply(nodeOf(node));
  for (const namespace of ['default', 'team-a']) await server.apply(namespaceOf(namespace));
  await server.apply(...pods);
}, 180_000);
beforeEach(async () => {
  if (reason === undefined) await layScene();
}, 60_000);
afterAll(async () => {
  await kube?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const captured = readdirSync(fixtures)
  .filter((name) => name.startsWith('stored-'))
  .flatMap((name) => {
    const [document] = readYamlDocuments(readFileSync(new URL(name, fixtures), 'utf8'));
    return (yamlValue(document!) as { items: KubeObject[] }).items;
  });
const placeOf = (kind: string) => ({
  group: 'crd.projectcalico.org',
  version: 'v1',
  plural: kindNames[kind as Kind].plural,
});

/** Everything as it was captured from Calico, whatever a test has done to it. */
async function layScene(): Promise<void> {
  for (const kind of new Set(captured.map((object) => object.kind))) {
    for (const { metadata } of await kube.client.list(placeOf(kind)))
      await kube.client.delete(placeOf(kind), metadata.name);
  }
  for (const object of captured) {
    const { name, labels, annotations } = object.metadata;
    const metadata = { name, ...(labels && { labels }), ...(annotations && { annotations }) };
    await kube.client.create(placeOf(object.kind), { ...object, metadata });
  }
}

const addressOf = { 'worker-1': '10.250.1.11/24', 'worker-2': '10.250.1.12/24', 'worker-3': '10.250.1.13/24' } as const;

function nodeOf(name: string): object {
  const own = { 'projectcalico.org/IPv4Address': addressOf[name as keyof typeof addressOf] };
  const more = { 'projectcalico.org/IPv6Address': 'fd10:250::11/64', 'projectcalico.org/ASNumber': '64513' };
  const annotations = name === 'worker-1' ? { ...own, ...more } : own;
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { rack: 'a' }, annotations } };
}

function namespaceOf(name: string): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

function podOf(namespace: string, name: string, node: string, ...addresses: string[]): object {
  const annotations = { 'cni.projectcalico.org/podIPs': addresses.join(',') };
  const containers = [{ name: 'c', image: 'none' }];
  const spec = { nodeName: node, containers, automountServiceAccountToken: false };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, annotations }, spec };
}

const pods = [
  podOf('default', 'web-1', 'worker-1', '10.82.0.72/32', 'fd82::9905:f003:c7bd:fb00/128'),
  podOf('team-a', 'api-1', 'worker-1', '10.82.0.73/32', 'fd82::9905:f003:c7bd:fb01/128'),
  podOf('default', 'fixed-1', 'worker-2', '10.82.0.77/32', 'fd82::77/128'),
  ...Array.from({ length: 8 }, (_, i) =>
    podOf('default', `many-${i + 1}`, 'worker-3', `10.82.0.${56 + i}/32`, `fd82::8bfb:736f:425f:4a8${i}/128`),
  ),
];

function manxctl(
  words: string,
  options: { input?: string; env?: NodeJS.ProcessEnv; as?: string } = {},
): Promise<Outcome> {
  const { input, env, as = program } = options;
  const cluster = env === undefined ? ['--kubeconfig', server.kubeconfig] : [];
  return run(process.execPath, [as, ...cluster, ...words.split(' ').filter((word) => word !== '')], {
    mayFail: true,
    ...(input !== undefined && { input }),
    env: { ...process.env, ...env },
  });
}

/** What calicoctl printed of the same objects; it leaves blanks at the end of lines. */
function fixture(name: string): string[] {
  const text = readFileSync(new URL(`calicoctl-${name}.txt`, fixtures), 'utf8');
  return text.split('\n').map((line) => line.trimEnd());
}

describe.skipIf(reason)(title('manxctl on a cluster'), () => {
  test.each([
    ['bgppeer', 'rr', 'tor-a'],
    ['ippool', 'pods-v4', 'pods-v6'],
    ['bgpconfig', 'default', 'node.worker-1'],
    ['clusterinformation', 'default', ''],
    ['ipreservation', 'gateways', ''],
    ['node', 'worker-1', 'worker-3'],
  ])('get %s prints what calicoctl prints, and -o wide as well', async (kind, first, last) => {
    const expected = fixture(`get-${kind}`);
    const brief = (await manxctl(`get ${kind}`)).stdout.trimEnd().split('\n');
    const wide = (await manxctl(`get ${kind} -o wide`)).stdout.trimEnd().split('\n');
    for (const name of [first, last].filter((each) => each !== '')) {
      const columns = (line: string): string => line.split(/ {2,}/)[0]!;
      expect([brief, wide].map((lines) => lines.some((line) => columns(line) === name))).toEqual([true, true]);
    }
    // calicoctl prints AS 0 where a BGPPeer names none.
    if (kind === 'bgppeer') return;
    expect(brief).toEqual(expected.slice(0, brief.length));
    // Ours may have more columns behind.
    const shared = expected.slice(brief.length + 1, brief.length + 1 + wide.length);
    expect(wide.map((line, i) => line.slice(0, shared[i]!.length))).toEqual(shared);
  });

  test('get takes several names, and KIND/NAME', async () => {
    const { stdout } = await manxctl('get ippool/pods-v6 bgppeer/rr ippool/pods-v4 -o json');
    const { items } = JSON.parse(stdout) as { items: { metadata: { name: string } }[] };
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['pods-v6', 'pods-v4', 'rr']);
    const missing = await manxctl('get bgppeer nope');
    expect([missing.code, missing.stderr]).toEqual([1, 'manxctl: there is no BGPPeer nope\n']);
  });

  test('get keeps 64-bit numbers', async () => {
    const { stdout } = await manxctl('get ipamblocks -o yaml');
    expect(stdout).toMatch(/sequenceNumber: \d{17,}/);
  });

  const peer = (asn: number) =>
    `apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: tor-z}\nspec: {peerIP: 10.250.1.250, asNumber: ${asn}}\n`;

  test('create, replace, apply and delete, in the words of calicoctl', async () => {
    const say = async (words: string, input?: string) => {
      const { code, stdout } = await manxctl(words, input === undefined ? {} : { input });
      return [code, stdout.trim()];
    };
    expect((await say('replace -f -', peer(1)))[0]).toBe(1);
    expect(await say('create -f -', peer(1))).toEqual([0, 'BGPPeer tor-z created']);
    expect((await say('create -f -', peer(2)))[0]).toBe(1);
    expect(await say('replace -f -', peer(2))).toEqual([0, 'BGPPeer tor-z configured']);
    expect(await say('apply -f -', peer(3))).toEqual([0, 'BGPPeer tor-z configured']);
    const stored = await kube.client.get<KubeObject & { spec: unknown }>(placeOf('BGPPeer'), 'tor-z');
    expect(stored?.spec).toMatchObject({ asNumber: 3 });
    expect(await say('delete bgppeer/tor-z')).toEqual([0, 'BGPPeer tor-z deleted']);
    expect((await say('delete bgppeer tor-z'))[0]).toBe(1);
  });

  test('what the configuration would contradict is refused, and who must act is said', async () => {
    const overlapping = `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: x}\nspec: {cidr: 10.82.0.0/25, blockSize: 29}\n`;
    const { code, stderr } = await manxctl('apply -f -', { input: overlapping });
    expect(code).toBe(1);
    expect(stderr).toMatch(/IPPool x +spec\.cidr: 10\.82\.0\.0\/25 overlaps IPPool pods-v4 \(10\.82\.0\.0\/24\)/);
  });

  test('label sets and removes labels, of nodes as Calico keeps them', async () => {
    const labels = async (): Promise<unknown> => {
      const { stdout } = await manxctl('get node worker-2 -o json');
      return (JSON.parse(stdout) as { metadata: { labels?: unknown } }).metadata.labels;
    };
    expect((await manxctl('label node worker-2 route-reflector=true')).code).toBe(0);
    expect(await labels()).toMatchObject({ rack: 'a', 'route-reflector': 'true' });
    const node = await kube.client.get({ group: '', version: 'v1', plural: 'nodes' }, 'worker-2');
    expect(node?.metadata.annotations?.['projectcalico.org/labels']).toContain('route-reflector');
    const again = await manxctl('label node/worker-2 route-reflector=false');
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('add --overwrite')]);
    expect((await manxctl('label node worker-2 route-reflector --remove')).code).toBe(0);
    expect(await labels()).not.toHaveProperty('route-reflector');
    expect((await manxctl('label bgppeer rr edge=1 -o json')).code).toBe(0);
  });

  test('ipam show prints what calicoctl prints, but for the pool that overflows there', async () => {
    const sections = fixture('ipam-show')
      .join('\n')
      .split(/^\$ calicoctl ipam show ?/m)
      .slice(1);
    const isRight = (line: string): boolean => !line.includes('fd82::/64') && !line.startsWith('+');
    for (const section of sections) {
      const [words = '', ...lines] = section.trimEnd().split('\n');
      if (words.includes('configuration')) continue;
      const { stdout } = await manxctl(`ipam show ${words}`);
      const cells = (text: string): string => text.replaceAll(/ +/g, ' ');
      expect(stdout.trimEnd().split('\n').filter(isRight).map(cells)).toEqual(lines.filter(isRight).map(cells));
    }
    expect((await manxctl('ipam show --show-configuration')).stdout).toContain('StrictAffinity');
  });

  test('ipam check prints what calicoctl prints, and a leak ends it with 1', async () => {
    const expected = fixture('ipam-check')
      .join('\n')
      .split(/^\$ calicoctl ipam check.*\n/m)[1]!
      .trimEnd();
    const well = await manxctl('ipam check');
    // Affinities of blocks that were never confirmed would stand behind; everything before is calicoctl's.
    expect([well.code, well.stdout.trimEnd()]).toEqual([0, expected]);
    await server.kubectl(['delete', 'pod', 'web-1', '--grace-period=0', '--force']);
    try {
      const leaking = await manxctl('ipam check --show-problem-ips');
      expect(leaking.code).toBe(1);
      expect(leaking.stdout).toContain(
        '  10.82.0.72 is given out and nobody uses it (Main:k8s-pod-network.c0ffee-web-1',
      );
    } finally {
      await server.apply(pods[0]!);
    }
  });

  test('ipam release gives back what nobody has, and not what a pod has', async () => {
    const used = await manxctl('ipam release --ip 10.82.0.72');
    expect([used.code, used.stderr]).toEqual([1, expect.stringContaining('10.82.0.72: pod default/web-1 has it')]);
    const forced = await manxctl('ipam release --ip 10.82.0.72 --force');
    expect([forced.code, forced.stdout]).toEqual([0, 'Successfully released IP address 10.82.0.72\n']);
    expect((await manxctl('ipam show --ip=10.82.0.72')).stdout).toBe('10.82.0.72 is not assigned\n');
    expect((await manxctl('ipam release --ip 10.82.0.72 --force')).stdout).toBe(
      'IP address 10.82.0.72 is not assigned\n',
    );
  });

  test('ipam release --from-report gives back what ipam check -o FILE found and no pod has', async () => {
    const report = join(folder, 'report.json');
    await server.kubectl(['delete', 'pod', 'web-1', '--grace-period=0', '--force']);
    try {
      expect((await manxctl(`ipam check -o ${report}`)).stderr).toContain('2 addresses and 0 handles');
      const { code, stdout } = await manxctl(`ipam release --from-report ${report}`);
      expect([code, stdout.split('\n')[0]]).toEqual([
        0,
        'Released 2 of 2 leaked addresses, deleted 0 of 0 empty handles.',
      ]);
      expect((await manxctl('ipam check')).code).toBe(0);
      const again = await manxctl(`ipam release --from-report ${report}`);
      expect(again.stdout).toContain('given back already');
    } finally {
      await server.apply(pods[0]!);
    }
  });

  test('ipam configure sets strict affinity', async () => {
    const { stdout } = await manxctl('ipam configure --strictaffinity true');
    expect(stdout).toBe('Successfully set StrictAffinity to: true\n');
    expect((await manxctl('ipam show --show-configuration')).stdout).toMatch(/StrictAffinity +\| true/);
  });

  test('node status of any node comes from what its agent wrote', async () => {
    const at = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const status: NodeRouting = {
      ...{ version: '0.1.0', startedAt: at, writtenAt: at, sessionsUp: '0/0', sessions: [], store: {}, troubles: [] },
      health: { state: 'good', reasons: [], summary: '' },
      bgp: { asn: 64512, routerID: '10.250.1.12' },
    };
    const place = { group: 'projectmanx.org', version: 'v1', plural: 'noderoutingstatuses' };
    const object = { apiVersion: 'projectmanx.org/v1', kind: 'NodeRoutingStatus', metadata: { name: 'worker-2' } };
    await kube.client.create(place, { ...object, status });
    const one = await manxctl('--node worker-2 node status');
    expect([one.code, one.stdout]).toEqual([0, expect.stringContaining('worker-2  AS 64512  router ID 10.250.1.12')]);
    expect((await manxctl('node status')).stdout).toMatch(/^worker-2 +good/m);
    expect((await manxctl('version')).stdout).toMatch(/^manxd +0\.1\.0 on worker-2$/m);
    const none = await manxctl('--node worker-3 node status');
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('no agent has told the cluster')]);
  });

  test('the cluster is found as calicoctl and kubectl find it', async () => {
    const nobody = { KUBECONFIG: undefined, DATASTORE_TYPE: undefined, HOME: '/nonexistent' };
    const found = async (env: NodeJS.ProcessEnv, as?: string): Promise<number | null> =>
      (await manxctl('--run /nonexistent get ippool', { env: { ...nobody, ...env }, ...(as && { as }) })).code;
    expect(await found({ KUBECONFIG: server.kubeconfig })).toBe(0);
    expect(await found({ KUBECONFIG: server.kubeconfig, DATASTORE_TYPE: 'kubernetes' })).toBe(0);
    expect(await found({})).toBe(3);
    expect(await found({ DATASTORE_TYPE: 'kubernetes' })).toBe(2);
    const plugin = join(folder, 'kubectl-manx');
    await symlink(program, plugin);
    expect(await found({ KUBECONFIG: server.kubeconfig }, plugin)).toBe(0);
  });

  test('a server that is away, and one that does not let us, are told apart', async () => {
    const file = join(folder, 'away');
    const away = readFileSync(server.kubeconfig, 'utf8').replace(/server: .*/, 'server: https://127.0.0.1:1');
    await writeFile(file, away);
    const nobody = await manxctl('get ippool', { env: { KUBECONFIG: file, DATASTORE_TYPE: 'kubernetes' } });
    expect([nobody.code, nobody.stderr]).toEqual([3, expect.stringContaining('127.0.0.1:1')]);
  });
});
