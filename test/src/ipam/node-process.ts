// One node as a process of its own, for processes.test.ts: it wires and unwires pods without end, until it is killed.
// A journal stands for the kernel and the records: what is in it is true, whatever becomes of the process.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { type Ipam, createIpam } from '../../../src/ipam/index.ts';
import { openFileStore } from '../../../src/store/file.ts';

const [config, datastore, node, journal, mode] = process.argv.slice(2) as [string, string, string, string, string];

/** adding, wired ADDRESS, deleting, gone: in this order for each handle. Times come from one clock for all processes. */
function write(what: string, handle: string, address = ''): void {
  appendFileSync(journal, `${process.hrtime.bigint()} ${what} ${handle} ${address}\n`);
}

function readPods(): Map<string, string> {
  const lines = existsSync(journal) ? readFileSync(journal, 'utf8').split('\n') : [];
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

await using store = await openFileStore({ config, datastore });
const ipam = createIpam({ store, node });
await ipam.reconcile();
for (const [handle, what] of readPods()) if (what !== 'wired') await remove(ipam, handle);
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
