// The rules of deploy/manifests/rbac.yaml are what the agent uses, one by one: an agent goes through its life in the
// cluster with its own account, found where a pod finds it, and the API server's audit log says what it asked for.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { LabNode, type Pod } from '../lab/datacentre.ts';
import { type Host, createHost } from '../lab/host.ts';
import { layAccount } from '../lab/kubernetes/account.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { lacking } from '../lab/needs.ts';
import { buildPrograms } from '../lab/programs.ts';
import { until } from '../lab/until.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);

const deploy = new URL('../../deploy', import.meta.url).pathname;
const folder = '/run/lab/rbac';
const auditLog = `${folder}/audit.log`;
const account = 'system:serviceaccount:manx-system:manx';
const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata', users: [account] }, { level: 'None' }],
};

let stack: AsyncDisposableStack;
let host: Host;
let server: ApiServer;
let node: LabNode;
const pod = async (name: string): Promise<Pick<Pod, 'name' | 'host' | 'containerId'>> => ({
  name,
  host: stack.use(await createHost(`rbac-${name}`)),
  containerId: name,
});

beforeAll(async () => {
  if (reason !== undefined) return;
  stack = new AsyncDisposableStack();
  await mkdir(folder, { recursive: true });
  const programs = await buildPrograms(`${folder}/dist`);
  host = stack.use(await createHost());
  await host.ip('link add eth0 type bridge');
  await host.ip('link set eth0 up');
  await host.ip('addr add 192.0.2.1/24 dev eth0');
  await writeFile(`${folder}/audit.yaml`, JSON.stringify(auditPolicy));
  const flags = ['--audit-policy-file', `${folder}/audit.yaml`, '--audit-log-path', auditLog];
  server = stack.use(await startApiServer({ host: { host, addresses: ['192.0.2.1'] }, flags }));
  await server.kubectl(['apply', '--server-side', '-k', `${deploy}/crds`]);
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
  await server.kubectl(['apply', '-f', `${deploy}/manifests/namespace.yaml`, '-f', `${deploy}/manifests/rbac.yaml`]);
  node = new LabNode('worker-1', host, folder, programs);
}, 180_000);
afterAll(() => stack?.disposeAsync());

/** A token that is worth nothing any more as soon as its Secret is deleted. */
async function revocableToken(name: string): Promise<string> {
  await server.kubectl(['-n', 'manx-system', 'create', 'secret', 'generic', name]);
  const bound = ['--bound-object-kind', 'Secret', '--bound-object-name', name];
  return (await server.kubectl(['-n', 'manx-system', 'create', 'token', 'manx', ...bound])).stdout.trim();
}

/** Makes these pools where there are none. */
const startAgent = async (pool4: string, pool6: string): Promise<void> => {
  const flags = ['--store', 'kubernetes', '--pool4', pool4, '--pool6', pool6];
  await node.startAgent(flags, {
    KUBERNETES_SERVICE_HOST: server.address,
    KUBERNETES_SERVICE_PORT: String(server.port),
  });
  await node.ready();
};

const crd = 'crd.projectcalico.org/v1';
const peer = {
  ...{ apiVersion: crd, kind: 'BGPPeer', metadata: { name: 'tor' } },
  spec: { peerIP: '192.0.2.2', asNumber: 65001, password: { secretKeyRef: { name: 'bgp', key: 'tor' } } },
};
const secret = {
  ...{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'bgp', namespace: 'manx-system' } },
  stringData: { tor: 'purr' },
};

const peerReason = async (): Promise<string> =>
  (await server.kubectl(['get', 'bgppeerstatus', 'tor', '-o', 'jsonpath={.status}'], { mayFail: true })).stdout;

/** The Secret goes and comes back: each time the agent says so on the Node, the second time by counting up. */
async function breakPassword(): Promise<void> {
  await server.kubectl(['-n', 'manx-system', 'delete', 'secret', 'bgp']);
  await until('the password is missed', async () => (await peerReason()).includes('does not exist'), 30_000, 200);
  await server.apply(secret);
  await until('and found', async () => !(await peerReason()).includes('does not exist'), 30_000, 200);
}

test.skipIf(reason)(
  title('an agent finds its account as a pod has it, and goes on when the token is another one'),
  async () => {
    const first = await revocableToken('first');
    await layAccount(server, 'manx-system', first);
    await server.apply(
      { apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1' } },
      {
        ...{ apiVersion: crd, kind: 'BGPConfiguration', metadata: { name: 'default' } },
        spec: { serviceExternalIPs: [{ cidr: '198.51.100.0/24' }] },
      },
      { ...{ apiVersion: crd, kind: 'CalicoNodeStatus', metadata: { name: 'mine' } }, spec: calicoNodeStatus },
      ...[peer, secret],
    );
    await startAgent('10.82.0.0/24', 'fd82::/64');
    await until('it has told how it does', () => told('noderoutingstatus', 'worker-1'), 60_000, 200);
    await layAccount(server, 'manx-system', await revocableToken('second'));
    await server.kubectl(['-n', 'manx-system', 'delete', 'secret', 'first']);
    await until('the old one is refused', async () => !(await isTaken(first)), 30_000, 500);
    await breakPassword();
  },
  180_000,
);

/** What an operator asks the agent of the node for: by its own account it looks these up. */
const lookups = [
  ['get', 'clusterinformation'],
  ['get', 'kubecontrollersconfiguration'],
  ['ipam', 'check'],
] as const;

const calicoNodeStatus = { node: 'worker-1', classes: ['Agent', 'BGP', 'Routes'], updatePeriodSeconds: 5 };

const told = async (...words: string[]): Promise<boolean> =>
  (await server.kubectl(['get', ...words, '-o', 'jsonpath={.status}'], { mayFail: true })).stdout !== '';

async function isTaken(token: string): Promise<boolean> {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
  const { stdout } = await server.kubectl(['create', '-f', '-', '-o', 'json'], { input: JSON.stringify(review) });
  return (JSON.parse(stdout) as { status: { authenticated?: boolean } }).status.authenticated === true;
}

test.skipIf(reason)(
  title('it wires pods, follows peers and passwords, and gives back what no pool wants any more'),
  async () => {
    const pods = [await pod('a'), await pod('b')];
    for (const each of pods) expect((await node.cni('ADD', each)).stdout).toContain('10.82.0.');
    await breakPassword();
    for (const words of lookups) expect((await node.manxctl(...words)).stderr).toBe('');
    await until('CalicoNodeStatus is filled in', () => told('caliconodestatuses.crd.projectcalico.org', 'mine'));
    for (const each of pods) expect((await node.cni('DEL', each)).code).toBe(0);
    const pools = ['ippools.crd.projectcalico.org', '--all'];
    await server.kubectl(['delete', ...pools]);
    await server.kubectl(['delete', 'bgppeers.crd.projectcalico.org', 'tor']);
    await until('the BGPPeerStatus has gone', async () => !(await told('bgppeerstatus', 'tor')), 30_000, 200);
    await node.stopAgent();
    await startAgent('10.83.0.0/24', 'fd83::/64');
    const blocks = async (): Promise<string> =>
      (await server.kubectl(['get', 'ipamblocks.crd.projectcalico.org', '-o', 'name'])).stdout;
    await until('the old blocks have gone', async () => !/10-82|fd82/.test(await blocks()), 60_000, 500);
  },
  180_000,
);

interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly objectRef?: { readonly apiGroup?: string; readonly resource: string; readonly subresource?: string };
  readonly responseStatus?: { readonly code?: number };
}

async function auditEvents(): Promise<readonly AuditEvent[]> {
  const lines = (await readFile(auditLog, 'utf8')).split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as AuditEvent);
}

test.skipIf(reason)(title('of all that, nothing was refused'), async () => {
  const events = await auditEvents();
  expect(events.length).toBeGreaterThan(50);
  const refused = events.filter(({ responseStatus }) => responseStatus?.code === 403);
  expect(refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([]);
});

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** Where only projectcalico.org/v3 is served, the same is asked for there, and one kind has another name. */
const calicoGroup = 'projectcalico.org';
const nameInStore = (resource: string): string => (resource === 'ipamconfigurations' ? 'ipamconfigs' : resource);

/** A handle is changed only where an owner's addresses come or go one after the other: test/src/ipam has the cases. */
const seldom = ['update ipamhandles crd.projectcalico.org'];

test.skipIf(reason)(title('and each verb of each rule in the manifest was used'), async () => {
  const documents = parseAllDocuments(await readFile(`${deploy}/manifests/rbac.yaml`, 'utf8'));
  const rules = documents.flatMap((each) => (each.toJS() as { rules?: Rule[] }).rules ?? []);
  const granted = rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups
      .filter((group) => group !== calicoGroup)
      .flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${nameInStore(resource)} ${group}`)),
      ),
  );
  const used = new Set(
    (await auditEvents()).flatMap(({ verb, objectRef }) => {
      if (objectRef === undefined) return [];
      const { apiGroup = '', resource, subresource } = objectRef;
      return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`} ${apiGroup}`;
    }),
  );
  expect(granted.length).toBeGreaterThan(50);
  expect(granted.filter((each) => !used.has(each) && !seldom.includes(each))).toEqual([]);
});
