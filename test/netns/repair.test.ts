// What somebody else does to a node's routes: a route of ours that is gone comes back, a route that is not ours stays.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DataCentre, type LabNode, buildDataCentre, meshConfiguration } from '../lab/datacentre.ts';
import { buildPrograms } from '../lab/programs.ts';
import { until } from '../lab/until.ts';
import { nodesConverged } from '../lab/wait.ts';

const folder = '/run/lab/repair';
let centre: DataCentre;

beforeAll(async () => {
  const programs = await buildPrograms(`${folder}/dist`);
  centre = await buildDataCentre({
    ...{ prefix: 'rp-', folder, programs, nodeCount: 2 },
    configuration: meshConfiguration(2),
  });
  for (const [index, node] of centre.nodes.entries()) await centre.addPod(`pod-${index}`, node);
  await nodesConverged(centre);
});
afterAll(() => centre?.[Symbol.asyncDispose]());

const ownRoutes = async (): Promise<string> => {
  const { host } = centre.nodes[0]!;
  return (await host.ip('-4 route show proto 201')) + (await host.ip('-6 route show proto 201'));
};

test('each route of ours that is deleted by hand is back within a second', async () => {
  const { host } = centre.nodes[0]!;
  const before = await ownRoutes();
  const routes = before
    .trim()
    .split('\n')
    .map((line) => line.trim());
  expect(routes.length).toBe(6); // per family: our block's blackhole, the other node's block, the pod
  for (const route of routes) {
    const prefix = route.replace(/^blackhole /, '').split(' ')[0]!;
    await host.ip(
      `${prefix.includes(':') ? '-6 ' : ''}route del ${route.startsWith('blackhole') ? 'blackhole ' : ''}${prefix} proto 201`,
    );
    await until(`${route} is back`, async () => (await ownRoutes()) === before, 1000);
  }
});

test("somebody else's route for the same prefix is left alone and reported, and ours comes in when it goes", async () => {
  const [node, other] = centre.nodes as [LabNode, LabNode];
  const block = (await other.host.ip('-4 route show proto 201 type blackhole')).split(' ')[1]!;
  // Somebody's own tool may replace ours in one step, and leaves no moment to be quicker in.
  await node.host.ip(`route replace ${block} via 10.250.1.254 proto static metric 1024`);
  await until('it is reported', async () => {
    const { stdout } = await node.manxctl('fib', 'diff');
    return stdout.includes(block) && stdout.includes('static');
  });
  expect(await node.host.ip(`route show ${block}`)).toMatch(/via 10\.250\.1\.254 dev eth0 proto static metric 1024/);
  expect(await node.host.ip(`route show ${block} proto 201`)).toBe('');

  await node.host.ip(`route del ${block} proto static`);
  await until('ours is in', async () =>
    (await node.host.ip(`route show ${block} proto 201`)).includes('via 10.250.1.12'),
  );
});
