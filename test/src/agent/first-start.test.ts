// What the first agent of a cluster makes, and that a hundred first agents make it once.
import { expect, test } from 'vitest';
import { prepareCluster } from '../../../src/agent/first-start.ts';
import { createLog } from '../../../src/log.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { pool } from '../../support/resources.ts';

const { log } = createLog({ level: 'fatal', node: 'a' });
const v4 = pool('default-ipv4-ippool', '10.82.0.0/16', { natOutgoing: true });
const v6 = pool('default-ipv6-ippool', 'fd82::/48');

test('what calicoctl insists on is made as Calico makes it', async () => {
  const store = createMemoryStore();
  await prepareCluster(store, [], log);
  const information = await store.get('ClusterInformation', 'default');
  expect(information?.spec).toEqual({
    clusterGUID: expect.stringMatching(/^[0-9a-f]{32}$/),
    clusterType: 'k8s,kdd',
    datastoreReady: true,
  });
  expect((await store.get('KubeControllersConfiguration', 'default'))?.spec).toEqual({
    controllers: {},
    healthChecks: 'Enabled',
  });
  expect(await store.list('IPPool')).toEqual([]);
});

test('what is there already stays as it is', async () => {
  const store = createMemoryStore({
    ...{ apiVersion: 'projectcalico.org/v3', kind: 'ClusterInformation', metadata: { name: 'default' } },
    spec: { clusterGUID: 'calicos', calicoVersion: 'v3.33.0' },
  });
  await prepareCluster(store, [], log);
  expect((await store.get('ClusterInformation', 'default'))?.spec).toEqual({
    clusterGUID: 'calicos',
    calicoVersion: 'v3.33.0',
  });
});

test('a pool is made for a family that has none', async () => {
  const store = createMemoryStore(pool('mine', '10.0.0.0/16'));
  await prepareCluster(store, [v4, v6], log);
  expect((await store.list('IPPool')).map(({ metadata }) => metadata.name)).toEqual(['default-ipv6-ippool', 'mine']);
});

test('a hundred agents that start together make one of each', async () => {
  const store = createMemoryStore();
  await Promise.all(Array.from({ length: 100 }, () => prepareCluster(store, [v4, v6], log)));
  expect(await store.list('ClusterInformation')).toHaveLength(1);
  expect(await store.list('KubeControllersConfiguration')).toHaveLength(1);
  expect(await store.list('IPPool')).toHaveLength(2);
});
