// The main job, end to end: three nodes, BIRD as top-of-rack router, pods wired by the real plugin.
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bird } from '../lab/bird.ts';
import { type DataCentre, type LabNode, buildDataCentre, everyone } from '../lab/datacentre.ts';
import { hostAddresses, nodeAddresses } from '../lab/fabric.ts';
import { lacking } from '../lab/needs.ts';
import { buildPrograms } from '../lab/programs.ts';
import { unreachable } from '../lab/reach.ts';
import { startTor } from '../lab/tor.ts';
import { converged } from '../lab/wait.ts';
import { startWhoami, whoami } from '../lab/whoami.ts';

const reason = lacking('bird', 'ping', 'tcpdump');
const folder = '/run/lab/datacentre';
let centre: DataCentre;
let tor: Bird;

beforeAll(async () => {
  if (reason !== undefined) return;
  const programs = await buildPrograms(`${folder}/dist`);
  centre = await buildDataCentre({ prefix: 'dc-', folder, programs });
  tor = (await startTor(centre, programs))!;
  for (const [index, name] of ['a', 'b', 'c', 'd', 'e', 'f'].entries()) {
    await centre.addPod(`pod-${name}`, centre.nodes[index % 3]!);
  }
  await converged(centre);
  await startWhoami(centre.fabric.host);
});
afterAll(() => centre?.[Symbol.asyncDispose]());

const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);

test.skipIf(reason)(title('every pod, every node and the host reach one another, IPv4 and IPv6'), async () => {
  const { tried, lost } = await unreachable(everyone(centre));
  expect(lost).toEqual([]);
  expect(tried).toBe(10 * 9 * 2);
});

test.skipIf(reason)(title("captured packets carry the pod's own address at the other end"), async () => {
  const [pod] = centre.pods;
  for (const [index, address] of hostAddresses.entries()) {
    const capture = centre.fabric.host.start(
      'tcpdump',
      ['-Z', 'root', '--immediate-mode', '-n', '-l', '-c', '1', '-i', 'eth0', 'tcp dst port 7007'],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    await once(createInterface(capture.stderr!), 'line'); // tcpdump says that it listens
    const captured = once(createInterface(capture.stdout!), 'line') as Promise<[string]>;
    expect(await whoami(pod!.host, address)).toBe(pod!.addresses[index]);
    expect((await captured)[0]).toContain(` ${pod!.addresses[index]}.`);
  }
});

test.skipIf(reason)(title('a node reaches a pod of another node from its own address'), async () => {
  const pod = centre.pods[1]!;
  await startWhoami(pod.host);
  const seen = await Promise.all(pod.addresses.map((address) => whoami(centre.nodes[0]!.host, address)));
  expect(seen).toEqual(nodeAddresses(1));
});

test.skipIf(reason)(title('the router shows one aggregate block a node and no pod inside it'), async () => {
  for (const [family, length] of [
    [4, 26],
    [6, 122],
  ] as const) {
    const routes = await tor.birdc(`show route table master${family}`);
    const pool = family === 4 ? /^10\.82\.\S+/gm : /^fd82:\S+/gm;
    const prefixes = new Set(routes.match(pool));
    expect([...prefixes].map((prefix) => prefix.split('/')[1])).toEqual(Array(3).fill(String(length)));
  }
});

test.skipIf(reason)(title("each node's kernel has exactly the expected routes under our protocol number"), async () => {
  const blocks = await Promise.all(centre.nodes.map((node) => ownBlocks(node)));
  for (const [index, node] of centre.nodes.entries()) {
    const pods = centre.pods.filter((pod) => pod.node === node);
    for (const family of [0, 1] as const) {
      const expected = [
        `blackhole ${blocks[index]![family]}`,
        ...pods.map((pod) => `${pod.addresses[family]} dev`),
        ...blocks.flatMap((own, other) =>
          other === index ? [] : [`${own[family]} via ${nodeAddresses(other + 1)[family]}`],
        ),
        `${['198.51.100.0/24', 'fd10:250:100::/64'][family]} via ${['10.250.1.254', 'fd10:250:1::254'][family]}`,
      ];
      const lines = (await node.host.ip(`${family === 0 ? '-4' : '-6'} route show proto 201`)).trim().split('\n');
      const seen = lines.map((line) => line.match(/^(blackhole \S+|\S+ (?:via \S+|dev))/)?.[1] ?? line);
      expect(seen.sort()).toEqual(expected.sort());
    }
  }
});

/** The blocks of a node, by family, as its kernel's blackholes say. */
async function ownBlocks(node: LabNode): Promise<readonly [string, string]> {
  const [v4, v6] = await Promise.all(
    ['-4', '-6'].map(
      async (flag) => (await node.host.ip(`${flag} route show proto 201 type blackhole`)).split(' ')[1]!,
    ),
  );
  return [v4!, v6!];
}
