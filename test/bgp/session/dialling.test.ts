// How a session comes to its one connection: dialling, and two connections that meet.
import { describe, expect, test, vi } from 'vitest';
import { settle } from '../../support/fake-clock.ts';
import { type RawPeer, ipv4, restarts } from '../../support/raw-peer.ts';
import { bench, hex, marker, peer, we } from './harness.ts';

// A peer that waits in vain fails soon.
vi.setConfig({ testTimeout: 5000 });

describe('dialling', () => {
  test('a refusal is told in words, and tried again (statement 28)', async () => {
    const { session, network, clock } = bench();
    session.start();
    await clock.advance(1000);
    expect(session.status()).toMatchObject({
      state: 'Active',
      reason: 'connection refused (nothing listens on 10.0.0.2:179); next try in 4 s',
      cause: 'connection refused (nothing listens on 10.0.0.2:179)',
    });
    await clock.advance(60_000);
    // Every 5 s × 0.875, jitter 0.5.
    expect(network.dials.length).toBe(14);
    expect(session.status().errors.length).toBe(1);
  });

  test.each([
    [0, 3.75],
    [0.999_999, 5],
  ])('with luck %d the next try comes in %d s: jittered (statement 28, 4271 10)', async (luck, s) => {
    const { session, clock } = bench();
    clock.luck = luck;
    session.start();
    await settle();
    expect(session.status().timers.connectRetry!.totalSeconds).toBeCloseTo(s, 3);
  });

  test('silence is a time-out, and the next try begins at once', async () => {
    const { session, network, clock } = bench();
    network.silent = true;
    session.start();
    await clock.advance(4500);
    expect(session.status().errors[0]!.text).toBe('connection timed out (no answer from 10.0.0.2:179)');
    expect([session.status().state, network.dials.length]).toEqual(['Connect', 2]);
  });

  test('with a password, the time-out says what else may be the reason', async () => {
    const { session, network, clock } = bench({ password: 'secret' });
    network.silent = true;
    session.start();
    await clock.advance(4500);
    expect(session.status().errors[0]!.text).toContain('a wrong or missing password on either side looks the same');
    expect(JSON.stringify(session.status())).not.toContain('secret');
  });

  test('a peer that rejects our OPEN is not dialled in a hot loop (statement 28)', async () => {
    const { session, network, clock } = bench();
    network.listen(peer, (connection) => {
      connection.stream.resume();
      connection.stream.on('error', () => undefined);
      connection.stream.write(hex(`${marker}0015030202`));
    });
    session.start();
    await clock.advance(600_000);
    expect(network.dials.length).toBeLessThan(12);
    expect(session.status().errors[0]!.text).toBe('bad peer AS (2/2), received');
  });

  test('who is being rested from is turned away with 6/5, and may come back later', async () => {
    const { session, clock, dial, dialled } = bench();
    (await dialled()).open({ asn: 65_002 });
    await settle();
    expect(session.status().reason).toMatch(/bad peer AS .* refuses connections, goes on in 5 s/);
    const early = await dial();
    await clock.advance(5000);
    const late = await dial();
    await late.handshake();
    await settle();
    expect([early.inShort, session.status().state]).toEqual(['6/5', 'Established']);
  });

  test('after a lost session the peer may come back at once', async () => {
    const { session, establish, dial } = bench();
    (await establish()).connection.destroy();
    await settle();
    await (await dial()).handshake();
    await settle();
    expect(session.status()).toMatchObject({ state: 'Established', flaps: 1, remote: { openedBy: 'peer' } });
  });
});

describe('two connections', () => {
  /** The session has dialled the raw peer and the raw peer dials the session: A is ours, B is the peer's. */
  const crossing = async (
    wish: Parameters<typeof bench>[0] = {},
  ): Promise<{ a: RawPeer; b: RawPeer } & ReturnType<typeof bench>> => {
    const setting = bench(wish);
    const a = await setting.dialled();
    await a.next();
    const b = await setting.dial();
    await b.next();
    return { ...setting, a, b };
  };

  test('a peer with the higher identifier keeps its own: ours gets 6/7 (statement 24, 4271 6.8)', async () => {
    const { a, b, owner, session } = await crossing();
    a.open();
    await settle();
    b.open();
    b.keepalive();
    await settle();
    expect([a.inShort, b.inShort]).toEqual(['open, keepalive, 6/7', 'open, keepalive']);
    expect(owner.told).toEqual(['established']);
    expect(session.status()).toMatchObject({ remote: { openedBy: 'peer' }, errors: [], flaps: 0 });
  });

  test('with the lower identifier it loses its own', async () => {
    const { a, b, session } = await crossing();
    a.open({ routerId: 1 });
    await settle();
    b.open({ routerId: 1 });
    await settle();
    a.keepalive();
    await settle();
    expect([a.inShort, b.inShort]).toEqual(['open, keepalive', 'open, 6/7']);
    expect(session.status()).toMatchObject({ state: 'Established', remote: { openedBy: 'us' } });
  });

  test('equal identifiers: the higher AS keeps its own (statement 25, 6286 2.3)', async () => {
    const { a, b } = await crossing();
    const routerId = 0x0a00_0001;
    a.open({ routerId });
    await settle();
    b.open({ routerId });
    await settle();
    expect([a.inShort, b.inShort]).toEqual(['open, keepalive, 6/7', 'open, keepalive']);
  });

  test('the order in which the OPENs come does not matter', async () => {
    const { a, b, session } = await crossing();
    b.open();
    await settle();
    a.open();
    b.keepalive();
    await settle();
    expect([a.inShort, b.inShort, session.status().state]).toEqual(['open, 6/7', 'open, keepalive', 'Established']);
  });

  test('a twin whose OPEN is not in yet is kept (statement 27)', async () => {
    const { a, b } = await crossing();
    a.open();
    await settle();
    expect([a.inShort, b.inShort, b.ended]).toEqual(['open, keepalive', 'open', false]);
  });

  test('when one dies before its OPEN, the other goes on', async () => {
    const { a, b, session, network, clock } = await crossing();
    a.connection.destroy();
    await settle();
    b.open();
    b.keepalive();
    await settle();
    expect(session.status()).toMatchObject({ state: 'Established', remote: { openedBy: 'peer' } });
    await clock.advance(60_000);
    expect(network.dials.filter((dial) => dial.startsWith(we)).length).toBe(1);
  });

  test('a quarrel on one of them is not forgotten when the other takes over', async () => {
    const { a, b, session, clock } = await crossing();
    a.open({ asn: 65_009 });
    await settle();
    b.open({ asn: 65_009 });
    await settle();
    await clock.advance(5000);
    // The second in a row: 5 s doubled twice, jittered.
    expect(session.status()).toMatchObject({ state: 'Active', timers: { connectRetry: { totalSeconds: 17.5 } } });
  });

  test('that the peer ended one in its favour is no error', async () => {
    const { a, b, session } = await crossing();
    b.open();
    b.keepalive();
    a.notify(6, 7);
    await settle();
    expect(session.status()).toMatchObject({ state: 'Established', errors: [] });
  });

  test('an Established session turns a second one away with 6/7 (statement 26, 4271 6.8)', async () => {
    const { owner, clock, establish, dial } = bench();
    const first = await establish();
    await clock.advance(60_000);
    const second = await dial();
    second.open();
    await settle();
    expect([second.inShort, first.ended, owner.told]).toEqual(['open, 6/7', false, ['established']]);
  });

  test('a restarted peer is taken back: its old connection is closed silently, its paths are retained (statement 26, 4724 5)', async () => {
    const { session, owner, clock, establish, dial } = bench();
    const capabilities = [ipv4, restarts()];
    const first = await establish({ capabilities });
    await clock.advance(60_000);
    const second = await dial();
    await second.handshake({ capabilities: [ipv4, restarts({ restarting: true })] });
    await settle();
    expect([first.inShort, first.ended]).toEqual(['open, keepalive, keepalive, keepalive', true]);
    expect(owner.told).toEqual(['established', 'down, retain', 'established']);
    expect(session.status()).toMatchObject({ state: 'Established', flaps: 1, remote: { openedBy: 'peer' } });
  });

  test('a restarted peer that cannot agree any more does not cost the old session', async () => {
    const { owner, clock, establish, dial } = bench();
    await establish({ capabilities: [ipv4, restarts()] });
    await clock.advance(60_000);
    const second = await dial();
    second.open({ asn: 65_009 });
    await settle();
    expect([second.inShort, owner.told]).toEqual(['open, 2/2', ['established']]);
  });

  test('a peer that dials again has given up its older connection', async () => {
    const { session, dial } = bench({ passive: true });
    session.start();
    const [first] = [await dial()];
    await settle();
    const [second, third] = [await dial(), await dial()];
    await settle();
    await third.handshake();
    await settle();
    expect([second.ended, session.status().state, first.inShort]).toEqual([true, 'Established', 'open']);
  });

  test('while our own dialling hangs, the peer comes in, and the dialling ends', async () => {
    const { session, network, clock, dial } = bench();
    network.silent = true;
    session.start();
    await settle();
    network.silent = false;
    await (await dial()).handshake();
    await settle();
    expect(session.status()).toMatchObject({ state: 'Established', remote: { openedBy: 'peer' } });
    const dials = network.dials.length;
    await clock.advance(60_000);
    expect([network.dials.length, network.hanging]).toEqual([dials, 0]);
  });
});
