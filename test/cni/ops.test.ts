// The operations over a kernel in memory: what each verb leaves behind, above all when something goes wrong.
import { describe, expect, test } from 'vitest';
import { type Attachment, CniError, hostInterfaceName } from '../../cni/index.ts';
import { FakeAgent, codeOf, nothing, tryAgain } from './support/fake-agent.ts';

const linkOf = (name: string): string =>
  hostInterfaceName({ network: 'pods', containerId: 'x', ifname: 'eth0' }, { namespace: 'default', name });

describe('ADD', () => {
  test('attaches, records and reports', async () => {
    const agent = new FakeAgent();
    const result = await agent.do('ADD', agent.pod('a'));
    expect(result).toMatchObject({
      interfaces: [{ name: linkOf('a') }, { name: 'eth0', sandbox: '/run/netns/a', mtu: 1500 }],
      ips: [{ address: '10.82.0.1/32' }, { address: 'fd82::1/128' }],
    });
    expect(agent.stored.get('pods/a/eth0')).toMatchObject({
      state: 'wired',
      handle: 'pods.a',
      netns: '/run/netns/a',
      hostInterface: linkOf('a'),
      addresses: ['10.82.0.1', 'fd82::1'],
      mtu: 1500,
      pod: { namespace: 'default', name: 'a' },
    });
    expect(agent.changes).toBe(1);
  });

  test('the record is there before anything else is', async () => {
    const agent = new FakeAgent();
    const seen: (Attachment | undefined)[] = [];
    agent.kernel.hold = async (line) => {
      if (line.startsWith('link add')) seen.push(agent.stored.get('pods/a/eth0'));
    };
    await agent.do('ADD', agent.pod('a'));
    expect(seen).toEqual([expect.objectContaining({ state: 'adding', handle: 'pods.a', hostInterface: linkOf('a') })]);
  });

  test("what it asks of IPAM: handle, families, Calico's attributes", async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'));
    expect(agent.requests).toEqual([
      { handle: 'pods.a', families: [4, 6], attributes: { node: 'worker-1', namespace: 'default', pod: 'a' } },
    ]);
  });

  test('pools of one family do not rule the other family out', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'), { ipam: { ipv4_pools: ['rack-1'] } });
    expect(agent.requests.map(({ families, pools }) => ({ families, pools }))).toEqual([
      { families: [4], pools: ['rack-1'] },
      { families: [6], pools: undefined },
    ]);
  });

  test('fixed addresses are asked for as they are', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', agent.pod('a'), { args: { cni: { ips: ['10.82.0.77'] } } });
    expect(agent.requests).toEqual([expect.objectContaining({ families: [4], addresses: ['10.82.0.77'] })]);
  });

  test('the MTU and the MAC that were asked for are what is wired', async () => {
    const agent = new FakeAgent();
    const result = await agent.do('ADD', agent.pod('a'), { mtu: 1400, runtimeConfig: { mac: '02:11:22:33:44:55' } });
    expect(result).toMatchObject({ interfaces: [{ mtu: 1400 }, { mtu: 1400, mac: '02:11:22:33:44:55' }] });
    expect(agent.kernel.log[0]).toMatch(/mtu 1400 .* peer name eth0 address 02:11:22:33:44:55 mtu 1400 /);
  });

  test.each([
    ['the link', /^link add/],
    ["the host's link coming up", /^link set/],
    ["the host's route", /^route add 10/],
    ["the pod's address", /^addr add fd82/],
    ["the pod's route", /^route add default via fe80/],
  ])('a kernel that refuses %s leaves nothing behind', async (_, pattern) => {
    const agent = new FakeAgent();
    agent.kernel.refusal = { pattern, error: 'RTNETLINK answers: Operation not permitted' };
    const answer = await agent.call('ADD', agent.pod('a'));
    expect(answer.print).toMatchObject({ code: 102, msg: expect.stringContaining('Operation not permitted') });
    expect(agent.remains).toEqual(nothing);
  });

  test("a roll-back waits for the pod's half, which must not go on behind its back", async () => {
    const agent = new FakeAgent();
    const { namespaces } = agent.kernel;
    const apply = namespaces.apply.bind(namespaces);
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    namespaces.apply = async (...half) => {
      await gate;
      return apply(...half);
    };
    agent.kernel.refusal = { pattern: /^route add 10/, error: 'no' };
    const answer = agent.call('ADD', agent.pod('a'));
    await expect.poll(() => agent.kernel.refusals).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(agent.remains.links).toEqual([linkOf('a')]);
    open();
    expect(codeOf(await answer)).toBe(102);
    expect(agent.remains).toEqual(nothing);
  });

  test('settings that cannot be written leave nothing behind', async () => {
    const agent = new FakeAgent();
    agent.kernel.sysctls.write = () => Promise.reject(new CniError(5, 'the agent cannot write: Read-only file system'));
    expect(codeOf(await agent.call('ADD', agent.pod('a')))).toBe(5);
    expect(agent.remains).toEqual(nothing);
  });

  test('a batch that cannot run at all is the kernel refusing, not a fault of ours', async () => {
    const agent = new FakeAgent();
    agent.kernel.batch.run = () => Promise.reject(new Error('ip cannot be started'));
    const { code, msg } = (await agent.call('ADD', agent.pod('a'))).print as { code: number; msg: string };
    expect([code, msg]).toEqual([102, 'ip cannot be started']);
  });

  test('a link that was made although the batch failed is removed', async () => {
    const agent = new FakeAgent();
    const { batch } = agent.kernel;
    const run: typeof batch.run = batch.run.bind(batch);
    batch.run = async (lines) => {
      const answers = await run(lines);
      if (lines[0]!.startsWith('link add')) throw new Error('ip ended without an answer');
      return answers;
    };
    expect(codeOf(await agent.call('ADD', agent.pod('a')))).toBe(102);
    expect(agent.remains).toEqual(nothing);
  });

  test('without an address nothing is left behind, and the sentence of IPAM is passed on', async () => {
    const agent = new FakeAgent();
    agent.assignFault = tryAgain();
    expect((await agent.call('ADD', agent.pod('a'))).print).toMatchObject({
      code: 11,
      msg: 'no free address: pool a has 0 of 256 left',
    });
    expect(agent.remains).toEqual(nothing);
  });

  test('any other fault of IPAM is worth another try', async () => {
    const agent = new FakeAgent();
    agent.assignFault = new Error('the datastore is away');
    expect((await agent.call('ADD', agent.pod('a'))).print).toMatchObject({ code: 11, msg: 'the datastore is away' });
  });

  test('a record that cannot be completed undoes the wiring', async () => {
    const agent = new FakeAgent();
    agent.putFault = ({ state }) => (state === 'wired' ? new CniError(5, 'no space left') : undefined);
    expect(codeOf(await agent.call('ADD', agent.pod('a')))).toBe(5);
    expect(agent.remains).toEqual(nothing);
  });

  test('a roll-back that fails keeps the record, and the DEL that follows does the rest', async () => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    agent.kernel.refusal = { pattern: /^route add 10/, error: 'no' };
    agent.releaseFault = new Error('the datastore is away');
    expect(codeOf(await agent.call('ADD', pod))).toBe(102);
    expect(agent.stored.get('pods/a/eth0')?.state).toBe('adding');
    agent.releaseFault = undefined;
    await agent.do('DEL', pod);
    expect(agent.remains).toEqual(nothing);
  });

  test('a namespace that is not there is a clean failure, code 3', async () => {
    const agent = new FakeAgent();
    expect(codeOf(await agent.call('ADD', { id: 'a', netns: '/run/netns/nobody' }))).toBe(3);
    expect([agent.remains, agent.requests]).toEqual([nothing, []]);
  });

  test("the host's own namespace is code 8 before anything is done", async () => {
    const agent = new FakeAgent();
    agent.kernel.namespaces.identify = async () => 'own';
    expect(codeOf(await agent.call('ADD', agent.pod('a')))).toBe(8);
    expect([agent.kernel.log, agent.requests]).toEqual([[], []]);
  });

  test('a second ADD of the same container and interface is refused and touches nothing', async () => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    await agent.do('ADD', pod);
    const before = { remains: agent.remains, record: agent.stored.get('pods/a/eth0'), log: [...agent.kernel.log] };
    expect(codeOf(await agent.call('ADD', pod))).toBe(101);
    expect({ remains: agent.remains, record: agent.stored.get('pods/a/eth0'), log: agent.kernel.log }).toEqual(before);
    expect(agent.released).toEqual([]);
  });

  test('an interface that somebody else made, and its lease under the same handle, stay untouched', async () => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    agent.kernel.foreign.add('/run/netns/a eth0');
    agent.leases.set('pods.a', ['10.82.0.9']);
    expect(codeOf(await agent.call('ADD', pod))).toBe(101);
    expect(agent.remains).toEqual({ links: [], leases: ['pods.a'], records: [] });
  });

  test('a link that a lost record left is replaced', async () => {
    const agent = new FakeAgent();
    agent.kernel.links.set(linkOf('a'), { netns: '/run/netns/old', ifname: 'eth0', mac: 'x' });
    await agent.do('ADD', agent.pod('a'));
    expect(agent.kernel.links.get(linkOf('a'))?.netns).toBe('/run/netns/a');
  });

  test('a container that lost its link without a DEL (a machine that was switched off) is attached again', async () => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    await agent.do('ADD', pod);
    agent.kernel.removeLink(linkOf('a'));
    await agent.do('ADD', pod);
    expect(agent.remains).toEqual({ links: [linkOf('a')], leases: ['pods.a'], records: ['pods/a/eth0'] });
  });

  test('a link that was made although its line was reported as existing is taken for what it is', async () => {
    const agent = new FakeAgent();
    const { batch } = agent.kernel;
    const run: typeof batch.run = batch.run.bind(batch);
    // As when `ip` is killed after the line and the batch asks again.
    batch.run = async (lines) => {
      if (lines[0]!.startsWith('link add')) await run(lines);
      return run(lines);
    };
    await agent.do('ADD', agent.pod('a'));
    expect(agent.remains.links).toEqual([linkOf('a')]);
  });

  test('a route of ours that still leads elsewhere gives way', async () => {
    const agent = new FakeAgent();
    agent.kernel.routes.set('10.82.0.1/32', { dev: 'eth0', protocol: '201' });
    await agent.do('ADD', agent.pod('a'));
    expect(agent.kernel.routes.get('10.82.0.1/32')?.dev).toBe(linkOf('a'));
  });

  test("somebody else's route is never replaced: ADD fails, says whose it is and leaves nothing", async () => {
    const agent = new FakeAgent();
    agent.kernel.routes.set('10.82.0.1/32', { dev: 'eth7', protocol: '3' });
    expect((await agent.call('ADD', agent.pod('a'))).print).toMatchObject({
      code: 102,
      msg: expect.stringMatching(/10\.82\.0\.1\/32.*dev eth7, protocol 3/),
    });
    expect(agent.kernel.routes.get('10.82.0.1/32')).toEqual({ dev: 'eth7', protocol: '3' });
    expect(agent.remains).toEqual(nothing);
  });

  test('two interfaces of one container live side by side and go one by one', async () => {
    const agent = new FakeAgent();
    const first = agent.pod('a');
    const second = { ...first, ifname: 'net1' };
    await agent.do('ADD', first);
    await agent.do('ADD', second);
    expect([...agent.leases.values()].flat()).toHaveLength(4);
    await agent.do('DEL', second);
    expect(agent.remains).toEqual({ links: [linkOf('a')], leases: ['pods.a'], records: ['pods/a/eth0'] });
  });

  test('two attachments whose handles would be the same are not both made', async () => {
    const agent = new FakeAgent();
    await agent.do('ADD', { ...agent.pod('a', { name: 'x' }), ifname: 'net1' });
    expect(codeOf(await agent.call('ADD', agent.pod('a.net1', { name: 'y' })))).toBe(7);
    expect(agent.remains).toMatchObject({ leases: ['pods.a.net1'], records: ['pods/a/net1'] });
  });

  test('a chained ADD returns the previous result and what it adds', async () => {
    const agent = new FakeAgent();
    const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'lo' }], ips: [], routes: [] };
    expect(await agent.do('ADD', agent.pod('a'), { prevResult })).toMatchObject({
      interfaces: [{ name: 'lo' }, { name: linkOf('a') }, { name: 'eth0' }],
      ips: [{ interface: 2 }, { interface: 2 }],
    });
  });

  test('ADDs of different containers run side by side', async () => {
    const agent = new FakeAgent();
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    agent.kernel.hold = (line) => (line.startsWith('link add') ? gate : Promise.resolve());
    const adds = ['a', 'b', 'c'].map((id) => agent.do('ADD', agent.pod(id)));
    await expect.poll(() => agent.kernel.mostAtOnce).toBe(3);
    release();
    await Promise.all(adds);
    expect(agent.remains.links).toHaveLength(3);
  });

  test('ADD and DEL of one container wait for each other, in their order', async () => {
    const agent = new FakeAgent();
    const pod = agent.pod('a');
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    agent.kernel.hold = (line) => (line.startsWith('link add') ? gate : Promise.resolve());
    const both = [agent.do('ADD', pod), agent.do('DEL', pod)];
    release();
    await Promise.all(both);
    expect(agent.remains).toEqual(nothing);
  });
});

describe('a new sandbox of the same pod', () => {
  test('takes the place of the old one, whose DEL then harms nobody', async () => {
    const agent = new FakeAgent();
    const old = agent.pod('old', { name: 'web-1' });
    const fresh = agent.pod('new', { name: 'web-1' });
    await agent.do('ADD', old);
    await agent.do('ADD', fresh);
    expect(agent.remains).toEqual({ links: [linkOf('web-1')], leases: ['pods.new'], records: ['pods/new/eth0'] });
    for (const netns of [old.netns, '', fresh.netns]) await agent.do('DEL', { ...old, netns });
    expect(agent.remains).toEqual({ links: [linkOf('web-1')], leases: ['pods.new'], records: ['pods/new/eth0'] });
    expect(agent.kernel.links.get(linkOf('web-1'))?.netns).toBe('/run/netns/new');
  });

  test('may be added while the old one still is being added', async () => {
    const agent = new FakeAgent();
    const [old, fresh] = [agent.pod('old', { name: 'web-1' }), agent.pod('new', { name: 'web-1' })];
    await Promise.all([agent.do('ADD', old), agent.do('ADD', fresh), agent.do('DEL', old)]);
    expect(agent.remains).toEqual({ links: [linkOf('web-1')], leases: ['pods.new'], records: ['pods/new/eth0'] });
  });

  test('gets the fixed address that the old one held', async () => {
    const agent = new FakeAgent();
    const fixed = { args: { cni: { ips: ['10.82.0.77'] } } };
    await agent.do('ADD', agent.pod('old', { name: 'web-1' }), fixed);
    await agent.do('ADD', agent.pod('new', { name: 'web-1' }), fixed);
    expect(Object.fromEntries(agent.leases)).toEqual({ 'pods.new': ['10.82.0.77'] });
    expect(agent.kernel.routes.get('10.82.0.77/32')?.dev).toBe(linkOf('web-1'));
  });
});

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
