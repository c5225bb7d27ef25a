// The real thing with an agent that has NET_ADMIN and nothing else: the plugin does the pod's half, and may fail at it.
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../lab/until.ts';
import { bundlePlugin } from './support/bundle.ts';
import { type Node, addressesOf, createNode, createPod, nothing } from './support/lab.ts';

const scratch = '/run/lab/cni-unprivileged';
let node: Node;
let executable: Node['executable'];
beforeAll(async () => {
  await mkdir(scratch, { recursive: true });
  executable = [process.execPath, await bundlePlugin(scratch)];
});
afterAll(() => rm(scratch, { recursive: true }));
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(node.log.join('\n'));
  await node[Symbol.asyncDispose]();
});

describe('an agent without SYS_ADMIN', () => {
  beforeEach(async () => void (node = await createNode('cni-unpriv', executable, 'plugin')));

  test('cannot enter a namespace, and has the plugin do it', async () => {
    await using pod = await createPod('confined');
    const status = await readFile(`/proc/${node.agentPid}/status`, 'utf8');
    expect(status).toContain('CapEff:\t0000000000001000'); // CAP_NET_ADMIN
    const [v4] = addressesOf(await node.add(pod));
    expect(await pod.host.ip('addr show dev eth0')).toContain(v4);
  });

  test.each([
    ['before its report', 1],
    ['before it has read its order', 0],
  ])('undoes the ADD of a plugin that ends %s, without any DEL', async (_, lines) => {
    await using pod = await createPod('cut');
    const socket = connect(node.socket);
    const request = { env: node.environment('ADD', pod), config: node.config() };
    await new Promise((resolve) => socket.write(`${JSON.stringify(request)}\n`, resolve));
    if (lines > 0) {
      const [order] = (await once(socket, 'data')) as [Buffer];
      expect(JSON.parse(order.toString())).toMatchObject({ order: { do: 'apply', netns: pod.netns } });
      expect(await pod.host.ip('link show')).toContain('eth0');
    }
    socket.destroy();
    await until('the agent has said that it failed', () => node.log.some((line) => line.includes('plugin ended')));
    await until('nothing is left', async () => isDeepStrictEqual(await node.remains(), nothing));
    expect(await pod.host.ip('link show')).not.toContain('eth0');
  });

  test('undoes the ADD of a plugin that could not do its half, and says why', async () => {
    await using pod = await createPod('deaf');
    const socket = connect(node.socket);
    socket.setEncoding('utf8');
    socket.write(`${JSON.stringify({ env: node.environment('ADD', pod), config: node.config() })}\n`);
    await once(socket, 'data');
    socket.write(`${JSON.stringify({ report: { error: 'no node:ffi' } })}\n`);
    const [answer] = (await once(socket, 'data')) as [string];
    expect(JSON.parse(answer)).toMatchObject({
      exit: 1,
      print: { code: 102, msg: expect.stringMatching(/no node:ffi/) },
    });
    expect(await node.remains()).toEqual(nothing);
  });
});
