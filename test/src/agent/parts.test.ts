// The agent's small parts: locks, loops, forwarding, the mark of a run, health.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { advertisedInterfaces, ensureForwarding } from '../../../src/agent/forwarding.ts';
import { FolderTaken, lockFolders } from '../../../src/agent/lock.ts';
import { Loop } from '../../../src/agent/loop.ts';
import { createSweep } from '../../../src/agent/sweep.ts';
import { wiredAddresses } from '../../../src/agent/wired-addresses.ts';
import { markRun } from '../../../src/agent/mark.ts';

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'manx-agent-'));
});
afterAll(() => rm(scratch, { recursive: true }));

const log = pino({ level: 'silent' });
const lockModule = new URL('../../../src/agent/lock.ts', import.meta.url).pathname;

/** A process that holds the lock of a folder until it is killed. Disposing of it does that. */
async function startHolder(folder: string): Promise<{ pid: number | undefined } & AsyncDisposable> {
  const script = `
    import { lockFolders } from ${JSON.stringify(lockModule)};
    globalThis.lock = await lockFolders([${JSON.stringify(folder)}]);
    console.log('locked');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { pid: child.pid, [Symbol.asyncDispose]: kill };
}

describe('the lock of a folder', () => {
  test('refuses a second process and names the first', async () => {
    const folder = join(scratch, 'taken');
    await using holder = await startHolder(folder);
    const refused = lockFolders([folder]);
    await expect(refused).rejects.toThrow(FolderTaken);
    await expect(refused).rejects.toThrow(`another manxd (process ${holder.pid}) runs on ${folder}`);
  });

  test('is gone with a process that was killed', async () => {
    const folder = join(scratch, 'killed');
    await (await startHolder(folder))[Symbol.asyncDispose]();
    using lock = await lockFolders([folder]);
    expect(lock).toBeDefined();
  });

  test('is taken once where state and run are one folder, by whatever names', async () => {
    const folder = join(scratch, 'one');
    await mkdir(folder);
    await symlink(folder, join(scratch, 'other-name'));
    using lock = await lockFolders([folder, join(scratch, 'other-name')]);
    expect(lock).toBeDefined();
  });

  test('leaves nothing locked when a later folder is taken', async () => {
    const [free, taken] = [join(scratch, 'free'), join(scratch, 'busy')];
    await using holder = await startHolder(taken);
    await expect(lockFolders([free, taken])).rejects.toThrow(FolderTaken);
    expect(holder.pid).toBeDefined();
    using lock = await lockFolders([free]);
    expect(lock).toBeDefined();
  });
});

describe('a loop', () => {
  test('runs once for many looks of one turn', async () => {
    let runs = 0;
    const loop = new Loop({ doing: 'counting', log, work: async () => void runs++ });
    for (let i = 0; i < 10; i++) loop.look();
    await loop.settle();
    expect(runs).toBe(1);
  });

  test('runs again for a look that comes while it runs', async () => {
    const seen: number[] = [];
    let value = 1;
    const loop: Loop = new Loop({
      doing: 'reading',
      log,
      work: async () => {
        seen.push(value);
        if (value++ === 1) loop.look();
      },
    });
    await loop.settle();
    expect(seen).toEqual([1, 2]);
  });

  test('tries again by itself after a failure, and shows it as long as it lasts', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let runs = 0;
    const loop = new Loop({
      doing: 'reaching the store',
      log,
      firstRetryMs: 5,
      work: async () => {
        if (++runs === 1) throw new Error('away');
        resolve();
      },
    });
    await loop.settle();
    expect(loop.failure).toMatchObject({ doing: 'reaching the store', error: 'away' });
    await promise;
    await loop.settle();
    expect(loop.failure).toBeUndefined();
  });

  test('ends after the run that is under way, and begins no other', async () => {
    let runs = 0;
    const loop = new Loop({ doing: 'counting', log, everyMs: 1, work: async () => void runs++ });
    await loop.settle();
    await loop.close();
    loop.look();
    await loop.settle();
    expect(runs).toBe(1);
  });
});

async function fakeProc(files: Readonly<Record<string, string>>): Promise<string> {
  const proc = await mkdtemp(join(scratch, 'proc-'));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(proc, name)), { recursive: true });
    await writeFile(join(proc, name), text);
  }
  return proc;
}

// A default route that eth0 has from a router advertisement, one of eth1's set by hand, and eth1's own prefix.
const routeTable = `
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1
fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00040001     eth1
`;

describe('forwarding', () => {
  const off = {
    'sys/net/ipv4/ip_forward': '0\n',
    'sys/net/ipv6/conf/all/forwarding': '0\n',
    'sys/net/ipv6/conf/all/accept_ra': '1\n',
    'sys/net/ipv6/conf/eth0/accept_ra': '1\n',
    'sys/net/ipv6/conf/eth1/accept_ra': '1\n',
    'net/ipv6_route': routeTable,
  };

  test('is switched on in both families', async () => {
    const proc = await fakeProc(off);
    expect(await ensureForwarding(log, proc)).toEqual([]);
    expect(await readFile(join(proc, 'sys/net/ipv4/ip_forward'), 'utf8')).toBe('1');
    expect(await readFile(join(proc, 'sys/net/ipv6/conf/all/forwarding'), 'utf8')).toBe('1');
  });

  test('keeps the default route of an interface that has it from router advertisements', async () => {
    const proc = await fakeProc(off);
    await ensureForwarding(log, proc);
    expect(await readFile(join(proc, 'sys/net/ipv6/conf/eth0/accept_ra'), 'utf8')).toBe('2');
    expect(await readFile(join(proc, 'sys/net/ipv6/conf/eth1/accept_ra'), 'utf8')).toBe('1\n');
  });

  test('that cannot be had is a problem that says what to do', async () => {
    const proc = await fakeProc({ ...off, 'sys/net/ipv6/conf/all/forwarding': '1\n' });
    await rm(join(proc, 'sys/net/ipv4/ip_forward'));
    await mkdir(join(proc, 'sys/net/ipv4/ip_forward'));
    expect(await ensureForwarding(log, proc)).toEqual([
      { family: 4, problem: 'net.ipv4.ip_forward is not 1 and cannot be set (EISDIR): set it on the host' },
    ]);
  });

  test('asks nothing of a kernel without IPv6', async () => {
    const proc = await fakeProc({ 'sys/net/ipv4/ip_forward': '1\n' });
    expect(await ensureForwarding(log, proc)).toEqual([]);
  });

  test('only a default route from an advertisement counts', () => {
    expect([...advertisedInterfaces(routeTable)]).toEqual(['eth0']);
  });
});

describe('the mark of a run', () => {
  test('tells the first run from a restart with the kernel as it was', async () => {
    const state = await mkdtemp(join(scratch, 'state-'));
    expect(await markRun(state)).toBe('first');
    expect(await markRun(state)).toBe('preserved');
  });

  test('of another boot says that what was forwarding is lost', async () => {
    const state = await mkdtemp(join(scratch, 'state-'));
    await writeFile(join(state, 'run'), '00000000-0000-0000-0000-000000000000 net:[1]\n');
    expect(await markRun(state)).toBe('lost');
  });
});

describe('the sweep after a start', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('waits after convergence until best paths are quiet', () => {
    const sweeps: number[] = [];
    const begin = Date.now();
    const sweep = createSweep(() => sweeps.push(Date.now() - begin));
    sweep.converged();
    for (const ms of [900, 900, 900]) {
      vi.advanceTimersByTime(ms);
      sweep.changed();
    }
    vi.advanceTimersByTime(10_000);
    expect(sweeps).toEqual([3700]);
  });

  test('comes all the same where nothing is ever quiet', () => {
    const sweeps: number[] = [];
    const begin = Date.now();
    const sweep = createSweep(() => sweeps.push(Date.now() - begin));
    sweep.converged();
    for (let i = 0; i < 100; i++) {
      vi.advanceTimersByTime(500);
      sweep.changed();
    }
    expect(sweeps).toEqual([30_000]);
  });

  test('does not come before convergence, nor after an end', () => {
    const sweeps: number[] = [];
    const sweep = createSweep(() => sweeps.push(0));
    sweep.changed();
    vi.advanceTimersByTime(60_000);
    sweep.converged();
    sweep.cancel();
    vi.advanceTimersByTime(60_000);
    expect(sweeps).toEqual([]);
  });
});

test('addresses of pods are read from host routes to cali interfaces, whoever wired them', async () => {
  const proc = await fakeProc({
    'net/route': `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
cali0761ccbeace	4892520A	00000000	0005	0	0	0	FFFFFFFF	0	0	0
cali0761ccbeace	0092520A	00000000	0005	0	0	0	00FFFFFF	0	0	0
eth1	4892520A	00000000	0005	0	0	0	FFFFFFFF	0	0	0
`,
    'net/ipv6_route': `fd820000000000000000000000000077 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000 00000001 cali0761ccbeace
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 cali0761ccbeace
`,
  });
  expect(await wiredAddresses(proc)).toEqual(['10.82.146.72', 'fd82::77']);
});
