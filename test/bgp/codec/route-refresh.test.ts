import { expect, test } from 'vitest';
import { decodeRouteRefresh, encodeRouteRefresh } from '../../../bgp/codec/index.ts';
import { hex, message, notificationOf, toHex } from './bytes.ts';

test.each([
  ['0001 00 01', { afi: 1, safi: 1, subtype: 0 }],
  ['0002 01 01', { afi: 2, safi: 1, subtype: 1 }],
  ['4004 02 47', { afi: 16_388, safi: 71, subtype: 2 }],
])('%s is a ROUTE-REFRESH: AFI, subtype, SAFI (RFC 2918 §3, RFC 7313 §3.2)', (body, refresh) => {
  expect(decodeRouteRefresh(hex(body))).toEqual({ type: 'routeRefresh', ...refresh });
  expect(encodeRouteRefresh(refresh)).toEqual(message(5, body));
});

test('a subtype that is none is read, for the session to ignore (RFC 7313 §5)', () => {
  expect(decodeRouteRefresh(hex('0001 03 01 ffff')).subtype).toBe(3);
});

test.each(['0001 00 01 00', '0001 01 01 00', '0001 02 01 0000', '0001 00'])(
  '%s of another length ends the session with 7/1 and the whole message as data (RFC 7313 §5)',
  (body) => {
    const { kind, data } = notificationOf(() => decodeRouteRefresh(hex(body)));
    expect({ kind, data }).toEqual({ kind: '7/1', data: toHex(message(5, body)) });
  },
);
