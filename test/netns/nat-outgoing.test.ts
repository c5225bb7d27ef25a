// natOutgoing on the wire: under which address the data centre sees a pod, what becomes of streams that are open when
// that changes, and that pods, nodes' own packets and other pools are left alone.
import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DataCentre, type LabNode, type Pod, buildDataCentre, meshConfiguration } from '../lab/datacentre.ts';
import { hostAddresses, nodeAddresses, torAddresses } from '../lab/fabric.ts';
import type { Host } from '../lab/host.ts';
import { lacking } from '../lab/needs.ts';
import { buildPrograms } from '../lab/programs.ts';
import { until } from '../lab/until.ts';
import { nodesConverged } from '../lab/wait.ts';

const why = lacking('nft');
const folder = '/run/lab/nat';
/** In a pool that no pod is in, and yet a host behind the router. */
const poolB = '10.90.0.5';
let centre: DataCentre;
let worker: LabNode;
let pod: Pod;
let far: Pod;
const [node4, node6] = nodeAddresses(1);

/** Answers whoever connects with the address that it sees, and then with whatever it is sent. */
const server = `require('node:net').createServer((socket) => {
  socket.on('error', () => undefined);
  socket.write(socket.remoteAddress.replace('::ffff:', '') + '\\n');
  socket.pipe(socket);
}).listen(8000, '::', () => console.log('listening'))`;
const client = `const socket = require('node:net').connect(8000, process.argv[1]);
socket.on('error', (error) => { console.log(error.code); process.exit(1); });
socket.pipe(process.stdout);
process.stdin.pipe(socket);`;

beforeAll(async () => {
  if (why !== undefined) return;
  const programs = await buildPrograms(`${folder}/dist`);
  centre = await buildDataCentre({
    ...{ prefix: 'no-', folder, programs, nodeCount: 2 },
    configuration: meshConfiguration(2),
  });
  worker = centre.nodes[0]!;
  pod = await centre.addPod('pod', worker);
  far = await centre.addPod('far', centre.nodes[1]!);
  const { tor, host } = centre.fabric;
  // The data centre's way to the pods of worker-1, whose own address need not be known there for natOutgoing.
  await tor.ip(`route add 10.82.0.0/16 via ${node4}`);
  await tor.ip(`-6 route add fd82::/48 via ${node6}`);
  await tor.ip(`route add ${poolB}/32 via ${hostAddresses[0]}`);
  await host.ip(`addr add ${poolB}/32 dev lo`);
  // As kube-proxy does on every node of a cluster: NAT is in place, and streams are known to it, before we come.
  const others = `table inet others { chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 192.0.2.1 masquerade
  }\n}\n`;
  await worker.host.run('nft', ['-f', '-'], { input: others });
  await worker.host.ip(`route add default via ${torAddresses[0]}`);
  await worker.host.ip(`-6 route add default via ${torAddresses[1]}`);
  for (const each of [host, far.host]) {
    const listening = each.start(process.execPath, ['-e', server], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(listening.stdout!, 'data');
  }
  await nodesConverged(centre);
}, 300_000);
afterAll(() => centre?.[Symbol.asyncDispose]());

/** A stream that stays open: as whom the other side sees us, and whether what is sent comes back. */
async function openStream(
  from: Host,
  to: string,
): Promise<{ source: string; child: ChildProcess; alive(): Promise<boolean> }> {
  const child = from.start(process.execPath, ['-e', client, to], { stdio: ['pipe', 'pipe', 'inherit'] });
  let heard = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (heard += text));
  await until(`an answer from ${to}`, () => heard.includes('\n'));
  let serial = 0;
  const alive = async (): Promise<boolean> => {
    const word = `<${++serial}>`;
    child.stdin!.write(word);
    return until(`${word} comes back`, () => heard.includes(word), 1500).catch(() => false);
  };
  return { source: heard.trim(), child, alive };
}

async function sourceSeen(from: Host, to: string): Promise<string> {
  const { source, child } = await openStream(from, to);
  child.kill();
  return source;
}

async function setNatOutgoing(on: boolean): Promise<void> {
  const pools = ['{cidr: 10.82.0.0/16, blockSize: 26', '{cidr: "fd82::/48", blockSize: 122'].map(
    (spec, i) => `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods-v${i === 0 ? 4 : 6}}
spec: ${spec}, natOutgoing: ${on}}
---
`,
  );
  const other = `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: other}
spec: {cidr: 10.90.0.0/24, disabled: true}
`;
  await writeFile(`${centre.config}/pools.yaml`, pools.join('') + other);
  await until(`the table is ${on ? 'there' : 'gone'}`, async () => (await tableThere()) === on);
}

async function tableThere(): Promise<boolean> {
  return (await worker.host.run('nft', ['list', 'table', 'inet', 'manx'], { mayFail: true })).code === 0;
}

test.skipIf(why)(`without natOutgoing the data centre sees pods under their own addresses ${why ?? ''}`, async () => {
  expect(await tableThere()).toBe(false);
  expect(await sourceSeen(pod.host, hostAddresses[0])).toBe(pod.addresses[0]);
  expect(await sourceSeen(pod.host, hostAddresses[1])).toBe(pod.addresses[1]);
});

test.skipIf(why)(`with it, as the node; pods, other pools and nodes see the pod itself ${why ?? ''}`, async () => {
  await setNatOutgoing(true);
  expect(await sourceSeen(pod.host, hostAddresses[0])).toBe(node4);
  expect(await sourceSeen(pod.host, hostAddresses[1])).toBe(node6);
  expect(await sourceSeen(pod.host, far.addresses[0]!)).toBe(pod.addresses[0]);
  expect(await sourceSeen(pod.host, far.addresses[1]!)).toBe(pod.addresses[1]);
  expect(await sourceSeen(pod.host, poolB)).toBe(pod.addresses[0]);
  expect(await sourceSeen(worker.host, hostAddresses[0])).toBe(node4);
});

test.skipIf(why)(
  `a stream keeps the address under which it began when natOutgoing is switched on ${why ?? ''}`,
  async () => {
    await setNatOutgoing(false);
    const early = await openStream(pod.host, hostAddresses[0]);
    expect(early.source).toBe(pod.addresses[0]);
    await setNatOutgoing(true);
    expect(await early.alive()).toBe(true);
    expect(await sourceSeen(pod.host, hostAddresses[0])).toBe(node4);
  },
);

test.skipIf(why)(
  `open streams outlive a change of the table, a repair and a restart of the agent ${why ?? ''}`,
  async () => {
    const stream = await openStream(pod.host, hostAddresses[0]);
    expect(stream.source).toBe(node4);
    await worker.stopAgent('SIGKILL');
    expect(await stream.alive()).toBe(true);
    await worker.host.run('nft', ['flush', 'set', 'inet', 'manx', 'nat-v4']);
    await worker.startAgent();
    await worker.ready();
    await until('the set is whole', async () => {
      const { stdout } = await worker.host.run('nft', ['list', 'set', 'inet', 'manx', 'nat-v4']);
      return stdout.includes('10.82.0.0/16');
    });
    expect(await stream.alive()).toBe(true);
    expect(await sourceSeen(pod.host, hostAddresses[0])).toBe(node4);
  },
);

test.skipIf(why)(
  `a stream under the node's address goes on when natOutgoing is switched off, new ones are the pod's ${why ?? ''}`,
  async () => {
    const stream = await openStream(pod.host, hostAddresses[0]);
    expect(stream.source).toBe(node4);
    await setNatOutgoing(false);
    expect(await stream.alive()).toBe(true);
    expect(await sourceSeen(pod.host, hostAddresses[0])).toBe(pod.addresses[0]);
    await setNatOutgoing(true);
    expect(await stream.alive()).toBe(true);
  },
);

test.skipIf(why)(`node status shows the table, and node cleanup takes it away ${why ?? ''}`, async () => {
  const { stdout } = await worker.manxctl('node', 'status');
  expect(stdout).toMatch(/^ {2}nft {6}table inet manx; checked \d+ m?s ago$/m);
  await worker.stopAgent();
  expect(await tableThere()).toBe(true);
  const cleaned = await worker.manxctl('node', 'cleanup', '--yes');
  expect(cleaned.stdout).toContain('nft table inet manx removed');
  expect(cleaned.code).toBe(0);
  expect(await tableThere()).toBe(false);
});
