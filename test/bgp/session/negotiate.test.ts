import { describe, expect, test } from 'vitest';
import { parseAddress } from '#ip';
import type { Capability, Open, Role, Terms } from '../../../bgp/message.ts';
import type { Words } from '../../../bgp/session/cease.ts';
import { negotiate } from '../../../bgp/session/negotiate.ts';
import { offer } from '../../../bgp/session/offer.ts';
import { ipv4, ipv6, restarts, someOpen } from '../../support/raw-peer.ts';
import { aWish, speaker } from './harness.ts';

const nothing = { restarting: false, forwarding: [] };
const as4: Capability = { name: 'fourOctetAs', asn: 65_001 };

function open(...more: Capability[]): Open {
  return someOpen({ capabilities: [ipv4, as4, ...more] });
}

function agree(wish: Parameters<typeof aWish>[0], theirs: Open, restart: typeof nothing = nothing): Terms {
  const wished = aWish(wish);
  const agreement = negotiate(offer(wished, speaker, restart), theirs, wished);
  if ('refusal' in agreement) throw new Error(agreement.refusal.reason);
  return agreement.terms;
}

function refusal(wish: Parameters<typeof aWish>[0], theirs: Open, as = speaker): Words {
  const wished = aWish(wish);
  const agreement = negotiate(offer(wished, as, nothing), theirs, wished);
  if ('terms' in agreement) throw new Error('they agree');
  return agreement.refusal;
}

describe('who the peer is', () => {
  test.each<[string, Open]>([
    ['another AS in the capability', open({ name: 'fourOctetAs', asn: 65_002 })],
    ['another AS in the header of an old speaker', someOpen({ asn: 65_002, capabilities: [ipv4] })],
    ['AS 0 in the header', someOpen({ asn: 0, capabilities: [ipv4] })],
    ['AS 0 in the capability (RFC 7607)', someOpen({ asn: 23_456, capabilities: [{ name: 'fourOctetAs', asn: 0 }] })],
    ['AS 0 in the header beside a good capability', someOpen({ asn: 0, capabilities: [ipv4, as4] })],
    ['header and capability that contradict each other', someOpen({ asn: 65_009, capabilities: [ipv4, as4] })],
    ['AS_TRANS without the capability', someOpen({ asn: 23_456, capabilities: [ipv4] })],
  ])('%s is refused with 2/2 (statement 10, 4271 6.2)', (_, theirs) => {
    expect(refusal({}, theirs)).toMatchObject({ code: 2, subcode: 2 });
  });

  test('the refusal tells the operator both numbers', () => {
    expect(refusal({}, someOpen({ asn: 65_002 })).reason).toBe(
      'the peer says that it is AS 65002; AS 65001 is configured here',
    );
  });

  test('AS_TRANS in the header stands for the number in the capability (statement 11, 6793 4.1)', () => {
    const theirs = someOpen({ asn: 23_456, capabilities: [ipv4, { name: 'fourOctetAs', asn: 4_200_000_001 }] });
    expect(agree({ asn: 4_200_000_001 }, theirs)).toMatchObject({ peerAsn: 4_200_000_001, fourOctetAs: true });
  });

  test('a speaker without the capability is a two-octet speaker', () => {
    expect(agree({}, someOpen({ capabilities: [ipv4] })).fourOctetAs).toBe(false);
  });

  test('our own four-octet number travels as AS_TRANS in the header', () => {
    const mine = offer(aWish({ localAsn: 4_200_000_000 }), speaker, nothing);
    expect([mine.asn, mine.capabilities]).toEqual([
      23_456,
      expect.arrayContaining([{ name: 'fourOctetAs', asn: 4_200_000_000 }]),
    ]);
  });

  test('the identifier 0 is refused with 2/3 (statement 12, 6286 2.2)', () => {
    expect(refusal({}, someOpen({ routerId: 0 }))).toMatchObject({ code: 2, subcode: 3 });
  });

  test('an identifier that is no valid host address is fine (statement 12, 6286 2.1)', () => {
    expect(agree({}, someOpen({ routerId: 0xf000_0001 })).peerRouterId).toBe(0xf000_0001);
  });

  test('our own identifier is refused inside an AS, and legal between two (statement 12, 6286 2.2)', () => {
    const twin = { routerId: 0x0a00_0001 };
    expect(refusal({ asn: 64_512 }, someOpen({ asn: 64_512, ...twin }))).toMatchObject({ code: 2, subcode: 3 });
    expect(agree({}, someOpen(twin)).peerRouterId).toBe(twin.routerId);
  });
});

describe('times', () => {
  test.each([1, 2])('a hold time of %d s is refused with 2/6 (statement 14, 4271 6.2)', (holdSeconds) => {
    expect(refusal({}, someOpen({ holdSeconds }))).toMatchObject({ code: 2, subcode: 6 });
  });

  test.each([
    [90, 30, 30, 10],
    [9, 90, 9, 3],
    [3, 3, 3, 1],
    [90, 0, 0, 0],
    [0, 90, 0, 0],
    [100, 200, 100, 100 / 3],
  ])('hold times %d and %d make %d, keepalives every %d s (statements 15 and 16)', (ours, theirs, hold, keepalive) => {
    const terms = agree({ holdSeconds: ours }, someOpen({ holdSeconds: theirs }));
    expect([terms.holdSeconds, terms.keepaliveSeconds]).toEqual([hold, keepalive]);
  });

  test('a wished keepalive interval holds as long as it is no longer than a third of the hold time', () => {
    expect(agree({ keepaliveSeconds: 5 }, someOpen()).keepaliveSeconds).toBe(5);
    expect(agree({ keepaliveSeconds: 80 }, someOpen()).keepaliveSeconds).toBe(30);
  });
});

describe('families', () => {
  const dual = { families: ['ipv4-unicast', 'ipv6-unicast'] } as const;

  test('no multiprotocol capability means IPv4 unicast (statement 20, 4760 8)', () => {
    expect(agree(dual, someOpen({ capabilities: [] })).families).toEqual(['ipv4-unicast']);
  });

  test('only what both sides offer is agreed', () => {
    expect(agree(dual, open(ipv6, { name: 'multiprotocol', afi: 25, safi: 70 })).families).toEqual(dual.families);
    expect(agree({}, open(ipv6)).families).toEqual(['ipv4-unicast']);
  });

  test('nothing in common is refused with 2/7 that names what is missing (statement 21, 5492 3)', () => {
    expect(refusal({ families: ['ipv6-unicast'] }, someOpen())).toMatchObject({
      code: 2,
      subcode: 7,
      data: Uint8Array.of(1, 4, 0, 2, 0, 1),
    });
  });
});

describe('capabilities', () => {
  test('duplicates and unknown ones do no harm (statement 18, 5492 4)', () => {
    const odd: Capability = { name: 'unknown', code: 239, value: Uint8Array.of(1, 2, 3) };
    expect(agree({}, open(ipv4, as4, odd, odd, { name: 'routeRefresh' }, { name: 'routeRefresh' }))).toMatchObject({
      families: ['ipv4-unicast'],
      routeRefresh: true,
    });
  });

  test('we take long messages because we offer it, and send them only to who offers it (statements 5 and 6, 8654 4)', () => {
    const plain = agree({}, open());
    const extended = agree({}, open({ name: 'extendedMessage' }));
    expect([plain.receiveLimit, plain.sendLimit]).toEqual([65_535, 4096]);
    expect([extended.receiveLimit, extended.sendLimit]).toEqual([65_535, 65_535]);
  });

  test.each<[boolean, number, boolean, boolean, string]>([
    [true, 0, false, true, 'receive'],
    [true, 4, true, true, 'receive and send'],
    [false, 4, true, false, 'send'],
    [true, 0, true, false, 'nothing'],
  ])('ADD-PATH (7911 4): receive %s, send %d against receive %s, send %s is %s', (...row) => {
    const [receive, send, theirReceive, theirSend, outcome] = row;
    const family = { afi: 1, safi: 1, receive: theirReceive, send: theirSend };
    const terms = agree({ addPath: { receive, send } }, open({ name: 'addPath', families: [family] }));
    const agreed = [
      ...(terms.addPathReceive.length > 0 ? ['receive'] : []),
      ...(terms.addPathSend.length > 0 ? ['send'] : []),
    ];
    expect(agreed.join(' and ') || 'nothing').toBe(outcome);
  });

  test('IPv4 behind IPv6 next hops takes both sides (8950 4)', () => {
    const capability: Capability = { name: 'extendedNextHop', families: [{ afi: 1, safi: 1, nextHopAfi: 2 }] };
    expect(agree({ extendedNextHop: true }, open(capability)).extendedNextHop).toEqual(['ipv4-unicast']);
    expect(agree({ extendedNextHop: false }, open(capability)).extendedNextHop).toEqual([]);
    expect(agree({ extendedNextHop: true }, open()).extendedNextHop).toEqual([]);
  });
});

describe('graceful restart', () => {
  const offered = (restart = nothing): Capability | undefined =>
    offer(aWish(), speaker, restart).capabilities.find(({ name }) => name === 'gracefulRestart');

  test('R only after our own restart, F only for what the kernel still forwards (statement 71, 4724 3)', () => {
    expect(offered()).toMatchObject({ restarting: false, families: [{ afi: 1, safi: 1, forwarding: false }] });
    expect(offered({ restarting: true, forwarding: ['ipv4-unicast'] as never[] })).toMatchObject({
      restarting: true,
      notification: true,
      restartSeconds: 120,
      families: [{ afi: 1, safi: 1, forwarding: true }],
    });
  });

  test('switched off, nothing is offered and nothing is agreed', () => {
    const off = { gracefulRestart: { ...aWish().gracefulRestart, enabled: false } };
    const terms = agree(off, open(restarts()));
    expect([terms.gracefulRestart, terms.notificationRestart]).toEqual([undefined, false]);
  });

  test("the peer's side of it is in the terms, its last capability counting", () => {
    const terms = agree({}, open(restarts({ restartSeconds: 7 }), restarts({ restarting: true, restartSeconds: 60 })));
    expect(terms.gracefulRestart).toEqual({
      restarting: true,
      restartSeconds: 60,
      families: new Map([['ipv4-unicast', { forwarding: true }]]),
    });
  });

  test('families that were not agreed on are left out of it', () => {
    const both = [1, 2].map((afi) => ({ afi, safi: 1, forwarding: true }));
    expect([...agree({}, open(ipv6, restarts({ families: both }))).gracefulRestart!.families.keys()]).toEqual([
      'ipv4-unicast',
    ]);
  });

  test.each([
    [true, true],
    [false, false],
  ])('the N bit takes both sides: theirs %s makes %s (8538 2)', (notification, agreed) => {
    expect(agree({}, open(restarts({ notification }))).notificationRestart).toBe(agreed);
  });

  test('long-lived stale times count beside graceful restart only (9494 4.2)', () => {
    const helper = { gracefulRestart: { ...aWish().gracefulRestart, longLivedSeconds: 3600 } };
    const longLived: Capability = {
      name: 'longLivedGracefulRestart',
      families: [{ afi: 1, safi: 1, forwarding: true, staleSeconds: 86_400 }],
    };
    expect(agree(helper, open(restarts(), longLived)).longLived).toEqual(new Map([['ipv4-unicast', 86_400]]));
    expect(agree(helper, open(longLived)).longLived.size).toBe(0);
    expect(agree({}, open(restarts(), longLived)).longLived.size).toBe(0);
  });
});

describe('roles (statement 22, 9234 4.2)', () => {
  const codes: Record<Role, number> = { provider: 0, routeServer: 1, routeServerClient: 2, customer: 3, peer: 4 };
  const fitting = ['provider customer', 'customer provider', 'routeServer routeServerClient'];
  const allowed = new Set([...fitting, 'routeServerClient routeServer', 'peer peer']);

  test.each(Object.keys(codes) as Role[])('%s fits its counterpart and nothing else, which is 2/11', (role) => {
    for (const [theirs, code] of Object.entries(codes)) {
      const said = open({ name: 'role', role: code });
      if (allowed.has(`${role} ${theirs}`)) expect(agree({ role }, said).role).toEqual({ local: role, peer: theirs });
      else expect(refusal({ role }, said)).toMatchObject({ code: 2, subcode: 11 });
    }
  });

  test('a role that nobody knows, and two that differ, are mismatches', () => {
    const role = 'provider';
    expect(refusal({ role }, open({ name: 'role', role: 9 }))).toMatchObject({ code: 2, subcode: 11 });
    expect(refusal({ role }, open({ name: 'role', role: 3 }, { name: 'role', role: 4 }))).toMatchObject({
      subcode: 11,
    });
  });

  test('no role is no mismatch, and inside an AS there are none', () => {
    expect(agree({ role: 'provider' }, open()).role).toBeUndefined();
    expect(offer(aWish({ role: 'peer', asn: 64_512 }), speaker, nothing).capabilities).not.toContainEqual(
      expect.objectContaining({ name: 'role' }),
    );
  });
});

test('two of us agree on the same terms from both ends', () => {
  const other = { asn: 65_001, routerId: parseAddress('10.0.0.2') };
  const [here, there] = [
    aWish({ role: 'peer' }),
    aWish({ asn: 64_512, role: 'peer', addPath: { receive: true, send: 2 } }),
  ];
  const [ours, theirs] = [offer(here, speaker, nothing), offer(there, other, nothing)];
  const [a, b] = [negotiate(ours, theirs, here), negotiate(theirs, ours, there)];
  if (!('terms' in a) || !('terms' in b)) throw new Error('they do not agree');
  expect(a.terms).toEqual({
    ...b.terms,
    localAsn: b.terms.peerAsn,
    peerAsn: b.terms.localAsn,
    localRouterId: b.terms.peerRouterId,
    peerRouterId: b.terms.localRouterId,
    addPathReceive: b.terms.addPathSend,
    addPathSend: b.terms.addPathReceive,
  });
});
