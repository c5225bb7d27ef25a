// Router advertisements and solicitations against bytes written by hand from RFC 4861 §4.1, §4.2 and §4.6.1.
import { expect, test } from 'vitest';
import { routerAdvertisement, routerSolicitation } from '../../../fib/neighbours/message.ts';

const linkLayer = '02:00:5e:10:00:01';
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('an advertisement has type 134, everything unspecified, a lifetime of 0, and our link-layer address', () => {
  const parts = ['86000000', '00000000', '00000000', '00000000', '010102005e100001'];
  expect(hex(routerAdvertisement(linkLayer))).toBe(parts.join(''));
});

test('a solicitation has type 133 and our link-layer address', () => {
  expect(hex(routerSolicitation(linkLayer))).toBe('8500000000000000010102005e100001');
});

test.each([undefined, '00:00:00:00:00:00', '00:00:00:00', 'ff:00:00:00:00:00:02:00'])(
  'a link-layer address that is none of Ethernet (%s) is left out',
  (other) => {
    expect(routerAdvertisement(other)).toHaveLength(16);
    expect(routerSolicitation(other)).toHaveLength(8);
  },
);
