// What `kubectl apply -k deploy` and the chart apply: the same, and taken by a real API server without a word of warning.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { run } from '../lab/host.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { pinnedVersion } from '../lab/kubernetes/programs.ts';
import { lacking } from '../lab/needs.ts';

const deploy = new URL('../../deploy', import.meta.url).pathname;
const reason = lacking('kubernetes', 'etcd', 'openssl');
const because = (why: string | undefined): string => (why === undefined ? '' : ` (skipped: ${why})`);
let server: ApiServer;
beforeAll(async () => {
  if (reason === undefined) server = await startApiServer();
}, 120_000);
afterAll(() => server?.[Symbol.asyncDispose]());

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** By kind, namespace and name, whatever the order in the text. */
function objectsIn(text: string): ReadonlyMap<string, Manifest> {
  const manifests = parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
  return new Map(
    manifests.map((one) => [`${one.kind} ${one.metadata.namespace ?? ''} ${one.metadata.name}`, one] as const),
  );
}

const kustomized = async (folder: string): Promise<string> =>
  (await run('kubectl', ['kustomize', `${deploy}/${folder}`])).stdout;

/** Built without Kubernetes's version in it, Helm believes in an old one. */
const version = ['--kube-version', pinnedVersion()];
const noHelm = lacking('kubernetes', 'helm');
const chart = async (...args: string[]): Promise<string> =>
  (await run('helm', ['template', 'manx', `${deploy}/helm/manx`, '--namespace', 'manx-system', ...version, ...args]))
    .stdout;

test.skipIf(noHelm)(
  `the chart renders what kubectl apply -k applies, but for the namespace${because(noHelm)}`,
  async () => {
    const [ours, charts] = [await kustomized('.'), await chart('--include-crds')].map(objectsIn);
    const rest = [...ours!].filter(([name]) => name !== 'Namespace  manx-system');
    expect(rest.length).toBeGreaterThan(20);
    expect([...charts!.keys()].sort()).toEqual(rest.map(([name]) => name).sort());
    for (const [name, manifest] of rest) expect(charts!.get(name), name).toEqual(manifest);
  },
);

test.skipIf(noHelm)(`the chart takes another image, flags and folders${because(noHelm)}`, async () => {
  const settings = ['image.repository=r.example/manx', 'image.tag=9', 'config.MANX_LOG_LEVEL=debug', 'host.cniNet=/x'];
  const text = await chart(...settings.flatMap((setting) => ['--set', setting]));
  for (const wanted of ['image: "r.example/manx:9"', 'MANX_LOG_LEVEL: debug', 'path: /x'])
    expect(text).toContain(wanted);
});

describe.skipIf(reason)(`the API server${because(reason)}`, () => {
  const strictly = ['apply', '--dry-run=server', '--validate=strict'];

  beforeAll(async () => {
    // A dry run makes no namespace for what comes after it.
    await server.kubectl(['apply', '-f', `${deploy}/manifests/namespace.yaml`]);
    await server.kubectl(['create', 'namespace', 'manx-uninstall']);
  });

  test.each(['.', 'overlays/calico-crds', 'uninstall'])('takes deploy/%s', async (folder) => {
    const { stdout, stderr } = await server.kubectl([...strictly, '-k', `${deploy}/${folder}`]);
    expect(stdout).toContain('daemonset.apps/manx');
    const warnings = stderr.split('\n').filter((line) => line !== '' && !/last-applied-configuration/.test(line));
    expect(warnings).toEqual([]);
  });

  test.skipIf(noHelm)(`takes what the chart renders${because(noHelm)}`, async () => {
    const { stdout } = await server.kubectl([...strictly, '-f', '-'], { input: await chart() });
    expect(stdout).toContain('daemonset.apps/manx');
  });

  test('leaves Calico its kinds where the overlay is applied', async () => {
    const names = [...objectsIn(await kustomized('overlays/calico-crds')).keys()];
    expect(names.filter((name) => name.includes('CustomResourceDefinition'))).not.toEqual([]);
    expect(names.filter((name) => name.includes('projectcalico'))).toEqual([]);
  });
});

describe.skipIf(reason)(`the agent's account${because(reason)}`, () => {
  beforeAll(async () => {
    await server.kubectl(['apply', '-k', `${deploy}/crds`]);
    const established = ['--for=condition=Established', '--timeout=60s', 'crd', '--all'];
    await server.kubectl(['wait', ...established]);
    await server.kubectl(['apply', '-f', `${deploy}/manifests/namespace.yaml`, '-f', `${deploy}/manifests/rbac.yaml`]);
  }, 90_000);

  const may = async (verb: string, resource: string, namespace?: string): Promise<boolean> => {
    const [name, part] = resource.split('/');
    const where = [...(namespace ? ['-n', namespace] : []), ...(part ? [`--subresource=${part}`] : [])];
    const who = ['--as', 'system:serviceaccount:manx-system:manx'];
    const { stdout } = await server.kubectl(['auth', 'can-i', verb, name!, ...where, ...who], { mayFail: true });
    return stdout.trim() === 'yes';
  };

  test.each([
    ['watch', 'nodes'],
    ['patch', 'nodes/status'],
    ['get', 'pods'],
    ['watch', 'pods'],
    ['watch', 'services'],
    ['watch', 'endpointslices.discovery.k8s.io'],
    ['create', 'events', 'default'],
    ['watch', 'secrets', 'manx-system'],
    ['update', 'leases.coordination.k8s.io', 'manx-system'],
    ['update', 'ipamblocks.crd.projectcalico.org'],
    ['watch', 'ippools.crd.projectcalico.org'],
    ['patch', 'caliconodestatuses.crd.projectcalico.org/status'],
    ['patch', 'ippools.crd.projectcalico.org/status'],
    ['patch', 'noderoutingstatuses.projectmanx.org'],
  ])('may %s %s', async (verb, resource, namespace?: string) => {
    expect(await may(verb, resource, namespace)).toBe(true);
  });

  test.each([
    ['list', 'secrets', 'kube-system'],
    ['create', 'secrets', 'manx-system'],
    ['create', 'pods', 'manx-system'],
    ['patch', 'pods', 'manx-system'],
    ['patch', 'nodes'],
    ['delete', 'nodes'],
    ['update', 'services'],
    ['update', 'leases.coordination.k8s.io', 'kube-system'],
    ['update', 'ippools.crd.projectcalico.org'],
    ['create', 'bgppeers.crd.projectcalico.org'],
    ['delete', 'noderoutingstatuses.projectmanx.org'],
    ['update', 'caliconodestatuses.crd.projectcalico.org'],
    ['delete', 'bgppeers.crd.projectcalico.org'],
    ['update', 'peeroptions.projectmanx.org'],
    ['create', 'clusterroles.rbac.authorization.k8s.io'],
  ])('may not %s %s', async (verb, resource, namespace?: string) => {
    expect(await may(verb, resource, namespace)).toBe(false);
  });
});
