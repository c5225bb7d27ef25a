// The demo itself, inside its namespaces: build, show, stay, take down. Also the verbs that join a running one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { build } from './build.ts';
import { crash } from './crash.ts';
import { show } from './show.ts';
import { invitation } from './words.ts';

const [verb, ...rest] = process.argv.slice(2);
if (verb === 'exec') await execute(rest[0]!, rest.slice(1));
else if (verb === 'crash') process.exitCode = (await crash(console.log)) ? 0 : 1;
else await demo(verb === '--once');

async function demo(leaveAtOnce: boolean): Promise<void> {
  const asked = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]).then(() => 'asked' as const);
  await using centre = await build(console.log);
  const good = await show(centre, console.log);
  process.exitCode = good ? 0 : 1;
  if (leaveAtOnce || !good) return;
  console.log(invitation);
  // A pending promise alone does not keep Node running.
  const alive = setInterval(() => undefined, 1 << 30);
  await asked;
  clearInterval(alive);
  console.log('\ndemo: taking it down');
}

/** A command in one host, with manxctl at hand for a node. */
async function execute(name: string, words: readonly string[]): Promise<void> {
  const env = { ...process.env, PATH: `/run/demo/bin:${process.env['PATH']}`, MANX_RUN: `/run/demo/${name}/run` };
  const child = spawn('ip', ['netns', 'exec', name, ...words], { stdio: 'inherit', env });
  const [code] = (await once(child, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
}
