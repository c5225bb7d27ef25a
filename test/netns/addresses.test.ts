// Addresses: never given twice, freed when a pod goes, also when the agent is away at that moment or is killed on the way.
import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DataCentre, type LabNode, type Pod, buildDataCentre, meshConfiguration } from '../lab/datacentre.ts';
import { createHost } from '../lab/host.ts';
import { buildPrograms } from '../lab/programs.ts';
import { until } from '../lab/until.ts';

const folder = '/run/lab/addresses';
let centre: DataCentre;

beforeEach(async () => {
  const programs = await buildPrograms(`${folder}/dist`);
  const configuration = meshConfiguration(2);
  centre = await buildDataCentre({ prefix: 'ad-', folder, programs, nodeCount: 2, configuration });
});
afterEach(() => centre?.[Symbol.asyncDispose]());

const inUse = async (address: string): Promise<boolean> => {
  const { stdout } = await centre.nodes[0]!.manxctl('ipam', 'show', `--ip=${address}`);
  return stdout.includes('is in use');
};

test('a pod deleted while the agent is down is cleaned up when it returns, and its addresses are free again', async () => {
  const [node] = centre.nodes as [LabNode];
  const pod = await centre.addPod('pod-a', node);
  await node.stopAgent('SIGKILL');

  await centre.removePod(pod);
  expect(await inUseSeenFrom(1, pod)).toEqual([true, true]);
  await node.startAgent();
  await node.ready();

  await until(
    'the addresses are free',
    async () => !(await inUse(pod.addresses[0]!)) && !(await inUse(pod.addresses[1]!)),
  );
  await until('the veth is gone', async () => !(await node.host.ip('-o link')).includes('cali'));
  await until(
    'its routes are gone',
    async () => !(await node.host.ip('route show proto 201')).includes(`${pod.addresses[0]} dev`),
  );
  expect(await readdir(`${node.folder}/state/tombstones`)).toEqual([]);

  async function inUseSeenFrom(index: number, { addresses }: Pod): Promise<boolean[]> {
    const answers = addresses.map((address) => centre.nodes[index]!.manxctl('ipam', 'show', `--ip=${address}`));
    return (await Promise.all(answers)).map(({ stdout }) => stdout.includes('is in use'));
  }
});

test('a pod whose namespace vanished while the agent was down is cleaned up when it returns', async () => {
  const [node] = centre.nodes as [LabNode];
  const host = await createHost('ad-vanishing');
  const outcome = await node.cni('ADD', { name: 'vanishing', host, containerId: 'vanishing-1' });
  expect(outcome.code).toBe(0);
  const address = (JSON.parse(outcome.stdout) as { ips: { address: string }[] }).ips[0]!.address.replace(/\/.*/, '');
  await node.stopAgent('SIGKILL');
  await host[Symbol.asyncDispose]();
  await node.startAgent();
  await node.ready();
  await until('the address is free', async () => !(await inUse(address)));
});

test(
  'fifty ADDs and DELs in parallel, with the agents killed in between, never give an address twice',
  { timeout: 300_000 },
  async () => {
    const held = new Map<string, string>();
    const twice: string[] = [];
    await using hosts = new AsyncDisposableStack();
    const pods = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => ({
        name: `p${index}`,
        containerId: `c${index}`,
        host: hosts.use(await createHost(`ad-p${index}`)),
        node: centre.nodes[index % 2]!,
      })),
    );

    // A runtime's way with a pod: ADD until it works, with a DEL after each failure, then DEL; twice at least, and until
    // agents have been killed often enough. Then it stays.
    const killing: Killing = { stop: false, kills: 0, added: 0 };
    const live = async (pod: (typeof pods)[0]): Promise<void> => {
      for (let round = 1; ; round++) {
        const addresses = await addUntilItWorks(pod);
        killing.added++;
        for (const address of addresses) {
          if (held.has(address)) twice.push(`${address}: ${held.get(address)} and ${pod.name}`);
          held.set(address, pod.name);
        }
        if (round > 1 && killing.kills > 3) return;
        for (const [address, name] of held) if (name === pod.name) held.delete(address);
        await until('DEL succeeds', async () => (await pod.node.cni('DEL', pod)).code === 0, 60_000);
      }
    };
    const killer = killAgents(killing);
    await Promise.all(pods.map(live));
    killing.stop = true;
    await killer;

    expect(twice).toEqual([]);
    expect(held.size).toBe(100);
    await Promise.all(
      pods.map((pod) => until('DEL succeeds', async () => (await pod.node.cni('DEL', pod)).code === 0, 60_000)),
    );
    for (const address of held.keys())
      await until(`${address} is free`, async () => !(await inUse(address)), 20_000, 200);
  },
);

interface Killing {
  stop: boolean;
  kills: number;
  /** ADDs that have succeeded. */
  added: number;
}

/** The addresses that ADD gave in the end. Each failure is followed by DEL, as containerd does it. */
async function addUntilItWorks(pod: Pick<Pod, 'name' | 'node' | 'host' | 'containerId'>): Promise<string[]> {
  return until(
    `ADD of ${pod.name} succeeds`,
    async () => {
      const outcome = await pod.node.cni('ADD', pod);
      if (outcome.code === 0) {
        const { ips } = JSON.parse(outcome.stdout) as { ips: { address: string }[] };
        return ips.map(({ address }) => address.replace(/\/.*/, ''));
      }
      await pod.node.cni('DEL', pod);
      throw new Error(outcome.stdout);
    },
    120_000,
    // A runtime tries again later than this; fifty that never pause would keep the agent from coming back.
    1500,
  );
}

/** Kills and restarts the agents in turn until told to stop, counting. */
async function killAgents(killing: Killing): Promise<void> {
  while (!killing.stop) {
    const node = centre.nodes[killing.kills % 2]!;
    await node.stopAgent('SIGKILL');
    killing.kills++;
    await node.startAgent();
    await node.ready();
    const before = killing.added;
    await until('pods come between two kills', () => killing.stop || killing.added > before + 5, 120_000);
  }
}
