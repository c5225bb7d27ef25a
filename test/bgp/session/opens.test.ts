// A session and OPENs that cannot stand, and messages that come out of place.
import { describe, expect, test, vi } from 'vitest';
import { encodeOpen } from '../../../bgp/codec/index.ts';
import { type Capability } from '../../../bgp/message.ts';
import { settle } from '../../support/fake-clock.ts';
import { type RawPeer, ipv4, someOpen } from '../../support/raw-peer.ts';
import { bench, hex, marker } from './harness.ts';

// A peer that waits in vain fails soon.
vi.setConfig({ testTimeout: 5000 });

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
