// A session from its OPEN to its output, played byte by byte by a neighbour over memory.
import { describe, expect, test, vi } from 'vitest';
import { encodeMessage } from '../../../bgp/codec/index.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { createWire } from '../../support/memory-transport.ts';
import { RawPeer, ipv4 } from '../../support/raw-peer.ts';
import { bench, peer, takeTime, we } from './harness.ts';

// A peer that waits in vain fails soon.
vi.setConfig({ testTimeout: 5000 });

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
