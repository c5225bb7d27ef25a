// The batch runner: lines go to a long-lived `ip -force -batch -`, and every line gets its answer.
//
// A line that works is silent. One that fails writes its words and "Command failed -:N" to standard error, where N
// counts the lines of standard input; so an answer to line N also says that every line before it has been carried out.
// A barrier, a line that must fail, forces such an answer.
//
// Arguments that `ip` cannot parse end it, even with -force, without saying which line it was. A child can also be
// killed. The lines that may or may not have been carried out then go to a fresh child with a barrier behind each of
// them, which names the culprit at once; it is answered with the child's last words, and the lines behind it go on.
// Short runs have a barrier behind each line from the start, so that at most one line of theirs is ever in doubt.
//
// A long-lived `ip` remembers which index an interface name had, for ever. After a rename, or when a veth of the same
// name is made anew, `dev NAME` would mean the old interface: refused at best, another pod's at worst. `link show` makes
// it learn the names again.
import { Child, type ChildEnd } from './child.ts';
import { FibError } from './error.ts';
import type { Batch, LineResult } from './port.ts';

export interface BatchOptions {
  /** How `ip` is called; another network namespace is `['ip', '-n', name]`. */
  readonly command?: readonly string[];
  /** After how long without an answer `ip` counts as hung and is killed. */
  readonly patienceMs?: number;
  /** When to learn the names of the interfaces again: before every run (the default), or after linksChanged() only. */
  readonly learnLinks?: 'always' | 'when told';
}

export interface IpBatch extends Batch, AsyncDisposable {
  /** The child's; undefined while there is none. */
  readonly pid: number | undefined;
  /** An interface came, went or has another name. */
  linksChanged(): void;
}

/** Starts the child at once. Dispose of it to let it finish what was asked, and end it. */
export function startBatch(options: BatchOptions = {}): IpBatch {
  return new Runner(options);
}

/** Runs of at most this many lines have a barrier behind every line. */
const SHORT_RUN = 32;
/** Otherwise a barrier stands behind so many lines. */
const STRIDE = 64;
/** How many lines are on their way at most. More is slower: measured, 10,000 halve the rate. */
const WINDOW = 512;
/** How often one line may be in hand when the child is killed before it is given up. */
const TRIES = 3;
/** How often in a row a child may end without having answered even the first barrier. */
const USELESS_CHILDREN = 5;

interface Call {
  readonly lines: readonly string[];
  readonly results: LineResult[];
  /** The first line that was not sent yet. */
  next: number;
  /** How many lines have no answer yet. */
  open: number;
  readonly resolve: (results: readonly LineResult[]) => void;
  readonly reject: (error: FibError) => void;
}

interface Job {
  readonly call: Call;
  readonly index: number;
  /** A barrier follows it. */
  careful: boolean;
  /** It may have been carried out before, by a child that ended. */
  again: boolean;
  tries: number;
}

class Runner implements IpBatch {
  private readonly command: readonly string[];
  private readonly patienceMs: number;
  private readonly learnAlways: boolean;
  private learn = false;
  private child: Child | undefined;
  private readonly calls: Call[] = [];
  private redo: Job[] = [];
  /** What the child has in its pipe; the first one is line `firstNumber` of its input. */
  private sent: (Job | 'barrier' | 'link show')[] = [];
  private firstNumber = 1;
  private words: string[] = [];
  private useless = 0;
  private watchdog: NodeJS.Timeout | undefined;
  private closing: PromiseWithResolvers<void> | undefined;

  constructor({ command = ['ip'], patienceMs = 30_000, learnLinks = 'always' }: BatchOptions) {
    this.command = [...command, '-force', '-batch', '-'];
    this.patienceMs = patienceMs;
    this.learnAlways = learnLinks === 'always';
    this.start();
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  async run(lines: readonly string[]): Promise<readonly LineResult[]> {
    if (this.closing) throw new FibError('closed', 'the `ip` child has been closed');
    if (lines.length === 0) return [];
    return new Promise((resolve, reject) => {
      this.calls.push({ lines, results: [], next: 0, open: lines.length, resolve, reject });
      this.pump();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing ??= Promise.withResolvers<void>();
    if (this.child === undefined) this.closing.resolve();
    else if (this.idle) this.child.finish();
    return this.closing.promise;
  }

  private get idle(): boolean {
    return this.calls.length === 0 && this.redo.length === 0;
  }

  linksChanged(): void {
    this.learn = true;
  }

  /** The first line is a barrier: a child that ends before it has answered that is no good, whatever it was told. */
  private start(): void {
    this.firstNumber = 1;
    this.learn = false;
    this.child = new Child(this.command, {
      complaint: (line) => this.hear(line),
      ended: (how) => this.ended(how),
    });
    this.child.write(this.put('barrier'));
  }

  /** Sends what fits into the window. */
  private pump(): void {
    if (this.child === undefined) this.start();
    let text = '';
    let stretch = 0;
    while (this.sent.length < WINDOW) {
      const job = this.nextJob();
      if (job === undefined) break;
      const line = job.call.lines[job.index]!;
      const objection = objectionTo(line);
      if (objection !== undefined) {
        this.answer(job, { ok: false, error: objection });
        continue;
      }
      if (this.learn || (this.learnAlways && job.index === 0)) text += this.put('link show');
      text += `${line}\n`;
      this.sent.push(job);
      const stop: boolean = job.careful || ++stretch === STRIDE;
      if (stop) text += this.put('barrier');
      if (stop) stretch = 0;
    }
    if (stretch > 0) text += this.put('barrier');
    if (text !== '') this.child!.write(text);
    if (this.sent.length > 0) this.watchdog ??= setTimeout(() => this.hang(), this.patienceMs).unref();
    if (this.closing && this.idle) this.child!.finish();
  }

  private put(line: 'barrier' | 'link show'): string {
    if (line === 'link show') this.learn = false;
    this.sent.push(line);
    return `${line}\n`;
  }

  private nextJob(): Job | undefined {
    const again = this.redo.shift();
    if (again !== undefined) return again;
    const call = this.calls.find(({ next, lines }) => next < lines.length);
    if (call === undefined) return undefined;
    return { call, index: call.next++, careful: call.lines.length <= SHORT_RUN, again: false, tries: 0 };
  }

  private hear(line: string): void {
    const failed = /^Command failed -:(\d+)$/.exec(line);
    if (failed === null) {
      this.words.push(line);
      return;
    }
    const done = this.sent.splice(0, Number(failed[1]) - this.firstNumber + 1);
    this.firstNumber += done.length;
    const last = done.pop();
    const error = this.words.join('\n');
    this.words = [];
    this.useless = 0;
    clearTimeout(this.watchdog);
    this.watchdog = undefined;
    for (const job of done) if (isJob(job)) this.answer(job, { ok: true });
    if (isJob(last)) this.answer(last, { ok: false, error });
    this.pump();
  }

  private answer(job: Job, result: LineResult): void {
    const { call } = job;
    call.results[job.index] = result.ok || !job.again ? result : { ok: false, error: `${result.error} ${AGAIN}` };
    if (--call.open > 0) return;
    this.calls.splice(this.calls.indexOf(call), 1);
    call.resolve(call.results);
  }

  private hang(): void {
    this.words.push(`ip gave no answer for ${this.patienceMs / 1000} s`);
    this.child?.kill();
  }

  private ended(how: ChildEnd): void {
    const lived = Date.now() - this.child!.startedAt;
    this.child = undefined;
    clearTimeout(this.watchdog);
    this.watchdog = undefined;
    const words = [...this.words, ...(how.killed || this.words.length === 0 ? [how.words] : [])].join('\n');
    this.words = [];
    const wasIdle = this.idle;
    if (!how.spawned) this.giveUp(new FibError('ip-missing', `ip cannot be started: ${how.words} (install iproute2)`));
    else this.recover(words, how.killed);
    if (this.closing && this.idle) this.closing.resolve();
    // An idle child is replaced to keep one warm, unless it ended so soon that the next one would as well.
    else if (how.spawned && (!wasIdle || lived > 1000)) this.pump();
  }

  /** Settles the line that ended the child, as far as it is known, and puts the others before everything else. */
  private recover(words: string, killed: boolean): void {
    const firstBarrier = this.sent.indexOf('barrier');
    const doubtful = this.sent.slice(0, firstBarrier).filter(isJob);
    const open = this.sent.filter(isJob);
    const greeted = this.firstNumber > 1;
    this.sent = [];
    if (!greeted && ++this.useless >= USELESS_CHILDREN && !this.idle) {
      this.giveUp(new FibError('ip-ended', `ip ended ${USELESS_CHILDREN} times without an answer: ${words}`));
      return;
    }
    const first = open[0];
    if (!greeted) {
      // Nothing of it was carried out.
    } else if (first?.careful) {
      // A line whose arguments cannot be parsed has done nothing; one that was cut short may have.
      first.again = killed;
      if (!killed || ++first.tries >= TRIES) {
        this.answer(first, { ok: false, error: words });
        open.shift();
      }
    } else {
      for (const job of doubtful) job.careful = job.again = true;
    }
    this.redo = [...open, ...this.redo];
  }

  private giveUp(error: FibError): void {
    this.sent = [];
    this.redo = [];
    this.useless = 0;
    for (const call of this.calls.splice(0)) call.reject(error);
  }
}

function isJob(item: Job | string | undefined): item is Job {
  return typeof item === 'object';
}

const AGAIN = '(asked again after ip ended; the first time may have worked)';

/** Why a line must not reach `ip`: it would be two lines, or another one (a "#" begins a comment, also inside quotes). */
function objectionTo(line: string): string | undefined {
  if (line.trim() === '') return 'the line is empty';
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  const bad = /[\u0000-\u0008\n-\u001f#\\]/.exec(line);
  return bad ? `the line contains ${JSON.stringify(bad[0])}, which ip would not take as part of a word` : undefined;
}
