// An agent that stops, starts, is killed and is started twice: nothing is lost on the way, because routes outlive the
// process in the node's kernel and, by graceful restart, in its neighbours'.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DataCentre, type Pod, buildDataCentre } from '../lab/datacentre.ts';
import { lacking } from '../lab/needs.ts';
import { buildPrograms } from '../lab/programs.ts';
import { startPing } from '../lab/reach.ts';
import { startTor } from '../lab/tor.ts';
import { allEstablished, converged } from '../lab/wait.ts';
import { until } from '../lab/until.ts';

const reason = lacking('bird', 'ping');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
let centre: DataCentre;

beforeEach(async () => {
  if (reason !== undefined) return;
  const folder = `/run/lab/restart`;
  const programs = await buildPrograms(`${folder}/dist`);
  centre = await buildDataCentre({ prefix: 're-', folder, programs });
  await startTor(centre, programs);
  await centre.addPod('pod-a', centre.nodes[0]!);
  await centre.addPod('pod-b', centre.nodes[1]!);
  await converged(centre);
});
afterEach(() => centre?.[Symbol.asyncDispose]());

/** Pings both ways between the pods, and between pod and host, both families, while `disturb` runs. */
async function lostDuring(disturb: () => Promise<void>): Promise<Record<string, number>> {
  const [a, b] = centre.pods as [Pod, Pod];
  const host = { name: 'host', host: centre.fabric.host, addresses: ['198.51.100.10', 'fd10:250:100::10'] };
  const pairs = [
    [a, b],
    [b, a],
    [a, host],
    [host, a],
  ] as const;
  const pings = pairs.flatMap(([from, to]) =>
    to.addresses.map((address) => ({
      name: `${from.name} -> ${to.name} ${address}`,
      ping: startPing(from.host, address),
    })),
  );
  await disturb();
  const counts: Record<string, number> = {};
  for (const { name, ping } of pings) {
    const { sent, received } = await ping.stop();
    expect(sent).toBeGreaterThan(100);
    if (sent !== received) counts[name] = sent - received;
  }
  return counts;
}

/** Until the agent is back, every session is up again and the routes have settled. */
async function back(): Promise<void> {
  const [node] = centre.nodes;
  await node!.ready();
  await until('sessions are Established again', () => allEstablished(node!), 30_000, 100);
  await converged(centre);
}

test.skipIf(reason)(title('no packet is lost while an agent is stopped and started again'), async () => {
  const lost = await lostDuring(async () => {
    await centre.nodes[0]!.stopAgent('SIGTERM');
    await centre.nodes[0]!.startAgent();
    await back();
  });
  expect(lost).toEqual({});
});

test.skipIf(reason)(title('no packet is lost while an agent is killed and started again'), async () => {
  const lost = await lostDuring(async () => {
    await centre.nodes[0]!.stopAgent('SIGKILL');
    await centre.nodes[0]!.startAgent();
    await back();
  });
  expect(lost).toEqual({});
});

test.skipIf(reason)(title('no packet is lost while an agent is killed twice within a moment'), async () => {
  const lost = await lostDuring(async () => {
    await centre.nodes[0]!.stopAgent('SIGKILL');
    await centre.nodes[0]!.startAgent();
    await centre.nodes[0]!.ready();
    await centre.nodes[0]!.stopAgent('SIGKILL');
    await centre.nodes[0]!.startAgent();
    await back();
  });
  expect(lost).toEqual({});
});

test.skipIf(reason)(title('no packet is lost while a second agent is started beside the first'), async () => {
  const [node] = centre.nodes;
  const lost = await lostDuring(async () => {
    const second = await node!.host.run(process.execPath, node!.command, { mayFail: true });
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('another manxd');
    await back();
  });
  expect(lost).toEqual({});
});
