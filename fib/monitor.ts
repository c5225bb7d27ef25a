// Hints that the kernel's routes, links or addresses changed, from a long-lived `ip monitor`.
//
// Only hints: the kernel drops events when the reader is slow, here without any message. Nothing is built on having seen
// one; what is, is looked up.
import { Child } from './child.ts';
import type { Hint } from './port.ts';
import { parseMonitorLine } from './text.ts';

export interface MonitorOptions {
  /** How `ip` is called; another network namespace is `['ip', '-n', name]`. */
  readonly command?: readonly string[];
  /** What to listen for, as `ip monitor` calls it; routes, links and addresses by default. */
  readonly objects?: readonly string[];
}

/** Measured: 100,000 routes at once lose events with the default buffer, and none with this one. */
const RECEIVE_BUFFER = '16777216';
/** A child that does not last is started again after 0.1 s, 0.2 s, … 5 s. */
const RESTART_MS = { first: 100, most: 5000 };
/** After a start, the child may need so long until it listens; what happened before that is looked up. */
const DEAF_MS = 300;

export interface Monitor extends AsyncDisposable {
  /** The child's; undefined while there is none. */
  readonly pid: number | undefined;
}

/** Starts the child at once, and again when it ends, with a hint, as nobody was listening meanwhile. */
export function startMonitor(onHint: (hint: Hint) => void, options: MonitorOptions = {}): Monitor {
  return new Listener(onHint, options);
}

class Listener implements Monitor {
  private readonly command: readonly string[];
  private readonly onHint: (hint: Hint) => void;
  private child: Child | undefined;
  private rest = '';
  private failures = 0;
  private timer: NodeJS.Timeout | undefined;
  private closing: PromiseWithResolvers<void> | undefined;

  constructor(onHint: (hint: Hint) => void, options: MonitorOptions) {
    const { command = ['ip'], objects = ['route', 'link', 'address'] } = options;
    this.onHint = onHint;
    this.command = [...command, '-o', '-N', '-d', '-rcvbuf', RECEIVE_BUFFER, 'monitor', ...objects];
    this.start();
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing ??= Promise.withResolvers<void>();
    clearTimeout(this.timer);
    if (this.child) this.child.kill();
    else this.closing.resolve();
    return this.closing.promise;
  }

  private start(): void {
    this.rest = '';
    this.child = new Child(this.command, {
      output: (text) => this.read(text),
      complaint: () => this.onHint({ about: 'anything' }), // "netlink receive error No buffer space available"
      ended: () => this.ended(),
    });
    this.timer = setTimeout(() => {
      this.failures = 0;
      this.onHint({ about: 'anything' });
    }, DEAF_MS).unref();
  }

  private read(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    for (const line of lines) {
      const hint = line === '' ? undefined : parseMonitorLine(line);
      if (hint) this.onHint(hint);
    }
  }

  private ended(): void {
    this.child = undefined;
    clearTimeout(this.timer);
    if (this.closing) {
      this.closing.resolve();
      return;
    }
    this.onHint({ about: 'anything' });
    const pause = Math.min(RESTART_MS.most, RESTART_MS.first * 2 ** this.failures++);
    this.timer = setTimeout(() => this.start(), pause).unref();
  }
}
