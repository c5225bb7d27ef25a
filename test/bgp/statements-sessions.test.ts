// Sessions of a whole speaker, byte by byte: what is said to whom when a message is out of place or a session ends.
// Statements 23 and 35 to 38.
import { describe, expect, test } from 'vitest';
import type { PeerWish } from '../../bgp/index.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { hex, message, toHex } from './codec/bytes.ts';
import { type Stage, ourAddress, settle } from './stage.ts';
import {
  as4Hex,
  call,
  ipv4Hex,
  keepaliveHex,
  lastWords,
  openBody,
  openOfTorA,
  speakerWith,
  torA,
  upAndSays,
} from './wire.ts';

const emptyUpdate = message(2, '0000 0000');
const refresh = message(5, '0001 00 01');
const [P, Q] = ['18 0a0100', '18 0a0200'];
const routes = message(2, `0000 0014 40010100 40020602010000fde9 400304c0000201 ${P} ${Q}`);

describe('messages out of place', () => {
  const unexpected = [
    ['OpenSent', [], ['KEEPALIVE', 'UPDATE', 'ROUTE-REFRESH'], '05 01'],
    ['OpenConfirm', [openOfTorA], ['OPEN', 'UPDATE', 'ROUTE-REFRESH'], '05 02'],
    ['Established', [openOfTorA, keepaliveHex], ['OPEN'], '05 03'],
  ] as const;
  const messages = { OPEN: openOfTorA, KEEPALIVE: keepaliveHex, UPDATE: emptyUpdate, 'ROUTE-REFRESH': refresh };
  const cases = unexpected.flatMap(([state, before, names, words]) =>
    names.map((name) => ({ state, before, name, words })),
  );

  test.each(cases)('23: $name in $state ends the session with an FSM error: $words (RFC 6608 §3)', async (each) => {
    const stage = await speakerWith(torA);
    const raw = await call(stage, torA.address, ...each.before);
    expect(stage.session('tor-a').state).toBe(each.state);
    raw.write(messages[each.name]);
    await settle();
    expect([lastWords(raw), raw.ended]).toEqual([each.words, true]);
  });
});

test('35: to a connection that was reset nothing is said, and the operator is told (RFC 4271 §8.2.2)', async () => {
  const stage = await speakerWith(torA);
  const raw = await upAndSays(stage, routes);
  stage.network.wires.at(-1)!.dialled.stream.reset();
  await settle();
  const { messages, errors, flaps } = stage.session('tor-a');
  expect([lastWords(raw), messages.sent.notification, flaps, errors[0]!.text]).toEqual([
    undefined,
    0,
    1,
    'connection reset by the peer',
  ]);
  expect(stage.forwarding()).toEqual([]);
});

describe('Cease', () => {
  /** The peer's OPEN with graceful restart for IPv4 and the N bit, so that NOTIFICATIONs are survived. */
  const withN = message(1, openBody(65_001, '0a00000b', ipv4Hex, as4Hex(65_001), '40 06 4078 0001 01 80'));

  interface End {
    readonly wish?: Partial<PeerWish>;
    readonly open?: Uint8Array;
    readonly act: (stage: Stage, raw: RawPeer) => Promise<RawPeer | void> | void;
  }

  /** A second connection of the same neighbour, which has said its OPEN. */
  const again = async (stage: Stage): Promise<RawPeer> => call(stage, torA.address, openOfTorA);
  const limit = { max: 1, warnPercent: 80, action: 'close', idleSeconds: 60 } as const;

  const ends: readonly [string, string, End][] = [
    [
      'too many prefixes, with family and limit',
      '06 01 00 01 01 00 00 00 01',
      { wish: { prefixLimit: limit }, act: (_, raw) => raw.write(routes) },
    ],
    ['a shutdown with a text', '06 02 03 62 79 65', { act: (stage) => stage.applyPeer('tor-a', { shutdown: 'bye' }) }],
    ['a peer that is not wished any more', '06 03', { act: (stage) => stage.apply({ peers: [] }) }],
    ['an operator who resets', '06 04', { act: (stage) => stage.speaker.reset('tor-a') }],
    [
      'a neighbour that quarrels and comes back at once',
      '06 05',
      {
        act: async (stage, raw) => {
          raw.write(message(6, ''));
          await settle();
          return call(stage, torA.address);
        },
      },
    ],
    ['another hold time', '06 06', { act: (stage) => stage.applyPeer('tor-a', { holdSeconds: 30 }) }],
    ['a second connection', '06 07', { act: again }],
    [
      'an end for good where NOTIFICATIONs are survived, which goes inside',
      '06 09 06 03',
      { open: withN, act: (stage) => stage.apply({ peers: [] }) },
    ],
  ];

  test.each(ends)('36: for %s the Cease is %s (RFC 4486 §3, §4, RFC 8538 §3.1)', async (_, words, end) => {
    const stage = await speakerWith({ ...torA, ...end.wish });
    const first = await call(stage, torA.address, end.open ?? openOfTorA, keepaliveHex);
    await stage.clock.advance(20_000);
    const raw = (await end.act(stage, first)) ?? first;
    await settle();
    expect(lastWords(raw)).toBe(words);
  });

  test('36: closing for good says Cease 2 or 3, closing for a restart says nothing (RFC 4486 §3, RFC 4724 §4.1)', async () => {
    const said: (string | undefined)[] = [];
    for (const how of ['shutdown', 'restart'] as const) {
      const stage = await speakerWith(torA);
      const raw = await upAndSays(stage);
      await Promise.all([stage.speaker.close(how), stage.clock.advance(3000)]);
      said.push(lastWords(raw));
      expect(raw.ended).toBe(true);
    }
    expect(said).toEqual(['06 02', undefined]);
  });

  test('37: our text is UTF-8 of at most 128 octets, and never ends within a character (RFC 9003 §2)', async () => {
    const stage = await speakerWith(torA);
    const raw = await upAndSays(stage);
    await stage.applyPeer('tor-a', { shutdown: `${'a'.repeat(126)}🐱` });
    expect(lastWords(raw)).toBe(`06 02 7e ${Array(126).fill('61').join(' ')}`);
  });

  test.each([
    ['of 255 octets (RFC 9003 §2)', `ff ${'62'.repeat(255)}`, `"${'b'.repeat(255)}"`],
    ['that is no UTF-8, as hex', '03 61c328', 'not a text: 0361c328'],
    ['longer than what follows, as hex', '09 6161', 'not a text: 096161'],
  ])('37: a text of the peer %s is shown to the operator', async (_, data, shown) => {
    const stage = await speakerWith(torA);
    await upAndSays(stage, message(3, `06 02 ${data}`));
    expect(stage.session('tor-a').errors[0]!.text).toContain(shown);
    expect(stage.session('tor-a').errors[0]!.data).toBe(toHex(hex(data)).replaceAll(' ', ''));
  });

  test('38: codes and data that nobody knows are shown as they came (RFC 4271 §6.4)', async () => {
    const stage = await speakerWith(torA);
    await upAndSays(stage, message(3, 'fe 63 00 ff'));
    expect(stage.session('tor-a').errors[0]).toMatchObject({
      text: 'unknown error (254/99), received',
      ...{ code: 254, subcode: 99, data: '00ff', direction: 'received' },
    });
  });
});

test('34: a peer that stops reading is let go with 8/0 after eight minutes, or twice the hold time (RFC 9687 §3)', async () => {
  for (const [hold, minutes] of [
    [90, 8],
    [600, 20],
  ] as const) {
    const stage = await speakerWith({ ...torA, holdSeconds: hold });
    const body = `04 fde9 ffff 0a00000b ${openBody(65_001, '0a00000b', ipv4Hex, as4Hex(65_001)).slice(21)}`;
    const raw = new RawPeer(await stage.network.connect(torA.address, ourAddress));
    raw.write(message(1, body));
    raw.write(keepaliveHex);
    await settle();
    raw.connection.stream.pause();
    // More than the wire and the session hold together.
    const { neighbours } = stage.speaker as unknown as { neighbours: { get(name: string): { session: Sends } } };
    while (neighbours.get('tor-a').session.send(message(2, `0fe0 ${'00'.repeat(4064)} 0000`)));
    const begin = stage.clock.now();
    while (stage.session('tor-a').state === 'Established' && stage.clock.now() - begin < 3_600_000) {
      raw.write(keepaliveHex);
      await stage.clock.advance(30_000);
    }
    const took = (stage.clock.now() - begin) / 60_000;
    expect([Math.round(took), stage.session('tor-a').errors[0]!.text]).toEqual([
      minutes,
      'send hold timer expired (8/0), sent',
    ]);
  }
});

interface Sends {
  send(messages: Uint8Array): boolean;
}
