// What an uninstall says to the API server, to one that writes it down. A real one takes it in test/cluster/status.test.ts.
import { once } from 'node:events';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { type Server, createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tellNetworkIsGone } from '../../deploy/image/network-gone.ts';
import { makeCertificate } from '../lab/kubernetes/certificate.ts';
import { lacking } from '../lab/needs.ts';

const reason = lacking('openssl');
const title = (sentence: string): string => (reason === undefined ? sentence : `${sentence} (skipped: ${reason})`);
let account: string;
let server: Server;
const heard: { readonly asked: IncomingMessage; readonly body: unknown }[] = [];
let status = 200;

beforeAll(async () => {
  if (reason !== undefined) return;
  account = await mkdtemp(join(tmpdir(), 'manx-account-'));
  await makeCertificate(account, ['127.0.0.1']);
  const [cert, key] = await Promise.all(['tls.crt', 'tls.key'].map((name) => readFile(join(account, name))));
  await rename(join(account, 'tls.crt'), join(account, 'ca.crt'));
  await writeFile(join(account, 'token'), 'secret\n');
  server = createServer({ cert, key }, (asked, answer) => {
    void json(asked).then((body) => {
      heard.push({ asked, body });
      answer.writeHead(status).end('{"message": "no"}');
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterAll(async () => {
  server?.close();
  if (account !== undefined) await rm(account, { recursive: true });
});

const tell = (): Promise<void> => {
  const { port } = server.address() as AddressInfo;
  return tellNetworkIsGone('worker-1', { host: '127.0.0.1', port: String(port), account });
};

test.skipIf(reason)(title('it patches one condition of its own Node, with the account of its pod'), async () => {
  status = 200;
  await tell();
  const { asked, body } = heard.at(-1)!;
  expect([asked.method, asked.url]).toEqual(['PATCH', '/api/v1/nodes/worker-1/status']);
  expect(asked.headers).toMatchObject({
    authorization: 'Bearer secret',
    'content-type': 'application/strategic-merge-patch+json',
  });
  expect(body).toMatchObject({
    status: { conditions: [{ type: 'NetworkUnavailable', status: 'True', reason: 'ManxIsGone' }] },
  });
});

test.skipIf(reason)(title("what the server refuses is an error with the server's words"), async () => {
  status = 403;
  await expect(tell()).rejects.toThrow('403: {"message": "no"}');
});
