// What BIRD, FRR, GoBGP and OpenBGPD really send, and what it means.
import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  type Frame,
  Framer,
  type UpdateTerms,
  decodeAttributes,
  decodeOpen,
  decodeUpdate,
  encodeOpen,
  nlriPrefixes,
} from '../../../bgp/codec/index.ts';
import type { AddressFamily, Capability, PathAttributes } from '../../../bgp/message.ts';
import { hex, toHex } from './bytes.ts';
import { external } from './terms.ts';

const folder = new URL('../../fixtures/bgp/', import.meta.url);

const multiprotocol = (afi: number): Capability => ({ name: 'multiprotocol', afi, safi: 1 });
const routeRefresh: Capability = { name: 'routeRefresh' };
const enhancedRouteRefresh: Capability = { name: 'enhancedRouteRefresh' };
const extendedMessage: Capability = { name: 'extendedMessage' };
const fourOctetAs: Capability = { name: 'fourOctetAs', asn: 65_100 };
const oldRouteRefresh: Capability = { name: 'unknown', code: 128, value: new Uint8Array() };
const fqdn: Capability = { name: 'fqdn', host: 'vm', domain: '' };
const addPath = (afi: number): Capability => ({
  name: 'addPath',
  families: [{ afi, safi: 1, receive: true, send: true }],
});
const gracefulRestart = (
  restartSeconds: number,
  afi?: number,
  restarting = false,
  notification = false,
): Capability => ({
  name: 'gracefulRestart',
  restarting,
  notification,
  restartSeconds,
  families: afi === undefined ? [] : [{ afi, safi: 1, forwarding: false }],
});

interface Expected {
  readonly capabilities: (afi: number) => Capability[];
  /** It announces with path identifiers. */
  readonly addPath: boolean;
  readonly attributes: Pick<PathAttributes, 'origin' | 'med'>;
  readonly endOfRib: boolean;
}

const daemons: Readonly<Record<string, Expected>> = {
  bird: {
    capabilities: (afi) => [
      multiprotocol(afi),
      routeRefresh,
      gracefulRestart(120, afi),
      fourOctetAs,
      addPath(afi),
      enhancedRouteRefresh,
      { name: 'longLivedGracefulRestart', families: [] },
    ],
    addPath: true,
    attributes: { origin: 0 },
    endOfRib: true,
  },
  frr: {
    capabilities: (afi) => [
      multiprotocol(afi),
      oldRouteRefresh,
      routeRefresh,
      enhancedRouteRefresh,
      fourOctetAs,
      extendedMessage,
      addPath(afi),
      fqdn,
      { ...gracefulRestart(120, afi, true, true), families: [{ afi, safi: 1, forwarding: true }] } as Capability,
      { name: 'longLivedGracefulRestart', families: [{ afi, safi: 1, forwarding: true, staleSeconds: 0 }] },
    ],
    addPath: true,
    attributes: { origin: 0, med: 0 },
    endOfRib: false,
  },
  gobgp: {
    capabilities: (afi) => [
      routeRefresh,
      fqdn,
      multiprotocol(afi),
      fourOctetAs,
      gracefulRestart(20, afi),
      ...(afi === 1 ? [{ name: 'extendedNextHop', families: [{ afi: 1, safi: 1, nextHopAfi: 2 }] } as const] : []),
      addPath(afi),
    ],
    addPath: true,
    attributes: { origin: 2 },
    endOfRib: true,
  },
  openbgpd: {
    capabilities: (afi) => [
      multiprotocol(afi),
      routeRefresh,
      gracefulRestart(0, undefined, true),
      fourOctetAs,
      addPath(afi),
    ],
    addPath: true,
    attributes: { origin: 0 },
    endOfRib: true,
  },
};

const announced: Readonly<Record<AddressFamily, readonly string[]>> = {
  'ipv4-unicast': ['192.0.2.0/24', '198.51.100.0/25', '203.0.113.7/32'],
  'ipv6-unicast': ['2001:db8:1::/48', '2001:db8:2::1/128'],
};

const cases = Object.keys(daemons).flatMap((name) =>
  ([4, 6] as const).map((version) => ({ name, version, file: `${name}-ipv${version}.hex` })),
);

/** The messages of a capture through the framer, by type. */
function read(file: string) {
  const framer = new Framer();
  framer.push(hex(readFileSync(new URL(file, folder), 'utf8')));
  const frames: Frame[] = [];
  for (let frame = framer.next(); frame !== undefined; frame = framer.next()) frames.push(frame);
  const bodies = (type: string): Uint8Array[] => frames.filter((frame) => frame.type === type).map(({ body }) => body);
  return { open: bodies('open')[0]!, keepalives: bodies('keepalive'), updates: bodies('update'), frames };
}

test('each capture is known here, and each that is known is there', () => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.hex'));
  expect(files.toSorted()).toEqual(cases.map(({ file }) => file).toSorted());
});

test.each(cases)('the OPEN in $file is understood to the last bit', ({ name, version, file }) => {
  const { open, keepalives } = read(file);
  expect(decodeOpen(open)).toEqual({
    type: 'open',
    version: 4,
    asn: 65_100,
    holdSeconds: 90,
    routerId: 0x0a00_0002,
    capabilities: daemons[name]!.capabilities(version === 4 ? 1 : 2),
  });
  expect(keepalives.length).toBeGreaterThan(0);
});

test.each(cases)('the routes in $file are understood', ({ name, version, file }) => {
  const family = version === 4 ? 'ipv4-unicast' : 'ipv6-unicast';
  const expected = daemons[name]!;
  const terms: UpdateTerms = { ...external, families: [family], addPathReceive: expected.addPath ? [family] : [] };
  const updates = read(file).updates.map((body) => decodeUpdate(body, terms));
  const seen = updates.flatMap(({ announced, attributes }) =>
    announced.flatMap((field) => {
      const decoded = decodeAttributes(attributes, field.nextHop, terms);
      return [...nlriPrefixes(field)].map((route) => ({ ...route, ...decoded }));
    }),
  );
  expect(seen.map(({ prefix }) => prefix).toSorted()).toEqual(announced[family]);
  for (const { attributes, faults, pathId } of seen) {
    const nextHop = expect.stringMatching(version === 4 ? /^10\.9\.\d+\.2$/ : /^fd09:\d+::2$/) as string;
    const asPath = [{ type: 'sequence', asns: [65_100] }];
    expect({ attributes, faults }).toEqual({ attributes: { ...expected.attributes, asPath, nextHop }, faults: [] });
    expect(pathId).toBeTypeOf('number');
  }
  const markers = updates.flatMap(({ endOfRib }) => endOfRib ?? []);
  expect(markers).toEqual(expected.endOfRib ? [family] : []);
});

test.each(cases.filter(({ name }) => name === 'bird' || name === 'openbgpd'))(
  'the OPEN in $file, decoded and encoded, is the same again: one parameter, as we write it',
  ({ file }) => {
    const { frames, open } = read(file);
    expect(toHex(encodeOpen(decodeOpen(open)))).toBe(toHex(frames[0]!.message));
  },
);
