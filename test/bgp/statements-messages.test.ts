// Framing and OPEN against a whole speaker, byte by byte: statements 1 to 22. Titles begin with the number of the
// statement that they hold; STATEMENTS.md in bgp/ is the list.
import { describe, expect, test } from 'vitest';
import type { PeerWish } from '../../bgp/index.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { hex, message, number, toHex } from './codec/bytes.ts';
import { Stage, ourAddress, ourAsn, settle } from './stage.ts';
import {
  as4Hex,
  call,
  ipv4Hex,
  ipv6Hex,
  keepaliveHex,
  lastWords,
  nodeA,
  openBody,
  openOfTorA,
  speakerWith,
  torA,
  upAndSays,
} from './wire.ts';

const marker = 'ff'.repeat(16);
const header = (length: number, type: number): Uint8Array => hex(`${marker} ${number(length, 2)} ${number(type, 1)}`);

/** An UPDATE of so many octets, all withdrawn routes: 0.0.0.0/0 again and again. */
function updateOf(octets: number): Uint8Array {
  return message(2, `${number(octets - 23, 2)} ${'00'.repeat(octets - 23)} 0000`);
}

describe('framing', () => {
  test.each([0, 7, 15])(
    '1: octet %i of a marker other than ff ends the session with 1/1 (RFC 4271 §6.1)',
    async (at) => {
      const stage = await speakerWith(torA);
      const broken = keepaliveHex.slice();
      broken[at] = 0x7f;
      const raw = await upAndSays(stage, broken);
      expect([lastWords(raw), raw.ended]).toEqual(['01 01', true]);
    },
  );

  test.each([
    [0, 4],
    [18, 4],
    [4097, 3],
    [65_535, 2],
  ])(
    '2: a length of %i, below 19 or above what is allowed, ends the session with 1/2 and the length as data (RFC 4271 §6.1)',
    async (length, type) => {
      const stage = await speakerWith({ ...torA, passive: true });
      // Before both OPENs are in, nothing is longer than 4096 octets.
      const raw = await call(stage, torA.address, header(length, type));
      expect(lastWords(raw)).toBe(`01 02 ${toHex(hex(number(length, 2)))}`);
    },
  );

  test.each([
    ['OPEN', 28, 1],
    ['UPDATE', 22, 2],
    ['NOTIFICATION', 20, 3],
    ['KEEPALIVE', 20, 4],
    ['ROUTE-REFRESH', 22, 5],
  ])(
    '3: %s of %i octets, which is not what it must have, ends the session with 1/2 (RFC 4271 §6.1, RFC 2918 §3)',
    async (_, length, type) => {
      const stage = await speakerWith(torA);
      const raw = await upAndSays(stage, header(length, type), new Uint8Array(20));
      expect(lastWords(raw)).toBe(`01 02 ${toHex(hex(number(length, 2)))}`);
    },
  );

  test.each([0, 6, 128])(
    '4: a message of type %i ends the session with 1/3 and the type as data (RFC 4271 §6.1)',
    async (type) => {
      const stage = await speakerWith(torA);
      expect(lastWords(await upAndSays(stage, message(type, '0000')))).toBe(`01 03 ${number(type, 1)}`);
    },
  );

  test('5: we say that we take long messages, and then take an UPDATE of 65535 octets (RFC 8654 §3, §4)', async () => {
    const stage = await speakerWith(torA);
    const raw = await upAndSays(stage, updateOf(65_535));
    await settle(60);
    const open = toHex(raw.heard[0]!.body);
    expect([open.includes(' 06 00 '), lastWords(raw), stage.session('tor-a').messages.received.update]).toEqual([
      true,
      undefined,
      1,
    ]);
  });

  test.each([
    ['OPEN', 1],
    ['KEEPALIVE', 4],
  ])('5: %s of more than 4096 octets ends the session with 1/2 all the same (RFC 8654 §4)', async (_, type) => {
    const stage = await speakerWith(torA);
    expect(lastWords(await upAndSays(stage, header(4097, type)))).toBe('01 02 10 01');
  });

  test('8: no NOTIFICATION is answered with one, whatever it says, in any state (RFC 4271 §6.4)', async () => {
    const stage = await speakerWith(torA);
    const heard: (string | undefined)[] = [];
    for (const said of ['06 02', '00 00', 'ff ff 01 02', '06 09', '01 02 00 01', `06 02 ff`]) {
      for (const before of [[], [openOfTorA], [openOfTorA, keepaliveHex]]) {
        const raw = await call(stage, torA.address, ...before, message(3, said));
        heard.push(lastWords(raw));
        expect(raw.ended).toBe(true);
        await stage.clock.advance(300_000);
      }
    }
    expect(heard).toEqual(Array(18).fill(undefined));
  });
});

describe('OPEN', () => {
  /** What a peer with this wish is told after an OPEN with this body. */
  async function answer(body: string, wish: Partial<PeerWish> = {}): Promise<string | undefined> {
    const peer = { ...torA, ...wish };
    const stage = await speakerWith(peer);
    const raw = await call(stage, peer.address, message(1, body), keepaliveHex);
    expect(stage.session(peer.name).state === 'Established').toBe(lastWords(raw) === undefined);
    return lastWords(raw);
  }

  const rest = '005a 0a00000b 00';

  test.each(['03', '05', '00'])(
    '9: version %s gets 2/1 with the largest version that we speak (RFC 4271 §6.2)',
    async (version) => {
      expect(await answer(`${version} fde9 ${rest}`)).toBe('02 01 00 04');
    },
  );

  test.each([
    ['another AS in the header', openBody(65_009, '0a00000b', ipv4Hex)],
    ['another AS in the capability', openBody(23_456, '0a00000b', ipv4Hex, as4Hex(65_009))],
    ['AS 0 in the header', openBody(0, '0a00000b', ipv4Hex, as4Hex(65_001))],
    ['AS 0 in the capability', openBody(23_456, '0a00000b', ipv4Hex, as4Hex(0))],
    ['AS 0 in the header alone', openBody(0, '0a00000b')],
  ])('10: %s gets 2/2 (RFC 4271 §6.2, RFC 7607 §2)', async (_, body) => {
    expect(await answer(body)).toBe('02 02');
  });

  test('11: with AS_TRANS in the header the AS of the capability is what counts (RFC 6793 §4.1)', async () => {
    const body = openBody(23_456, '0a00000b', ipv4Hex, as4Hex(4_200_000_001));
    expect(await answer(body, { asn: 4_200_000_001 })).toBeUndefined();
    expect(await answer(body, { asn: 23_456 })).toBe('02 02');
  });

  test('12: the identifier 0 gets 2/3, one of class E is an identifier as any other (RFC 6286 §2.1, §2.2)', async () => {
    expect(await answer(openBody(65_001, '00000000', ipv4Hex))).toBe('02 03');
    expect(await answer(openBody(65_001, 'f0000001', ipv4Hex))).toBeUndefined();
    expect(await answer(openBody(65_001, 'ffffffff', ipv4Hex))).toBeUndefined();
  });

  test('12: our own identifier gets 2/3 inside our AS, and is legal outside (RFC 6286 §2.2)', async () => {
    expect(await answer(openBody(ourAsn, '0a000001', ipv4Hex), nodeA)).toBe('02 03');
    expect(await answer(openBody(65_001, '0a000001', ipv4Hex))).toBeUndefined();
  });

  test.each(['01', '03', 'fe'])(
    '13: optional parameter %s, which nobody knows, gets 2/4 (RFC 4271 §6.2)',
    async (type) => {
      expect(await answer(`04 fde9 005a 0a00000b 04 ${type} 02 0000`)).toBe('02 04');
    },
  );

  test.each(['0001', '0002'])('14: the hold time %s gets 2/6 (RFC 4271 §6.2)', async (hold) => {
    expect(await answer(`04 fde9 ${hold} 0a00000b 00`)).toBe('02 06');
  });

  test.each([
    ['0003', 3],
    ['005a', 60],
    ['0000', undefined],
    ['ffff', 60],
  ])(
    '15: of hold time %s and our 60 s the smaller one counts, and 0 runs no timer (RFC 4271 §4.2)',
    async (hold, seconds) => {
      const stage = await speakerWith({ ...torA, holdSeconds: 60 });
      await call(stage, torA.address, message(1, `04 fde9 ${hold} 0a00000b 00`), keepaliveHex);
      const { hold: timer, keepalive } = stage.session('tor-a').timers;
      expect([timer?.totalSeconds, keepalive === undefined]).toEqual([seconds, seconds === undefined]);
    },
  );

  test('16: keepalives go out every third of the hold time, times 0.75 to 1.0 by chance, anew each time (RFC 4271 §10)', async () => {
    const stage = await speakerWith(torA);
    const raw = await upAndSays(stage);
    const sent = (): number => stage.session('tor-a').messages.sent.keepalive;
    const seconds: number[] = [];
    for (const luck of [0, 0.2, 0.4, 0.6, 0.8, 0.999, 0.1]) {
      stage.clock.luck = luck;
      const [before, begin] = [sent(), stage.clock.now()];
      while (sent() === before) await stage.clock.advance(100);
      seconds.push((stage.clock.now() - begin) / 1000);
      raw.write(keepaliveHex);
      await settle();
    }
    // The first interval was drawn before the test had its say: 0.5. Each one tells the luck at its beginning.
    const expected = [0.5, 0, 0.2, 0.4, 0.6, 0.8, 0.999].map((luck) => 30 * (0.75 + 0.25 * luck));
    for (const [i, each] of seconds.entries()) expect(Math.abs(each - expected[i]!)).toBeLessThan(0.2);
  });

  test('17: parameters with the length 255/255 are read (RFC 9072 §2)', async () => {
    expect(await answer(`04 fde9 005a 0a00000b ff ff 000f 02 000c ${ipv4Hex} ${as4Hex(65_001)}`)).toBeUndefined();
    expect(await answer('04 fde9 005a 0a00000b ff ff 0004 09 0001 00')).toBe('02 04');
  });

  test.each([
    ['in one parameter', `10 02 0e ${ipv4Hex} ${as4Hex(65_001)} 02 00`],
    ['in many parameters', `14 02 06 ${ipv4Hex} 02 06 ${as4Hex(65_001)} 02 02 02 00`],
    ['twice', `1a 02 18 ${ipv4Hex} ${ipv4Hex} ${as4Hex(65_001)} 02 00 02 00 02 00`],
    ['among unknown ones', `16 02 14 ef 02 abcd ${ipv4Hex} 00 00 02 00 ${as4Hex(65_001)}`],
  ])('18: capabilities may stand %s (RFC 5492 §4)', async (_, parameters) => {
    const stage = await speakerWith(torA);
    await call(stage, torA.address, message(1, `04 fde9 005a 0a00000b ${parameters}`), keepaliveHex);
    const { state, capabilities } = stage.session('tor-a');
    expect([state, capabilities.received.some(({ name }) => name === 'routeRefresh')]).toEqual(['Established', true]);
  });

  test.each([
    ['without its length', '03 02 01 01'],
    ['longer than its parameter', '05 02 03 01 04 00'],
    ['in a parameter longer than all of them', '03 02 05 02'],
    ['of a length that is not its own', '07 02 05 41 03 00fde9'],
  ])('19: a capability %s gets 2/0, and nothing is thrown (RFC 4271 §6.2, RFC 5492 §5)', async (_, parameters) => {
    expect(await answer(`04 fde9 005a 0a00000b ${parameters}`)).toBe('02 00');
  });

  test('20: without a multiprotocol capability the session is one for IPv4 unicast (RFC 4760 §8)', async () => {
    const stage = await speakerWith({ ...torA, families: ['ipv4-unicast', 'ipv6-unicast'] });
    await call(stage, torA.address, message(1, `04 fde9 ${rest}`), keepaliveHex);
    expect([stage.family('tor-a').negotiated, stage.family('tor-a', 'ipv6-unicast').negotiated]).toEqual([true, false]);
  });

  test('21: without the capability that we cannot do without the answer is 2/7, with it as data (RFC 5492 §3)', async () => {
    const body = openBody(65_001, '0a00000b', ipv4Hex);
    expect(await answer(body, { families: ['ipv6-unicast'] })).toBe(`02 07 ${toHex(hex(ipv6Hex))}`);
  });

  test('22: a role that does not fit ours gets 2/11, and one that does is agreed on (RFC 9234 §4.2)', async () => {
    const withRole = (role: string): string => openBody(65_001, '0a00000b', ipv4Hex, `09 01 ${role}`);
    expect(await answer(withRole('00'), { role: 'provider' })).toBe('02 0b');
    expect(await answer(withRole('03'), { role: 'provider' })).toBeUndefined();
    expect(await answer(withRole('05'), { role: 'peer' })).toBe('02 0b');
  });
});

test('the OPEN that we send is this one, to the last octet', async () => {
  const stage = new Stage({ peers: [{ ...torA, holdSeconds: 60, addPath: { receive: true, send: 2 } }] });
  await settle();
  const raw = new RawPeer(await stage.network.connect(torA.address, ourAddress));
  await settle();
  expect(toHex(raw.heard[0]!.body)).toBe(
    toHex(
      hex(`04 fc00 003c 0a000001 22 02 20
        01 04 0001 00 01       # multiprotocol: IPv4 unicast
        02 00                  # route refresh
        46 00                  # enhanced route refresh
        06 00                  # extended message
        41 04 0000fc00         # four-octet AS
        45 04 0001 01 03       # ADD-PATH: both directions
        40 06 4078 0001 01 00  # graceful restart: N, 120 s, forwarding state not kept`),
    ),
  );
});
