// Nodes as processes that are killed over and over, and what their diaries say afterwards: no address in two pods.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a process is told. */
export interface ProcessOrders {
  readonly store: { readonly config: string; readonly datastore: string } | { readonly kubeconfig: string };
  readonly node: string;
  /** Of diaries and journals. */
  readonly folder: string;
  readonly mode: 'run' | 'settle';
}

const script = new URL('ipam-process.ts', import.meta.url).pathname;

export function start(orders: ProcessOrders): ChildProcess {
  return spawn(process.execPath, [script, JSON.stringify(orders)], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** The life of one node: started over and over, and killed at some moment after its first round. */
export async function dieOften(orders: ProcessOrders, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const child = start(orders);
    const exit = once(child, 'exit');
    await Promise.race([once(child.stdout!, 'data'), exit]);
    if (child.exitCode !== null) throw new Error(`${orders.node} gave up by itself`);
    await sleep(Math.random() * 300);
    child.kill('SIGKILL');
    await exit;
  }
}

/** Ends what was begun, by a process that then goes by itself. */
export async function settle(orders: Omit<ProcessOrders, 'mode'>): Promise<void> {
  const [code] = (await once(start({ ...orders, mode: 'settle' }), 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${orders.node} could not be settled: exit code ${code}`);
}

/** A pod's time with its address, by the one clock of all processes. */
export interface Stay {
  readonly handle: string;
  readonly address: string;
  readonly from: bigint;
  to?: bigint;
}

export function staysOf(folder: string, node: string): Stay[] {
  const stays = new Map<string, Stay>();
  for (const line of readFileSync(join(folder, `${node}.diary`), 'utf8').split('\n')) {
    const [time, what, handle, address] = line.split(' ') as [string, string, string, string];
    if (what === 'wired') stays.set(handle, { handle, address, from: BigInt(time) });
    const stay = stays.get(handle);
    if (what === 'deleting' && stay !== undefined) stay.to ??= BigInt(time);
  }
  return [...stays.values()];
}

/** Addresses that two pods had at one time. */
export function overlaps(stays: readonly Stay[]): string[] {
  return [...Map.groupBy(stays, ({ address }) => address).values()].flatMap((tenants) => {
    const inOrder = [...tenants].sort((a, b) => (a.from < b.from ? -1 : 1));
    return inOrder.slice(1).flatMap((next, i) => {
      const before = inOrder[i]!;
      return before.to === undefined || before.to > next.from
        ? [`${next.address}: ${before.handle}, ${next.handle}`]
        : [];
    });
  });
}
