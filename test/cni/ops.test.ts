// The operations but ADD over a kernel in memory: what each verb leaves behind, above all when something goes wrong.
import { describe, expect, test } from 'vitest';
import { CniError, hostInterfaceName } from '../../cni/index.ts';
import { FakeAgent, codeOf, nothing } from './support/fake-agent.ts';

const linkOf = (name: string): string =>
  hostInterfaceName({ network: 'pods', containerId: 'x', ifname: 'eth0' }, { namespace: 'default', name });

describe('DEL', () => {
  test.each([
    ['as it was added', {}],
    ['with an empty namespace', { netns: '' }],
    ['with a namespace that is gone', { netns: '/run/netns/gone' }],
    ["without the pod's name", { name: undefined }],
  ])('%s leaves nothing, however often', async (_, change) => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    await agent.do('ADD', pod);
    for (let i = 0; i < 3; i++) {
      const { name, ...rest } = { ...pod, ...change };
      expect(await agent.call('DEL', { ...rest, ...(name !== undefined && { name }) })).toEqual({ exit: 0 });
    }
    expect(agent.remains).toEqual(nothing);
  });

  test('of a container that was never added succeeds', async () => {
    const agent = new FakeAgent();
    expect(await agent.call('DEL', { id: 'nobody', netns: '' })).toEqual({ exit: 0 });
  });

  test('works when link and namespace are gone already', async () => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    await agent.do('ADD', pod);
    agent.kernel.removeLink(linkOf('a'));
    agent.kernel.netnses.clear();
    await agent.do('DEL', pod);
    expect(agent.remains).toEqual(nothing);
  });

  test('tells the listener once', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    agent.changes = 0;
    await agent.do('DEL', agent.pod('a'));
    expect(agent.changes).toBe(1);
  });

  test('that is repeated, as runtimes do, asks for no address and no link again', async () => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    await agent.do('ADD', pod);
    await agent.do('DEL', pod);
    await agent.do('DEL', pod);
    await agent.do('DEL', { ...pod, netns: '' });
    expect(agent.released).toEqual(['pods.a']);
  });

  test('after a second ADD of the same container takes that off, too', async () => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    for (let times = 0; times < 2; times++) {
      await agent.do('ADD', pod);
      await agent.do('DEL', pod);
    }
    expect(agent.remains).toEqual(nothing);
    expect(agent.released).toEqual(['pods.a', 'pods.a']);
  });

  test('releases the address only after the link, and with it the route, is gone', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    agent.kernel.refusal = { pattern: /^link del/, error: 'RTNETLINK answers: Operation not permitted' };
    expect(codeOf(await agent.call('DEL', agent.pod('a')))).toBe(102);
    expect(agent.remains).toEqual({ links: [linkOf('a')], leases: ['pods.a'], records: ['pods/a/eth0'] });
  });

  test('that could not release keeps the record, and succeeds when repeated', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    agent.releaseFault = new CniError(11, 'the lease was not found in time');
    const answer = await agent.call('DEL', agent.pod('a'));
    expect(answer.print).toMatchObject({ code: 11 });
    expect(JSON.stringify(answer)).not.toMatch(/not found/i);
    agent.releaseFault = undefined;
    await agent.do('DEL', agent.pod('a'));
    expect(agent.remains).toEqual(nothing);
  });

  test('without a record frees the lease of the handle, as for pods that Calico wired', async () => {
    const agent = new FakeAgent();
    agent.leases.set('pods.a', ['10.82.0.9']);
    await agent.do('DEL', { id: 'a', netns: '' });
    expect(agent.remains).toEqual(nothing);
  });

  test('without a record removes the link that is proven to be the other end of this container', async () => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    agent.kernel.links.set(linkOf('a'), { netns: pod.netns, ifname: 'eth0', mac: 'x' });
    await agent.do('DEL', pod);
    expect(agent.remains).toEqual(nothing);
  });

  test('without a record leaves a link alone that leads into another namespace', async () => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    agent.kernel.links.set(linkOf('a'), { netns: '/run/netns/other', ifname: 'eth0', mac: 'x' });
    await agent.do('DEL', pod);
    expect(agent.remains.links).toEqual([linkOf('a')]);
  });

  test("without a record leaves a link alone whose other end is not the container's interface", async () => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    agent.kernel.foreign.add('/run/netns/a eth0');
    agent.kernel.links.set(linkOf('a'), { netns: '/run/netns/other', ifname: 'eth0', mac: 'x' });
    await agent.do('DEL', pod);
    expect(agent.remains.links).toEqual([linkOf('a')]);
  });

  test('of an old container whose namespace path now is another one harms nobody', async () => {
    const agent = new FakeAgent();
    const successor = agent.pod('new', { name: 'web-2', netns: '/run/netns/reused' });
    await agent.do('ADD', successor);
    await agent.do('DEL', { id: 'old', name: 'web-2', netns: '/run/netns/reused' });
    expect(agent.remains).toEqual({ links: [linkOf('web-2')], leases: ['pods.new'], records: ['pods/new/eth0'] });
  });

  test('reads nothing of the configuration that it does not need', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    await agent.do('DEL', agent.pod('a'), { cniVersion: '0.3.1', mtu: 'big', ipam: { type: 'x' }, prevResult: 7 });
    expect(agent.remains).toEqual(nothing);
  });
});

describe('STATUS', () => {
  const none = { id: '' };

  test('succeeds, silently, when ADD can be served', async () => {
    expect(await new FakeAgent().call('STATUS', none)).toEqual({ exit: 0 });
  });

  test('is 51 when the kernel takes no orders', async () => {
    const agent = new FakeAgent();
    agent.kernel.refusal = { pattern: /./, error: 'RTNETLINK answers: Operation not permitted' };
    expect(codeOf(await agent.call('STATUS', none))).toBe(51);
  });

  test('is 50 when the records cannot be read', async () => {
    const agent = new FakeAgent();
    agent.records.list = () => Promise.reject(new CniError(5, 'records cannot be read'));
    expect(codeOf(await agent.call('STATUS', none))).toBe(50);
  });
});

describe('GC', () => {
  const valid = (...pods: { id: string; ifname?: string }[]): object => ({
    'cni.dev/valid-attachments': pods.map(({ id, ifname = 'eth0' }) => ({ containerID: id, ifname })),
  });

  test('removes what the runtime does not know, and nothing of other networks', async () => {
    const agent = new FakeAgent();
    for (const id of ['a', 'b']) await agent.do('ADD', agent.pod(id));
    await agent.do('ADD', agent.pod('c', { network: 'other' }));
    await agent.do('GC', { id: '' }, valid({ id: 'a' }));
    expect(agent.remains.records).toEqual(['pods/a/eth0', 'other/c/eth0']);
  });

  test('knows interfaces apart', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    await agent.do('ADD', { ...agent.pod('a'), ifname: 'net1' });
    await agent.do('GC', { id: '' }, valid({ id: 'a', ifname: 'net1' }));
    expect(agent.remains.records).toEqual(['pods/a/net1']);
  });

  test('with an empty list frees all, however often', async () => {
    const agent = new FakeAgent();
    for (const id of ['a', 'b']) await agent.do('ADD', agent.pod(id));
    for (let i = 0; i < 2; i++) await agent.do('GC', { id: '' }, valid());
    expect(agent.remains).toEqual(nothing);
  });

  test('without a list does nothing, code 7', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    expect(codeOf(await agent.call('GC', { id: '' }))).toBe(7);
    expect(agent.remains.records).toEqual(['pods/a/eth0']);
  });

  test('goes on past errors and reports them', async () => {
    const agent = new FakeAgent();
    for (const id of ['a', 'b', 'c']) await agent.do('ADD', agent.pod(id));
    const remove = agent.records.remove.bind(agent.records);
    agent.records.remove = (key) =>
      key.containerId === 'b' ? Promise.reject(new CniError(5, 'disk full')) : remove(key);
    const answer = await agent.call('GC', { id: '' }, valid());
    expect(answer.print).toMatchObject({ code: 5, msg: '1 of 3 attachments could not be removed: disk full' });
    expect(agent.remains.records).toEqual(['pods/b/eth0']);
  });

  test('leaves alone what is being attached at that moment', async () => {
    const agent = new FakeAgent();
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    agent.kernel.hold = (line) => (line.startsWith('link add') ? gate : Promise.resolve());
    const add = agent.do('ADD', agent.pod('a'));
    await expect.poll(() => agent.kernel.mostAtOnce).toBe(1);
    const gc = agent.do('GC', { id: '' }, valid());
    release();
    await Promise.all([add, gc]);
    expect(agent.remains.records).toEqual(['pods/a/eth0']);
  });

  test('that was kept as a tombstone spares what was attached after it', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    const at = agent.now++;
    await agent.do('ADD', agent.pod('b'));
    await agent.do('GC', { id: '' }, valid(), { at });
    expect(agent.remains.records).toEqual(['pods/b/eth0']);
  });
});

test('a DEL that was kept as a tombstone spares the same container when it was added again after it', async () => {
  const agent = new FakeAgent();
  const at = agent.now++;
  await agent.do('ADD', agent.pod('a'));
  await agent.do('DEL', agent.pod('a'), {}, { at });
  expect(agent.remains.records).toEqual(['pods/a/eth0']);
});

describe('CHECK', () => {
  test('without prevResult is code 7', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    expect(codeOf(await agent.call('CHECK', agent.pod('a')))).toBe(7);
  });

  test('of a container that was never added is code 3', async () => {
    const agent = new FakeAgent();
    expect(codeOf(await agent.call('CHECK', agent.pod('a'), { prevResult: {} }))).toBe(3);
  });

  test('before 0.4.0 is code 1', async () => {
    const agent = new FakeAgent();
    expect(codeOf(await agent.call('CHECK', agent.pod('a'), { cniVersion: '0.3.1', prevResult: {} }))).toBe(1);
  });
});

describe('reconciling', () => {
  const became = async (agent: FakeAgent): Promise<string[]> =>
    (await agent.operations.reconcile()).map((result) => result.became);

  test('keeps what is as it should be', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    expect(await became(agent)).toEqual(['kept']);
    expect(agent.remains.records).toEqual(['pods/a/eth0']);
  });

  test.each(['link add', 'link set', 'route add'])('undoes an ADD that was cut short before %s', async (line) => {
    const agent = new FakeAgent();
    agent.kernel.hold = (next) => (next.startsWith(line) ? new Promise(() => undefined) : Promise.resolve());
    void agent.call('ADD', agent.pod('a'));
    await expect.poll(() => agent.stored.size).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    // The same kernel, leases and records under an agent that has just started.
    const next = new FakeAgent();
    for (const [key, value] of agent.stored) next.stored.set(key, value);
    for (const [key, value] of agent.leases) next.leases.set(key, value);
    for (const [key, value] of agent.kernel.links) next.kernel.links.set(key, value);
    expect(await became(next)).toEqual(['undone']);
    expect(next.remains).toEqual(nothing);
  });

  test('removes what lost its namespace and its link, and frees the addresses', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    agent.kernel.removeLink(linkOf('a'));
    agent.kernel.netnses.clear();
    expect(await became(agent)).toEqual(['removed']);
    expect(agent.remains).toEqual(nothing);
  });

  test('keeps and reports what lost its link alone: the pod may still believe in its address', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    agent.kernel.removeLink(linkOf('a'));
    expect(await became(agent)).toEqual(['broken']);
    expect(agent.remains.leases).toEqual(['pods.a']);
    expect(agent.facts).toContainEqual(expect.objectContaining({ message: 'attachment reconciled', became: 'broken' }));
  });

  test('keeps a link whose namespace lost its name', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    agent.kernel.netnses.clear();
    expect(await became(agent)).toEqual(['kept']);
  });

  test('goes on past what cannot be undone', async () => {
    const agent = new FakeAgent();
    for (const id of ['a', 'b']) await agent.do('ADD', agent.pod(id));
    for (const [name, record] of agent.stored) agent.stored.set(name, { ...record, state: 'adding' });
    agent.kernel.refusal = { pattern: new RegExp(`link del dev ${linkOf('a')}`), error: 'no' };
    expect(await became(agent)).toEqual(['failed', 'undone']);
  });
});

test('VERSION is answered for versions that are not spoken, too', async () => {
  const answer = await new FakeAgent().call('VERSION', { id: '' }, { cniVersion: '9.9.9' });
  expect(answer).toMatchObject({ exit: 0, print: { cniVersion: '9.9.9', supportedVersions: expect.any(Array) } });
});

test('a fault of ours is code 999 and in the log', async () => {
  const agent = new FakeAgent();
  agent.records.get = () => Promise.reject(new TypeError('x is not a function'));
  expect(codeOf(await agent.call('ADD', agent.pod('a')))).toBe(999);
  expect(agent.facts).toContainEqual(expect.objectContaining({ message: 'CNI call failed', code: 999 }));
});
