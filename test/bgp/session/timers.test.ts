// A session's timers, on a clock that is turned by hand; and peers that read slowly or not at all.
import { describe, expect, test, vi } from 'vitest';
import { encodeMessage } from '../../../bgp/codec/index.ts';
import { settle } from '../../support/fake-clock.ts';
import { type RawPeer } from '../../support/raw-peer.ts';
import { bench } from './harness.ts';

// A peer that waits in vain fails soon.
vi.setConfig({ testTimeout: 5000 });

describe('timers', () => {
  test('the hold timer ends a silent session with 4/0 (statement 33, 4271 6.5)', async () => {
    const { session, owner, clock, establish } = bench();
    const raw = await establish();
    await clock.advance(89_000);
    expect(owner.told).toEqual(['established']);
    await clock.advance(1500);
    expect([owner.told, raw.inShort.endsWith('4/0')]).toEqual([['established', 'down'], true]);
    expect(session.status().errors[0]!.text).toBe('hold timer expired (4/0), sent');
  });

  test('KEEPALIVE and any UPDATE, malformed ones too, restart it (statement 31, 4271 8.2.2)', async () => {
    const { session, clock, establish } = bench();
    const raw = await establish();
    for (let n = 0; n < 10; n++) {
      await clock.advance(60_000);
      if (n % 2 === 0) raw.keepalive();
      else raw.update(Uint8Array.of(0xff, 0xff, 0xff, 0xff));
      await settle();
    }
    expect(session.status()).toMatchObject({
      state: 'Established',
      timers: { hold: { leftSeconds: 90, totalSeconds: 90 } },
    });
  });

  test('input that lies unread when it expires is read first (statement 32)', async () => {
    const { session, owner, clock, establish } = bench();
    // Older than the hold timer, so it comes first: the KEEPALIVE is on its way in the turn in which that one fires.
    const late: { peer?: RawPeer } = {};
    clock.after(90_000, () => late.peer!.keepalive());
    late.peer = await establish();
    await clock.advance(90_000);
    expect([owner.told, session.status().state]).toEqual([['established'], 'Established']);
  });

  test('half a message is no sign of life', async () => {
    const { owner, clock, establish } = bench();
    const raw = await establish();
    for (let n = 0; n < 18; n++) {
      await clock.advance(6000);
      raw.write(Uint8Array.of(0xff));
    }
    expect(owner.told).toEqual(['established', 'down']);
  });

  test.each([
    [0, 22.5],
    [0.999_999, 30],
  ])(
    'keepalives go out every third of the hold time, jittered: luck %d makes %d s (statement 16, 4271 10)',
    async (luck, s) => {
      const { clock, establish, session } = bench();
      clock.luck = luck;
      await establish();
      expect(session.status().timers.keepalive!.totalSeconds).toBeCloseTo(s, 3);
      const before = session.status().messages.sent.keepalive;
      await clock.advance(s * 1000 + 2);
      expect(session.status().messages.sent.keepalive).toBe(before + 1);
    },
  );

  test('a hold time of 0 runs neither hold nor keepalive timer (statement 15)', async () => {
    const { session, clock, establish } = bench();
    const raw = await establish({ holdSeconds: 0 });
    await clock.advance(86_400_000);
    expect([session.status().state, session.status().timers, raw.inShort]).toEqual([
      'Established',
      {},
      'open, keepalive',
    ]);
  });

  test('a peer that never says OPEN is let go after 240 s (statement 30)', async () => {
    const { clock, dialled } = bench();
    const raw = await dialled();
    await clock.advance(239_000);
    expect(raw.inShort).toBe('open');
    await clock.advance(2000);
    expect(raw.inShort).toBe('open, 4/0');
  });

  test('a peer that stops reading is let go with 8/0 after eight minutes (statement 34, 9687 3)', async () => {
    const { session, owner, clock, dialled } = bench();
    const raw = await dialled();
    await raw.handshake();
    raw.connection.stream.pause();
    await settle();
    while (session.send(encodeMessage('update', new Uint8Array(4000))));
    for (let n = 0; n < 7; n++) {
      await clock.advance(60_000);
      raw.keepalive();
    }
    expect(session.status().state).toBe('Established');
    await clock.advance(50_000);
    raw.keepalive();
    await clock.advance(11_000);
    expect(owner.told).toEqual(['established', 'down']);
    expect(session.status().errors[0]!.text).toBe('send hold timer expired (8/0), sent');
  });

  test('a session without output is no stuck session', async () => {
    const { session, clock, establish } = bench();
    await establish({ holdSeconds: 0 });
    await clock.advance(3_600_000);
    session.send(encodeMessage('update', new Uint8Array(4)));
    await clock.advance(1000);
    expect(session.status().state).toBe('Established');
  });
});

describe('a peer that reads slowly', () => {
  const fill = ({ session }: ReturnType<typeof bench>): void => {
    while (session.send(encodeMessage('update', new Uint8Array(4000))));
  };

  test('is no peer that does not read: every step forward starts the send hold timer anew (9687 3)', async () => {
    const setting = bench();
    const raw = await setting.establish();
    raw.connection.stream.pause();
    for (let n = 0; n < 25; n++) {
      fill(setting);
      await setting.clock.advance(60_000);
      raw.keepalive();
      if (n % 5 !== 4) continue;
      raw.connection.stream.resume();
      await settle(3);
      raw.connection.stream.pause();
    }
    expect(setting.session.status()).toMatchObject({ state: 'Established', errors: [] });
  });

  test('and one that stops after hours of silence is let go as well', async () => {
    const setting = bench();
    const raw = await setting.establish({ holdSeconds: 0 });
    await setting.clock.advance(7_200_000);
    raw.connection.stream.pause();
    fill(setting);
    await setting.clock.advance(479_000);
    expect(setting.session.status().state).toBe('Established');
    await setting.clock.advance(2000);
    expect(setting.owner.told).toEqual(['established', 'down']);
  });
});
