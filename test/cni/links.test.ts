// Removing links together, and keeping order.
import { expect, test } from 'vitest';
import { LinkRemover } from '../../cni/links.ts';
import type { HostBatch, LineAnswer } from '../../cni/port.ts';
import { Serial } from '../../cni/serial.ts';

/** Answers by the first word that matches; holds the first run until opened. */
class Batch implements HostBatch {
  readonly runs: (readonly string[])[] = [];
  open: () => void = () => undefined;
  private gate = new Promise<void>((resolve) => (this.open = resolve));
  private readonly errors: Record<string, string>;

  constructor(errors: Record<string, string> = {}) {
    this.errors = errors;
  }

  async run(lines: readonly string[]): Promise<readonly LineAnswer[]> {
    this.runs.push(lines);
    await this.gate;
    return lines.map((line) => {
      const found = Object.entries(this.errors).find(([part]) => line.includes(part));
      return found ? { ok: false, error: found[1] } : { ok: true };
    });
  }
}

test('one is removed by its name; what comes while that runs goes together', async () => {
  const batch = new Batch();
  const remover = new LinkRemover(batch);
  const removals = ['a', 'b', 'c'].map((name) => remover.remove(name));
  batch.open();
  await Promise.all(removals);
  expect(batch.runs).toEqual([
    ['link del dev a'],
    ['link set dev b group 1835101816', 'link set dev c group 1835101816', 'link del group 1835101816'],
  ]);
});

test.each(['Cannot find device "a"', 'RTNETLINK answers: No such device'])(
  'a link that is gone is removed: %s',
  async (error) => {
    const batch = new Batch({ ' a': error });
    batch.open();
    await expect(new LinkRemover(batch).remove('a')).resolves.toBeUndefined();
  },
);

test('a group that lost its last link on its own is removed', async () => {
  const batch = new Batch({ 'del group': 'RTNETLINK answers: No such device' });
  const remover = new LinkRemover(batch);
  const removals = ['a', 'b', 'c'].map((name) => remover.remove(name));
  batch.open();
  await expect(Promise.all(removals)).resolves.toHaveLength(3);
});

test('a refusal is for the one that was refused', async () => {
  const batch = new Batch({ 'dev b group': 'RTNETLINK answers: Operation not permitted' });
  const remover = new LinkRemover(batch);
  const removals = ['a', 'b', 'c'].map((name) => remover.remove(name));
  batch.open();
  const outcomes = await Promise.allSettled(removals);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('a group that cannot be removed is an error for each of it, and the next removal is tried anew', async () => {
  const errors: Record<string, string> = { 'del group': 'RTNETLINK answers: Operation not permitted' };
  const batch = new Batch(errors);
  const remover = new LinkRemover(batch);
  const removals = ['a', 'b', 'c'].map((name) => remover.remove(name));
  batch.open();
  const outcomes = await Promise.allSettled(removals);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
  await expect(remover.remove('b')).resolves.toBeUndefined();
});

test('a batch that fails as a whole fails what was in it', async () => {
  const remover = new LinkRemover({ run: () => Promise.reject(new Error('ip is missing')) });
  await expect(remover.remove('a')).rejects.toMatchObject({
    code: 102,
    message: expect.stringContaining('ip is missing'),
  });
});

test('under one name one after the other, in order, past errors', async () => {
  const serial = new Serial();
  const log: string[] = [];
  const work =
    (name: string, fails = false) =>
    async (): Promise<void> => {
      log.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      log.push(`${name} ends`);
      if (fails) throw new Error(name);
    };
  await Promise.allSettled([serial.run('x', work('a', true)), serial.run('x', work('b')), serial.run('x', work('c'))]);
  expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
});

test('under different names side by side', async () => {
  const serial = new Serial();
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const first = serial.run('x', () => gate);
  await serial.run('y', async () => open());
  await first;
});

test('is busy exactly while something runs or waits', async () => {
  const serial = new Serial();
  const works = [serial.run('x', async () => undefined), serial.run('x', async () => undefined)];
  expect([serial.isBusy('x'), serial.isBusy('y')]).toEqual([true, false]);
  await Promise.all(works);
  await new Promise((resolve) => setImmediate(resolve));
  expect(serial.isBusy('x')).toBe(false);
});
