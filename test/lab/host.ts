// A host of the lab: one network namespace, the commands that run in it, and their end.
//
// Only to be used inside lab/enter.sh (npm test and npm run demo see to that), so nothing here can reach the real host.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

/** What a finished command printed, and its exit code (128 + n for signal n is not used: a signal gives code null). */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Do not throw when the command fails. */
  readonly mayFail?: boolean;
  readonly signal?: AbortSignal;
}

let serial = 0;

/**
 * Makes a network namespace with its loopback up. Dispose of it to kill what was started in it and remove it.
 * @throws when this process is not inside lab/enter.sh.
 */
export async function createHost(name = `h${process.pid}-${serial++}`): Promise<Host> {
  if (process.env['MANX_LAB'] === undefined) throw new Error('not inside the lab: start this with npm test');
  const host = new Host(name);
  await host.boot();
  return host;
}

/** A veth cable between two hosts; both ends are up. */
export async function connect(a: Host, nameA: string, b: Host, nameB: string): Promise<void> {
  await run('ip', ['link', 'add', nameA, 'netns', a.name, 'type', 'veth', 'peer', 'name', nameB, 'netns', b.name]);
  await a.ip(`link set ${nameA} up`);
  await b.ip(`link set ${nameB} up`);
}

export class Host {
  readonly name: string;
  private readonly running = new Set<ChildProcess>();

  constructor(name: string) {
    this.name = name;
  }

  /** Makes its namespace, without a wire. To be called again after its disposal: the same name, and nothing in it. */
  async boot(): Promise<void> {
    await run('ip', ['netns', 'add', this.name]);
    await this.ip('link set lo up');
    // Nobody else is on the lab's wires: addresses are usable at once, without a second of asking for duplicates.
    await this.run('sysctl', ['-qw', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.all.accept_dad=0']);
  }

  /** The path that a container runtime would pass as CNI_NETNS. */
  get netns(): string {
    return `/run/netns/${this.name}`;
  }

  /** Runs a command in this host to its end. @throws when it fails, unless mayFail. */
  run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<Outcome> {
    return run('ip', ['netns', 'exec', this.name, command, ...args], options);
  }

  /** Runs `ip` with the words of one line. */
  async ip(line: string): Promise<string> {
    return (await run('ip', ['-n', this.name, ...line.split(' ')])).stdout;
  }

  /** Starts a command in this host that goes on until it ends, is killed or the host is disposed of. */
  start(command: string, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
    // `ip netns exec` replaces itself by the command, so the child's pid is the command's own.
    const child = spawn('ip', ['netns', 'exec', this.name, command, ...args], options);
    this.running.add(child);
    child.once('exit', () => this.running.delete(child));
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ends = [...this.running].map((child) => once(child, 'exit'));
    for (const child of this.running) child.kill('SIGKILL');
    await Promise.all(ends);
    await run('ip', ['netns', 'delete', this.name]);
  }
}

/** Runs a command to its end in this process's own namespaces. @throws when it fails, unless mayFail. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawn(command, args, {
    stdio: 'pipe',
    env: { ...process.env, ...options.env },
    ...(options.signal && { signal: options.signal }),
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  child.stdin.on('error', () => undefined); // a command that reads no input closes the pipe; its exit code tells
  child.stdin.end(options.input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0 && !options.mayFail) {
    throw new Error(`${[command, ...args].join(' ')} ended with ${code}: ${output.stderr || output.stdout}`);
  }
  return { ...output, code };
}
