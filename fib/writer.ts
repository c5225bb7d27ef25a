// From entries to lines and back: what a plan says becomes a batch, and every answer is noted in the table.
//
// A refused route keeps its entry and its trouble, with the kernel's words, and is tried again: after a time that doubles
// from one refusal to the next, and whenever the reconciler finds that a gateway may have become reachable.
import type { Prefix } from '#ip';
import { leadsToLink } from './diff.ts';
import { wordsOf } from './error.ts';
import type { Batch, Clock, LineResult } from './port.ts';
import type { Remarks } from './report.ts';
import { type Entry, type Table, written } from './table.ts';
import { type Operation, lineOf } from './text.ts';

export interface WriterPorts {
  readonly table: Table;
  readonly batch: Batch;
  readonly clock: Clock;
  readonly remarks: Remarks;
  /** The kernel is not as believed, or has a new route to a link: look at it soon. */
  readonly unsure: () => void;
  /** Entries have been enqueued. */
  readonly due: () => void;
}

/** A refused route is tried again after 1 s, 2 s, 4 s, … 30 s. */
const RETRY_MS = { first: 1000, most: 30_000 };
/** Those that are due within so long go together. */
const RETRY_TOGETHER_MS = 100;

interface Step {
  readonly entry: Entry;
  readonly operation: Operation;
  readonly line: string;
}

export class Writer {
  /** How many changes of somebody else were made good. */
  repairs = 0;
  /** What is on its way to the kernel just now. */
  readonly writing = new Set<Entry>();
  private readonly ports: WriterPorts;
  private cancelRetry: (() => void) | undefined;
  private retryAt = Infinity;

  constructor(ports: WriterPorts) {
    this.ports = ports;
  }

  close(): void {
    this.cancelRetry?.();
    this.retryAt = -Infinity; // nothing is before that
  }

  /**
   * Writes what the entries need, but for the prefixes that must wait for a look.
   * @throws FibError when there is no `ip`; the entries are back in their queues then.
   */
  async write(entries: readonly Entry[], waiting: ReadonlySet<Prefix>): Promise<void> {
    const steps = entries.filter(({ prefix }) => !waiting.has(prefix)).flatMap((entry) => this.stepsOf(entry));
    if (steps.length === 0) return;
    for (const { entry } of steps) this.writing.add(entry);
    try {
      const results = await this.ports.batch.run(steps.map(({ line }) => line));
      for (const [i, step] of steps.entries()) this.answered(step, results[i]!);
    } catch (error) {
      for (const { entry } of steps) this.ports.table.enqueue(entry);
      throw error;
    } finally {
      this.writing.clear();
    }
  }

  /** What is to be done about an entry; its trouble is brought up to date. */
  consider(entry: Entry): readonly Operation[] {
    const { table, clock, remarks } = this.ports;
    const { operations, trouble } = table.plan(entry);
    if (operations.length === 0 || trouble?.trouble === 'foreign') table.forgive(entry);
    if (entry.refusals > 0) return operations;
    const before = entry.trouble;
    if (trouble === undefined) entry.trouble = undefined;
    else if (before?.trouble !== trouble.trouble || before.reason !== trouble.reason) {
      entry.trouble = { prefix: entry.prefix, metric: entry.wish!.metric, ...trouble, since: clock.now() };
      remarks.add('routes of somebody else are in the way', entry.prefix, trouble.reason);
    }
    return operations;
  }

  /** Whether an entry that was refused must still wait. */
  mustWait(entry: Entry): boolean {
    return entry.refusals > 0 && entry.retryAt > ticksOf(this.ports.clock);
  }

  private stepsOf(entry: Entry): Step[] {
    const operations = this.consider(entry);
    if (operations.length === 0) this.ports.table.forget(entry);
    try {
      return operations.map((operation) => ({ entry, operation, line: lineOf(operation) }));
    } catch (error) {
      this.refuse(entry, wordsOf(error));
      return [];
    }
  }

  private answered({ entry, operation }: Step, result: LineResult): void {
    const { table, remarks, unsure } = this.ports;
    if (!result.ok) {
      this.refused(entry, operation, result.error);
      return;
    }
    if (entry.drifted) {
      this.repairs++;
      entry.drifted = false;
      remarks.add('repaired routes that somebody else had changed', entry.prefix);
    }
    if (operation.do !== 'delete') {
      table.settle(entry, written(operation.route));
      if (leadsToLink(operation.route)) unsure(); // gateways may lie behind it
    } else if (entry.joined?.theirs === false) {
      entry.joined = undefined; // they carried our protocol
    } else if (entry.surplus?.includes(operation.route)) {
      entry.surplus = entry.surplus.filter((route) => route !== operation.route);
    } else table.settle(entry, undefined);
    if (!entry.queue && this.consider(entry).length > 0) table.enqueue(entry);
  }

  private refused(entry: Entry, operation: Operation, words: string): void {
    if (operation.do === 'delete' && entry.joined?.theirs === false && /No such process/.test(words)) {
      entry.joined.theirs = true;
      this.ports.table.enqueue(entry);
      return;
    }
    this.refuse(entry, words);
    // An add finds something, a delete finds nothing, or a replace stopped half way.
    if (operation.do !== 'add' || /File exists/.test(words)) this.ports.unsure();
  }

  private refuse(entry: Entry, words: string): void {
    const { table, clock, remarks } = this.ports;
    const now = clock.now();
    const waitMs = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** entry.refusals);
    const reason = `${words.replaceAll('\n', '; ')}${entry.wish && entry.own ? ' (the previous route stays)' : ''}`;
    const since = entry.trouble?.trouble === 'refused' ? entry.trouble.since : now;
    const metric = entry.wish?.metric ?? entry.own?.metric ?? 0;
    if (entry.refusals++ === 0) remarks.add('the kernel refused routes', entry.prefix, reason);
    entry.trouble = { prefix: entry.prefix, metric, trouble: 'refused', reason, since, retryAt: now + waitMs };
    entry.retryAt = ticksOf(clock) + waitMs;
    table.refused.add(entry);
    this.retryBefore(entry.retryAt);
  }

  private retryBefore(time: number): void {
    if (time >= this.retryAt) return;
    this.cancelRetry?.();
    this.retryAt = time;
    this.cancelRetry = this.ports.clock.after(Math.max(0, time - ticksOf(this.ports.clock)), () => this.retry());
  }

  private retry(): void {
    const now = ticksOf(this.ports.clock);
    let next = Infinity;
    for (const entry of this.ports.table.refused) {
      if (entry.retryAt <= now) this.ports.table.enqueue(entry);
      else next = Math.min(next, entry.retryAt);
    }
    this.retryAt = Infinity;
    this.retryBefore(Math.max(next, now + RETRY_TOGETHER_MS));
    this.ports.due();
  }
}

/** Time that never steps back, for what is measured; now() is for what is shown. */
export function ticksOf(clock: Clock): number {
  return clock.ticks?.() ?? clock.now();
}
