// A program of Kubernetes that runs on: its log in a file, its end when the test says so or its place goes.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';

/** Where programs can be started: a host of the lab, or a node of a cluster. */
export interface Place {
  start(command: string, args?: readonly string[], options?: SpawnOptions): ChildProcess;
}

/** This process's own namespaces. */
const here: Place = { start: (command, args = [], options = {}) => spawn(command, args, options) };

export class Daemon {
  readonly name: string;
  readonly logFile: string;
  private readonly command: readonly [string, ...string[]];
  private readonly place: Place;
  private child: ChildProcess | undefined;

  constructor(folder: string, command: readonly [string, ...string[]], place: Place = here) {
    this.name = command[0];
    this.logFile = `${folder}/${this.name}.log`;
    this.command = command;
    this.place = place;
  }

  get ended(): boolean {
    return this.child === undefined || this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async start(): Promise<void> {
    await using log = await open(this.logFile, 'a');
    const [program, ...args] = this.command;
    this.child = this.place.start(program, args, { stdio: ['ignore', log.fd, log.fd] });
    await once(this.child, 'spawn');
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.ended) return;
    const end = once(this.child!, 'exit');
    this.child!.kill(signal);
    await end;
  }

  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  /** The last lines of its log, to be shown where it failed. */
  async lastWords(): Promise<string> {
    return (await readFile(this.logFile, 'utf8')).split('\n').slice(-30).join('\n');
  }
}
