// One `ip` child that lives long: lines go in, lines (or text) come out, and its end is told once.
//
// It is started when it is made and never per event: a process as big as ours takes tens of milliseconds to fork.
import { type ChildProcess, spawn } from 'node:child_process';

/** What a child tells its owner. Calls come in the order of things; `ended` is the last. */
export interface ChildOwner {
  /** Standard output as it comes, cut anywhere. Without this it is thrown away. */
  output?(text: string): void;
  /** One line of standard error. */
  complaint(line: string): void;
  ended(how: ChildEnd): void;
}

/** How a child ended; `spawned` is false when it could not even be started. */
export interface ChildEnd {
  readonly spawned: boolean;
  readonly words: string;
  /** By a signal, not of its own accord. */
  readonly killed: boolean;
}

export class Child {
  readonly startedAt = Date.now();
  private readonly process: ChildProcess;
  private readonly owner: ChildOwner;
  private readonly command: string;
  private rest = '';
  private gone = false;

  constructor(command: readonly string[], owner: ChildOwner) {
    this.owner = owner;
    this.command = command[0]!;
    // English messages, whatever the operator's locale.
    this.process = spawn(this.command, command.slice(1), {
      stdio: ['pipe', owner.output ? 'pipe' : 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    });
    // Without a free file descriptor there are no pipes either; `error` says so.
    this.process.stdin?.on('error', () => undefined); // it has ended: `close` says so and why
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => owner.output!(text));
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => this.complain(text));
    this.process.on('error', (error) => this.end({ spawned: false, words: error.message, killed: false }));
    this.process.once('close', (code, signal) => {
      const words = signal ? `was killed by ${signal}` : `ended with exit code ${code}`;
      this.end({ spawned: true, words: `${this.command} ${words}`, killed: signal !== null });
    });
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  write(text: string): void {
    this.process.stdin?.write(text);
  }

  /** Lets it finish what it has been told. */
  finish(): void {
    this.process.stdin?.end();
  }

  kill(): void {
    this.process.kill('SIGKILL');
  }

  private complain(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    for (const line of lines) this.owner.complaint(line);
  }

  private end(how: ChildEnd): void {
    if (this.gone) return;
    this.gone = true;
    if (this.rest !== '') this.owner.complaint(this.rest);
    this.owner.ended(how);
  }
}
