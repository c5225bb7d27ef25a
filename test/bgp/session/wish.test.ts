// A session whose wish changes, what it says of itself, and what a machine cannot protect.
import { describe, expect, test, vi } from 'vitest';
import { settle } from '../../support/fake-clock.ts';
import { type RawPeer, ipv4, restarts } from '../../support/raw-peer.ts';
import { aWish, bench, speaker, we } from './harness.ts';

// A peer that waits in vain fails soon.
vi.setConfig({ testTimeout: 5000 });

describe('a changed wish', () => {
  const settled = async (wish = {}, now = {}): Promise<{ raw: RawPeer } & ReturnType<typeof bench>> => {
    const setting = bench(wish);
    const raw = await setting.establish({ capabilities: [ipv4, restarts()] });
    setting.session.apply(aWish({ ...wish, ...now }), speaker);
    await settle();
    return { ...setting, raw };
  };

  test.each<[string, Parameters<typeof aWish>[0]]>([
    ['name and kind', { name: 'other', kind: 'node mesh' }],
    ['policies', { importPolicy: [] as never, exportPolicy: [] as never }],
    ['limits', { prefixLimit: { max: 10, warnPercent: 80, action: 'close', idleSeconds: 60 } }],
    ['how long stale paths are kept', { gracefulRestart: { ...aWish().gracefulRestart, staleSecondsMax: 17 } }],
    ['the order of families', { families: ['ipv4-unicast'] }],
    ['connect retry', { connectRetrySeconds: 20 }],
    ['passive', { passive: true }],
    ['next hop', { nextHop: 'self', allowOwnAs: 2, routeReflectorClient: true }],
  ])('%s: the session goes on', async (_, now) => {
    const { raw, owner } = await settled({}, now);
    expect([raw.inShort, owner.told]).toEqual(['open, keepalive', ['established']]);
  });

  test.each<[string, Parameters<typeof aWish>[0]]>([
    ['families', { families: ['ipv4-unicast', 'ipv6-unicast'] }],
    ['hold time', { holdSeconds: 30 }],
    ['port', { port: 1179 }],
    ['local address', { localAddress: '10.0.0.7' as never }],
    ['ADD-PATH', { addPath: { receive: true, send: 8 } }],
    ['restart time', { gracefulRestart: { ...aWish().gracefulRestart, restartSeconds: 300 } }],
    ['role', { role: 'customer' }],
  ])('%s: the session starts anew with 6/6, and paths are retained', async (_, now) => {
    const { raw, owner } = await settled({}, now);
    expect([raw.inShort, owner.told]).toEqual(['open, keepalive, 6/6', ['established', 'down, retain']]);
  });

  test.each<[string, Parameters<typeof aWish>[0]]>([
    ['AS', { asn: 65_002 }],
    ['address', { address: '10.0.0.3' as never }],
    ['local AS', { localAsn: 64_999 }],
  ])('%s: that is another neighbour, nothing is retained', async (_, now) => {
    const { raw, owner } = await settled({}, now);
    expect([raw.inShort, raw.heard[2]!.body]).toEqual(['open, keepalive, 6/9', Uint8Array.of(6, 9, 6, 6)]);
    expect(owner.told).toEqual(['established', 'down']);
  });

  test('shut down, it says so with its text, refuses everybody with it, and comes back when it may', async () => {
    const { session, owner, establish, dial } = bench();
    const raw = await establish();
    session.apply(aWish({ shutdown: 'moving racks' }), speaker);
    await settle();
    const refused = await dial();
    await settle();
    expect([raw.inShort, refused.inShort, owner.told]).toEqual([
      'open, keepalive, 6/2',
      '6/2',
      ['established', 'down'],
    ]);
    expect(session.status()).toMatchObject({ state: 'Idle', reason: 'shut down by configuration: moving racks' });
    session.apply(aWish(), speaker);
    await settle();
    await (await dial()).handshake();
    await settle();
    expect(session.status().state).toBe('Established');
  });

  test('a reset does not bring back what is shut down', async () => {
    const { session, network } = bench({ shutdown: '' });
    session.start();
    session.reset(4);
    await settle();
    expect([session.status().reason, network.dials]).toEqual(['shut down by configuration', []]);
  });

  test.each([
    ['another AS of ours: nothing is retained', { ...speaker, asn: 64_999 }, 'open, keepalive, 6/9', 'down'],
    [
      'another identifier of ours: the session starts anew',
      { ...speaker, routerId: '10.9.9.9' as never },
      'open, keepalive, 6/6',
      'down, retain',
    ],
  ])('%s', async (_, other, said, told) => {
    const { session, owner, establish } = bench();
    const raw = await establish({ capabilities: [ipv4, restarts()] });
    session.apply(aWish(), other);
    await settle();
    expect([raw.inShort, owner.told]).toEqual([said, ['established', told]]);
  });

  test('a corrected wish does not wait for a back-off to end', async () => {
    const { session, network, dialled } = bench({ asn: 65_009 });
    (await dialled()).open();
    await settle();
    expect(session.status().state).toBe('Idle');
    session.apply(aWish(), speaker);
    await settle();
    expect(network.dials.length).toBe(2);
  });

  test('a new password goes to the connection that stands', async () => {
    const { session, network, owner, establish } = bench({ password: 'old' });
    await establish();
    const given: unknown[] = [];
    Object.assign(network.wires[0]!.dialled, { protect: (protection: unknown) => given.push(protection) });
    session.apply(aWish({ password: 'new' }), speaker);
    await settle();
    expect([given, owner.told]).toEqual([[{ password: 'new' }], ['established']]);
  });

  test('where that cannot be done, the session starts anew', async () => {
    const { owner } = await settled({ password: 'old' }, { password: 'new' });
    expect(owner.told).toEqual(['established', 'down, retain']);
  });
});

describe('protection fails closed', () => {
  test('what the machine cannot do bars the session in both directions, and says why', async () => {
    const { session, network, clock, dial } = bench({ password: 'secret' }, {}, 'no socket options here');
    session.start();
    await clock.advance(60_000);
    const raw = await dial();
    await settle();
    expect([raw.inShort, raw.ended, network.dials.filter((dial) => dial.startsWith(we))]).toEqual(['6/5', true, []]);
    expect(session.status()).toMatchObject({
      state: 'Idle',
      reason: 'no session: no socket options here',
      cause: 'no session: no socket options here',
    });
  });

  test('a connection that came without a signature is refused', async () => {
    const { session, dial } = bench({ password: 'secret', passive: true });
    session.start();
    const raw = await dial();
    await settle();
    expect([raw.inShort, session.status().errors[0]!.text]).toEqual([
      '6/5',
      'refused a connection: it came without a TCP MD5 signature',
    ]);
  });
});

describe('status', () => {
  test.each<[string, (setting: ReturnType<typeof bench>) => Promise<unknown>, string]>([
    ['OpenSent', ({ dialled }) => dialled(), "connected, waits for the peer's OPEN"],
    ['OpenConfirm', async ({ dialled }) => (await dialled()).open(), "OPENs agree, waits for the peer's KEEPALIVE"],
  ])('%s says what it waits for', async (state, act, reason) => {
    const setting = bench();
    await act(setting);
    await settle();
    expect(setting.session.status()).toMatchObject({ state, reason });
  });

  test('five errors are kept, the newest first', async () => {
    const { session } = bench();
    for (let n = 1; n <= 7; n++) session.record({ text: `error ${n}` });
    expect(session.status().errors.map(({ text }) => text)).toEqual([7, 6, 5, 4, 3].map((n) => `error ${n}`));
  });

  test('the owner hears of changes of state and of errors, once each', async () => {
    const { session, owner } = bench();
    session.record({ text: 'one' });
    const before = owner.changes;
    session.status();
    expect([before, owner.changes]).toEqual([1, 1]);
  });

  test('since is when the state was entered', async () => {
    const { session, clock, establish } = bench();
    await establish();
    const entered = clock.now();
    await clock.advance(20_000);
    expect(session.status().since).toBe(entered);
  });
});
