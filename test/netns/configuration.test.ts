// What an operator writes: every mistake in one message with file, line and path, the last good configuration in force,
// and a change that takes effect by itself.
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DataCentre, type LabNode, buildDataCentre, meshConfiguration } from '../lab/datacentre.ts';
import { run } from '../lab/host.ts';
import { type Programs, buildPrograms } from '../lab/programs.ts';
import { until } from '../lab/until.ts';
import { allEstablished } from '../lab/wait.ts';

const folder = '/run/lab/configuration';
const wrong = `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: overlapping}
spec: {cidr: 10.82.128.0/20}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: bad-prefix}
spec: {cidr: 10.99.0.1/20}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: worker-9}
spec: {bgp: {ipv4Address: 10.250.1.11/24}}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor-b}
spec:
  peerIP: 10.250.1.253
  asNumber: 65001
  pasword: {secretKeyRef: {name: bgp, key: tor-b}}
---
apiVersion: projectmanx.org/v1
kind: PeerOptions
metadata: {name: tor-a}
spec: {peers: [tor-v4], passwordFile: nowhere.txt}
`;
let centre: DataCentre;
let programs: Programs;

beforeAll(async () => {
  programs = await buildPrograms(`${folder}/dist`);
  const configuration = meshConfiguration(2);
  centre = await buildDataCentre({ prefix: 'cf-', folder, programs, nodeCount: 2, configuration });
  await until('the mesh is up', () => allEstablished(centre.nodes[0]!), 30_000, 100);
});
afterAll(() => centre?.[Symbol.asyncDispose]());

test('all problems come in one message, each with file, line and path, and the last good configuration stays', async () => {
  await writeFile(`${centre.config}/wrong.yaml`, wrong.replace('peers: [tor-v4]', 'mesh: true'));
  const [node] = centre.nodes as [LabNode];
  await until('the problems are reported', async () =>
    (await node.manxctl('node', 'status')).stdout.includes('problem'),
  );

  const check = await run(process.execPath, [programs.manxd, '--check', centre.config], { mayFail: true });
  expect(check.code).toBe(1);
  const lines = (check.stdout + check.stderr).split('\n').filter((line) => line.includes('wrong.yaml:'));
  expect(lines.join('\n')).toMatch(/wrong\.yaml:\d+ +IPPool overlapping +spec\.cidr: .*overlaps.*pods-v4/);
  expect(lines.join('\n')).toMatch(/wrong\.yaml:\d+ +IPPool bad-prefix +spec\.cidr: .*host bits/);
  expect(lines.join('\n')).toMatch(/wrong\.yaml:\d+ +Node worker-9 +spec\.bgp\.ipv4Address: .*worker-1/);
  expect(lines.join('\n')).toMatch(
    /wrong\.yaml:\d+ +BGPPeer tor-b +spec\.pasword: unknown field \(did you mean password\?\)/,
  );
  expect(lines.join('\n')).toMatch(/wrong\.yaml:\d+ +PeerOptions tor-a +spec\.passwordFile: .*nowhere\.txt/);
  expect(lines.length).toBe(5);
  expect(await allEstablished(node)).toBe(true);
});

test('a file made right takes effect by itself', async () => {
  const [node] = centre.nodes as [LabNode];
  await writeFile(
    `${centre.config}/wrong.yaml`,
    `apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor-b}
spec: {peerIP: 10.250.1.253, asNumber: 65001}
`,
  );
  await until('the new peer is there', async () =>
    (await node.manxctl('bgp', 'peers')).stdout.includes('10.250.1.253'),
  );
  const { stdout } = await node.manxctl('node', 'status');
  expect(stdout).not.toContain('problem');
});

test('another priority moves every route that BGP has brought to its metric, and leaves none behind', async () => {
  const [node, other] = centre.nodes as [LabNode, LabNode];
  await centre.addPod('pod-there', other);
  const routes = async (): Promise<string[]> =>
    (await node.host.ip('route show proto 201')).split('\n').filter((line) => line.includes(' via '));
  await until('routes of the mesh are in the kernel', async () => (await routes()).length > 0);
  const before = (await routes()).map((line) => line.split(' ')[0]);
  const bgp = (await readFile(`${centre.config}/bgp.yaml`, 'utf8')).replace(
    'nodeToNodeMeshEnabled: true',
    'nodeToNodeMeshEnabled: true, ipv4NormalRoutePriority: 512',
  );
  await writeFile(`${centre.config}/bgp.yaml`, bgp);
  await until('every route has the new metric', async () =>
    (await routes()).every((line) => line.includes('metric 512')),
  );
  expect((await routes()).map((line) => line.split(' ')[0])).toEqual(before);
});
