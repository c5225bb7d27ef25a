// The socket: one line each way, whatever the other side does.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AgentAway, askAgent } from '../../cni/client.ts';
import { type PluginAnswer, type PluginRequest, serve } from '../../cni/index.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'manx-socket-'));
  path = join(folder, 'run', 'cni.sock');
});
afterEach(() => rm(folder, { recursive: true }));

const request: PluginRequest = { env: { CNI_COMMAND: 'DEL' }, config: { name: 'pods' } };
const echo = { handle: async (asked: PluginRequest): Promise<PluginAnswer> => ({ exit: 0, print: { asked } }) };

async function connected(): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

test('a request is answered', async () => {
  await using _server = await serve(path, echo);
  expect(await askAgent(path, request)).toEqual({ exit: 0, print: { asked: request } });
});

test('only the owner may open it', async () => {
  await using _server = await serve(path, echo);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(folder, 'run'))).toEqual(['cni.sock']);
});

test('many at once get each their own answer', async () => {
  await using _server = await serve(path, echo);
  const asked = Array.from({ length: 50 }, (_, index) => ({ env: { N: `${index}` }, config: {} }));
  const answers = await Promise.all(asked.map((one) => askAgent(path, one)));
  expect(answers).toEqual(asked.map((one) => ({ exit: 0, print: { asked: one } })));
});

test('a line may arrive in any pieces', async () => {
  await using _server = await serve(path, echo);
  const socket = await connected();
  const line = Buffer.from(`${JSON.stringify({ env: { X: 'ä' }, config: {} })}\n`);
  for (const byte of line) {
    socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(JSON.parse(await text(socket))).toMatchObject({ print: { asked: { env: { X: 'ä' } } } });
});

test('a client that closes its half in place of the newline is answered', async () => {
  await using _server = await serve(path, echo);
  const socket = await connected();
  socket.end(JSON.stringify(request));
  expect(JSON.parse(await text(socket))).toMatchObject({ exit: 0 });
});

test.each(['nonsense', '[]', '{}', '{"env":{"A":1}}', '{"env":[]}', 'null'])(
  '%s is answered with code 6',
  async (line) => {
    await using _server = await serve(path, echo);
    const socket = await connected();
    socket.write(`${line}\n`);
    expect(JSON.parse(await text(socket))).toMatchObject({ exit: 1, print: { code: 6, msg: expect.any(String) } });
  },
);

test('a request without end is refused when it is too long', async () => {
  await using _server = await serve(path, echo, { maxRequest: 1000 });
  const socket = await connected();
  socket.on('error', () => undefined);
  socket.write('x'.repeat(5000));
  expect(JSON.parse(await text(socket))).toMatchObject({
    exit: 1,
    print: { code: 6, msg: expect.stringContaining('1000') },
  });
});

test('a client that says nothing is sent away', async () => {
  await using _server = await serve(path, echo, { patienceMs: 50 });
  expect(await text(await connected())).toBe('');
});

test('a client that dies is served to the end, and the next one as well', async () => {
  let served = 0;
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const slow = {
    handle: async (): Promise<PluginAnswer> => {
      await gate;
      served++;
      return { exit: 0 };
    },
  };
  await using _server = await serve(path, slow);
  const socket = await connected();
  socket.write(`${JSON.stringify(request)}\n`);
  await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  open();
  expect(await askAgent(path, request)).toEqual({ exit: 0 });
  expect(served).toBe(2);
});

test('what the operations throw is an answer, not the end of the server', async () => {
  await using _server = await serve(path, { handle: () => Promise.reject(new Error('oh')) });
  for (let i = 0; i < 2; i++) expect(await askAgent(path, request)).toMatchObject({ exit: 1, print: { code: 999 } });
});

test('disposing ends after the last answer, and takes the socket away', async () => {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const slow = {
    handle: async (): Promise<PluginAnswer> => {
      begin();
      await gate;
      return { exit: 0 };
    },
  };
  const server = await serve(path, slow);
  const answer = askAgent(path, request);
  await begun;
  const idle = await connected();
  const end = server[Symbol.asyncDispose]();
  open();
  expect([await answer, await text(idle)]).toEqual([{ exit: 0 }, '']);
  await end;
  expect(await readdir(join(folder, 'run'))).toEqual([]);
});

test('disposing waits also for what a client that died had asked for', async () => {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const log: string[] = [];
  const slow = {
    handle: async (): Promise<PluginAnswer> => {
      begin();
      await gate;
      log.push('served');
      return { exit: 0 };
    },
  };
  const server = await serve(path, slow);
  const socket = await connected();
  socket.write(`${JSON.stringify(request)}\n`);
  await begun;
  socket.destroy();
  await once(socket, 'close');
  const end = server[Symbol.asyncDispose]().then(() => log.push('ended'));
  setTimeout(open, 50);
  await end;
  expect(log).toEqual(['served', 'ended']);
});

test('a second agent on the same socket is refused, and the first goes on', async () => {
  await using _server = await serve(path, echo);
  await expect(serve(path, echo)).rejects.toMatchObject({ code: 5, message: expect.stringContaining('another agent') });
  expect(await askAgent(path, request)).toMatchObject({ exit: 0 });
});

test('of agents that start together one serves', async () => {
  const servers = await Promise.allSettled(Array.from({ length: 8 }, () => serve(path, echo)));
  expect(servers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(await askAgent(path, request)).toMatchObject({ exit: 0 });
  for (const server of servers) if (server.status === 'fulfilled') await server.value[Symbol.asyncDispose]();
});

test('a socket that a killed agent left is replaced', async () => {
  const server = new URL('../../cni/server.ts', import.meta.url).href;
  const script = `import { serve } from '${server}'; await serve('${path}', {}); console.log('up')`;
  const killed = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(killed.stdout, 'data');
  const end = once(killed, 'exit');
  killed.kill('SIGKILL');
  await end;
  expect((await stat(path)).isSocket()).toBe(true);
  await expect(askAgent(path, request)).rejects.toThrow(AgentAway);
  await using _server = await serve(path, echo);
  expect(await askAgent(path, request)).toMatchObject({ exit: 0 });
});

test("somebody else's file in its place is left alone", async () => {
  const file = join(folder, 'file');
  await writeFile(file, 'x');
  await expect(serve(file, echo)).rejects.toMatchObject({ code: 5, message: expect.stringContaining('is no socket') });
  expect((await stat(file)).size).toBe(1);
});

test('a dangling link in its place is left alone', async () => {
  await symlink('/nowhere/x', join(folder, 'link'));
  await expect(serve(join(folder, 'link'), echo)).rejects.toMatchObject({ code: 5 });
  expect(await readdir(folder)).toContain('link');
});

test('a path that is too long for the kernel says so', async () => {
  await expect(serve(join(folder, 'x'.repeat(100)), echo)).rejects.toMatchObject({
    code: 5,
    message: expect.stringContaining('107'),
  });
});

test('nobody on the socket is AgentAway, with a word of advice', async () => {
  await expect(askAgent(path, request)).rejects.toThrow(/no Manx agent answers on .*manxd/);
});

test('an agent that goes away before it answers is AgentAway', async () => {
  const server = await import('node:net').then(({ createServer }) => createServer((socket) => socket.destroy()));
  path = join(folder, 's');
  server.listen(path);
  await once(server, 'listening');
  await expect(askAgent(path, request)).rejects.toThrow(AgentAway);
  server.close();
});

test('an agent that never answers is AgentAway in the end', async () => {
  await using _server = await serve(path, {
    handle: () => new Promise((resolve) => setTimeout(() => resolve({ exit: 0 }), 300)),
  });
  await expect(askAgent(path, request, { withinMs: 100 })).rejects.toThrow(AgentAway);
});
