import fc from 'fast-check';
import { Address4, Address6 } from 'ip-address';
import { expect, test } from 'vitest';
import {
  type Address,
  IpError,
  addressFromBigInt,
  addressFromBytes,
  addressToBigInt,
  addressToBytes,
  compareAddresses,
  familyOf,
  parseAddress,
  readAddress,
  v4FromInt,
  v4ToInt,
} from '#ip';

const v4Bytes = fc.uint8Array({ minLength: 4, maxLength: 4 });
// Zero groups are what makes IPv6 text hard, so half of the groups are zero.
const v6Bytes = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255])));
const anyBytes = fc.oneof(v4Bytes, v6Bytes);

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['::', '::'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['FD82:0:0:0:9905:F003:C7BD:FB00', 'fd82::9905:f003:c7bd:fb00'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['::ffff:c000:201', '::ffff:192.0.2.1'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
])('%s has the canonical text %s (RFC 5952)', (text, canonical) => {
  expect(parseAddress(text)).toBe(canonical);
});

test.each([
  '',
  '1.2.3',
  '1.2.3.4.5',
  '01.2.3.4',
  '1.2.3.256',
  '1.2.3.-4',
  ' 1.2.3.4',
  '1.2.3.4 ',
  '0x1.2.3.4',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::8',
  ':1:2:3:4:5:6:7:8',
  '12345::',
  'g::',
  '1.2.3.4::',
  'fe80::1%eth0',
])('%j is refused', (text) => {
  expect(readAddress(text)).toBeUndefined();
  expect(() => parseAddress(text)).toThrow(new IpError(`${JSON.stringify(text)} is not an address`));
});

test('canonical text agrees with an independent implementation', () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const address = addressFromBytes(bytes);
      const other =
        bytes.length === 4
          ? Address4.fromByteArray([...bytes]).correctForm()
          : Address6.fromByteArray([...bytes]).correctForm();
      // The other one writes IPv4-mapped addresses in hexadecimal; RFC 5952 §5 recommends dotted decimals.
      if (!address.startsWith('::ffff:') || !address.includes('.')) expect(address).toBe(other);
      expect(parseAddress(other)).toBe(address);
    }),
  );
});

test('bytes, integers and text are one and the same address', () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const address = addressFromBytes(bytes);
      expect(parseAddress(address)).toBe(address);
      expect(addressToBytes(address)).toEqual(bytes);
      expect(addressFromBigInt(addressToBigInt(address), familyOf(address))).toBe(address);
    }),
  );
});

test('an IPv4 address above 127.255.255.255 is still a positive integer', () => {
  expect(v4ToInt('255.0.0.1' as Address)).toBe(0xff000001);
  expect(v4FromInt(-1)).toBe('255.255.255.255');
});

test('order is numeric, and IPv4 comes before IPv6', () => {
  const ordered = ['2.0.0.1', '10.0.0.1', '200.0.0.1', '::1', 'fd00::2', 'fd00::10'] as Address[];
  expect([...ordered].reverse().sort(compareAddresses)).toEqual(ordered);
});

test.each([0, 3, 5, 17])('%i bytes are no address', (length) => {
  expect(() => addressFromBytes(new Uint8Array(length))).toThrow(IpError);
});

test('an integer outside the family is refused', () => {
  expect(() => addressFromBigInt(1n << 32n, 4)).toThrow(IpError);
  expect(() => addressFromBigInt(-1n, 6)).toThrow(IpError);
});
