// The protocol of the datastore on a model of a file system: every order of steps with few switches, many random ones,
// with processes killed and the power failing anywhere.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ContentionError, type Objects, createObjects, folderName } from '../../../src/store/objects.ts';
import { ModelDisk } from './model-disk.ts';
import { type Choice, type Options, type Process, everySchedule, runSchedule } from './schedule.ts';

/** What the processes have been told, in the order in which they were told. */
class Ledger {
  acknowledged = 0;
  /** Versions that somebody has successfully replaced or removed: each only once. */
  readonly consumed = new Set<string>();
  /** Who has created the object and not begun to delete it. */
  holder: number | undefined;

  consume(version: string): void {
    if (this.consumed.has(version)) throw new Error(`${version} was replaced or removed twice`);
    this.consumed.add(version);
  }

  take(id: number): void {
    if (this.holder !== undefined) throw new Error(`${id} created what ${this.holder} has`);
    this.holder = id;
  }
}

function add(disk: ModelDisk, ledger: Ledger, trials = 4): Process {
  return async (turn) => {
    const objects = createObjects(disk.as(turn), 'store');
    for (let trial = 0; trial < trials; trial++) {
      const found = await objects.read('counter', 'a');
      const text = String(Number(found?.text ?? 0) + 1);
      const written =
        found === undefined
          ? await orUndefined(objects.create('counter', 'a', text))
          : await objects.replace('counter', 'a', found.version, text);
      if (written === undefined) continue;
      if (found !== undefined) ledger.consume(found.version);
      ledger.acknowledged++;
      return;
    }
  };
}

/** Creates the object, and deletes it again: between the two nobody else has it. */
function holdAndRelease(disk: ModelDisk, ledger: Ledger, id: number): Process {
  return async (turn) => {
    const objects = createObjects(disk.as(turn), 'store');
    for (let trial = 0; trial < 3; trial++) {
      const version = await orUndefined(objects.create('lock', 'a', String(id)));
      if (version === undefined) continue;
      ledger.take(id);
      await turn();
      ledger.holder = undefined;
      expect(await objects.remove('lock', 'a', version)).toBe(true);
      ledger.consume(version);
      return;
    }
  };
}

/** Reads the object and deletes or replaces what it has read, however much later. */
function meddle(disk: ModelDisk, ledger: Ledger, how: 'remove' | 'replace'): Process {
  return async (turn) => {
    const objects = createObjects(disk.as(turn), 'store');
    const found = await objects.read('counter', 'a');
    if (found === undefined) return;
    const { version, text } = found;
    const done =
      how === 'remove'
        ? await objects.remove('counter', 'a', version)
        : await objects.replace('counter', 'a', version, text);
    if (done) ledger.consume(version);
  };
}

function sweeper(disk: ModelDisk): Process {
  return (turn) => createObjects(disk.as(turn), 'store').sweep(0, 1);
}

async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ContentionError) return undefined;
    throw error;
  }
}

function onlooker(disk: ModelDisk): Objects {
  return createObjects(
    disk.as(() => Promise.resolve()),
    'store',
  );
}

async function valueOf(disk: ModelDisk): Promise<number> {
  return Number((await onlooker(disk).read('counter', 'a'))?.text ?? 0);
}

test('in every order of two writers with three switches, no update is lost', { timeout: 120_000 }, async () => {
  const count = await everySchedule({ switches: 3, kills: 0 }, async (choose) => {
    const [disk, ledger] = [new ModelDisk(), new Ledger()];
    await onlooker(disk).create('counter', 'a', '0');
    await runSchedule([add(disk, ledger), add(disk, ledger)], choose);
    expect(await valueOf(disk)).toBe(ledger.acknowledged);
    expect(ledger.acknowledged).toBe(2);
  });
  expect(count).toBeGreaterThan(1000);
});

test(
  'in every order of two creators with two switches, one creates it, the other adds',
  { timeout: 120_000 },
  async () => {
    const count = await everySchedule({ switches: 2, kills: 0 }, async (choose) => {
      const [disk, ledger] = [new ModelDisk(), new Ledger()];
      await runSchedule([add(disk, ledger), add(disk, ledger)], choose);
      expect(await valueOf(disk)).toBe(2);
    });
    expect(count).toBeGreaterThan(500);
  },
);

test(
  'whoever is killed at whatever step, its update has happened or has not, and nobody else is held up',
  {
    timeout: 120_000,
  },
  async () => {
    const count = await everySchedule({ switches: 2, kills: 1 }, async (choose) => {
      const [disk, ledger] = [new ModelDisk(), new Ledger()];
      await onlooker(disk).create('counter', 'a', '0');
      let killed = 0;
      await runSchedule([add(disk, ledger), add(disk, ledger)], (options) => {
        const choice = choose(options);
        if (choice !== 'stop' && 'kill' in choice) killed++;
        return choice;
      });
      const value = await valueOf(disk);
      expect(ledger.acknowledged).toBeGreaterThanOrEqual(2 - killed);
      expect(value).toBeGreaterThanOrEqual(ledger.acknowledged);
      expect(value).toBeLessThanOrEqual(ledger.acknowledged + killed);
    });
    expect(count).toBeGreaterThan(1000);
  },
);

test(
  'in every order of creators who delete again with two switches, never two have the object',
  {
    timeout: 120_000,
  },
  async () => {
    const count = await everySchedule({ switches: 2, kills: 0 }, async (choose) => {
      const [disk, ledger] = [new ModelDisk(), new Ledger()];
      await runSchedule([holdAndRelease(disk, ledger, 0), holdAndRelease(disk, ledger, 1)], choose);
    });
    expect(count).toBeGreaterThan(500);
  },
);

/** Random orders: who makes the next step, now and then a kill. */
const randomChoices = fc.array(fc.record({ pick: fc.nat(), kill: fc.nat(60) }), { minLength: 200, maxLength: 200 });

function chooserOf(choices: readonly { pick: number; kill: number }[], kills: { count: number }) {
  let at = 0;
  return ({ ready }: Options): Choice => {
    const { pick, kill } = choices[at++ % choices.length]!;
    const id = ready[pick % ready.length]!;
    if (kill !== 0 || kills.count === 0) return { step: id };
    kills.count--;
    return { kill: id };
  };
}

test('in random orders of writers, deleters and sweepers with kills, no version is consumed twice', async () => {
  await fc.assert(
    fc.asyncProperty(randomChoices, fc.boolean(), async (choices, sweeps) => {
      const [disk, ledger] = [new ModelDisk(), new Ledger()];
      const processes = [
        add(disk, ledger),
        meddle(disk, ledger, 'replace'),
        meddle(disk, ledger, 'remove'),
        add(disk, ledger),
        ...(sweeps ? [sweeper(disk)] : []),
      ];
      await runSchedule(processes, chooserOf(choices, { count: 2 }));
      const places = (await onlooker(disk).names('counter')).length;
      expect(places).toBeLessThanOrEqual(1);
    }),
    { numRuns: 3000 },
  );
});

test('in random orders of holders, sweepers and kills, never two have the object', async () => {
  await fc.assert(
    fc.asyncProperty(randomChoices, async (choices) => {
      const [disk, ledger] = [new ModelDisk(), new Ledger()];
      const holders = [0, 1, 2].map((id) => holdAndRelease(disk, ledger, id));
      await runSchedule([...holders, sweeper(disk)], chooserOf(choices, { count: 1 }));
    }),
    { numRuns: 3000 },
  );
});

test.each([
  ['a journal', (disk: ModelDisk, luck: number) => disk.loseUnsynced((unsafe) => luck % (unsafe + 1))],
  ['no journal', (disk: ModelDisk, luck: number) => disk.loseAnyUnsynced((i) => ((luck >> (i % 30)) & 1) === 1)],
])('with %s, after a power failure everything acknowledged is there and whole', async (_, fail) => {
  await fc.assert(
    fc.asyncProperty(randomChoices, fc.nat(150), fc.nat(), async (choices, steps, luck) => {
      const [disk, ledger] = [new ModelDisk(), new Ledger()];
      const choose = chooserOf(choices, { count: 0 });
      let left = steps;
      await runSchedule([add(disk, ledger), add(disk, ledger), add(disk, ledger)], (options) =>
        left-- > 0 ? choose(options) : 'stop',
      );
      const after = fail(disk, luck);
      const found = await onlooker(after).read('counter', 'a');
      if (found !== undefined) expect(found.text).toMatch(/^\d+$/);
      expect(Number(found?.text ?? 0)).toBeGreaterThanOrEqual(ledger.acknowledged);
      await onlooker(after).sweep(0, 1);
      expect(await onlooker(after).read('counter', 'a')).toEqual(found);
    }),
    { numRuns: 2000 },
  );
});

test('after a power failure, what was acknowledged as deleted does not come back', async () => {
  const disk = new ModelDisk();
  const objects = onlooker(disk);
  const version = (await objects.create('counter', 'a', '0'))!;
  expect(await objects.remove('counter', 'a', version)).toBe(true);
  expect(await onlooker(disk.loseUnsynced(() => 0)).read('counter', 'a')).toBeUndefined();
  expect(await onlooker(disk.loseAnyUnsynced(() => false)).read('counter', 'a')).toBeUndefined();
});

test('what killed writers have left is gone after the next write and a sweep', async () => {
  const disk = new ModelDisk();
  const ledger = new Ledger();
  await onlooker(disk).create('counter', 'a', '0');
  let steps = 14;
  await runSchedule([add(disk, ledger)], ({ ready }) => (steps-- > 0 ? { step: ready[0]! } : { kill: ready[0]! }));
  const direct = disk.as(() => Promise.resolve());
  const before = (await onlooker(disk).read('counter', 'a'))!;
  expect(await direct.names(`store/objects/counter/a/${before.version}`)).toHaveLength(2);
  const after = await onlooker(disk).replace('counter', 'a', before.version, '1');
  expect(await direct.names(`store/objects/counter/a/${after}`)).toEqual([`${after}.json`]);
});

test.each([
  ['10-0-0-0-26', '10-0-0-0-26'],
  ['.hidden/../up', '%2Ehidden%2F..%2Fup'],
  ['käse~', 'k%C3%A4se%7E'],
])('the name %j becomes the folder %j', (name, folder) => {
  expect(folderName(name)).toBe(folder);
});

test('long names become folders of their own that the file system takes', () => {
  const names = ['x'.repeat(253), `${'x'.repeat(252)}y`, 'ä'.repeat(253)];
  const folders = names.map(folderName);
  expect(new Set(folders).size).toBe(3);
  for (const folder of folders) expect(folder.length).toBeLessThanOrEqual(200);
});

test('a resourceVersion of somebody else is nobody’s', async () => {
  const objects = onlooker(new ModelDisk());
  await objects.create('counter', 'a', '0');
  for (const version of ['', '338', '../a', '1-../../../x']) {
    expect(await objects.replace('counter', 'a', version, '1')).toBeUndefined();
    expect(await objects.remove('counter', 'a', version)).toBe(false);
  }
});
