// The API server of the tests itself: whether what stands on it stands on a real one.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { lacking } from '../lab/needs.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl');
let server: ApiServer;

beforeAll(async () => {
  if (reason === undefined) server = await startApiServer({ users: { 'system:node:worker-1': ['system:nodes'] } });
});
afterAll(() => server?.[Symbol.asyncDispose]());

const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);

test.skipIf(reason)(title('a custom resource is defined, created and read back'), async () => {
  await server.apply({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'cats.test.projectmanx.org' },
    spec: {
      group: 'test.projectmanx.org',
      scope: 'Cluster',
      names: { kind: 'Cat', plural: 'cats', singular: 'cat' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: catSchema } }],
    },
  });
  await server.kubectl(['wait', '--for=condition=Established', 'crd/cats.test.projectmanx.org']);
  const cat = {
    apiVersion: 'test.projectmanx.org/v1',
    kind: 'Cat',
    metadata: { name: 'felix' },
    spec: { tail: false },
  };
  await server.apply(cat);
  const { stdout } = await server.kubectl(['get', 'cats', 'felix', '-o', 'json']);
  expect(JSON.parse(stdout)).toMatchObject(cat);
});
const catSchema = {
  type: 'object',
  properties: { spec: { type: 'object', properties: { tail: { type: 'boolean' } } } },
};

test.skipIf(reason)(title('a node of the cluster may write its own Node and no other'), async () => {
  const kubeconfig = await server.kubeconfigFor('system:node:worker-1');
  const create = (name: string) =>
    server.kubectl(['--kubeconfig', kubeconfig, 'create', '-f', '-'], {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name } }),
      mayFail: true,
    });
  expect(await create('worker-1')).toMatchObject({ code: 0 });
  expect((await create('worker-2')).stderr).toContain('is not allowed to modify node "worker-2"');
});

test.skipIf(reason)(title('a service account gets a token that the server knows'), async () => {
  await server.kubectl(['create', 'serviceaccount', 'cat']);
  const token = await server.serviceAccountToken('default', 'cat');
  const { stdout } = await server.kubectl(['--token', token, 'auth', 'whoami', '-o', 'json']);
  expect(JSON.parse(stdout)).toMatchObject({ status: { userInfo: { username: 'system:serviceaccount:default:cat' } } });
});

test.skipIf(reason)(title('what was written is still there after etcd and the server were killed'), async () => {
  await server.kubectl(['create', 'configmap', 'kept']);
  await server.etcd.stop();
  await server.stop();
  await server.etcd.start();
  await server.start();
  expect((await server.kubectl(['get', 'configmap', 'kept', '-o', 'name'])).stdout).toBe('configmap/kept\n');
});
