// What is asked of the API server for names alone, over real HTTP.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openKube } from '../../../src/kube/index.ts';
import { startFakeKube } from '../../support/fake-kube.ts';

const blocks = { group: 'crd.projectcalico.org', version: 'v1', plural: 'ipamblocks' };

test('names cost the server a table without objects out of its memory, in one answer', async () => {
  await using fake = await startFakeKube();
  const folder = await mkdtemp(join(tmpdir(), 'manx-names-'));
  await using kube = await openKube({ kubeconfig: await fake.kubeconfig(join(folder, 'config')) });
  const collection = '/apis/crd.projectcalico.org/v1/ipamblocks';
  for (const name of ['10-82-0-0-26', '10-82-0-64-26']) {
    fake.put(collection, { apiVersion: 'crd.projectcalico.org/v1', kind: 'IPAMBlock', metadata: { name } });
  }
  expect(await kube.client.names(blocks)).toEqual(['10-82-0-0-26', '10-82-0-64-26']);
  const [request, ...more] = fake.requests;
  expect(more).toEqual([]);
  expect([request!.path, Object.fromEntries(request!.query)]).toEqual([
    collection,
    { resourceVersion: '0', includeObject: 'None' },
  ]);
  expect(request!.headers.accept).toBe('application/json;as=Table;v=v1;g=meta.k8s.io,application/json');
  await rm(folder, { recursive: true });
});
