// What must hold for any bytes: decoders fail in one way only, two decoders agree, and what is written reads back.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressFromBytes, addressToBytes } from '#ip';
import {
  Framer,
  NotificationError,
  type UpdateTerms,
  decodeAttributes,
  decodeNotification,
  decodeOpen,
  decodeRouteRefresh,
  decodeUpdate,
  describeNotification,
  encodeAttributes,
  encodeNotification,
  encodeOpen,
  encodeRouteRefresh,
  nlriPrefixes,
  strongestAction,
} from '../../../bgp/codec/index.ts';
import type { AsPath, Capability, NlriField, PathAttributes } from '../../../bgp/message.ts';
import { hex, toHex } from './bytes.ts';
import { attributeBlock, bytes, terms, updates } from './generate.ts';
import { type Answer, naiveUpdate } from './naive.ts';

const runs = { numRuns: 2000 };
const u8 = fc.integer({ min: 0, max: 255 });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u24 = fc.integer({ min: 0, max: 0xff_ffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

// -- decoders fail in one way only

/** Runs an act that may end in a NotificationError, and in nothing else. */
function mayNotify<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof NotificationError) return undefined;
    throw error;
  }
}

const openish = fc.tuple(fc.constant([4, 0, 1, 0, 90, 1, 2, 3, 4]), fc.array(u8, { maxLength: 60 }));

test.each([
  ['OPEN', decodeOpen],
  ['NOTIFICATION', (body: Uint8Array) => describeNotification(decodeNotification(body))],
  ['ROUTE-REFRESH', decodeRouteRefresh],
])('the decoder of %s fails with a NotificationError or not at all, whatever the bytes', (_, decode) => {
  const any = fc.oneof(
    bytes(80),
    openish.map((parts) => Uint8Array.from(parts.flat())),
  );
  fc.assert(
    fc.property(any, (body) => {
      mayNotify(() => decode(body));
    }),
    runs,
  );
});

test('the decoder of UPDATE fails with a NotificationError or not at all, whatever the bytes', () => {
  const any = fc.oneof(fc.tuple(bytes(80), terms), updates);
  fc.assert(
    fc.property(any, ([body, to]) => {
      mayNotify(() => decodeUpdate(body, to));
    }),
    runs,
  );
});

test('a description of a NOTIFICATION never brings control characters to a terminal', () => {
  const body = fc
    .tuple(fc.constantFrom(6, 1, 2), fc.constantFrom(1, 2, 4, 9), bytes(40))
    .map(([code, subcode, data]) => ({
      code,
      subcode,
      data: Uint8Array.of(data.length, ...data),
    }));
  fc.assert(
    fc.property(body, (notification) => {
      expect(describeNotification(notification)).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }),
    runs,
  );
});

test('the framer fails with a NotificationError or not at all, whatever the bytes', () => {
  const header = fc.tuple(fc.constant(Array<number>(16).fill(255)), fc.array(u8, { maxLength: 40 }));
  fc.assert(
    fc.property(
      fc.oneof(
        bytes(60),
        header.map((parts) => Uint8Array.from(parts.flat())),
      ),
      (chunk) => {
        const framer = new Framer();
        framer.push(chunk);
        mayNotify(() => framer.next());
      },
    ),
    runs,
  );
});

test('decodeAttributes never fails, and withdraws exactly when it returns no attributes', () => {
  const hop = fc.option(fc.oneof(bytes(40), bytes(16, 16), bytes(4, 4)), { nil: undefined });
  const block = fc.oneof(
    bytes(80),
    attributeBlock(4).map((parts) => hex(parts.join(' '))),
  );
  fc.assert(
    fc.property(block, hop, terms, (raw, reachNextHop, to) => {
      const { attributes, faults } = decodeAttributes(raw, reachNextHop, to);
      expect(attributes === undefined).toBe(strongestAction(faults) === 'withdraw');
    }),
    runs,
  );
});

// -- two decoders agree

/** The first decoder's answer in the second one's words. */
function answer(update: Uint8Array, to: UpdateTerms): Answer {
  const decoded = mayNotify(() => decodeUpdate(update, to));
  if (decoded === undefined) return 'reset';
  const attributes: Record<string, 'withdraw' | Record<string, string>> = {};
  for (const { nextHop } of decoded.announced) {
    const result = decodeAttributes(decoded.attributes, nextHop, to);
    const withdraw = strongestAction(decoded.faults) === 'withdraw' || result.attributes === undefined;
    attributes[nextHop === undefined ? 'classic' : 'mp'] = withdraw ? 'withdraw' : inWords(result.attributes!);
  }
  return {
    withdrawn: decoded.withdrawn.flatMap(routeWords),
    announced: decoded.announced.flatMap(routeWords),
    attributes,
  };
}

function routeWords(field: NlriField): string[] {
  const afi = field.family === 'ipv4-unicast' ? 1 : 2;
  return [...nlriPrefixes(field)].map(({ prefix, pathId }) => {
    const [address, bits] = prefix.split('/') as [Parameters<typeof addressToBytes>[0], string];
    const binary = [...addressToBytes(address)].map((byte) => byte.toString(2).padStart(8, '0')).join('');
    return `${pathId ?? '-'}/${afi}/${bits}/${binary.slice(0, Number(bits))}`;
  });
}

const hexOf = (data: Uint8Array): string => toHex(data).replaceAll(' ', '');
const hex32 = (value: number): string => value.toString(16).padStart(8, '0');

function inWords(a: PathAttributes): Record<string, string> {
  const words: Record<string, string> = {
    1: String(a.origin),
    2: pathWords(a.asPath),
    3: hexOf(addressToBytes(a.nextHop)) + (a.linkLocalNextHop ? ` ${hexOf(addressToBytes(a.linkLocalNextHop))}` : ''),
  };
  const put = (code: number, text: string | undefined): void => {
    if (text !== undefined) words[code] = `${a.partial?.includes(code) ? 'partial ' : ''}${text}`;
  };
  put(4, a.med === undefined ? undefined : hex32(a.med));
  put(5, a.localPref === undefined ? undefined : hex32(a.localPref));
  put(6, a.atomicAggregate && 'yes');
  put(7, a.aggregator && `${a.aggregator.asn} ${hexOf(addressToBytes(a.aggregator.address))}`);
  put(8, a.communities?.map(hex32).join(' '));
  put(9, a.originatorId && hexOf(addressToBytes(a.originatorId)));
  put(10, a.clusterList?.map((id) => hexOf(addressToBytes(id))).join(''));
  put(16, a.extendedCommunities?.map((community) => community.toString(16).padStart(16, '0')).join(' '));
  put(32, a.largeCommunities?.map((community) => community.map(hex32).join('')).join(' '));
  put(35, a.onlyToCustomer === undefined ? undefined : hex32(a.onlyToCustomer));
  for (const { code, flags, value } of a.unknown ?? []) {
    words[code] = `${(flags & 0x20) === 0 ? '' : 'partial '}${hexOf(value)}`;
  }
  return words;
}

function pathWords(path: AsPath): string {
  const types = { set: 1, sequence: 2, confedSequence: 3, confedSet: 4 };
  return path.map(({ type, asns }) => `${types[type]}:${asns.join(',')}`).join(' ');
}

/** Adjacent sequences are one, wherever they were cut. */
function joined(result: Answer): Answer {
  if (result === 'reset') return result;
  const attributes = Object.fromEntries(
    Object.entries(result.attributes).map(([way, words]) => {
      if (words === 'withdraw') return [way, words];
      const pieces = words[2]!.split(' ').flatMap((s) =>
        s.startsWith('2:')
          ? s
              .slice(2)
              .split(',')
              .map((n) => `2:${n}`)
          : [s],
      );
      return [way, { ...words, 2: pieces.join(' ') }];
    }),
  );
  return { ...result, attributes };
}

test('a second, naive decoder comes to the same answer', () => {
  fc.assert(
    fc.property(updates, ([update, to]) => {
      expect(joined(answer(update, to))).toEqual(joined(naiveUpdate(update, to)));
    }),
    { numRuns: 10_000 },
  );
});

test('the bodies that both decoders are asked about lead to every kind of answer', () => {
  const kinds = fc.sample(updates, { numRuns: 1000, seed: 7 }).map(([update, to]) => {
    const result = answer(update, to);
    if (result === 'reset') return result;
    const ways = Object.values(result.attributes);
    if (ways.length === 0) return result.withdrawn.length > 0 ? 'withdrawn' : 'nothing';
    return ways.includes('withdraw') ? 'withdraw' : 'announced';
  });
  const count = (kind: string): number => kinds.filter((it) => it === kind).length;
  for (const kind of ['reset', 'withdrawn', 'nothing', 'withdraw', 'announced']) {
    expect(count(kind), kind).toBeGreaterThan(40);
  }
});

// -- what is written reads back

const v4 = bytes(4, 4).map(addressFromBytes);
const asn = fc.oneof(fc.constantFrom(1, 23_456, 65_001, 0xfa56_ea00), fc.integer({ min: 1, max: 0xffff_ffff }));
const asPath: fc.Arbitrary<AsPath> = fc.array(
  fc.record({ type: fc.constantFrom('sequence', 'set'), asns: fc.array(asn, { minLength: 1, maxLength: 4 }) }),
  { maxLength: 3 },
);
const ascending = <T extends number | bigint>(values: T[]): T[] => values.toSorted((a, b) => (a < b ? -1 : 1));
const some = <T>(it: fc.Arbitrary<T>, compare?: (a: T, b: T) => boolean) =>
  fc.uniqueArray(it, { minLength: 1, maxLength: 70, ...(compare && { comparator: compare }) });

const pathAttributes = fc.record(
  {
    origin: fc.constantFrom(0, 1, 2),
    asPath,
    nextHop: v4,
    med: u32,
    localPref: u32,
    atomicAggregate: fc.constant(true),
    aggregator: fc.record({ asn, address: v4 }),
    communities: some(u32).map(ascending),
    extendedCommunities: some(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })).map(ascending),
    largeCommunities: some(fc.tuple(u32, u32, u32), (a, b) => a.join() === b.join()).map((all) =>
      all.toSorted((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]),
    ),
    originatorId: v4,
    clusterList: fc.array(v4, { minLength: 1, maxLength: 70 }),
    onlyToCustomer: u32,
    unknown: fc
      .uniqueArray(fc.constantFrom(11, 30, 128, 255), { minLength: 1 })
      .chain((codes) =>
        fc.tuple(
          ...codes.toSorted((a, b) => a - b).map((code) => bytes(300).map((value) => ({ code, flags: 0xe0, value }))),
        ),
      ),
  },
  { requiredKeys: ['origin', 'asPath', 'nextHop'] },
) as fc.Arbitrary<PathAttributes>;

test.each([true, false])('attributes for an internal peer read back (four-octet AS numbers: %s)', (fourOctetAs) => {
  fc.assert(
    fc.property(pathAttributes, (attributes) => {
      const to = { internal: true, fourOctetAs };
      const raw = encodeAttributes(attributes, { ...to, nextHop: attributes.nextHop });
      const decoded = decodeAttributes(raw, undefined, to);
      expect(decoded.faults).toEqual([]);
      expect({ ...decoded.attributes, asPath: pathOf(decoded.attributes!) }).toEqual({
        ...attributes,
        asPath: pathOf(attributes),
      });
    }),
    runs,
  );
});

/** Merging joins adjacent sequences; the route is the same. */
function pathOf({ asPath: path }: PathAttributes): string[] {
  return path.flatMap(({ type, asns }) => (type === 'sequence' ? asns.map(String) : [`{${asns.join()}}`]));
}

const familyOf = fc.record({ afi: u16, safi: u8 });
const list = <T>(it: fc.Arbitrary<T>) => fc.array(it, { maxLength: 4 });
const name = fc.stringMatching(/^[a-z0-9.-]{0,64}$/);
const capability = fc.oneof(
  fc.record({ name: fc.constant('multiprotocol'), afi: u16, safi: u8 }),
  fc.record({ name: fc.constantFrom('routeRefresh', 'extendedMessage', 'enhancedRouteRefresh') }),
  fc.record({
    name: fc.constant('extendedNextHop'),
    families: list(fc.record({ afi: u16, safi: u16, nextHopAfi: u16 })),
  }),
  fc.record({ name: fc.constant('role'), role: u8 }),
  fc.record({
    name: fc.constant('gracefulRestart'),
    restarting: fc.boolean(),
    notification: fc.boolean(),
    restartSeconds: fc.integer({ min: 0, max: 4095 }),
    families: list(fc.tuple(familyOf, fc.boolean()).map(([family, forwarding]) => ({ ...family, forwarding }))),
  }),
  fc.record({ name: fc.constant('fourOctetAs'), asn: u32 }),
  fc.record({
    name: fc.constant('addPath'),
    families: list(
      fc
        .tuple(familyOf, fc.constantFrom([true, false], [false, true], [true, true]))
        .map(([family, [receive, send]]) => ({ ...family, receive, send })),
    ),
  }),
  fc.record({
    name: fc.constant('longLivedGracefulRestart'),
    families: list(
      fc
        .tuple(familyOf, fc.boolean(), u24)
        .map(([family, forwarding, staleSeconds]) => ({ ...family, forwarding, staleSeconds })),
    ),
  }),
  fc.record({ name: fc.constant('fqdn'), host: name, domain: name }),
  fc.record({ name: fc.constant('unknown'), code: fc.integer({ min: 100, max: 255 }), value: bytes(100) }),
) as fc.Arbitrary<Capability>;

test('an OPEN reads back, short or long', () => {
  const open = fc.record({
    type: fc.constant('open' as const),
    version: fc.constant(4),
    asn: u16,
    holdSeconds: u16,
    routerId: u32,
    capabilities: fc.array(capability, { maxLength: 20 }),
  });
  fc.assert(
    fc.property(open, (it) => {
      expect(decodeOpen(encodeOpen(it).subarray(19))).toEqual(it);
    }),
  );
});

test('NOTIFICATION and ROUTE-REFRESH read back', () => {
  fc.assert(
    fc.property(u8, u8, bytes(100), u16, (code, subcode, data, afi) => {
      const notification = { type: 'notification' as const, code, subcode, data };
      const refresh = { type: 'routeRefresh' as const, afi, safi: code, subtype: subcode };
      expect(decodeNotification(encodeNotification(notification).subarray(19))).toEqual(notification);
      expect(decodeRouteRefresh(encodeRouteRefresh(refresh).subarray(19))).toEqual(refresh);
    }),
  );
});
