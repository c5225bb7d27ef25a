import { describe, expect, test, vi } from 'vitest';
import { NotificationError, encodeMessage, encodeOpen } from '../../../bgp/codec/index.ts';
import { type Capability } from '../../../bgp/message.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { createWire } from '../../support/memory-transport.ts';
import { RawPeer, ipv4, restarts, someOpen } from '../../support/raw-peer.ts';
import { aWish, bench, peer, speaker, we } from './harness.ts';

// A peer that waits in vain fails soon.
vi.setConfig({ testTimeout: 5000 });

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
const marker = 'ff'.repeat(16);

describe('a session', () => {
  test('dials, agrees and is Established', async () => {
    const { session, owner, establish } = bench();
    const raw = await establish();
    expect(raw.inShort).toBe('open, keepalive');
    expect(owner.told).toEqual(['established']);
    expect(session.status()).toMatchObject({
      state: 'Established',
      remote: { address: peer, port: 179, openedBy: 'us' },
      local: { address: we },
      peerRouterId: peer,
      flaps: 0,
      errors: [],
      messages: { sent: { open: 1, keepalive: 1 }, received: { open: 1, keepalive: 1 } },
    });
    expect(session.status().reason).toBeUndefined();
  });

  test('accepts a peer that dials, also when it never dials itself', async () => {
    const { session, owner, network, clock, dial } = bench({ passive: true });
    session.start();
    await clock.advance(600_000);
    const raw = await dial();
    await raw.handshake();
    await settle();
    expect([owner.told, network.dials]).toEqual([['established'], [`${peer} ${we} 179`]]);
  });

  test('hands UPDATE bodies to its owner in order', async () => {
    const { owner, establish } = bench();
    const raw = await establish();
    raw.update(Uint8Array.of(0, 0, 0, 0));
    raw.update(Uint8Array.of(0, 0, 0, 0, 24, 10, 0, 0));
    await settle();
    expect(owner.updates).toEqual([Uint8Array.of(0, 0, 0, 0), Uint8Array.of(0, 0, 0, 0, 24, 10, 0, 0)]);
  });

  test('hands ROUTE-REFRESH on, and asks for one where the peer can', async () => {
    const { owner, session, establish } = bench();
    const raw = await establish({
      capabilities: [ipv4, { name: 'routeRefresh' }, { name: 'fourOctetAs', asn: 65_001 }],
    });
    raw.write(encodeMessage('routeRefresh', Uint8Array.of(0, 1, 0, 1)));
    expect(session.requestRefresh('ipv4-unicast')).toBe(true);
    expect(session.requestRefresh('ipv6-unicast')).toBe(false);
    await settle();
    expect(owner.refreshes).toEqual([{ type: 'routeRefresh', afi: 1, safi: 1, subtype: 0 }]);
    expect(raw.heard.at(-1)).toEqual({ type: 'routeRefresh', body: Uint8Array.of(0, 1, 0, 1) });
  });

  test('takes messages of more than 4096 octets because it offers to, once both have agreed (statement 5, 8654 4)', async () => {
    const { owner, establish } = bench();
    (await establish()).update(new Uint8Array(5000));
    await settle();
    expect(owner.updates.map((body) => body.length)).toEqual([5000]);
  });

  test('asks no peer for a refresh that has not offered it', async () => {
    const { session, establish } = bench();
    await establish();
    expect(session.requestRefresh('ipv4-unicast')).toBe(false);
  });

  test.each([1, 2, 7, 18, 19, 20, 64])('reads the same in pieces of %d octets', async (chunkBytes) => {
    const { owner, establish } = bench({}, { chunkBytes });
    const raw = await establish();
    for (let n = 0; n < 5; n++) raw.update(Uint8Array.of(0, 0, 0, 0, 24, 10, 0, n));
    await settle(200);
    expect(owner.updates.map((body) => body[7])).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('OPENs that cannot stand', () => {
  const refused = async (wish: Parameters<typeof bench>[0], bytes: Uint8Array): Promise<[RawPeer, string]> => {
    const { session, dialled } = bench(wish);
    const raw = await dialled();
    raw.write(bytes);
    await settle();
    return [raw, session.status().errors[0]!.text];
  };
  /** Header fields, then the optional parameters as they are. */
  const openBytes = (parameters: string, version = '04'): Uint8Array => {
    const body = `${version} fde9 005a 0a000002 ${parameters}`.replaceAll(' ', '');
    const length = (19 + body.length / 2).toString(16).padStart(4, '0');
    return hex(`${marker}${length}01${body}`);
  };

  test('a version other than 4 gets 2/1 with ours (statement 9, 4271 6.2)', async () => {
    const [raw] = await refused({}, openBytes('00', '03'));
    expect((await raw.next()).type).toBe('open');
    expect(await raw.nextNotification()).toMatchObject({ code: 2, subcode: 1, data: Uint8Array.of(0, 4) });
  });

  test('a parameter that nobody knows gets 2/4 (statement 13, 4271 6.2)', async () => {
    const [raw] = await refused({}, openBytes('04 0102 0000'));
    expect(raw.inShort).toBe('open, 2/4');
  });

  test('a capability that is cut off gets 2/0 and throws nothing (statement 19)', async () => {
    const [raw] = await refused({}, openBytes('06 0204 0104 0001'));
    expect(raw.inShort).toBe('open, 2/0');
  });

  test('the extended form of parameters is read (statement 17, 9072 2)', async () => {
    const { owner, dialled } = bench();
    const raw = await dialled();
    raw.write(openBytes('ff ff 000b 02 0008 0104 0001 0001 0200'));
    raw.keepalive();
    await settle();
    expect(owner.terms).toMatchObject({ families: ['ipv4-unicast'], routeRefresh: true, fourOctetAs: false });
  });

  test('capabilities in many parameters, doubled and unknown ones, are read (statement 18, 5492 4)', async () => {
    const { owner, dialled } = bench();
    const raw = await dialled();
    raw.write(
      openBytes(
        '1c 0206 0104 0001 0001 0202 0200 0202 0200 0204 ef02 aabb 0204 0102 0300'
          .replace('0104 0001 0001', '010400010001')
          .replace('0204 0102 0300', '0204 8002 0300'),
      ),
    );
    raw.keepalive();
    await settle();
    expect(owner.terms).toMatchObject({ families: ['ipv4-unicast'], routeRefresh: true });
  });

  test.each<[string, Partial<ReturnType<typeof someOpen>>, string, string]>([
    ['the wrong AS', { asn: 65_002 }, '2/2', 'the peer says that it is AS 65002; AS 65001 is configured here'],
    ['identifier 0', { routerId: 0 }, '2/3', 'the peer has the BGP identifier 0.0.0.0'],
    ['a hold time of 2 s', { holdSeconds: 2 }, '2/6', "the peer's hold time is 2 s; it must be 0 or at least 3 s"],
    [
      'no family of ours',
      { capabilities: [{ name: 'multiprotocol', afi: 25, safi: 70 }] },
      '2/7',
      'we want ipv4-unicast, the peer offers no family that we know',
    ],
  ])('%s gets its NOTIFICATION, and the operator the reason', async (_, open, words, reason) => {
    const [raw, text] = await refused({}, encodeOpen(someOpen(open)));
    expect(raw.inShort).toBe(`open, ${words}`);
    expect(text).toContain(`(${words})`);
    expect(text).toContain(reason);
  });

  test('the offending OPEN is kept in hex', async () => {
    const bytes = encodeOpen(someOpen({ asn: 65_002 }));
    const { session, dialled } = bench();
    (await dialled()).write(bytes);
    await settle();
    expect(session.status().errors[0]).toMatchObject({
      code: 2,
      subcode: 2,
      direction: 'sent',
      message: Buffer.from(bytes).toString('hex'),
    });
  });

  test('a role that does not fit gets 2/11 (statement 22, 9234 4.2)', async () => {
    const role: Capability = { name: 'role', role: 0 };
    const [raw] = await refused(
      { role: 'provider' },
      encodeOpen(someOpen({ capabilities: [ipv4, { name: 'fourOctetAs', asn: 65_001 }, role] })),
    );
    expect(raw.inShort).toBe('open, 2/11');
  });

  test('bytes that are no BGP get 1/1', async () => {
    const [raw] = await refused({}, new TextEncoder().encode('GET / HTTP/1.1\r\nHost: bgp.example\r\n\r\n'));
    expect(raw.inShort).toBe('open, 1/1');
  });
});

describe('messages out of place (statement 23, 6608 3)', () => {
  test('an UPDATE instead of an OPEN gets 5/1', async () => {
    const raw = await bench().dialled();
    raw.update();
    await settle();
    expect(raw.inShort).toBe('open, 5/1');
  });

  test('an UPDATE instead of a KEEPALIVE gets 5/2', async () => {
    const raw = await bench().dialled();
    raw.open();
    raw.update();
    await settle();
    expect(raw.inShort).toBe('open, keepalive, 5/2');
  });

  test.each<[string, Uint8Array]>([
    ['another OPEN', encodeOpen(someOpen())],
    ['a bad OPEN', encodeOpen(someOpen({ asn: 1 }))],
  ])('%s in Established gets 5/3', async (_, bytes) => {
    const raw = await bench().establish();
    raw.write(bytes);
    await settle();
    expect(raw.inShort).toBe('open, keepalive, 5/3');
  });
});

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

describe('output', () => {
  test('what is sent together arrives in order', async () => {
    const { session, establish } = bench();
    const raw = await establish();
    for (let n = 0; n < 100; n++) session.send(encodeMessage('update', Uint8Array.of(0, 0, 0, 0, 24, 10, 0, n)));
    await settle();
    expect(raw.heard.slice(2).map(({ body }) => body[7])).toEqual(Array.from({ length: 100 }, (_, n) => n));
    expect(session.status().messages.sent.update).toBe(100);
  });

  test('a peer that does not read stops the sender, and reading on lets it go on (statement 79)', async () => {
    const { session, owner, dialled } = bench();
    const raw = await dialled();
    await raw.handshake();
    raw.connection.stream.pause();
    await settle();
    let sent = 0;
    while (session.send(encodeMessage('update', new Uint8Array(4000)))) sent++;
    expect(sent).toBeLessThan(200);
    await settle();
    expect(owner.told).toEqual(['established']);
    raw.connection.stream.resume();
    await settle(60);
    expect(owner.told).toEqual(['established', 'drained']);
    expect(session.send(encodeMessage('update', new Uint8Array(4000)))).toBe(true);
  });

  test('without a session nothing is sent', () => {
    expect(bench().session.send(encodeMessage('update', new Uint8Array(4)))).toBe(false);
  });

  test('a flood of UPDATEs delays no keepalive', async () => {
    const { session, owner, clock, establish } = bench({}, { windowBytes: 1024 * 1024 });
    const raw = await establish();
    owner.onUpdate = () => {
      takeTime(1);
    };
    for (let n = 0; n < 200; n++) raw.update();
    let mostInOneTurn = 0;
    for (let read = 0; read < 200; read = owner.updates.length) {
      await new Promise((resolve) => setImmediate(resolve));
      mostInOneTurn = Math.max(mostInOneTurn, owner.updates.length - read);
    }
    // All 200 came in one chunk and take a millisecond each: a slice is over after the first look at the clock.
    expect(mostInOneTurn).toBe(16);
    await clock.advance(30_000);
    expect(session.status().messages.sent.keepalive).toBeGreaterThan(1);
  });
});

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

describe('an owner may call anything from its callbacks', () => {
  test('sending from established()', async () => {
    const { owner, session, establish } = bench();
    owner.onEstablished = () => session.send(encodeMessage('update', new Uint8Array(4)));
    const raw = await establish();
    expect(raw.inShort).toBe('open, keepalive, update');
  });

  test('letting in two connections at once, of which the older one goes', async () => {
    const { owner, session, establish } = bench();
    const place = { address: peer as never, port: 1 };
    const [one, two] = [createWire(place, place), createWire(place, place)];
    owner.onUpdate = () => {
      session.accept(one.accepted);
      session.accept(two.accepted);
    };
    (await establish()).update();
    await settle();
    expect([one.accepted.stream.destroyed, two.accepted.stream.destroyed]).toEqual([true, false]);
  });

  test('closing right after letting somebody in', async () => {
    const { owner, session, dial, establish } = bench();
    const raw = await establish();
    const twin = await dial();
    await settle();
    const place = { address: peer as never, port: 1 };
    const late = createWire(place, place);
    owner.onUpdate = () => {
      session.accept(late.accepted);
      void session.close('shutdown');
    };
    const turnedAway = new RawPeer(late.dialled);
    raw.update();
    await settle();
    expect([raw.inShort, twin.inShort, turnedAway.inShort]).toEqual(['open, keepalive, 6/2', 'open, 6/2', '6/5']);
    expect(session.status().state).toBe('Idle');
  });

  test('closing from update()', async () => {
    const { owner, session, establish } = bench();
    const raw = await establish();
    owner.onUpdate = () => void session.close('deconfigured');
    raw.update();
    raw.update();
    await settle();
    expect([owner.updates.length, raw.inShort, owner.told]).toEqual([
      1,
      'open, keepalive, 6/3',
      ['established', 'down'],
    ]);
  });
});

test('nothing keeps running after the end', async () => {
  const clock = new FakeClock();
  const setting = bench();
  await setting.establish();
  await Promise.all([setting.session.close('shutdown'), setting.clock.advance(5000)]);
  expect([setting.clock.pending, clock.pending]).toEqual([0, 0]);
});

/** Keeps the event loop busy. */
function takeTime(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}
