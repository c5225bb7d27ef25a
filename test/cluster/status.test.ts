// What a cluster is told of one node and its peers: a real agent, a real API server, and what kubectl shows.
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/kube/index.ts';
import { type Host, connect, createHost } from '../lab/host.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { TestAgent } from '../src/api/pair.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);

const networkGone = new URL('../../deploy/image/network-gone.ts', import.meta.url).pathname;
const NAMESPACE = 'manx-system';
const PASSWORD = 'purr';
const crd = 'crd.projectcalico.org/v1';
const node = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: 'worker-1',
    annotations: { 'projectcalico.org/IPv4Address': '192.0.2.1/24', 'projectcalico.org/ASNumber': '64512' },
  },
};
const secret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'bgp', namespace: NAMESPACE },
  stringData: { password: PASSWORD },
};
const configuration = {
  apiVersion: crd,
  kind: 'BGPConfiguration',
  metadata: { name: 'default' },
  spec: { nodeToNodeMeshEnabled: false },
};
const tor = {
  apiVersion: crd,
  kind: 'BGPPeer',
  metadata: { name: 'tor' },
  spec: {
    peerIP: '192.0.2.2',
    asNumber: 65001,
    password: { secretKeyRef: { name: 'bgp', key: 'password' } },
  },
};
const fast = {
  apiVersion: 'projectmanx.org/v1',
  kind: 'PeerOptions',
  metadata: { name: 'fast' },
  spec: { connectRetryTime: '1s', holdTime: '9s' },
};
const torYaml = `apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: tor}
spec: {bgp: {asNumber: 65001, ipv4Address: 192.0.2.2/24}}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: false, serviceExternalIPs: [{cidr: 203.0.113.0/24}]}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: worker}
spec: {peerIP: 192.0.2.1, asNumber: 64512}
---
apiVersion: projectmanx.org/v1
kind: PeerOptions
metadata: {name: worker}
spec: {peers: [worker], passwordFile: password, connectRetryTime: 1s}
`;

let stack: AsyncDisposableStack;
let host: Host;
let server: ApiServer;
let agent: TestAgent;
let rack: TestAgent;

beforeAll(async () => {
  if (reason !== undefined) return;
  stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'manx-status-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  host = stack.use(await createHost());
  const torHost = stack.use(await createHost());
  await connect(host, 'eth0', torHost, 'eth0');
  await host.ip('addr add 192.0.2.1/24 dev eth0');
  await torHost.ip('addr add 192.0.2.2/24 dev eth0');
  server = stack.use(await startApiServer({ host: { host, addresses: ['192.0.2.1'] } }));
  await server.kubectl(['apply', '--server-side', '-k', new URL('../../deploy/crds', import.meta.url).pathname]);
  const all = ['crd', '-l', 'app.kubernetes.io/part-of=manx'];
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...all]);
  await server.kubectl(['create', 'namespace', NAMESPACE]);
  await server.apply(node, secret, configuration, tor, fast);
  agent = new TestAgent(host, join(folder, 'worker'), 'worker-1', [
    ...['--kubeconfig', server.kubeconfig, '--namespace', NAMESPACE, '--health', '127.0.0.1:9179'],
  ]);
  rack = new TestAgent(torHost, join(folder, 'tor'), 'tor', ['--no-fib']);
  await rack.write('all.yaml', torYaml);
  await rack.write('password', PASSWORD);
  await chmod(join(folder, 'tor/config/password'), 0o600);
  await agent.start();
}, 180_000);
afterAll(async () => {
  await stack?.disposeAsync();
});

/** The lines of kubectl get, each as its words. */
async function table(...words: string[]): Promise<string[][]> {
  const { stdout } = await server.kubectl(['get', ...words]);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.split(/\s{2,}/));
}

const get = async <T>(...words: string[]): Promise<T> =>
  JSON.parse((await server.kubectl(['get', ...words, '-o', 'json'])).stdout) as T;

/** kubectl takes its time, so it is not asked more often. */
function soon<T>(what: string, look: () => Promise<T>, withinMs = 60_000): Promise<NonNullable<T>> {
  return until(what, look, withinMs, 500);
}

async function networkUnavailable(): Promise<{ status: string; reason: string } | undefined> {
  const { status } = await get<{ status: { conditions?: { type: string; status: string; reason: string }[] } }>(
    ...['node', 'worker-1'],
  );
  return status.conditions?.find(({ type }) => type === 'NetworkUnavailable');
}

function shows(what: string, words: readonly string[], row: readonly unknown[]): Promise<unknown> {
  return soon(what, async () => {
    const [, ...rows] = await table(...words);
    expect(rows).toContainEqual(expect.arrayContaining([...row]));
    return true;
  });
}

async function probe(path: string): Promise<string> {
  const program = `const a = await fetch('http://127.0.0.1:9179${path}'); console.log(a.status, await a.text())`;
  return (await host.run(process.execPath, ['--input-type=module', '-e', program])).stdout;
}

describe.skipIf(reason)(title('while the top-of-rack router is not there yet'), () => {
  test('the agent is ready all the same', async () => {
    const answer = await soon('readyz is 200', async () => {
      const text = await probe('/readyz');
      return text.startsWith('200') ? text : undefined;
    });
    expect(answer).toContain('good  routes: have been put into the kernel');
    expect(await probe('/livez')).toMatch(/^200 good {2}kernel/);
  });

  test('the Node says that its network is there', async () => {
    expect(await soon('NetworkUnavailable is said', networkUnavailable)).toMatchObject({
      status: 'False',
      reason: 'ManxIsUp',
    });
  });

  test('kubectl get says which session is down', async () => {
    await shows(
      'the node is degraded',
      ['noderoutingstatuses'],
      ['worker-1', 'degraded', '0/1', '1 of 1 session down (tor)'],
    );
    await shows('the BGPPeer is not ready', ['bgppeerstatuses'], ['tor', 'False', '0/1', 'SessionsDown']);
  });
});

describe.skipIf(reason)(title('when it is there'), () => {
  test('kubectl get says that all is well, and the columns are what an operator asks for', async () => {
    await rack.start();
    await shows('the node is good', ['noderoutingstatuses'], ['worker-1', 'good', '1/1']);
    await shows('the BGPPeer is ready', ['bgppeerstatuses'], ['tor', 'True', '1/1', 'AllSessionsUp']);
    const [nodeColumns] = await table('noderoutingstatuses');
    expect(nodeColumns?.join(' ')).toBe('NAME HEALTH SESSIONS ROUTES REFUSED FOREIGN PODS WRITTEN REASONS');
    const [peerColumns] = await table('bgppeerstatuses');
    expect(peerColumns?.join(' ')).toBe('NAME READY SESSIONS REASON SINCE MESSAGE');
  });

  test('the object has the session with its counters, and belongs to the Node', async () => {
    const { metadata } = await get<KubeObject>('node', 'worker-1');
    const object = await soon(
      'the counters have come',
      async () => {
        const told = await get<{ metadata: object; status: { routes: { installed: number } } }>('nrs', 'worker-1');
        return told.status.routes.installed > 0 ? told : undefined;
      },
      70_000,
    );
    expect(object).toMatchObject({
      metadata: { ownerReferences: [{ kind: 'Node', name: 'worker-1', uid: metadata.uid }] },
      status: { sessions: [{ name: 'tor', state: 'Established', families: [{ received: 1, accepted: 1 }] }] },
    });
  }, 90_000);

  test('a CalicoNodeStatus that asks for it is filled in', async () => {
    const spec = { node: 'worker-1', classes: ['Agent', 'BGP', 'Routes'], updatePeriodSeconds: 5 };
    await server.apply({ apiVersion: crd, kind: 'CalicoNodeStatus', metadata: { name: 'mine' }, spec });
    const status = await soon('it is filled in', async () => {
      return (await get<{ status?: object }>('caliconodestatuses.crd.projectcalico.org', 'mine')).status;
    });
    expect(status).toMatchObject({
      agent: { birdV4: { state: 'Ready', routerID: '192.0.2.1' } },
      bgp: { numberEstablishedV4: 1, peersV4: [{ peerIP: '192.0.2.2', type: 'GlobalPeer', state: 'Established' }] },
    });
  });
});

describe.skipIf(reason)(title('an IPPool'), () => {
  const pool = (name: string, spec: object) => ({ apiVersion: crd, kind: 'IPPool', metadata: { name }, spec });
  const allocatable = async (name: string): Promise<string | undefined> => {
    const { status } = await get<{ status?: { conditions?: Record<string, unknown>[] } }>('ippool', name);
    const found = status?.conditions?.find(({ type }) => type === 'Allocatable');
    return found && [found['status'], found['reason'], found['message']].join(' ').trim();
  };
  const becomes = (name: string, what: string): Promise<unknown> =>
    soon(`${name} is ${what}`, async () => ((await allocatable(name)) === what ? true : undefined));

  test('says that addresses are given from it, and kubectl get shows that', async () => {
    await server.apply(pool('pods', { cidr: '10.82.0.0/16' }));
    await becomes('pods', 'True PoolInForce');
    const [heads, row] = await table('ippools', 'pods');
    expect(heads).toContain('ALLOCATABLE');
    expect(row).toContain('True');
  });

  test('that is disabled, overlaps an older one or is wrong says that, and why', async () => {
    await server.apply(pool('pods', { cidr: '10.82.0.0/16', disabled: true }));
    await becomes('pods', 'False PoolDisabled pods keep the addresses that they have, and get no new ones');
    await server.apply(
      pool('again', { cidr: '10.82.1.0/24' }),
      pool('wrong', { cidr: '10.84.0.0/16', nodeSelector: '(' }),
    );
    await becomes('again', 'False PoolOverlaps IPPool pods (10.82.0.0/16) was there before');
    await soon('the wrong one says why', async () =>
      (await allocatable('wrong'))?.startsWith('False PoolWrong spec.nodeSelector: '),
    );
    await server.kubectl(['delete', 'ippool', '--all']);
  });
});

describe.skipIf(reason)(title('a broken password'), () => {
  test('is seen with kubectl get, and with describe', async () => {
    await server.kubectl(['delete', 'secret', '-n', NAMESPACE, 'bgp']);
    await shows('the BGPPeer says what it lacks', ['bgppeerstatuses'], ['tor', 'False', '0/1', 'MissingSecret']);
    const { stdout } = await server.kubectl(['get', 'bgppeerstatuses', 'tor']);
    expect(stdout).toMatch(/Secret bgp in namespace manx-system does not exist/);
    const described = await soon('there is an Event', async () => {
      const text = (await server.kubectl(['describe', 'node', 'worker-1'])).stdout;
      return text.includes('BGPPasswordMissing') ? text : undefined;
    });
    expect(described).toMatch(/Warning +BGPPasswordMissing .* manxd +BGPPeer tor spec\.password: no session with tor/);
  });

  test('and mended, all is well again', async () => {
    await server.apply(secret);
    await shows('the BGPPeer is ready', ['bgppeerstatuses'], ['tor', 'True', '1/1', 'AllSessionsUp']);
  });
});

describe.skipIf(reason)(title('a session that is lost'), () => {
  test('is an Event of the Node', async () => {
    await rack.end('SIGKILL');
    await shows('the BGPPeer is not ready', ['bgppeerstatuses'], ['tor', 'False', '0/1', 'SessionsDown']);
    const described = await soon('there is an Event', async () => {
      const text = (await server.kubectl(['describe', 'node', 'worker-1'])).stdout;
      return text.includes('BGPSessionDown') ? text : undefined;
    });
    expect(described).toMatch(/BGPSessionDown .* session tor \(192\.0\.2\.2, AS 65001\) is down: /);
  });
});

describe.skipIf(reason)(title('NetworkUnavailable'), () => {
  test('that somebody sets is cleared again', async () => {
    const condition = { type: 'NetworkUnavailable', status: 'True', reason: 'NodeInitialization', message: 'new' };
    const patch = JSON.stringify({ status: { conditions: [condition] } });
    await server.kubectl(['patch', 'node', 'worker-1', '--subresource=status', '-p', patch]);
    await soon('it is cleared', async () => (await networkUnavailable())?.status === 'False');
    expect(await networkUnavailable()).toMatchObject({ reason: 'ManxIsUp' });
  });

  test('stays cleared when the agent stops, for its routes stay too', async () => {
    await agent.end('SIGTERM');
    expect(await networkUnavailable()).toMatchObject({ status: 'False', reason: 'ManxIsUp' });
  });

  test('is set by the uninstall, with an account that may do nothing else, and cleared by the next agent', async () => {
    await server.kubectl(['apply', '-k', new URL('../../deploy/uninstall', import.meta.url).pathname]);
    const account = join(dirname(agent.folder), 'account');
    await mkdir(account);
    await copyFile(server.certificateFile, join(account, 'ca.crt'));
    await writeFile(join(account, 'token'), await server.serviceAccountToken('manx-uninstall', 'manx-uninstall'));
    const access = { host: server.address, port: String(server.port), account };
    const told = `await tellNetworkIsGone('worker-1', ${JSON.stringify(access)})`;
    const program = `import { tellNetworkIsGone } from '${networkGone}'; ${told}`;
    await host.run(process.execPath, ['--input-type=module', '-e', program]);
    expect(await networkUnavailable()).toMatchObject({ status: 'True', reason: 'ManxIsGone' });
    await agent.start();
    await soon('it is cleared', async () => (await networkUnavailable())?.status === 'False');
  });
});
