// A whole agent on a real API server: what its speaker announces for Services, and what of it outlives a restart while
// the API server is away.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RoutesAnswer, ServicesAnswer } from '../../src/api/views.ts';
import { connectApi } from '../../src/cli/client.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const here = (path: string): string => new URL(path, import.meta.url).pathname;
const range = '198.51.100.0/24';
const single = '198.51.100.7/32';
let server: ApiServer;
let folder = '';
let agent: ChildProcess | undefined;

beforeAll(async () => {
  if (reason !== undefined) return;
  server = await startApiServer();
  folder = await mkdtemp('/run/services-agent-');
  await server.kubectl(['apply', '--server-side', '-k', here('../../deploy/crds')]);
  const wait = ['wait', '--for=condition=Established', '--timeout=60s', 'crd', '-l', 'app.kubernetes.io/part-of=manx'];
  await server.kubectl(wait);
  const annotations = { 'projectcalico.org/IPv4Address': '192.0.2.1/24' };
  await server.apply(
    { apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1', annotations } },
    {
      ...{ apiVersion: 'crd.projectcalico.org/v1', kind: 'BGPConfiguration', metadata: { name: 'default' } },
      spec: { nodeToNodeMeshEnabled: false, serviceExternalIPs: [{ cidr: range }] },
    },
    {
      ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'shop', namespace: 'default' } },
      spec: { ports: [{ port: 80 }], externalIPs: ['198.51.100.7'], externalTrafficPolicy: 'Local' },
    },
  );
  await applyEndpoint('worker-1');
  await startAgent();
}, 180_000);
afterAll(async () => {
  await stopAgent();
  await server?.[Symbol.asyncDispose]();
});

async function applyEndpoint(nodeName: string): Promise<void> {
  const labels = { 'kubernetes.io/service-name': 'shop' };
  await server.apply({
    ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4' },
    metadata: { name: 'shop-1', namespace: 'default', labels },
    endpoints: [{ addresses: ['10.82.0.1'], nodeName }],
    ports: [{ port: 8000 }],
  });
}

async function startAgent(): Promise<void> {
  const log = openSync(`${folder}/log`, 'a');
  const places = ['config', 'datastore', 'state', 'run'].flatMap((name) => [`--${name}`, `${folder}/${name}`]);
  const parts = ['--no-fib', '--no-cni', '--listen-port', '0', '--node', 'worker-1', '--kubeconfig', server.kubeconfig];
  const flags = [here('../../src/main.ts'), ...places, ...parts];
  agent = spawn(process.execPath, flags, { stdio: ['ignore', log, log] });
  await until('the agent answers', () => originated(), 90_000, 200).catch(async (cause: unknown) => {
    throw new Error(await readFile(`${folder}/log`, 'utf8'), { cause });
  });
}

async function stopAgent(): Promise<void> {
  if (agent === undefined) return;
  const end = once(agent, 'exit');
  agent.kill('SIGKILL');
  await end;
  agent = undefined;
}

const api = () => connectApi(`${folder}/run/agent.sock`);

/** What the speaker itself announces. */
async function originated(): Promise<string[]> {
  const { routes } = await api().get<RoutesAnswer>('/v1/bgp/routes');
  return routes.map(({ prefix }) => prefix);
}

async function announces(...prefixes: readonly string[]): Promise<void> {
  await until(
    `${prefixes.join()} is announced`,
    async () => (await originated()).toSorted().join() === prefixes.join(),
  );
}

test.skipIf(reason)(
  title('ranges and single addresses are routes of the speaker, and follow the endpoints'),
  async () => {
    await announces(range, single);
    await applyEndpoint('worker-2');
    await announces(range);
    const { entries, status } = await api().get<ServicesAnswer>('/v1/services');
    expect(status.known).toBe(true);
    expect(entries.find(({ prefix }) => prefix === single)?.reason).toBe(
      'externalTrafficPolicy Local: no ready endpoint here, 1 elsewhere',
    );
    await applyEndpoint('worker-1');
    await announces(range, single);
  },
);

test.skipIf(reason)(title('the label that excludes a node from load balancing withdraws everything'), async () => {
  const label = 'node.kubernetes.io/exclude-from-external-load-balancers';
  await server.kubectl(['label', 'node', 'worker-1', `${label}=true`]);
  await announces();
  await server.kubectl(['label', 'node', 'worker-1', `${label}-`]);
  await announces(range, single);
});

test.skipIf(reason)(
  title('an agent that starts while the API server is away announces what it did before'),
  async () => {
    await server.stop();
    await stopAgent();
    await startAgent();
    await announces(range, single);
    const { entries, status } = await api().get<ServicesAnswer>('/v1/services');
    expect(status.known).toBe(false);
    expect(entries.find(({ prefix }) => prefix === single)?.use).toBe('remembered');
    await server.start();
    await until(
      'Services are known',
      async () => (await api().get<ServicesAnswer>('/v1/services')).status.known,
      90_000,
    );
    await announces(range, single);
    await applyEndpoint('worker-2');
    await announces(range);
  },
);
