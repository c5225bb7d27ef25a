// A few shells that wait for work. Starting a program from a large agent is slow (libuv copies its page tables, on the
// event loop); from a shell of half a megabyte it is not.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { CniError } from './error.ts';
import type { Note } from './port.ts';

export interface ShellOutcome {
  readonly output: string;
  readonly code: number;
}

export interface Shells extends AsyncDisposable {
  /** Runs a script in the first shell that is free. Its output is what it writes to stdout. @throws CniError 11 */
  run(script: string): Promise<ShellOutcome>;
}

/** Up to `size` shells, started when they are first needed. None keeps this process alive while it waits. */
export function createShells(options: { size?: number; note?: Note } = {}): Shells {
  const { size = 2, note = () => undefined } = options;
  const all = new Set<Shell>();
  const idle: Shell[] = [];
  const queue: (() => void)[] = [];

  const take = async (): Promise<Shell> => {
    for (;;) {
      const shell = idle.pop();
      if (shell?.isAlive) return shell;
      if (shell) all.delete(shell);
      else if (all.size < size) {
        const fresh = new Shell(note);
        all.add(fresh);
        return fresh;
      } else await new Promise<void>((resolve) => queue.push(resolve));
    }
  };
  const give = (shell: Shell): void => {
    if (shell.isAlive) idle.push(shell);
    else all.delete(shell);
    queue.shift()?.();
  };

  return {
    async run(script) {
      const shell = await take();
      try {
        return await shell.run(script);
      } finally {
        give(shell);
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...all].map((shell) => shell.end()));
    },
  };
}

class Shell {
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private readonly marker = `manx-${randomBytes(8).toString('hex')}`;
  private received = '';
  private waiting: { resolve: (outcome: ShellOutcome) => void; reject: (error: CniError) => void } | undefined;
  isAlive = true;

  constructor(note: Note) {
    const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;
    this.child = spawn('sh', [], { stdio: 'pipe', env: { PATH: path, LC_ALL: 'C' } });
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => this.receive(text));
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => note({ message: 'shell complains', text }));
    this.child.stdin!.on('error', () => undefined); // a shell that died says so by its end
    this.ended = new Promise((resolve) => {
      const end = (reason: string): void => {
        this.isAlive = false;
        this.waiting?.reject(new CniError(11, `a helper of the agent ended in the middle of its work (${reason})`));
        this.waiting = undefined;
        resolve();
      };
      this.child.once('error', (error) => end(error.message));
      this.child.once('close', (code, signal) => end(signal ?? `exit code ${code}`));
    });
    this.hold(false);
  }

  run(script: string): Promise<ShellOutcome> {
    this.hold(true);
    const outcome = new Promise<ShellOutcome>((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
    this.child.stdin!.write(`${script}\nprintf '\\n%s %s\\n' ${this.marker} $?\n`);
    return outcome.finally(() => this.hold(false));
  }

  async end(): Promise<void> {
    this.hold(true);
    this.child.stdin!.end();
    await this.ended;
  }

  private receive(text: string): void {
    this.received += text;
    const end = this.received.lastIndexOf(`\n${this.marker} `);
    if (end < 0 || !this.received.endsWith('\n')) return;
    const code = Number(this.received.slice(end + this.marker.length + 2));
    const output = this.received.slice(0, end);
    this.received = '';
    this.waiting?.resolve({ output, code });
    this.waiting = undefined;
  }

  /** While it waits for work, the shell must not keep the agent from ending. */
  private hold(hold: boolean): void {
    const handles = [this.child, this.child.stdin, this.child.stdout, this.child.stderr] as {
      ref(): void;
      unref(): void;
    }[];
    for (const handle of handles) {
      if (hold) handle.ref();
      else handle.unref();
    }
  }
}

/** A word that the shell takes as it is. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
