// Two agents on one API server, without FIB and CNI: configuration, addresses and passwords from the cluster, and what
// becomes of their session when the server goes.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Host, createHost } from '../lab/host.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { TestAgent, addresses, established } from '../src/api/pair.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const definitions = new URL('../../deploy/crds', import.meta.url).pathname;
const apiVersion = 'crd.projectcalico.org/v1';

let host: Host;
let server: ApiServer;
let folder: string;
let one: TestAgent;
let two: TestAgent;

beforeAll(async () => {
  if (reason !== undefined) return;
  host = await createHost();
  for (const address of [...Object.values(addresses), '192.0.2.10']) await host.ip(`addr add ${address}/24 dev lo`);
  server = await startApiServer({ host: { host, addresses: ['192.0.2.10'] } });
  await server.kubectl(['apply', '--server-side', '-k', definitions]);
  const crds = ['crd', '-l', 'app.kubernetes.io/part-of=manx'];
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...crds]);
  folder = await mkdtemp(join(tmpdir(), 'manx-agents-'));
  const agents = (['one', 'two'] as const).map((name) => {
    const flags = ['--no-fib', '--kubeconfig', server.kubeconfig, '--namespace', 'default', '--ip', addresses[name]];
    return new TestAgent(host, join(folder, name), name, flags);
  });
  [one, two] = agents as [TestAgent, TestAgent];
}, 180_000);
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await host?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

const node = (name: 'one' | 'two'): object => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
const configuration = (spec: object): object => ({
  ...{ apiVersion, kind: 'BGPConfiguration', metadata: { name: 'default' } },
  spec: { nodeToNodeMeshEnabled: true, bindMode: 'NodeIP', listenPort: 1790, ...spec },
});
const options = {
  ...{ apiVersion: 'projectmanx.org/v1', kind: 'PeerOptions', metadata: { name: 'fast' } },
  spec: { connectRetryTime: '1s' },
};
const secret = (password: string): object => ({
  ...{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'bgp', namespace: 'default' } },
  stringData: { mesh: password },
});
const withPassword = configuration({ nodeMeshPassword: { secretKeyRef: { name: 'bgp', key: 'mesh' } } });
const sessions = async (agent: TestAgent): Promise<string[]> =>
  ((await agent.status()).bgp?.peers ?? []).map(({ state }) => state);

describe.skipIf(reason)(title('agents on Kubernetes'), () => {
  test('start before there is anything, and peer as soon as their Nodes are there', async () => {
    await Promise.all([one.start(), two.start()]);
    await server.apply(node('one'), node('two'), configuration({}), options);
    await until('each has a peer', async () => (await sessions(one)).length === 1, 60_000);
    await established(one, two);
    const { stdout } = await server.kubectl(['get', 'node', 'one', '-o', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({
      metadata: { annotations: { 'projectcalico.org/IPv4Address': `${addresses.one}/32` } },
    });
  });

  test('have no session without a password that is asked for, and say which Secret to make', async () => {
    await server.apply(withPassword);
    const { troubles } = await until('the trouble is seen', async () => {
      const status = await one.status();
      return status.troubles.some(({ message }) => message.includes('does not exist')) ? status : undefined;
    });
    expect(troubles[0]!.message).toMatch(
      /no session with .*: Secret bgp in namespace default does not exist \(kubectl/,
    );
    expect(await sessions(one)).toEqual([]);
    await server.apply(secret('geheim'));
    await until('each has a peer', async () => (await sessions(one)).length + (await sessions(two)).length === 2);
    await established(one, two);
  });

  test('go on without the API server, also one that starts anew meanwhile', async () => {
    await server.apply(configuration({}));
    await until('there is no password', async () => (await one.status()).troubles.length === 0);
    await established(one, two);
    await until('what is known is on disk', async () => {
      const { stdout } = await host.run('cat', [join(one.folder, 'state/configuration.json')], { mayFail: true });
      return stdout.includes('192.0.2.2') && !stdout.includes('nodeMeshPassword');
    });
    await server.stop('SIGKILL');
    await until('it is noticed', async () => (await one.status()).store.error !== undefined, 30_000);
    await one.end('SIGTERM');
    await one.start();
    await established(one, two);
    expect((await one.status()).store.error).toContain('cannot be reached');
    await server.start();
    await until('it is in step again', async () => (await one.status()).store.inStepSince !== undefined, 60_000);
    await established(one, two);
  });

  test('keep what was right of a resource that somebody breaks', async () => {
    // What the definitions cannot see: a selector that is none.
    const broken = { ...options, spec: { peerSelector: 'rack ==', connectRetryTime: '1s' } };
    await server.apply(broken);
    const { store } = await until('the problem is seen', async () => {
      const status = await one.status();
      return status.store.problems.length > 0 ? status : undefined;
    });
    expect(store.problems[0]).toMatchObject({ kind: 'PeerOptions', name: 'fast', path: 'spec.peerSelector' });
    await established(one, two);
    await server.apply(options);
    await until('it is gone', async () => (await one.status()).store.problems.length === 0);
  });
});
