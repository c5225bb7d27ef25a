// One node as a process of its own, started by ipam-lives.ts: it wires and unwires pods without end, until it is killed.
// A diary stands for the kernel and the records: what is in it is true, whatever becomes of the process.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Ipam, IpamError, createIpam, fileJournal } from '../../src/ipam/index.ts';
import { openKube } from '../../src/kube/index.ts';
import { openFileStore } from '../../src/store/file.ts';
import { openKubernetesStore } from '../../src/store/kubernetes.ts';
import type { Store } from '../../src/store/port.ts';
import type { ProcessOrders } from './ipam-lives.ts';

const { store: where, node, folder, mode } = JSON.parse(process.argv[2]!) as ProcessOrders;
const diary = join(folder, `${node}.diary`);

/** adding, wired ADDRESS, deleting, gone: in this order for each handle. Times come from one clock for all processes. */
function write(what: string, handle: string, address = ''): void {
  appendFileSync(diary, `${process.hrtime.bigint()} ${what} ${handle} ${address}\n`);
}

function readPods(): Map<string, string> {
  const lines = existsSync(diary) ? readFileSync(diary, 'utf8').split('\n') : [];
  const pods = new Map<string, string>();
  for (const line of lines) {
    const [, what, handle] = line.split(' ');
    if (what === 'gone') pods.delete(handle!);
    else if (handle !== undefined) pods.set(handle, what!);
  }
  return pods;
}

async function add(ipam: Ipam, handle: string): Promise<void> {
  write('adding', handle);
  const { addresses } = await ipam.assign({ handle, families: [4], attributes: { pod: handle, namespace: 'x' } });
  write('wired', handle, addresses[0]);
}

async function remove(ipam: Ipam, handle: string): Promise<void> {
  write('deleting', handle);
  await ipam.release(handle);
  write('gone', handle);
}

async function openCluster(access: { readonly kubeconfig: string }): Promise<Store & AsyncDisposable> {
  return openKubernetesStore({ kube: stack.use(await openKube(access)), node });
}

/** On a busy machine a store takes its time to come. */
async function patiently(work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof IpamError) || error.code !== 'unavailable') throw error;
      await pause(200);
    }
  }
}

await using stack = new AsyncDisposableStack();
const onFiles = 'config' in where;
const store = stack.use(onFiles ? await openFileStore(where) : await openCluster(where));
const journal = onFiles ? undefined : fileJournal(join(folder, `${node}.journal`));
const ipam = createIpam({ store, node, ...(journal && { journal }) });
await patiently(() => ipam.reconcile());
for (const [handle, what] of readPods()) if (what !== 'wired') await remove(ipam, handle);
if (mode === 'settle') await ipam.collect(async () => new Set(readPods().keys()));
for (let round = 0; ; round++) {
  if (mode === 'settle') break;
  const wired = [...readPods()].filter(([, what]) => what === 'wired').map(([handle]) => handle);
  const coming = Array.from({ length: 4 }, (_, i) => `${node}.${process.pid}-${round}-${i}`);
  const going = wired.length > 8 ? wired.slice(0, 5) : [];
  // A pool that is used up is part of the game: the ADD fails, and its DEL follows.
  const added = coming.map((handle) => add(ipam, handle).catch(() => remove(ipam, handle)));
  await Promise.all([...added, ...going.map((handle) => remove(ipam, handle))]);
  process.stdout.write('round\n');
}
