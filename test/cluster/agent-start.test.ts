// What the start of one agent asks of the API server, by the server's own audit log: a thousand may start together.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectApi } from '../../src/cli/client.ts';
import type { AgentStatus } from '../../src/agent/status.ts';
import { type Host, createHost } from '../lab/host.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { installDefinitions } from '../lab/kubernetes/definitions.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { programs } from '../src/api/pair.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const apiVersion = 'crd.projectcalico.org/v1';

let host: Host;
let server: ApiServer;
let folder: string;

beforeAll(async () => {
  if (reason !== undefined) return;
  host = await createHost();
  await host.ip('addr add 192.0.2.1/24 dev lo');
  await host.ip('addr add 192.0.2.10/24 dev lo');
  folder = await mkdtemp(join(tmpdir(), 'manx-start-'));
  const policy = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'Metadata' }] };
  await writeFile(join(folder, 'policy.yaml'), JSON.stringify(policy));
  server = await startApiServer({
    host: { host, addresses: ['192.0.2.10'] },
    users: { agent: ['system:masters'] },
    flags: ['--audit-policy-file', join(folder, 'policy.yaml'), '--audit-log-path', join(folder, 'audit.log')],
  });
  await installDefinitions(server);
  const pool = { apiVersion, kind: 'IPPool', metadata: { name: 'pods' }, spec: { cidr: '10.82.0.0/24' } };
  // Another agent does what one does for all.
  const lease = {
    ...{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'manx', namespace: 'default' } },
    spec: { holderIdentity: 'another', leaseDurationSeconds: 3600 },
  };
  await server.apply(pool, lease, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'one' } });
}, 180_000);
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await host?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

interface AuditEvent {
  readonly auditID: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource: string; readonly subresource?: string };
}

/** Each request of the agent once, in order. */
async function requests(): Promise<AuditEvent[]> {
  const lines = (await readFile(join(folder, 'audit.log'), 'utf8')).split('\n').filter((line) => line.endsWith('}'));
  const events = lines.map((line) => JSON.parse(line) as AuditEvent).filter(({ user }) => user.username === 'agent');
  return [...new Map(events.map((event) => [event.auditID, event])).values()];
}

function nameOf({ verb, objectRef, requestURI }: AuditEvent): string {
  const what = [objectRef?.resource ?? requestURI, objectRef?.subresource].filter(Boolean).join('/');
  return `${verb} ${what}`;
}

async function start(): Promise<AsyncDisposable> {
  const places = ['config', 'datastore', 'state', 'run'].flatMap((name) => [`--${name}`, join(folder, name)]);
  const access = ['--kubeconfig', await server.kubeconfigFor('agent'), '--namespace', 'default'];
  const flags = ['--node', 'one', '--ip', '192.0.2.1', '--no-fib', ...access];
  const agent = host.start(process.execPath, [programs.manxd, ...places, ...flags], { stdio: 'ignore' });
  const api = connectApi(join(folder, 'run/agent.sock'));
  await until('the agent answers', () => api.get<AgentStatus>('/v1/status').catch(() => undefined), 60_000);
  const gone = new Promise((resolve) => agent.once('exit', resolve));
  return {
    async [Symbol.asyncDispose]() {
      agent.kill('SIGTERM');
      await gone;
    },
  };
}

describe.skipIf(reason)(title('the start of an agent'), () => {
  test.each(['for the first time', 'again'])(
    '%s reads no more of the cluster than the server has in memory',
    async (when) => {
      const before = (await requests()).length;
      {
        await using _agent = await start();
        const told = (event: AuditEvent): boolean => nameOf(event) === 'patch noderoutingstatuses';
        await until('it has told how it does', async () => (await requests()).slice(before).some(told), 60_000);
      }
      const own = (await requests()).slice(before);
      const counts = Object.entries(Object.groupBy(own, nameOf)).map(([name, all]) => `${name} ${all!.length}`);
      console.log(`${when}: ${own.length} requests`, counts.sort());
      const lists = own.filter(({ verb }) => verb === 'list');
      expect(lists.map(({ requestURI }) => requestURI).filter((uri) => !uri.includes('resourceVersion=0'))).toEqual([]);
      const kinds = lists.map((event) => nameOf(event));
      expect(kinds).not.toContain('list ipamblocks');
      expect(kinds).not.toContain('list ipamhandles');
    },
    120_000,
  );
});
