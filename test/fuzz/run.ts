// `npm run fuzz [MESSAGES]`: the fuzzers for longer, by default over 20 million messages for the decoders, and an eighth
// of that in whole sessions. From another seed each time; the seed is said, so that a failure can be seen again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const [messages = '20000000'] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(messages)) throw new Error(`npm run fuzz: ${messages} is no number of messages`);
const seed = process.env['MANX_FUZZ_SEED'] ?? String(1 + (Date.now() % 1_000_000_000));
console.log(`MANX_FUZZ_MESSAGES=${messages} MANX_FUZZ_SEED=${seed}`);
const tests = spawn(process.execPath, [new URL('../run.ts', import.meta.url).pathname, 'test/fuzz'], {
  stdio: 'inherit',
  env: { ...process.env, MANX_FUZZ_MESSAGES: messages, MANX_FUZZ_SEED: seed },
});
const [code] = (await once(tests, 'exit')) as [number | null];
process.exitCode = code ?? 1;
