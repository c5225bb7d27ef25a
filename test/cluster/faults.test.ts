// Each fault of lab/kubernetes/faults.ts, seen by a plain client: a test that spoils nothing would prove nothing.
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../lab/kubernetes/api-server.ts';
import { type Faults, startFaults } from '../lab/kubernetes/faults.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';

const reason = lacking('kubernetes', 'etcd', 'openssl', 'nft');
let server: ApiServer;
let faults: Faults;
let agent: Agent;

beforeAll(async () => {
  if (reason !== undefined) return;
  server = await startApiServer();
  faults = await startFaults(server);
  // No probes of TCP's on connections that say nothing: one that is half-open would be told so by the first.
  agent = new Agent({ ca: readFileSync(server.certificateFile), keepAlive: true, keepAliveMsecs: 600_000 });
});
afterEach(() => faults?.heal());
afterAll(async () => {
  agent?.destroy();
  await faults?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
const configMaps = '/api/v1/namespaces/default/configmaps';
const watchPath = `${configMaps}?watch=true`;

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Asks through the proxy and resolves with the head; the body is still to come. */
async function open(path: string, method = 'GET', body = '', within?: AbortSignal): Promise<IncomingMessage> {
  const headers = { authorization: `Bearer ${server.adminToken}`, 'content-type': 'application/json' };
  const asked = request(faults.url + path, { agent, method, headers, ...(within && { signal: within }) });
  asked.end(body);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  asked.on('error', () => undefined); // from now on the answer says it
  return answer;
}

/** A watch that is told only of what happens from now on. */
async function openWatch(): Promise<IncomingMessage> {
  const { metadata } = JSON.parse((await ask(configMaps)).body) as { metadata: { resourceVersion: string } };
  return open(`${watchPath}&resourceVersion=${metadata.resourceVersion}`);
}

async function ask(path: string, method?: string, body?: string, within?: AbortSignal): Promise<Answer> {
  const answer = await open(path, method, body, within);
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) text += chunk as string;
  return { status: answer.statusCode!, body: text };
}

test.skipIf(reason)(title('without a fault everything comes through, kubectl included'), async () => {
  const kubeconfig = await faults.kubeconfigFor('admin');
  const { stdout } = await server.kubectl(['--kubeconfig', kubeconfig, 'get', 'namespace', 'default', '-o', 'name']);
  expect(stdout).toBe('namespace/default\n');
  expect(faults.requests.map(({ path }) => path)).toContain('/api/v1/namespaces/default');
});

test.skipIf(reason)(title('503 is answered to lists while watches go on'), async () => {
  const stop = faults.misbehave('others', { do: 'answer', status: 503, retryAfterSeconds: 1 });
  expect((await ask(configMaps)).status).toBe(503);
  const watch = await open(watchPath);
  expect(watch.statusCode).toBe(200);
  watch.destroy();
  stop();
  expect((await ask(configMaps)).status).toBe(200);
});

test.skipIf(reason)(title('a watch is told 410 in an event, as the server does it'), async () => {
  const stop = faults.misbehave('watches', { do: 'watchError', status: 410 });
  const { status, body } = await ask(watchPath);
  stop();
  expect(status).toBe(200);
  expect(JSON.parse(body)).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } });
});

test.skipIf(reason)(title('a watch is ended properly, and reset'), async () => {
  const ended = await openWatch();
  faults.endWatches();
  for await (const _ of ended) expect.fail('nothing happened that a watch could tell');
  const broken = await openWatch();
  faults.reset();
  await expect(broken.toArray()).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test.skipIf(reason)(title('a write whose answer is lost has happened'), async () => {
  const stop = faults.misbehave('others', { do: 'loseAnswer' });
  const written = ask(configMaps, 'POST', JSON.stringify({ metadata: { name: 'written' } }));
  await expect(written).rejects.toMatchObject({ code: 'ECONNRESET' });
  stop();
  expect((await ask(`${configMaps}/written`)).status).toBe(200);
});

test.skipIf(reason)(title('an answer breaks off in the middle'), async () => {
  const stop = faults.misbehave('others', { do: 'cut', afterBytes: 100 });
  await expect(ask(configMaps)).rejects.toMatchObject({ code: 'ECONNRESET' });
  stop();
});

test.skipIf(reason)(title('an answer is swallowed'), async () => {
  const stop = faults.misbehave('others', { do: 'swallow' });
  await expect(ask(configMaps, 'GET', '', AbortSignal.timeout(300))).rejects.toMatchObject({ code: 'ABORT_ERR' });
  stop();
});

test.skipIf(reason)(title('behind a partition nothing answers, and connections survive it'), async () => {
  const watch = (await openWatch()).setEncoding('utf8');
  await faults.partition();
  await expect(ask(configMaps, 'GET', '', AbortSignal.timeout(300))).rejects.toMatchObject({ code: 'ABORT_ERR' });
  await server.kubectl(['create', 'configmap', 'meanwhile']);
  await faults.heal();
  const [event] = (await once(watch, 'data')) as [string];
  expect(event).toContain('ADDED');
  watch.destroy();
});

test.skipIf(reason)(title('a half-open watch hears nothing more, and new connections are served'), async () => {
  const watch = await openWatch();
  await until('the proxy serves the watch', () => faults.openWatches() > 0);
  await faults.halfOpen();
  expect(faults.openWatches()).toBe(0);
  const halfOpen = agent;
  agent = new Agent({ ca: readFileSync(server.certificateFile) });
  expect((await ask(configMaps)).status).toBe(200);
  expect({ ended: watch.readableEnded, destroyed: watch.destroyed }).toEqual({ ended: false, destroyed: false });
  watch.on('error', () => undefined);
  halfOpen.destroy();
});

test.skipIf(reason)(title('a watch from a version that etcd has compacted is told 410'), async () => {
  await server.kubectl(['create', 'configmap', 'newer']);
  await server.etcd.compact();
  await server.stop();
  await server.start();
  await until('the server has forgotten it', async () => {
    const { body } = await ask(`${watchPath}&resourceVersion=1&timeoutSeconds=1`);
    return body.includes('"code":410');
  });
});
