// One million prefixes through the speaker alone, over loopback, with numbers for the next developer:
// test/lab/enter.sh node test/bench/speaker.ts [PREFIXES] [PER SET] [node options for the speaker]. No assertions.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { run } from '../lab/host.ts';
import { dut, feeder, sink } from './daemons.ts';
import { establish } from './session.ts';
import { updates } from './wire.ts';

const [prefixes = '1000000', perSet = '8', ...options] = process.argv.slice(2);
const count = Number(prefixes);
for (const { address } of [dut, feeder, sink]) await run('ip', ['addr', 'add', `${address}/32`, 'dev', 'lo']);
const speaker = spawn(process.execPath, [...options, new URL('manx.ts', import.meta.url).pathname], {
  stdio: 'inherit',
});
const out = await establish({ local: sink.address, remote: dut.address, asn: sink.asn, holdSeconds: 9 });
const into = await establish({ local: feeder.address, remote: dut.address, asn: feeder.asn, holdSeconds: 9 });
const stream = updates({ prefixes: count, perSet: Number(perSet) }, feeder.asn, feeder.address.split('.').map(Number));

const began = performance.now();
into.socket.write(stream);
await out.holds(count);
console.log(`${count} prefixes through: ${seconds(began)} s, peak ${peakMiB()} MiB`);

const late = performance.now();
const second = await establish({ local: sink.address, remote: dut.address, asn: sink.asn, holdSeconds: 9 }).catch(
  () => undefined,
);
if (second !== undefined) {
  await second.holds(count);
  console.log(`full table to a late peer: ${seconds(late)} s`);
}

const dropped = performance.now();
into.close();
await (second ?? out).holds(0);
console.log(`withdrawn when the session drops: ${seconds(dropped)} s, peak ${peakMiB()} MiB`);
console.log(`longest silence on the idle session: ${(out.longestSilence() / 1000).toFixed(2)} s`);
out.close();
speaker.kill('SIGTERM');
await once(speaker, 'exit');

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(2);
}

/** VmHWM is in KiB (proc(5)). */
function peakMiB(): string {
  const status = readFileSync(`/proc/${speaker.pid}/status`, 'utf8');
  return (Number(status.match(/VmHWM:\s+(\d+)/)![1]) / 1024).toFixed(0);
}
