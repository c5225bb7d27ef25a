// Router advertisements and solicitations against bytes written by hand from RFC 4861 §4.1, §4.2 and §4.6.1.
import { expect, test } from 'vitest';
import { parseAddress } from '#ip';
import {
  neighbourSolicitation,
  routerAdvertisement,
  routerSolicitation,
  solicitedNode,
} from '../../../fib/neighbours/message.ts';

const linkLayer = '02:00:5e:10:00:01';
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('an advertisement has type 134, everything unspecified, a lifetime of 0, and our link-layer address', () => {
  const parts = ['86000000', '00000000', '00000000', '00000000', '010102005e100001'];
  expect(hex(routerAdvertisement(linkLayer))).toBe(parts.join(''));
});

test('a solicitation has type 133 and our link-layer address', () => {
  expect(hex(routerSolicitation(linkLayer))).toBe('8500000000000000010102005e100001');
});

test('the question for a neighbour has type 135, its address and our link-layer address', () => {
  const target = parseAddress('fe80::4cc9:71ff:fe0b:ab4a');
  const parts = ['87000000', '00000000', 'fe800000000000004cc971fffe0bab4a', '010102005e100001'];
  expect(hex(neighbourSolicitation(target, linkLayer))).toBe(parts.join(''));
  expect(solicitedNode(target)).toBe('ff02::1:ff0b:ab4a');
});

test.each([undefined, '00:00:00:00:00:00', '00:00:00:00', 'ff:00:00:00:00:00:02:00'])(
  'a link-layer address that is none of Ethernet (%s) is left out',
  (other) => {
    expect(routerAdvertisement(other)).toHaveLength(16);
    expect(routerSolicitation(other)).toHaveLength(8);
  },
);
