// The demo's experiment: an agent is killed under a running ping, and nothing is lost. The demo restarts no agent by
// itself, so this does, with the command line that the killed one had.
import { execFileSync, spawn } from 'node:child_process';
import { openSync, readFileSync, readdirSync } from 'node:fs';
import { Host } from '../lab/host.ts';
import { startPing } from '../lab/reach.ts';
import { until } from '../lab/until.ts';
import type { Say } from './words.ts';

const victim = 'worker-1';

/** True when no packet was lost. */
export async function crash(say: Say): Promise<boolean> {
  const pings = [
    { what: 'web-1 on worker-1 -> web-2 on worker-2', ping: startPing(new Host('web-1'), addressOf('web-2')) },
    { what: 'web-1 on worker-1 -> host behind the router', ping: startPing(new Host('web-1'), '198.51.100.10') },
    { what: 'host behind the router -> web-1', ping: startPing(new Host('host'), addressOf('web-1')) },
  ];
  say(`pinging every 10 ms; killing the agent of ${victim} with SIGKILL`);
  const commandLine = killAgent();
  await new Promise((resolve) => setTimeout(resolve, 2000)); // the visitor should see a while without an agent
  say('two seconds without an agent; starting it again');
  restart(commandLine);
  await until('its sessions are Established again', established, 30_000, 100);
  await new Promise((resolve) => setTimeout(resolve, 1000)); // and a while after it is back
  let good = true;
  for (const { what, ping } of pings) {
    const { sent, received } = await ping.stop();
    good &&= sent === received;
    say(`  ${what}: ${sent} sent, ${sent - received} lost`);
  }
  return good;
}

/** Kills the victim's agent; its command line. */
function killAgent(): readonly string[] {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const words = commandLineOf(pid);
    if (!words[1]?.endsWith('manxd.mjs') || words[words.indexOf('--node') + 1] !== victim) continue;
    process.kill(Number(pid), 'SIGKILL');
    return words;
  }
  throw new Error(`no agent of ${victim} runs`);
}

function commandLineOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // it ended while we looked
    throw error;
  }
}

/** The agent outlives this process: it belongs to the demo again. */
function restart(commandLine: readonly string[]): void {
  const log = openSync(`/run/demo/${victim}/manxd.log`, 'a');
  spawn('ip', ['netns', 'exec', victim, ...commandLine], { stdio: ['ignore', log, log], detached: true }).unref();
}

async function established(): Promise<boolean> {
  const words = ['/run/demo/bin/manxctl', 'node', 'status', '-o', 'json'];
  const { stdout, code } = await new Host(victim).run(words[0]!, words.slice(1), {
    mayFail: true,
    env: { MANX_RUN: `/run/demo/${victim}/run` },
  });
  if (code !== 0) return false;
  const { bgp } = JSON.parse(stdout) as { bgp: { peers: readonly { state: string }[] } };
  return bgp.peers.every((peer) => peer.state === 'Established');
}

/** The IPv4 address of a pod, asked of its own namespace. */
function addressOf(pod: string): string {
  const output = execFileSync('ip', ['-n', pod, '-4', '-o', 'addr', 'show', 'dev', 'eth0'], { encoding: 'utf8' });
  return output.match(/inet ([\d.]+)/)![1]!;
}
