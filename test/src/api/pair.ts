// Two real agents in one network namespace, without FIB and CNI, that peer with one another over its loopback.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentStatus } from '../../../src/agent/status.ts';
import { type Api, connectApi } from '../../../src/cli/client.ts';
import { type Host, type Outcome, createHost } from '../../lab/host.ts';
import { until } from '../../lab/until.ts';

const here = (path: string): string => new URL(path, import.meta.url).pathname;
const manxd = here('../../../src/main.ts');
const manxctl = here('../../../src/cli/main.ts');

/** Runs manxd or manxctl from their sources. */
export const programs = { manxd, manxctl } as const;

export class TestAgent {
  readonly folder: string;
  readonly name: string;
  readonly flags: readonly string[];
  private readonly host: Host;
  private child: ChildProcess | undefined;

  constructor(host: Host, folder: string, name: string, flags: readonly string[]) {
    this.host = host;
    this.folder = folder;
    this.name = name;
    this.flags = ['--no-cni', ...flags];
  }

  get socket(): string {
    return join(this.folder, 'run/agent.sock');
  }

  get api(): Api {
    return connectApi(this.socket);
  }

  get places(): string[] {
    const folders = ['config', 'datastore', 'state', 'run'].flatMap((name) => [`--${name}`, join(this.folder, name)]);
    return [...folders, '--node', this.name];
  }

  status(): Promise<AgentStatus> {
    return this.api.get<AgentStatus>('/v1/status');
  }

  async write(file: string, yaml: string): Promise<void> {
    await mkdir(join(this.folder, 'config'), { recursive: true });
    await writeFile(join(this.folder, 'config', file), yaml);
  }

  async start(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    const log = openSync(join(this.folder, 'log'), 'a');
    this.child = this.host.start(process.execPath, [manxd, ...this.places, ...this.flags], {
      stdio: ['ignore', log, log],
    });
    await until(`${this.name} answers`, () => this.status().catch(() => undefined), 50_000);
  }

  /** Ends it with a signal. @returns exit code and signal */
  async end(signal: NodeJS.Signals): Promise<[number | null, NodeJS.Signals | null]> {
    const child = this.child!;
    child.kill(signal);
    return (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  }

  log(): Promise<string> {
    return readFile(join(this.folder, 'log'), 'utf8');
  }

  /** manxctl as an operator runs it. */
  manxctl(words: string, input?: string): Promise<Outcome> {
    const args = words.split(' ').filter((word) => word !== '');
    return this.host.run(process.execPath, [manxctl, '--run', join(this.folder, 'run'), ...args], {
      mayFail: true,
      ...(input !== undefined && { input }),
    });
  }

  manxd(...args: readonly string[]): Promise<Outcome> {
    return this.host.run(process.execPath, [manxd, ...args], { mayFail: true });
  }
}

export const addresses = { one: '192.0.2.1', two: '192.0.2.2' } as const;
const asns = { one: 64512, two: 65001 } as const;

/** What one of the two is, and that it peers with the other. */
export function configuration(name: 'one' | 'two'): string {
  const other = name === 'one' ? 'two' : 'one';
  return `apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: ${name}}
spec: {bgp: {asNumber: ${asns[name]}, ipv4Address: ${addresses[name]}/24}}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
  nodeToNodeMeshEnabled: false
  bindMode: NodeIP
  listenPort: 1790
  serviceExternalIPs: [{cidr: ${name === 'one' ? '198.51.100.0/24' : '203.0.113.0/24'}}]
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: ${other}}
spec: {peerIP: "${addresses[other]}:1790", asNumber: ${asns[other]}}
---
apiVersion: projectmanx.org/v1
kind: PeerOptions
metadata: {name: fast}
spec: {connectRetryTime: 1s}
`;
}

export interface Pair extends AsyncDisposable {
  readonly one: TestAgent;
  readonly two: TestAgent;
  readonly host: Host;
}

/** Starts both and waits for their session. */
export async function startPair(): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const host = stack.use(await createHost());
  const folder = await mkdtemp(join(tmpdir(), 'manx-pair-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await host.ip(`addr add ${addresses.one}/24 dev lo`);
  await host.ip(`addr add ${addresses.two}/24 dev lo`);
  const [one, two] = (['one', 'two'] as const).map(
    (name) => new TestAgent(host, join(folder, name), name, ['--no-fib']),
  );
  await one!.write('all.yaml', configuration('one'));
  await two!.write('all.yaml', configuration('two'));
  await Promise.all([one!.start(), two!.start()]);
  await established(one!, two!);
  const kept = stack.move();
  // The host is disposed of last, and kills what still runs.
  return { one: one!, two: two!, host, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

export async function established(...agents: readonly TestAgent[]): Promise<void> {
  for (const agent of agents) {
    await until(`the session of ${agent.name} is Established`, async () => {
      const { bgp } = await agent.status();
      return bgp?.peers.every(({ state }) => state === 'Established');
    });
  }
}
