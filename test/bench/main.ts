// `npm run bench`: one peer loads prefixes into a daemon, another takes them out; Manx, BIRD and FRR side by side.
//
// Prints, per daemon: seconds from the first byte sent until the last prefix came out, the same for the withdrawal when
// the loading session drops, the peak of the daemon's memory, and the longest silence on the idle session (a late
// keepalive would show there); then the ratios to BIRD. Timings are for reading, never assertions.
import { readFileSync } from 'node:fs';
import { createHost, run } from '../lab/host.ts';
import { lacking } from '../lab/needs.ts';
import { type Contender, bird, dut, feeder, frr, manx, sink } from './daemons.ts';
import { establish } from './session.ts';
import { type Load, updates } from './wire.ts';

interface Figures {
  readonly name: string;
  readonly through: number;
  readonly withdrawn: number;
  readonly peakMiB: number;
  readonly silence: number;
}

const load: Load = { prefixes: Number(process.argv[2] ?? 1_000_000), perSet: 8 };
const rounds = Number(process.argv[3] ?? 3);
const contenders = [manx, bird, frr].filter((contender) => {
  const reason = lacking(...contender.tools);
  if (reason !== undefined) console.log(`${contender.name} is left out: ${reason}`);
  return reason === undefined;
});

console.log(`${load.prefixes} prefixes, ${load.perSet} per attribute set, ${rounds} rounds in turn, medians`);
const stream = updates(load, feeder.asn, feeder.address.split('.').map(Number));
const seen: Figures[] = [];
for (let round = 0; round < rounds; round++) {
  for (const contender of contenders) seen.push(await measure(contender));
}
report(
  contenders.map(({ name }) =>
    medians(
      name,
      seen.filter((figures) => figures.name === name),
    ),
  ),
);

async function measure(contender: Contender): Promise<Figures> {
  await using host = await createHost('dut');
  await run('ip', ['link', 'add', 'tester', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host.name]);
  for (const { address } of [feeder, sink]) await run('ip', ['addr', 'add', `${address}/24`, 'dev', 'tester']);
  await run('ip', ['link', 'set', 'tester', 'up']);
  await host.ip(`addr add ${dut.address}/24 dev eth0`);
  await host.ip('link set eth0 up');
  const daemon = await contender.start(host, `/run/bench/${contender.name}`);
  const out = await establish({ local: sink.address, remote: dut.address, asn: sink.asn, holdSeconds: 9 });
  const into = await establish({ local: feeder.address, remote: dut.address, asn: feeder.asn, holdSeconds: 9 });

  const begin = performance.now();
  into.socket.write(stream);
  await out.holds(load.prefixes);
  const through = performance.now() - begin;
  const peakMiB = peakOf(daemon.pid!);
  const dropped = performance.now();
  into.close();
  await out.holds(0);
  const withdrawn = performance.now() - dropped;
  const silence = out.longestSilence();
  out.close();
  // A namespace that goes takes its links with it only later; the next daemon wants the same addresses now.
  await run('ip', ['link', 'del', 'tester']);
  return {
    name: contender.name,
    through: through / 1000,
    withdrawn: withdrawn / 1000,
    peakMiB,
    silence: silence / 1000,
  };
}

/** VmHWM is in KiB (proc(5)). */
function peakOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmHWM:\s+(\d+)/)![1]) / 1024;
}

function medians(name: string, all: readonly Figures[]): Figures {
  const median = (pick: (figures: Figures) => number): number => all.map(pick).sort((a, b) => a - b)[all.length >> 1]!;
  return {
    name,
    through: median((figures) => figures.through),
    withdrawn: median((figures) => figures.withdrawn),
    peakMiB: median((figures) => figures.peakMiB),
    silence: median((figures) => figures.silence),
  };
}

function report(rows: readonly Figures[]): void {
  const yardstick = rows.find(({ name }) => name === 'BIRD');
  console.log('daemon   through s   withdrawn s   peak MiB   longest silence s   through / BIRD   withdrawn / BIRD');
  for (const row of rows) {
    const ratio = (pick: (figures: Figures) => number): string =>
      yardstick === undefined ? '–' : (pick(row) / pick(yardstick)).toFixed(2);
    const cells = [row.through.toFixed(2), row.withdrawn.toFixed(2), row.peakMiB.toFixed(0), row.silence.toFixed(2)];
    const ratios = [ratio((figures) => figures.through), ratio((figures) => figures.withdrawn)];
    const widths = [12, 14, 11, 20, 17, 19];
    console.log(
      row.name.padEnd(7) +
        [...cells, ...ratios].map((cell, i) => cell.padStart(widths[i]! - (i === 0 ? 0 : 0))).join(''),
    );
  }
}
