// How a session ends: what it says and hears at its end, what it tells, and whether its paths are kept.
import { describe, expect, test, vi } from 'vitest';
import { NotificationError, encodeMessage } from '../../../bgp/codec/index.ts';
import { settle } from '../../support/fake-clock.ts';
import { ipv4, restarts } from '../../support/raw-peer.ts';
import { bench, hex, marker, takeTime } from './harness.ts';

// A peer that waits in vain fails soon.
vi.setConfig({ testTimeout: 5000 });

describe('the end of a session', () => {
  test('a NOTIFICATION is not answered (statement 8, 4271 6.4)', async () => {
    const { session, owner, establish } = bench();
    const raw = await establish();
    raw.notify(6, 4);
    await settle();
    expect([raw.inShort, raw.ended, owner.told]).toEqual(['open, keepalive', true, ['established', 'down']]);
    expect(session.status()).toMatchObject({ state: 'Active', flaps: 1 });
    expect(session.status().errors[0]).toMatchObject({
      text: 'administrative reset (6/4), received',
      direction: 'received',
    });
  });

  test('codes that nobody knows are shown as they came (statement 38)', async () => {
    const { session, establish } = bench();
    (await establish()).notify(99, 7, Uint8Array.of(0xab));
    await settle();
    expect(session.status().errors[0]).toMatchObject({
      text: 'unknown error (99/7), received',
      code: 99,
      subcode: 7,
      data: 'ab',
    });
  });

  test('a lost connection is told in words, and nothing is sent (statement 35)', async () => {
    const { session, owner, network, establish } = bench();
    await establish();
    network.wires.at(-1)!.accepted.stream.reset();
    await settle();
    expect(owner.told).toEqual(['established', 'down']);
    expect(session.status().errors[0]!.text).toBe('connection reset by the peer');
    expect(session.status().messages.sent.notification).toBe(0);
  });

  test('what came before the connection closed is still read', async () => {
    const { owner, establish } = bench();
    const raw = await establish();
    for (let n = 0; n < 1000; n++) raw.update();
    raw.connection.stream.end();
    await settle(40);
    expect([owner.updates.length, owner.told]).toEqual([1000, ['established', 'down']]);
  });

  test('also when it broke while we were busy reading', async () => {
    const { owner, network, establish } = bench({}, { windowBytes: 1024 * 1024 });
    const raw = await establish();
    owner.onUpdate = () => takeTime(1);
    for (let n = 0; n < 100; n++) raw.update();
    while (owner.updates.length < 10) await settle(1);
    network.wires.at(-1)!.dialled.stream.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await settle(40);
    expect([owner.updates.length, owner.told]).toEqual([100, ['established', 'down']]);
  });

  test('it is over at once when the peer takes its last words, whatever lies unread', async () => {
    const { session, owner, network, establish } = bench();
    const raw = await establish();
    owner.onUpdate = () => takeTime(1);
    for (let n = 0; n < 3000; n++) raw.update();
    while (owner.updates.length === 0) await settle(1);
    void session.close('shutdown');
    await settle(60);
    expect([raw.inShort, network.wires[0]!.dialled.stream.destroyed]).toEqual(['open, keepalive, 6/2', true]);
  });

  test('what is wrong with an UPDATE counts before what the owner asks for meanwhile', async () => {
    const { session, owner, establish } = bench();
    const raw = await establish();
    owner.onUpdate = () => {
      session.reset(4);
      throw new NotificationError(3, 1);
    };
    raw.update();
    await settle();
    expect(raw.inShort).toBe('open, keepalive, 3/1');
  });

  test('after too many prefixes it stays down for as long as the limit says (statement 36, 4486 4)', async () => {
    const prefixLimit = { max: 1, warnPercent: 80, action: 'close', idleSeconds: 600 } as const;
    const { session, owner, network, clock, establish } = bench({ prefixLimit });
    const raw = await establish();
    owner.onUpdate = () => {
      throw new NotificationError(6, 1, Uint8Array.of(0, 1, 1, 0, 0, 0, 1));
    };
    raw.update();
    await settle();
    expect(raw.heard[2]!.body).toEqual(Uint8Array.of(6, 1, 0, 1, 1, 0, 0, 0, 1));
    expect(session.status()).toMatchObject({ state: 'Idle', timers: { connectRetry: { leftSeconds: 600 } } });
    await clock.advance(599_000);
    expect(network.dials.length).toBe(1);
    await clock.advance(12_000);
    expect(network.dials.length).toBe(2);
  });

  test('an owner who finds an UPDATE unbearable ends the session with its words', async () => {
    const { session, owner, establish } = bench();
    const raw = await establish();
    owner.onUpdate = () => {
      throw new NotificationError(3, 1, Uint8Array.of(1), 'two MP_REACH_NLRI');
    };
    raw.update();
    raw.update();
    await settle();
    expect([raw.inShort, owner.updates.length]).toEqual(['open, keepalive, 3/1', 1]);
    expect(session.status().errors[0]).toMatchObject({
      text: 'malformed attribute list (3/1), sent: two MP_REACH_NLRI',
      data: '01',
      message: `${marker}00170200000000`,
    });
  });

  test.each([
    [1, '6/1'],
    [2, '6/2'],
    [4, '6/4'],
    [6, '6/6'],
    [8, '6/8'],
    [10, '6/10'],
  ])('reset with subcode %d says %s and begins anew (statement 36, 4486)', async (subcode, words) => {
    const { session, network, owner, establish } = bench();
    const raw = await establish();
    session.reset(subcode);
    await settle();
    expect([raw.inShort, owner.told]).toEqual([`open, keepalive, ${words}`, ['established', 'down']]);
    expect(network.dials.length).toBe(2);
  });

  test('the text of a reset goes along, cut to 128 octets between two characters (statement 37, 9003 2)', async () => {
    const { session, establish } = bench();
    const raw = await establish();
    session.reset(4, `x${'ü'.repeat(100)}`);
    await settle();
    const { data } = await raw.nextNotification();
    expect([data[0], data.length, new TextDecoder('utf-8', { fatal: true }).decode(data.subarray(1))]).toEqual([
      127,
      128,
      `x${'ü'.repeat(63)}`,
    ]);
  });

  test('a text of the peer is shown, and in hex when it is none (statement 37, 9003 2)', async () => {
    const { session, establish, clock, dialled } = bench();
    (await establish()).notify(6, 2, hex('05 68656c6c6f'));
    await settle();
    expect(session.status().errors[0]!.text).toBe('administrative shutdown (6/2): "hello", received');
    const again = dialled();
    await clock.advance(6000);
    const raw = await again;
    await raw.handshake();
    raw.notify(6, 2, hex('02 c328'));
    await settle();
    expect(session.status().errors[0]!.text).toContain('02c328');
  });

  test('deconfigured is told as such', async () => {
    const { session, owner, establish } = bench();
    const raw = await establish();
    await Promise.all([session.close('deconfigured'), settle()]);
    expect([raw.inShort, owner.told]).toEqual(['open, keepalive, 6/3', ['established', 'down']]);
    expect(session.status()).toMatchObject({ state: 'Idle', reason: 'closed' });
  });

  test('a shutdown is told with its text', async () => {
    const { session, establish } = bench();
    const raw = await establish();
    await Promise.all([session.close('shutdown', 'new rack'), settle()]);
    expect([raw.inShort, Buffer.from(raw.heard[2]!.body.subarray(3)).toString()]).toEqual([
      'open, keepalive, 6/2',
      'new rack',
    ]);
  });

  test('a restart closes without a word (4724 4.1)', async () => {
    const { session, owner, establish } = bench();
    const raw = await establish({ capabilities: [ipv4, restarts()] });
    await Promise.all([session.close('restart'), settle()]);
    expect([raw.inShort, raw.ended, owner.told]).toEqual(['open, keepalive', true, ['established', 'down, retain']]);
  });

  test('where NOTIFICATIONs are survived, an end for good is a hard reset around it (8538 4)', async () => {
    const { session, owner, establish } = bench();
    const raw = await establish({ capabilities: [ipv4, restarts()] });
    await Promise.all([session.close('deconfigured'), settle()]);
    expect([raw.inShort, raw.heard[2]!.body]).toEqual(['open, keepalive, 6/9', Uint8Array.of(6, 9, 6, 3)]);
    expect(owner.told).toEqual(['established', 'down']);
  });

  test('a neighbour that takes no last words does not hold up the end', async () => {
    const { session, network, clock, dialled } = bench();
    const raw = await dialled();
    await raw.handshake();
    raw.connection.stream.pause();
    await settle();
    while (session.send(encodeMessage('update', new Uint8Array(4000))));
    const closed = session.close('shutdown');
    await clock.advance(2000);
    await closed;
    expect(network.wires[0]!.dialled.stream.destroyed).toBe(true);
  });

  test('before its start it takes nobody in', async () => {
    const { session, dial } = bench();
    const raw = await dial();
    await settle();
    expect([raw.heard, raw.ended, session.status()]).toEqual([
      [],
      true,
      expect.objectContaining({ state: 'Idle', reason: 'stopped' }),
    ]);
  });

  test('after its end it takes nobody in', async () => {
    const { session, owner, establish, dial } = bench();
    await establish();
    await Promise.all([session.close('deconfigured'), settle()]);
    const raw = await dial();
    await settle();
    session.start();
    expect([raw.heard, raw.ended, owner.told]).toEqual([[], true, ['established', 'down']]);
  });
});

describe('retention', () => {
  const withN = { capabilities: [ipv4, restarts()] };
  const withoutN = { capabilities: [ipv4, restarts({ notification: false })] };

  test.each([
    ['without the N bit', withoutN, 'down'],
    ['with the N bit', withN, 'down, retain'],
  ])('hold expiry %s (statement 72, 8538 4)', async (_, open, told) => {
    const { owner, clock, establish } = bench();
    const raw = await establish(open);
    await clock.advance(91_000);
    expect([raw.inShort.split(', ').at(-1), owner.told.at(-1)]).toEqual(['4/0', told]);
  });

  test('TCP loss retains, a hard reset does not (statement 72)', async () => {
    const lost = bench();
    await lost.establish(withoutN);
    lost.network.wires.at(-1)!.accepted.destroy();
    const reset = bench();
    (await reset.establish(withN)).notify(6, 9, Uint8Array.of(6, 2));
    await settle();
    expect([lost.owner.told.at(-1), reset.owner.told.at(-1)]).toEqual(['down, retain', 'down']);
    expect(reset.session.status().errors[0]!.text).toContain('administrative shutdown');
  });
});
