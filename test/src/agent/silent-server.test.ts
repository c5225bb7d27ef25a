// An API server that takes connections and never says a word: it keeps no agent from starting, nor from stopping.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { joinCluster } from '../../../src/agent/cluster.ts';
import { readConfig } from '../../../src/config.ts';
import { createHost } from '../../lab/host.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { node } from '../../support/resources.ts';
import { TestAgent } from '../api/pair.ts';

test('starting goes on after a while, and says what has not been done yet', async () => {
  const store = createMemoryStore(node('a'));
  const { promise: answer, resolve: speak } = Promise.withResolvers<undefined>();
  store.get = () => answer;
  const warnings: object[] = [];
  const log = { info: () => undefined, error: () => undefined, warn: (fields: object) => warnings.push(fields) };
  const command = readConfig(['--store', 'kubernetes', '--ip', 'none'], {}, 'a');
  if (command.do !== 'run') throw new Error('not to run');
  const cluster = joinCluster(command.config, store, log as never, 50);
  await cluster.settle();
  expect(warnings).toEqual([{ doing: ['making what the cluster needs once'] }]);
  speak(undefined);
  await cluster[Symbol.asyncDispose]();
  // What was begun has gone on by itself.
  expect(store.calls).toContain('create ClusterInformation default');
});

test('an agent that is told to stop stops in order, and says that it did not wait', async () => {
  await using stack = new AsyncDisposableStack();
  const host = stack.use(await createHost());
  const folder = await mkdtemp(join(tmpdir(), 'manx-silent-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const mute = "require('node:net').createServer(() => {}).listen(6443, '127.0.0.1', () => console.log('listening'))";
  const server = host.start(process.execPath, ['-e', mute], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout!, 'data');
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(
    kubeconfig,
    `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:6443', insecure-skip-tls-verify: true}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`,
  );
  const agent = new TestAgent(host, join(folder, 'a'), 'a', ['--no-fib', '--kubeconfig', kubeconfig]);
  await agent.start();
  expect(await agent.end('SIGTERM')).toEqual([0, null]);
  const messages = (await agent.log())
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { message: string }).message);
  expect(messages.slice(-3)).toEqual([
    'stopping; routes and pods stay',
    'stopping takes long: the API server is not waited for any more',
    'stopped',
  ]);
}, 60_000);
