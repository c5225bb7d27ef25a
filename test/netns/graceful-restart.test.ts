// Graceful restart as the neighbour sees it: the router's own kernel, watched while an agent goes and comes back.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { type DataCentre, type LabNode, buildDataCentre } from '../lab/datacentre.ts';
import { startBird } from '../lab/bird.ts';
import { startFrr } from '../lab/frr.ts';
import type { Host } from '../lab/host.ts';
import { lacking } from '../lab/needs.ts';
import { buildPrograms } from '../lab/programs.ts';
import { startPing } from '../lab/reach.ts';
import { allEstablished, converged } from '../lab/wait.ts';
import { until } from '../lab/until.ts';

const routers = {
  BIRD: { tools: ['bird', 'ping'], start: startBird },
  FRR: { tools: ['frr', 'ping'], start: startFrr },
} as const;

/** What is done to the agent. Each ends with the agent running. */
const disturbances: Record<string, (node: LabNode) => Promise<void>> = {
  'stopped and started': async (node) => {
    await node.stopAgent('SIGTERM');
    await node.startAgent();
  },
  'killed and started': async (node) => {
    await node.stopAgent('SIGKILL');
    await node.startAgent();
  },
  'killed as soon as its first session is back, and started again': async (node) => {
    await node.stopAgent('SIGKILL');
    await node.startAgent();
    await node.ready();
    await until('the first session is back', () => anyEstablished(node), 30_000, 20);
    await node.stopAgent('SIGKILL');
    await node.startAgent();
  },
};

const withoutRestart = `apiVersion: projectmanx.org/v1
kind: PeerOptions
metadata: {name: no-graceful-restart}
spec: {gracefulRestart: {enabled: false}}
`;

for (const [name, { tools, start }] of Object.entries(routers)) {
  for (const [what, disturb] of Object.entries(disturbances)) {
    test(`${name} keeps its routes and loses no packet while an agent is ${what}`, async (context) => {
      context.skip(lacking(...tools) !== undefined, lacking(...tools));
      await using centre = await built(name, start);
      const seen = await watch(centre, () => disturb(centre.nodes[0]!));
      expect(seen).toEqual({ routeChanges: [], lost: 0 });
    });
  }

  test(`${name} drops the routes of an agent that restarts without the capability (the control)`, async (context) => {
    context.skip(lacking(...tools) !== undefined, lacking(...tools));
    await using centre = await built(name, start, withoutRestart);
    const seen = await watch(centre, () => disturbances['killed and started']!(centre.nodes[0]!));
    expect(seen.routeChanges.some((line) => line.startsWith('Deleted 10.82.'))).toBe(true);
  });
}

let serial = 0;

async function built(
  router: string,
  start: (host: Host, folder: string) => Promise<unknown>,
  options?: string,
): Promise<DataCentre> {
  const number = ++serial;
  const folder = `/run/lab/gr-${router}-${number}`;
  const programs = await buildPrograms(`${folder}/dist`);
  await using centre = new AsyncDisposableStack();
  const made = centre.use(await buildDataCentre({ prefix: `gr${number}-`, folder, programs, nodeCount: 2 }));
  if (options !== undefined) await writeFile(`${made.config}/options.yaml`, options);
  await start(made.fabric.tor, `${folder}/tor`);
  for (const [index, node] of made.nodes.entries()) await made.addPod(`pod-${index}`, node);
  await converged(made);
  centre.move();
  return made;
}

/** Changes of pods' routes in the router's kernel, and packets that a ping from the host lost, while something happens. */
async function watch(
  centre: DataCentre,
  happening: () => Promise<void>,
): Promise<{ routeChanges: string[]; lost: number }> {
  const [pod] = centre.pods;
  const routeChanges: string[] = [];
  const monitors = [
    // The router's way to the pods, and the node's way back.
    monitor(centre.fabric.tor, /10\.82\.|fd82:/, routeChanges),
    monitor(centre.nodes[0]!.host, /198\.51\.100\.|fd10:250:100:/, routeChanges),
  ];
  const pings = pod!.addresses.map((address) => startPing(centre.fabric.host, address));
  await happening();
  const [node] = centre.nodes;
  await node!.ready();
  await until('all sessions are back', () => allEstablished(node!), 60_000, 100);
  await converged(centre);
  let lost = 0;
  for (const ping of pings) {
    const { sent, received } = await ping.stop();
    lost += sent - received;
  }
  const ends = monitors.map((each) => once(each, 'exit'));
  for (const each of monitors) each.kill();
  await Promise.all(ends);
  return { routeChanges, lost };
}

/** Collects what a host's kernel says about routes that match. */
function monitor(host: Host, pattern: RegExp, into: string[]): ChildProcess {
  const child = host.start('stdbuf', ['-oL', 'ip', 'monitor', 'route'], { stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface(child.stdout!).on('line', (line) => {
    if (pattern.test(line)) into.push(line);
  });
  return child;
}

async function anyEstablished(node: LabNode): Promise<boolean> {
  const { stdout, code } = await node.manxctl('node', 'status', '-o', 'json');
  if (code !== 0 && code !== 1) return false;
  const { bgp } = JSON.parse(stdout) as { bgp?: { peers: readonly { state: string }[] } };
  return bgp?.peers.some(({ state }) => state === 'Established') ?? false;
}
