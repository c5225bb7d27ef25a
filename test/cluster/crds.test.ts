// The CustomResourceDefinitions of deploy/crds on a real API server: it takes them, it takes what Calico itself stored,
// and it refuses what our parser refuses.
import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kindNames } from '../../src/kinds.ts';
import { type Kube, type KubeObject, openKube } from '../../src/kube/index.ts';
import { kinds } from '../../src/resources/index.ts';
import type { Kind } from '../../src/resources/types.ts';
import { readYamlDocuments, yamlValue } from '../../src/resources/yaml.ts';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { lacking } from '../lab/needs.ts';
import { wrongSpecs } from '../support/wrong-specs.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
let server: ApiServer;
let kube: Kube;

beforeAll(async () => {
  if (reason !== undefined) return;
  server = await startApiServer();
  kube = await openKube({ kubeconfig: server.kubeconfig });
  const folder = new URL('../../deploy/crds', import.meta.url).pathname;
  await server.kubectl(['apply', '--server-side', '-k', folder]);
  await server.kubectl([
    'wait',
    '--for=condition=Established',
    '--timeout=60s',
    'crd',
    '-l',
    'app.kubernetes.io/part-of=manx',
  ]);
}, 120_000);
afterAll(async () => {
  await kube?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const group = (kind: Kind): string => (kind === 'PeerOptions' ? 'projectmanx.org' : 'crd.projectcalico.org');
const place = (kind: Kind) => ({ group: group(kind), version: 'v1', plural: kindNames[kind].plural });
const object = (kind: Kind, name: string, spec: unknown): KubeObject => ({
  ...{ apiVersion: `${group(kind)}/v1`, kind, metadata: { name }, spec },
});
const onlyName: Partial<Record<Kind, string>> = { BGPConfiguration: 'default', IPAMConfig: 'default' };

const fixtures = new URL('../fixtures/calico/', import.meta.url);
const captured = readdirSync(fixtures)
  .filter((name) => name.startsWith('stored-'))
  .flatMap((name) => {
    const [document] = readYamlDocuments(readFileSync(new URL(name, fixtures), 'utf8'));
    return (yamlValue(document!) as { items: KubeObject[] }).items;
  });

describe.skipIf(reason)(title('the server'), () => {
  /** What CEL cannot reach: another language inside, and names that are defined elsewhere in the object. */
  const beyond = ['is not a selector', 'is neither a community nor a name'];
  const cases = wrongSpecs
    .filter(([kind, , problem]) => kind !== 'Node' && !beyond.some((words) => problem.includes(words)))
    .filter(([, , problem]) => !problem.includes('unknown field'));

  test('there are cases', () => expect(cases.length).toBeGreaterThan(75));

  test.each(cases)('refuses %s %j, as our parser does', async (kind, spec) => {
    const wrong = object(kind, onlyName[kind] ?? 'wrong', spec);
    await expect(kube.client.create(place(kind), wrong)).rejects.toMatchObject({ code: 'invalid' });
  });

  test.each([
    ['IPAMConfig', 'other', {}],
    ['BGPConfiguration', 'other', {}],
    ['BGPConfiguration', 'node.a', { asNumber: 64512 }],
    ['FelixConfiguration', 'other', {}],
    ['ClusterInformation', 'other', {}],
    ['KubeControllersConfiguration', 'other', {}],
  ] as const)('refuses %s %s %j', async (kind, name, spec) => {
    await expect(kube.client.create(place(kind), object(kind, name, spec))).rejects.toMatchObject({ code: 'invalid' });
  });

  test('tells kubectl of a field that there is not', async () => {
    const wrong = object('BGPPeer', 'wrong', { peerIP: '10.0.0.1', asNumber: 1, pasword: {} });
    const { stderr } = await server.kubectl(['create', '-f', '-'], { input: JSON.stringify(wrong), mayFail: true });
    expect(stderr).toContain('unknown field "spec.pasword"');
  });

  test('takes what Calico stored, and gives every number back as it was', async () => {
    expect(captured.length).toBeGreaterThan(25);
    for (const { apiVersion, kind, metadata, ...rest } of captured) {
      const { name, annotations = {}, labels = {} } = metadata;
      const path = place(kind as Kind);
      await kube.client.create(path, { apiVersion, kind, metadata: { name, annotations, labels }, ...rest });
      const stored = await kube.client.get(path, name);
      expect(stored?.['spec']).toEqual(rest['spec']);
    }
  });

  test('keeps the prefix and block size of a pool as they were created', async () => {
    const pool = object('IPPool', 'fixed', { cidr: '10.90.0.0/16' });
    await kube.client.create(place('IPPool'), pool);
    const patch = (spec: object) => kube.client.patch(place('IPPool'), 'fixed', { type: 'merge', body: { spec } });
    await expect(patch({ cidr: '10.91.0.0/16' })).rejects.toMatchObject({ code: 'invalid' });
    await expect(patch({ blockSize: 27 })).rejects.toMatchObject({ code: 'invalid' });
    // Saying the default aloud changes nothing.
    await patch({ blockSize: 26, disabled: true });
  });

  test.each(['FelixConfiguration', 'ClusterInformation', 'IPAMBlock', 'BlockAffinity', 'IPAMHandle'] as const)(
    'keeps a field of %s that only a later version knows',
    (kind) => expect(kinds[kind].spec).toMatchObject({ open: true }),
  );

  test('keeps what Felix has and we do not know', async () => {
    const path = place('FelixConfiguration');
    const spec = { bpfLogLevel: 'Debug', routeTableRanges: [{ min: 1, max: 250 }], routeRefreshInterval: '90s' };
    const stored = await kube.client.create(path, object('FelixConfiguration', 'default', spec));
    expect(stored['spec']).toEqual(spec);
  });

  test('has an answer for kubectl get of every kind', async () => {
    const { stdout } = await server.kubectl(['get', 'ippools,bgpp,affinity,nrs', '-o', 'wide']);
    expect(stdout).toMatch(/NAME +CIDR +BLOCK +NAT +DISABLED +NODES +ALLOCATABLE +USES +AGE/);
    expect(stdout).toMatch(/pods-v4 +10\.82\.0\.0\/24 +29 +true/);
    expect(stdout).toMatch(/tor-a +10\.250\.1\.254:1179 +65001/);
    await server.kubectl(['get', 'manx']);
  });
});
