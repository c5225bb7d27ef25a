// A process at a shared datastore, for processes.test.ts: does one thing over and over and says on standard output what
// has been acknowledged, a line each.
import { writeSync } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePrefix } from '#ip';
import type { IPAMHandle } from '../../../src/resources/types.ts';
import { openFileStore } from '../../../src/store/file.ts';
import { StoreError } from '../../../src/store/port.ts';

const [folder, task, id] = process.argv.slice(2) as [string, string, string];
const block = parsePrefix('10.0.0.0/26');
await using store = await openFileStore({ config: join(folder, 'config'), datastore: join(folder, 'datastore') });

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

function handle(name: string, count: number): IPAMHandle {
  return {
    apiVersion: 'crd.projectcalico.org/v1',
    kind: 'IPAMHandle',
    metadata: { name },
    spec: { handleID: name, block: { [block]: count }, deleted: false },
  };
}

/** Whether the write has happened; false when somebody was quicker. */
async function won(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (error instanceof StoreError && ['conflict', 'exists', 'missing'].includes(error.code)) return false;
    throw error;
  }
}

/** One more in the counter. */
async function increment(): Promise<void> {
  const found = await store.get('IPAMHandle', 'counter');
  const write =
    found === undefined
      ? store.create('IPAMHandle', handle('counter', 1))
      : store.update('IPAMHandle', {
          ...found,
          spec: { ...found.spec, block: { [block]: (found.spec.block[block] ?? 0) + 1 } },
        });
  if (await won(write)) say('added');
}

let next = 0;
/** The next name, if nobody has it yet. */
async function create(): Promise<void> {
  const name = `name-${next++}`;
  if (await won(store.create('IPAMHandle', handle(name, Number(id))))) say(name);
}

/** Creates an object, does what only its owner may do, and deletes it. */
async function hold(): Promise<void> {
  if (!(await won(store.create('IPAMHandle', handle('lock', Number(id)))))) return;
  const witness = join(folder, 'witness');
  try {
    await (await open(witness, 'wx')).close();
    await unlink(witness);
    say('held');
  } catch {
    say('violated');
  }
  const mine = (await store.get('IPAMHandle', 'lock'))!;
  if (mine.spec.block[block] !== Number(id)) say('violated');
  await store.delete('IPAMHandle', mine);
}

const tasks: Record<string, () => Promise<void>> = { increment, create, hold };
process.stdin.once('end', () => process.exit()).resume();
for (;;) await tasks[task]!();
