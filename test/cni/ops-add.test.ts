// ADD over a kernel in memory: what is wired, remembered, and undone when something goes wrong.
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
