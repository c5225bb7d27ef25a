// A range of Services that is announced must not become a circle: packets to an address that no Service has would go
// back by the default route to the router that sent them, until their TTL ends.
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DataCentre, type LabNode, type Pod, buildDataCentre, meshConfiguration } from '../lab/datacentre.ts';
import { nodeAddresses, torAddresses } from '../lab/fabric.ts';
import type { Host } from '../lab/host.ts';
import { lacking } from '../lab/needs.ts';
import { buildPrograms } from '../lab/programs.ts';
import { until } from '../lab/until.ts';

const why = lacking('nft', 'ping');
const folder = '/run/lab/loops';
const range = '203.0.113.0/24';
const service = '203.0.113.7';
const nobody = '203.0.113.9';
let centre: DataCentre;
let worker: LabNode;
let pod: Pod;

const listener = `require('node:net').createServer((socket) => socket.end('served\\n'))
  .listen(8000, () => console.log('listening'))`;
const caller = `const socket = require('node:net').connect(80, process.argv[1]);
socket.on('error', (error) => { console.log(error.code); process.exit(1); });
socket.pipe(process.stdout);
setTimeout(() => { console.log('silence'); process.exit(1); }, 3000).unref();`;

beforeAll(async () => {
  if (why !== undefined) return;
  const programs = await buildPrograms(`${folder}/dist`);
  const configuration = meshConfiguration(1);
  const bgp = configuration['bgp.yaml']!.replace('spec: {', `spec: {serviceExternalIPs: [{cidr: ${range}}], `);
  const settings = { ...configuration, 'bgp.yaml': bgp };
  centre = await buildDataCentre({ prefix: 'sl-', folder, programs, nodeCount: 1, configuration: settings });
  worker = centre.nodes[0]!;
  pod = await centre.addPod('pod', worker);
  const { tor } = centre.fabric;
  await tor.ip(`route add ${range} via ${nodeAddresses(1)[0]}`);
  await tor.ip(`route add 10.82.0.0/16 via ${nodeAddresses(1)[0]}`);
  await worker.host.ip(`route add default via ${torAddresses[0]}`);
  // What kube-proxy does for a Service with one endpoint, for packets from outside and for the node's own.
  const translate = `ip daddr ${service} tcp dport 80 dnat ip to ${pod.addresses[0]}:8000`;
  const proxy = `table ip proxy {
    chain services { type nat hook prerouting priority dstnat; ${translate}; }
    chain local { type nat hook output priority -100; ${translate}; }
  }\n`;
  await worker.host.run('nft', ['-f', '-'], { input: proxy });
  const listening = pod.host.start(process.execPath, ['-e', listener], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(listening.stdout!, 'data');
}, 300_000);
afterAll(() => centre?.[Symbol.asyncDispose]());

async function prevention(how: 'Drop' | 'Reject' | 'Disabled'): Promise<void> {
  const yaml = `apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {serviceLoopPrevention: ${how}}
`;
  await writeFile(`${centre.config}/felix.yaml`, yaml);
  const wanted = { Drop: ' drop', Reject: ' reject', Disabled: 'no table' }[how];
  await until(`prevention is ${how}`, async () => {
    const { code, stdout } = await worker.host.run('nft', ['list', 'table', 'inet', 'manx'], { mayFail: true });
    return (code === 0 ? stdout : 'no table').includes(wanted);
  });
}

/** What a ping of the address that nobody has is told. */
async function pingNobody(from: Host): Promise<string> {
  return (await from.run('ping', ['-n', '-c', '1', '-W', '1', nobody], { mayFail: true })).stdout;
}

async function call(from: Host): Promise<string> {
  return (await from.run(process.execPath, ['-e', caller, service], { mayFail: true })).stdout.trim();
}

test.skipIf(why)(`a range without anything against it is a circle ${why ?? ''}`, async () => {
  await prevention('Disabled');
  expect(await pingNobody(centre.fabric.host)).toContain('Time to live exceeded');
});

test.skipIf(why)(`with Drop packets to an address that no Service has end at the node ${why ?? ''}`, async () => {
  await prevention('Drop');
  const said = await pingNobody(centre.fabric.host);
  expect(said).toContain('100% packet loss');
  expect(said).not.toContain('exceeded');
});

test.skipIf(why)(`with Reject the sender is told ${why ?? ''}`, async () => {
  await prevention('Reject');
  expect(await pingNobody(centre.fabric.host)).toContain('Destination Host Unreachable');
});

test.skipIf(why)(
  `a Service is reached all the while: from outside, from the node and from a pod ${why ?? ''}`,
  async () => {
    await prevention('Drop');
    expect(await call(centre.fabric.host)).toBe('served');
    expect(await call(worker.host)).toBe('served');
    const other = await centre.addPod('other', worker);
    expect(await call(other.host)).toBe('served');
  },
);

test.skipIf(why)(
  `a blackhole route in its place would keep the node itself from the Service ${why ?? ''}`,
  async () => {
    await worker.host.ip(`route add blackhole ${range}`);
    expect(await call(centre.fabric.host)).toBe('served');
    expect(await call(worker.host)).toBe('EINVAL');
    await worker.host.ip(`route del blackhole ${range}`);
  },
);
