// Graceful restart, of a neighbour and of our own: statements 67 to 73.
import type { Prefix } from '#ip';
import { expect, test } from 'vitest';
import type { Capability, SpeakerOptions, SpeakerWish } from '../../bgp/index.ts';
import { Stage, attributes, ipv4, ipv6, path, peerWish, restarts, restartsBoth, settle, v4, v6 } from './stage.ts';

const P = '10.1.0.0/24';
const Q = '10.2.0.0/24';
const S = 'fd01::/64';
const torA = peerWish('tor-a', '10.0.0.11', 65_001);
const torB = peerWish('tor-b', '10.0.0.12', 65_002);
const nodeA = peerWish('node-a', '10.0.0.21', 64_512);
const nodeB = peerWish('node-b', '10.0.0.22', 64_512);
const both = [v4, v6] as const;
const second = 1000;

async function staged(wish: Partial<SpeakerWish>, options: Partial<SpeakerOptions> = {}): Promise<Stage> {
  const stage = new Stage(wish, options);
  await settle();
  return stage;
}

/** Graceful restart with these F bits. */
function keeps(forwarding: { readonly v4?: boolean; readonly v6?: boolean }, seconds = 120): Capability {
  const families = [
    ...(forwarding.v4 === undefined ? [] : [{ afi: 1, safi: 1, forwarding: forwarding.v4 }]),
    ...(forwarding.v6 === undefined ? [] : [{ afi: 2, safi: 1, forwarding: forwarding.v6 }]),
  ];
  return restarts({ families, restartSeconds: seconds });
}

test('67: End-of-RIB ends the first announcement of each family, also of one without routes (RFC 4724 §2)', async () => {
  const stage = await staged({ peers: [{ ...torA, families: both }], originated: [{ prefix: P as Prefix }] });
  const a = await stage.join('tor-a', [ipv4, ipv6, restartsBoth]);
  expect(a.news()).toEqual([`+${P}`, `EoR ${v4}`, `EoR ${v6}`]);
});

test('67: a peer without graceful restart gets End-of-RIB, too', async () => {
  const stage = await staged({ peers: [torA] });
  expect((await stage.join('tor-a')).news()).toEqual([`EoR ${v4}`]);
});

test('a restarting peer keeps its paths in use, marked stale, until its restart time is over (RFC 4724 §4.2)', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true }, 60)]);
  await a.announce([P]);
  await a.vanish();
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
  expect(stage.family('tor-a').stale).toBe(1);
  await stage.clock.advance(59 * second);
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
  await stage.clock.advance(2 * second);
  expect(stage.forwarding()).toEqual([]);
  expect(stage.family('tor-a')).toMatchObject({ stale: 0, received: 0, accepted: 0 });
});

test('stale paths are kept no longer than we are told, whatever the peer asks for', async () => {
  const gracefulRestart = { ...torA.gracefulRestart, staleSecondsMax: 10 };
  const stage = await staged({ peers: [{ ...torA, gracefulRestart }] });
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true }, 3600)]);
  await a.announce([P]);
  await a.vanish();
  await stage.clock.advance(11 * second);
  expect(stage.forwarding()).toEqual([]);
});

test('68: a second restart removes what is stale already and keeps what was heard since (RFC 4724 §4.2)', async () => {
  const stage = await staged({ peers: [torA] });
  const first = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  await first.announce([P, Q]);
  await first.vanish();
  const again = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  await again.announce([P]);
  await again.vanish();
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
  expect(stage.family('tor-a').stale).toBe(1);
});

test.each([
  ['the family is absent from its capability', [ipv4, keeps({})]],
  ['its F bit is clear', [ipv4, keeps({ v4: false })]],
  ['it has no graceful restart any more', [ipv4]],
  ['the family was not agreed on', [ipv6, keeps({ v6: true })]],
])('69: stale paths go at once when on return %s (RFC 4724 §4.2)', async (_, capabilities) => {
  const stage = await staged({ peers: [{ ...torA, families: both }] });
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  await a.announce([P]);
  await a.vanish();
  await stage.join('tor-a', capabilities);
  expect(stage.forwarding()).toEqual([]);
});

test('70: what the peer does not say again goes at its End-of-RIB, family by family (RFC 4724 §4.2)', async () => {
  const stage = await staged({ peers: [{ ...torA, families: both }] });
  const capabilities = [ipv4, ipv6, keeps({ v4: true, v6: true })];
  const a = await stage.join('tor-a', capabilities);
  await a.announce([P, Q]);
  await a.announce([S], attributes({ nextHop: 'fd00::9' as never }));
  await a.vanish();
  const back = await stage.join('tor-a', capabilities);
  await back.announce([P]);
  await back.endOfRib(v4);
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`, `${S} via fd00::9`]);
  await back.endOfRib(v6);
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
});

test('70: without End-of-RIB it goes when the time for stale paths is over', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  await a.announce([P, Q]);
  await a.vanish();
  const back = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  await back.announce([P]);
  for (let left = torA.gracefulRestart.staleSecondsMax; left >= 0; left -= 30) {
    back.keepalive();
    await stage.clock.advance(30 * second);
  }
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
});

test('71: R is set only after our restart, F only for families whose routes the kernel kept (RFC 4724 §3)', async () => {
  const restart = { restarting: true, forwarding: [v4], deferralSeconds: 120 };
  const peers = [{ ...torA, families: both }];
  const opens = [];
  for (const options of [{ restart }, { restart: { ...restart, restarting: false } }, {}]) {
    const stage = await staged({ peers }, options);
    const a = await stage.join('tor-a', [ipv4, ipv6, restartsBoth]);
    const open = a.heard.find(({ type }) => type === 'open')!;
    opens.push(
      Buffer.from(open.body)
        .toString('hex')
        .match(/40..(....)(00010180|00010100)(00020180|00020100)/)!,
    );
  }
  // RFC 4724 §3: R is the top bit of the first octet, N (RFC 8538) the next one, then 12 bits of restart time.
  expect(opens.map(([, flags, first, next]) => [flags, first, next])).toEqual([
    ['c078', '00010180', '00020100'],
    ['4078', '00010180', '00020100'],
    ['4078', '00010100', '00020100'],
  ]);
});

test('71: R is not set any more once everything has come back', async () => {
  const restart = { restarting: true, forwarding: [v4], deferralSeconds: 120 };
  const stage = await staged({ peers: [torA] }, { restart });
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  await a.endOfRib();
  await a.vanish();
  const back = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  const open = back.heard.find(({ type }) => type === 'open')!;
  expect(Buffer.from(open.body).toString('hex')).toContain('407800010180');
});

test.each([
  ['a NOTIFICATION', 4, 0, [`${P} via 192.0.2.1`]],
  ['a Cease', 6, 4, [`${P} via 192.0.2.1`]],
  ['a hard reset', 6, 9, []],
])('72: with N on both sides %s (%i/%i) decides about retention as RFC 8538 §4 says', async (_, code, sub, left) => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  await a.announce([P]);
  a.notify(code, sub);
  await settle();
  expect(stage.forwarding()).toEqual(left);
});

test('72: with N on both sides the paths outlive our hold timer (RFC 8538 §4)', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  await a.announce([P]);
  await stage.clock.advance(91 * second);
  expect(stage.session('tor-a').state).not.toBe('Established');
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
});

test('72: without N from the peer a NOTIFICATION ends the retention', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a', [ipv4, restarts({ notification: false })]);
  await a.announce([P]);
  a.notify(6, 4);
  await settle();
  expect(stage.forwarding()).toEqual([]);
});

test('long-lived stale paths stay as a last resort after the restart time, but for those that forbid it (RFC 9494 §4.2)', async () => {
  const gracefulRestart = { ...torA.gracefulRestart, longLivedSeconds: 600 };
  const longLived = {
    name: 'longLivedGracefulRestart' as const,
    families: [{ afi: 1, safi: 1, forwarding: true, staleSeconds: 3600 }],
  };
  const stage = await staged({ peers: [{ ...torA, gracefulRestart }, torB] });
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true }, 60), longLived]);
  await a.announce([P]);
  await a.announce([Q], attributes({ communities: [0xffff_0007] }));
  await a.vanish();
  await stage.clock.advance(61 * second);
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
  const [best] = [...stage.speaker.best()];
  expect(best!.paths[0]!.attributes.communities).toEqual([0xffff_0006]);
  await stage.clock.advance(600 * second);
  expect(stage.forwarding()).toEqual([]);
});

const restarting = { restart: { restarting: true, forwarding: [v4], deferralSeconds: 100 } };

test('after our restart routes of our own go out the moment a session is up, before anybody said End-of-RIB', async () => {
  const stage = await staged({ peers: [torA, torB], originated: [{ prefix: P as Prefix }] }, restarting);
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  expect(a.prefixes).toEqual([P]);
});

test('after our restart learned routes are forwarded by at once, but passed on only when all have said End-of-RIB (RFC 4724 §4.1)', async () => {
  const stage = await staged({ peers: [torA, torB] }, restarting);
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  const b = await stage.join('tor-b', [ipv4, keeps({ v4: true })]);
  await a.announce([P]);
  await a.endOfRib();
  expect([stage.forwarding(), b.news(), stage.converged]).toEqual([[`${P} via 192.0.2.1`], [], 0]);
  await b.endOfRib();
  expect([b.news(), stage.converged]).toEqual([[`+${P}`, `EoR ${v4}`], 1]);
});

test('after our restart an internal peer gets End-of-RIB at once, since nothing will be passed on to it', async () => {
  const stage = await staged({ peers: [nodeA, nodeB], originated: [{ prefix: P as Prefix }] }, restarting);
  const a = await stage.join('node-a', [ipv4, keeps({ v4: true })]);
  expect(a.news()).toEqual([`+${P}`, `EoR ${v4}`]);
});

test('73: a dead peer does not hold up our restart: it is waited for 20 s, not for the whole deferral time (calico#7144)', async () => {
  const stage = await staged({ peers: [torA, torB] }, restarting);
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  await a.endOfRib();
  await stage.clock.advance(19 * second);
  expect(stage.converged).toBe(0);
  await stage.clock.advance(2 * second);
  expect(stage.converged).toBe(1);
});

test('73: a peer that came up and went without a promise to return is not waited for', async () => {
  const stage = await staged({ peers: [torA, torB] }, restarting);
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  const b = await stage.join('tor-b', [ipv4, keeps({ v4: true })]);
  await a.endOfRib();
  expect(stage.converged).toBe(0);
  b.notify(6, 9);
  await settle();
  expect(stage.converged).toBe(1);
});

test('two that restart together do not wait for each other (RFC 4724 §4.1)', async () => {
  const stage = await staged({ peers: [torA, torB] }, restarting);
  const a = await stage.join('tor-a', [ipv4, restarts({ restarting: true })]);
  const b = await stage.join('tor-b', [ipv4, keeps({ v4: true })]);
  await b.endOfRib();
  await stage.clock.advance(4 * second);
  expect([stage.converged, a.news()]).toEqual([1, [`EoR ${v4}`]]);
});

test('73: a live peer that never says End-of-RIB holds us up no longer than the deferral time', async () => {
  const stage = await staged({ peers: [{ ...torA, holdSeconds: 0 }] }, restarting);
  await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  await stage.clock.advance(99 * second);
  expect(stage.converged).toBe(0);
  await stage.clock.advance(2 * second);
  expect(stage.converged).toBe(1);
});

test('a peer without graceful restart is given three seconds to say what it has', async () => {
  const stage = await staged({ peers: [torA] }, restarting);
  await stage.join('tor-a');
  expect(stage.converged).toBe(0);
  await stage.clock.advance(4 * second);
  expect(stage.converged).toBe(1);
});

test('converged is said once, also when nobody restarted and there are no peers', async () => {
  const stage = await staged({ peers: [] });
  await stage.apply({ peers: [torA] });
  await stage.clock.advance(200 * second);
  expect(stage.converged).toBe(1);
});

test('what changes while our speaker closes for a restart is not told: the routes are to outlive it', async () => {
  const stage = await staged({ peers: [torA], originated: [{ prefix: Q as Prefix }] });
  const a = await stage.join('tor-a', [ipv4, keeps({ v4: true })]);
  await a.announce([P], attributes({ asPath: path(65_001) }));
  a.news();
  await stage.speaker.close('restart');
  await settle();
  expect(stage.changes.map(({ paths }) => paths.length)).toEqual([1]);
  expect([a.ended, a.inShort.includes('6/'), a.news()]).toEqual([true, false, []]);
});
