// Reading the kernel through long-lived `ip -j -batch` children, one per address family: in a batch, a line cannot say
// which family it means.
//
// A question is two lines: the command, whose answer is one JSON array on standard output, and a barrier, whose failure
// on standard error says that the command is over and lets its own complaints be told from the next one's.
//
// A long-lived `ip` prints an interface's first name for ever, also after a rename (`link show`, which prints what the
// kernel says, does not cure it). So the names are compared before every look, and a rename costs fresh children.
import type { Family } from '#ip';
import { Child, type ChildEnd } from './child.ts';
import { FibError } from './error.ts';
import { ArrayReader } from './json-stream.ts';
import { parseIndex, parseLink, routeParser } from './parse.ts';
import type { Dump, KernelLink, KernelRoute } from './port.ts';

export interface DumpOptions {
  /** How `ip` is called; another network namespace is `['ip', '-n', name]`. */
  readonly command?: readonly string[];
  /** After how long without any output `ip` counts as hung and is killed. */
  readonly patienceMs?: number;
}

/** Starts the children at once. Dispose of it to end them; a question that is open then fails. */
export function startDump(options: DumpOptions = {}): Dump & AsyncDisposable {
  const command = options.command ?? ['ip'];
  const reader = (family: Family): Reader =>
    new Reader([...command, `-${family}`, '-j', '-N', '-d', '-force', '-batch', '-'], options.patienceMs ?? 30_000);
  const readers = { 4: reader(4), 6: reader(6) };
  const parsers = { 4: routeParser(4), 6: routeParser(6) };

  const routesOf = (family: Family, visit: (routes: readonly KernelRoute[]) => void): Promise<boolean> =>
    readers[family].ask('route show table main', (objects) => visit(objects.map(parsers[family])));

  let names = new Map<number, string>();
  const forgetOldNames = async (): Promise<void> => {
    const now = new Map<number, string>();
    await readers[6].ask('link show', (objects) => {
      for (const [index, name] of objects.map(parseIndex)) now.set(index, name);
    });
    const renamed = [...now].some(([index, name]) => (names.get(index) ?? name) !== name);
    names = now;
    if (renamed) for (const family of [4, 6] as const) readers[family].renew();
  };

  return {
    async routes(visit) {
      await forgetOldNames();
      // Both to their end, also when one fails: nobody is visited after the answer.
      const both = await Promise.allSettled([routesOf(4, visit), routesOf(6, visit)]);
      const failed = both.find((one) => one.status === 'rejected');
      if (failed) throw failed.reason;
      return { complete: both.every((one) => one.status === 'fulfilled' && one.value) };
    },
    async links() {
      const links = new Map<string, KernelLink>();
      const merge = (objects: readonly unknown[]): void => {
        // Some versions leave an empty object in the place of an interface that they leave out.
        for (const link of objects.filter((object) => Object.keys(object as object).length > 0).map(parseLink)) {
          links.set(link.name, { ...link, addresses: [...(links.get(link.name)?.addresses ?? []), ...link.addresses] });
        }
      };
      // With a family, `addr show` leaves an interface without addresses of that family out.
      await readers[6].ask('link show', merge);
      for (const family of [4, 6] as const) await readers[family].ask('addr show', merge);
      return [...links.values()];
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([readers[4].close(), readers[6].close()]);
    },
  };
}

interface Question {
  readonly line: string;
  readonly visit: (objects: readonly unknown[]) => void;
  readonly resolve: (complete: boolean) => void;
  readonly reject: (error: FibError) => void;
}

/** One child and its questions, one at a time. */
export class Reader {
  private readonly command: readonly string[];
  private readonly patienceMs: number;
  private child: Child | undefined;
  private readonly questions: Question[] = [];
  private stale = false;
  /** The child is answering the first question, of which: */
  private asking = false;
  private array = new ArrayReader();
  private arrayEnded = false;
  private barrierSeen = false;
  private failure: FibError | undefined;
  private words: string[] = [];
  /** The line number of the barrier. */
  private barrier = 0;
  private watchdog: NodeJS.Timeout | undefined;
  private closing: PromiseWithResolvers<void> | undefined;

  constructor(command: readonly string[], patienceMs: number) {
    this.command = command;
    this.patienceMs = patienceMs;
    this.start();
  }

  /** Resolves with whether the answer is complete. The objects are visited as they come. @throws FibError */
  ask(line: string, visit: (objects: readonly unknown[]) => void): Promise<boolean> {
    if (this.closing) return Promise.reject(new FibError('closed', 'the `ip` child has been closed'));
    return new Promise((resolve, reject) => {
      this.questions.push({ line, visit, resolve, reject });
      this.next();
    });
  }

  close(): Promise<void> {
    this.closing ??= Promise.withResolvers<void>();
    if (this.child === undefined) this.closing.resolve();
    else this.child.kill();
    return this.closing.promise;
  }

  /** Has the next question answered by a fresh child. */
  renew(): void {
    this.stale = true;
    if (!this.asking) this.child?.kill();
  }

  private start(): void {
    this.barrier = 0;
    this.stale = false;
    this.child = new Child(this.command, {
      output: (text) => this.read(text),
      complaint: (line) => this.hear(line),
      ended: (how) => this.ended(how),
    });
  }

  private next(): void {
    const question = this.questions[0];
    if (question === undefined || this.asking) return;
    if (this.stale && this.child) {
      this.child.kill();
      return; // ended() comes back here
    }
    if (this.child === undefined) this.start();
    this.asking = true;
    this.array = new ArrayReader();
    this.arrayEnded = this.barrierSeen = false;
    this.failure = undefined;
    this.words = [];
    this.barrier += 2;
    this.wait();
    this.child!.write(`${question.line}\nbarrier\n`);
  }

  private wait(): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => {
      this.failure = new FibError('ip-ended', `ip gave no answer for ${this.patienceMs / 1000} s`);
      this.child?.kill();
    }, this.patienceMs).unref();
  }

  private read(text: string): void {
    if (!this.asking || this.failure) return;
    this.wait();
    try {
      const { objects, ended } = this.array.push(text);
      if (objects.length > 0) this.questions[0]!.visit(objects);
      this.arrayEnded ||= ended;
    } catch (error) {
      if (!(error instanceof FibError)) throw error;
      this.fail(error);
      return;
    }
    this.finishQuestion();
  }

  private hear(line: string): void {
    const failed = /^Command failed -:(\d+)$/.exec(line);
    if (failed === null) this.words.push(line);
    else if (Number(failed[1]) < this.barrier) this.fail(new FibError('ip-failed', `ip: ${this.words.join('\n')}`));
    else {
      this.barrierSeen = true;
      this.finishQuestion();
    }
  }

  private finishQuestion(): void {
    if (!this.arrayEnded || !this.barrierSeen || this.failure) return;
    clearTimeout(this.watchdog);
    // "Dump was interrupted and may be inconsistent.": NLM_F_DUMP_INTR.
    const complete = !this.words.some((line) => /interrupted/i.test(line));
    this.asking = false;
    this.questions.shift()!.resolve(complete);
    this.next();
  }

  /** What the child still has in its pipe belongs to nobody: the next question goes to a fresh one. */
  private fail(error: FibError): void {
    this.failure ??= error;
    this.child?.kill();
  }

  private ended(how: ChildEnd): void {
    const lived = Date.now() - this.child!.startedAt;
    this.child = undefined;
    clearTimeout(this.watchdog);
    if (this.closing) {
      for (const { reject } of this.questions.splice(0))
        reject(new FibError('closed', 'the `ip` child has been closed'));
      this.closing.resolve();
      return;
    }
    if (!this.asking) {
      // An idle child is replaced to keep one warm, unless it ended so soon that the next one would as well.
      if (lived > 1000 || this.stale) this.start();
      this.next();
      return;
    }
    this.asking = false;
    const words = [...this.words, how.words].join('\n');
    this.questions
      .shift()!
      .reject(
        how.spawned
          ? (this.failure ?? new FibError('ip-ended', words))
          : new FibError('ip-missing', `ip cannot be started: ${how.words} (install iproute2)`),
      );
    this.next();
  }
}
