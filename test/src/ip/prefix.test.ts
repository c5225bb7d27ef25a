import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Address,
  type Prefix,
  IpError,
  addressAt,
  addressFromBytes,
  addressOf,
  addressToBigInt,
  addressesOf,
  bitsOfPrefix,
  comparePrefixes,
  containsAddress,
  containsPrefix,
  countSubnets,
  lastAddressOf,
  lengthOf,
  offsetOf,
  parseInterfaceAddress,
  parsePrefix,
  parsePrefixOrAddress,
  prefixFrom,
  prefixesOverlap,
  readPrefix,
  sizeOf,
  subnetAt,
} from '#ip';

const prefixes = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .chain((bytes) =>
    fc.integer({ min: 0, max: bytes.length * 8 }).map((length) => prefixFrom(addressFromBytes(bytes), length)),
  );

test('host bits are an error that names the prefix which was meant', () => {
  expect(() => parsePrefix('10.82.1.0/16')).toThrow(
    new IpError('"10.82.1.0/16" has host bits set (did you mean 10.82.0.0/16?)'),
  );
});

test.each(['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', '::/129', '/8', '10.0.0/8', ''])(
  '%j is not a prefix',
  (text) => {
    expect(readPrefix(text)).toBeUndefined();
    expect(() => parsePrefix(text)).toThrow(IpError);
  },
);

test('an interface address keeps its host bits and knows its network', () => {
  expect(parseInterfaceAddress('10.250.1.11/24')).toEqual({ address: '10.250.1.11', prefix: '10.250.1.0/24' });
});

test('a bare address is read as its host prefix', () => {
  expect(parsePrefixOrAddress('fd00::1')).toBe('fd00::1/128');
});

test('text, length and first address of any prefix fit together', () => {
  fc.assert(
    fc.property(prefixes, (prefix) => {
      expect(parsePrefix(prefix)).toBe(prefix);
      expect(prefixFrom(addressOf(prefix), lengthOf(prefix))).toBe(prefix);
    }),
  );
});

test('containment is what the integers say', () => {
  const within = (outer: Prefix, address: Address): boolean => {
    const first = addressToBigInt(addressOf(outer));
    const value = addressToBigInt(address);
    return (
      bitsOfPrefix(outer) === (address.includes(':') ? 128 : 32) && value >= first && value < first + sizeOf(outer)
    );
  };
  fc.assert(
    fc.property(prefixes, prefixes, (a, b) => {
      const contains = within(a, addressOf(b)) && within(a, lastAddressOf(b));
      expect(containsPrefix(a, b)).toBe(contains);
      expect(containsAddress(a, addressOf(b))).toBe(within(a, addressOf(b)));
      expect(prefixesOverlap(a, b)).toBe(contains || (within(b, addressOf(a)) && within(b, lastAddressOf(a))));
    }),
  );
});

test('offset and address are inverse', () => {
  fc.assert(
    fc.property(prefixes, fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (prefix, seed) => {
      const offset = seed % sizeOf(prefix);
      expect(offsetOf(prefix, addressAt(prefix, offset))).toBe(offset);
    }),
  );
});

test('an offset outside the prefix is refused', () => {
  expect(() => addressAt('10.0.0.0/30' as Prefix, 4)).toThrow(IpError);
  expect(() => offsetOf('10.0.0.0/30' as Prefix, '10.0.0.4' as Address)).toThrow(IpError);
});

test('order is by address, and the shorter prefix comes first', () => {
  const ordered = ['9.0.0.0/8', '10.0.0.0/8', '10.0.0.0/16', '10.1.0.0/16', '::/0', 'fd00::/8'] as Prefix[];
  expect([...ordered].reverse().sort(comparePrefixes)).toEqual(ordered);
});

test('a prefix is cut into subnets in order', () => {
  const prefix = '10.82.0.0/24' as Prefix;
  const count = Number(countSubnets(prefix, 26));
  expect(Array.from({ length: count }, (_, index) => subnetAt(prefix, 26, index))).toEqual([
    '10.82.0.0/26',
    '10.82.0.64/26',
    '10.82.0.128/26',
    '10.82.0.192/26',
  ]);
  expect(() => subnetAt(prefix, 26, 4)).toThrow(IpError);
  expect(() => countSubnets(prefix, 23)).toThrow(IpError);
  expect(() => countSubnets(prefix, 33)).toThrow(IpError);
});

test('an IPv6 pool has more blocks than a double can count', () => {
  expect(countSubnets('fd82::/64' as Prefix, 122)).toBe(1n << 58n);
  expect(subnetAt('fd82::/64' as Prefix, 122, (1n << 58n) - 1n)).toBe('fd82::ffff:ffff:ffff:ffc0/122');
});

test('walking a prefix gives each address once', () => {
  expect([...addressesOf('fd00::fffe/127' as Prefix)]).toEqual(['fd00::fffe', 'fd00::ffff']);
});
