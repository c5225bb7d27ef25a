import { expect, test } from 'vitest';
import { codeOfCapability, decodeOpen, encodeCapability, encodeOpen } from '../../../bgp/codec/index.ts';
import type { Capability, Open } from '../../../bgp/message.ts';
import { hex, kindOf, message, notificationOf, number } from './bytes.ts';

const fixed = '04 fde9 005a 0a000001';

/** An OPEN with these capabilities, each in a parameter of its own. */
function openWith(...capabilities: string[]): Uint8Array {
  const parameters = capabilities.map((c) => `02 ${number(hex(c).length, 1)} ${c}`).join(' ');
  return hex(`${fixed} ${number(hex(parameters).length, 1)} ${parameters}`);
}

/** Capabilities in hex, and what they mean. */
const capabilities: readonly [string, Capability][] = [
  ['01 04 0001 00 01', { name: 'multiprotocol', afi: 1, safi: 1 }],
  ['01 04 4004 ff 47', { name: 'multiprotocol', afi: 16_388, safi: 71 }],
  ['02 00', { name: 'routeRefresh' }],
  ['05 06 0001 0001 0002', { name: 'extendedNextHop', families: [{ afi: 1, safi: 1, nextHopAfi: 2 }] }],
  ['06 00', { name: 'extendedMessage' }],
  ['09 01 03', { name: 'role', role: 3 }],
  ['40 02 4078', { name: 'gracefulRestart', restarting: false, notification: true, restartSeconds: 120, families: [] }],
  [
    '40 0a cfff 0001 01 80 0002 01 00',
    {
      name: 'gracefulRestart',
      restarting: true,
      notification: true,
      restartSeconds: 4095,
      families: [
        { afi: 1, safi: 1, forwarding: true },
        { afi: 2, safi: 1, forwarding: false },
      ],
    },
  ],
  ['41 04 fa56ea00', { name: 'fourOctetAs', asn: 4_200_000_000 }],
  [
    '45 0c 0001 01 01 0002 01 02 0001 02 03',
    {
      name: 'addPath',
      families: [
        { afi: 1, safi: 1, receive: true, send: false },
        { afi: 2, safi: 1, receive: false, send: true },
        { afi: 1, safi: 2, receive: true, send: true },
      ],
    },
  ],
  ['46 00', { name: 'enhancedRouteRefresh' }],
  [
    '47 07 0001 01 80 015180',
    {
      name: 'longLivedGracefulRestart',
      families: [{ afi: 1, safi: 1, forwarding: true, staleSeconds: 86_400 }],
    },
  ],
  ['49 08 05 746f722d61 01 78', { name: 'fqdn', host: 'tor-a', domain: 'x' }],
  ['80 00', { name: 'unknown', code: 128, value: new Uint8Array() }],
  ['c8 03 010203', { name: 'unknown', code: 200, value: hex('010203') }],
];

test('an OPEN is version, AS, hold time, identifier and parameters (RFC 4271 §4.2)', () => {
  expect(decodeOpen(hex(`${fixed} 00`))).toEqual({
    type: 'open',
    version: 4,
    asn: 65_001,
    holdSeconds: 90,
    routerId: 0x0a00_0001,
    capabilities: [],
  });
});

test('an identifier in the upper half is unsigned (RFC 6286 §2.1)', () => {
  expect(decodeOpen(hex('04 fde9 005a f0000001 00')).routerId).toBe(0xf000_0001);
});

test.each(capabilities)('capability %s is read', (bytes, capability) => {
  expect(decodeOpen(openWith(bytes)).capabilities).toEqual([capability]);
});

test.each(capabilities.filter(([bytes]) => !bytes.startsWith('01 04 4004')))(
  'capability %s is written',
  (bytes, it) => {
    expect(encodeCapability(it)).toEqual(hex(bytes));
  },
);

test('the reserved octet of the multiprotocol capability is written as zero (RFC 4760 §8)', () => {
  expect(encodeCapability({ name: 'multiprotocol', afi: 16_388, safi: 71 })).toEqual(hex('01 04 4004 00 47'));
});

test('each capability knows its code', () => {
  expect(capabilities.map(([, it]) => codeOfCapability(it))).toEqual(capabilities.map(([bytes]) => hex(bytes)[0]));
});

const all = capabilities.map(([, capability]) => capability);

test('capabilities may stand in one parameter (RFC 5492 §4)', () => {
  const value = capabilities.map(([bytes]) => bytes).join(' ');
  const { length } = hex(value);
  const body = hex(`${fixed} ${number(length + 2, 1)} 02 ${number(length, 1)} ${value}`);
  expect(decodeOpen(body).capabilities).toEqual(all);
});

test('capabilities may stand in many parameters (RFC 5492 §4)', () => {
  expect(decodeOpen(openWith(...capabilities.map(([bytes]) => bytes))).capabilities).toEqual(all);
});

test('a capability may occur twice, and is then reported twice (RFC 5492 §4)', () => {
  expect(decodeOpen(openWith('02 00', '02 00')).capabilities).toHaveLength(2);
});

test('an empty parameter is fine', () => {
  expect(decodeOpen(hex(`${fixed} 02 02 00`)).capabilities).toEqual([]);
});

test.each([3, 5, 0])('version %i ends the session with 2/1 and our version as data (RFC 4271 §6.2)', (version) => {
  const body = hex(`${number(version, 1)} fde9 005a 0a000001 00`);
  expect(notificationOf(() => decodeOpen(body))).toMatchObject({ kind: '2/1', data: '00 04' });
});

test.each([0, 1, 3, 254])('optional parameter %i ends the session with 2/4 (RFC 4271 §6.2)', (type) => {
  expect(kindOf(() => decodeOpen(hex(`${fixed} 03 ${number(type, 1)} 01 00`)))).toBe('2/4');
});

test.each([
  ['a capability without a length', '03 02 01 02'],
  ['a capability that is longer than its parameter', '04 02 02 41 04'],
  ['a parameter that is longer than all parameters', '04 02 04 02 00'],
  ['a parameter without a length', '01 02'],
  ['parameters that are longer than the message', '05 02 02 02 00'],
  ['octets behind the parameters', '04 02 02 02 00 00'],
  ['no length of parameters at all', ''],
])('%s ends the session with 2/0 (RFC 4271 §6.2)', (_, parameters) => {
  expect(kindOf(() => decodeOpen(hex(`${fixed} ${parameters}`)))).toBe('2/0');
});

test.each([
  ['multiprotocol', '01 03 0001 00'],
  ['multiprotocol', '01 05 0001 00 01 00'],
  ['route refresh', '02 01 00'],
  ['extended next hop', '05 05 0001 0001 00'],
  ['role', '09 02 0000'],
  ['graceful restart', '40 01 00'],
  ['graceful restart', '40 05 0078 0001 01'],
  ['four-octet AS', '41 02 fde9'],
  ['ADD-PATH', '45 03 0001 01'],
  ['long-lived graceful restart', '47 06 0001 01 80 0151'],
])('a capability %s of the wrong length (%s) ends the session with 2/0, and the reason names it', (_, bytes) => {
  const { kind, reason } = notificationOf(() => decodeOpen(openWith(bytes)));
  expect({ kind, reason }).toEqual({ kind: '2/0', reason: expect.stringContaining(`capability ${hex(bytes)[0]} (`) });
});

test('a name of more than 64 octets is cut', () => {
  const fqdn = encodeCapability({ name: 'fqdn', host: 'h'.repeat(70), domain: 'd' });
  expect(fqdn).toEqual(hex(`49 43 40 ${'68'.repeat(64)} 01 64`));
});

test('only the F bit of a family says that forwarding went on (RFC 4724 §3, RFC 9494 §3.1)', () => {
  const { capabilities } = decodeOpen(openWith('40 06 0078 0001 01 7f', '47 07 0001 01 7f 000001'));
  expect(capabilities).toMatchObject([{ families: [{ forwarding: false }] }, { families: [{ forwarding: false }] }]);
});

test('an ADD-PATH family with a direction that is none is ignored, the others are not (RFC 7911 §4)', () => {
  expect(decodeOpen(openWith('45 0c 0001 01 00 0002 01 04 0001 02 01')).capabilities).toEqual([
    { name: 'addPath', families: [{ afi: 1, safi: 2, receive: true, send: false }] },
  ]);
});

test('a host name that cannot be read stays bytes: nothing rests on it', () => {
  expect(decodeOpen(openWith('49 02 05 41')).capabilities).toEqual([
    { name: 'unknown', code: 73, value: hex('05 41') },
  ]);
});

test('parameters in the longer format are read, be they long or short (RFC 9072 §2)', () => {
  expect(decodeOpen(hex(`${fixed} ff ff 0005 02 0002 02 00`)).capabilities).toEqual([{ name: 'routeRefresh' }]);
});

test('in the longer format the old length says nothing, unless it is 0 (RFC 9072 §2)', () => {
  expect(decodeOpen(hex(`${fixed} 01 ff 0005 02 0002 02 00`)).capabilities).toEqual([{ name: 'routeRefresh' }]);
  expect(kindOf(() => decodeOpen(hex(`${fixed} 00 ff 0005 02 0002 02 00`)))).toBe('2/0');
});

test.each(['ff ff 0006 02 0002 02 00', 'ff ff 0004 02 0002 02 00', 'ff ff 0005 02 0003 02 00', 'ff ff 00', 'ff ff'])(
  'the longer format %s with wrong lengths ends the session with 2/0',
  (parameters) => {
    expect(kindOf(() => decodeOpen(hex(`${fixed} ${parameters}`)))).toBe('2/0');
  },
);

test('another parameter in the longer format ends the session with 2/4', () => {
  expect(kindOf(() => decodeOpen(hex(`${fixed} ff ff 0004 03 0001 00`)))).toBe('2/4');
});

test('a long OPEN in many parameters of the old format is read: 255 octets are not yet the longer format', () => {
  const parameters = '02 02 02 00'.repeat(63);
  const body = hex(`${fixed} ff 02 01 02 00`);
  expect(decodeOpen(hex(`${fixed} fc ${parameters}`)).capabilities).toHaveLength(63);
  expect(kindOf(() => decodeOpen(body))).toBe('2/0');
});

const open: Open = { type: 'open', version: 4, asn: 23_456, holdSeconds: 90, routerId: 0xffff_fffe, capabilities: [] };

test('an OPEN without capabilities has no parameters', () => {
  expect(encodeOpen(open)).toEqual(message(1, '04 5ba0 005a fffffffe 00'));
});

test('an OPEN has all capabilities in one parameter (RFC 5492 §4)', () => {
  const capabilities: Capability[] = [{ name: 'routeRefresh' }, { name: 'fourOctetAs', asn: 4_200_000_000 }];
  expect(encodeOpen({ ...open, capabilities })).toEqual(message(1, '04 5ba0 005a fffffffe 0a 02 08 0200 4104fa56ea00'));
});

const long = (length: number): Capability => ({ name: 'unknown', code: 200, value: new Uint8Array(length) });

test('255 octets of parameters still have the old format (RFC 9072 §2)', () => {
  const body = `04 5ba0 005a fffffffe ff 02 fd c8fb ${'00'.repeat(251)}`;
  expect(encodeOpen({ ...open, capabilities: [long(251)] })).toEqual(message(1, body));
});

test('256 octets of parameters have the longer format (RFC 9072 §2)', () => {
  const body = `04 5ba0 005a fffffffe ff ff 0101 02 00fe c8fc ${'00'.repeat(252)}`;
  expect(encodeOpen({ ...open, capabilities: [long(252)] })).toEqual(message(1, body));
});

test('an OPEN that would be longer than 4096 octets is a fault of ours (RFC 8654 §4)', () => {
  expect(() => encodeOpen({ ...open, capabilities: Array(20).fill(long(250)) as Capability[] })).toThrow(RangeError);
});

test('a restart time beyond twelve bits, and a stale time beyond 24, are cut to the most there is', () => {
  const restart = encodeCapability({
    name: 'gracefulRestart',
    restarting: false,
    notification: false,
    restartSeconds: 5000,
    families: [],
  });
  const families = [{ afi: 1, safi: 1, forwarding: false, staleSeconds: 20_000_000 }];
  const longLived = encodeCapability({ name: 'longLivedGracefulRestart', families });
  expect([restart, longLived]).toEqual([hex('40 02 0fff'), hex('47 07 0001 01 00 ffffff')]);
});
