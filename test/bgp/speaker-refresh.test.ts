// Route refresh, plain and enhanced, and policies that change under a running session: statements 74 to 76.
import { expect, test } from 'vitest';
import type { Policy } from '../../bgp/index.ts';
import type { Prefix } from '#ip';
import { encodeMessage } from '../../bgp/codec/index.ts';
import { Stage, attributes, ipv4, path, peerWish, refreshes, restarts, settle, v4 } from './stage.ts';

const P = '10.1.0.0/24';
const Q = '10.2.0.0/24';
const torA = peerWish('tor-a', '10.0.0.11', 65_001);
const torB = peerWish('tor-b', '10.0.0.12', 65_002);
const second = 1000;

async function staged(...args: ConstructorParameters<typeof Stage>): Promise<Stage> {
  const stage = new Stage(...args);
  await settle();
  return stage;
}

test('a peer that asks is sent everything again, between BoRR and EoRR if it knows them (RFC 2918, RFC 7313 §4)', async () => {
  const stage = await staged({ peers: [torA, torB], originated: [{ prefix: P as Prefix }, { prefix: Q as Prefix }] });
  const [a, b] = [await stage.join('tor-a', [ipv4, ...refreshes]), await stage.join('tor-b', [ipv4, refreshes[0]!])];
  a.news();
  b.news();
  await a.refresh(0);
  await b.refresh(0);
  expect(a.news()).toEqual(['refresh 1', `+${P}`, `+${Q}`, 'refresh 2']);
  expect(b.news()).toEqual([`+${P}`, `+${Q}`]);
});

test('a refresh is said to the peer that asked alone', async () => {
  const stage = await staged({ peers: [torA, torB], originated: [{ prefix: P as Prefix }] });
  const [a, b] = [await stage.join('tor-a', [ipv4, ...refreshes]), await stage.join('tor-b', [ipv4, ...refreshes])];
  b.news();
  await a.refresh(0);
  expect(b.news()).toEqual([]);
});

test('74: BoRR marks what the peer said, EoRR sweeps what it did not say again (RFC 7313 §4)', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a', [ipv4, ...refreshes]);
  await a.announce([P, Q]);
  await a.refresh(1);
  await a.announce([P]);
  expect(stage.forwarding()).toHaveLength(2);
  await a.refresh(2);
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
});

test('74: BoRR before End-of-RIB is ignored where End-of-RIB is to come (RFC 7313 §4)', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a', [ipv4, restarts(), ...refreshes]);
  await a.announce([P, Q]);
  await a.refresh(1);
  await a.refresh(2);
  expect(stage.forwarding()).toHaveLength(2);
});

test('74: EoRR without BoRR is ignored', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a', [ipv4, ...refreshes]);
  await a.announce([P]);
  await a.refresh(2);
  expect(stage.forwarding()).toHaveLength(1);
});

test('74: a BoRR that no EoRR follows is taken for complete after the time for stale paths', async () => {
  const stage = await staged({ peers: [{ ...torA, holdSeconds: 0 }] });
  const a = await stage.join('tor-a', [ipv4, ...refreshes]);
  await a.announce([P, Q]);
  await a.refresh(1);
  await a.announce([P]);
  await stage.clock.advance((torA.gracefulRestart.staleSecondsMax + 1) * second);
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
});

test('75: a refresh of a subtype that nobody knows is ignored (RFC 7313 §5)', async () => {
  const stage = await staged({ peers: [torA], originated: [{ prefix: P as Prefix }] });
  const a = await stage.join('tor-a', [ipv4, ...refreshes]);
  a.news();
  await a.refresh(3);
  expect([a.news(), stage.session('tor-a').state]).toEqual([[], 'Established']);
});

test('75: a refresh of a wrong length ends the session with 7/1 (RFC 7313 §5)', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a', [ipv4, ...refreshes]);
  a.write(encodeMessage('routeRefresh', Uint8Array.of(0, 1, 0, 1, 9)));
  await settle();
  expect(a.inShort).toContain('7/1');
});

test('76: a refresh of a family that was not agreed on is ignored (RFC 2918 §4)', async () => {
  const stage = await staged({ peers: [torA], originated: [{ prefix: P as Prefix }] });
  const a = await stage.join('tor-a', [ipv4, ...refreshes]);
  a.news();
  await a.refresh(0, 'ipv6-unicast');
  a.write(encodeMessage('routeRefresh', Uint8Array.of(0, 25, 0, 65)));
  await settle();
  expect([a.news(), stage.session('tor-a').state]).toEqual([[], 'Established']);
});

test('an operator can have a peer send everything again', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a', [ipv4, ...refreshes]);
  a.news();
  stage.speaker.refresh('tor-a');
  await settle();
  expect(a.news()).toEqual(['refresh 0']);
});

const onlyP: Policy = {
  name: 'only-p',
  otherwise: 'reject',
  rules: [{ name: '1', match: { prefix: { cidr: P as Prefix, operator: 'Equal' } }, action: 'accept' }],
};

test('a changed import filter applies to what was heard before, both ways, without asking the peer', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a', [ipv4, ...refreshes]);
  await a.announce([P, Q]);
  await stage.applyPeer('tor-a', { importPolicy: onlyP });
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
  expect(stage.why(Q)).toEqual(['tor-a: rejected by filter only-p, where no rule matches (import)']);
  expect(stage.family('tor-a')).toMatchObject({ received: 2, accepted: 1 });
  await stage.apply({ peers: [torA] });
  expect(stage.forwarding()).toHaveLength(2);
  expect([a.news(), stage.session('tor-a').flaps]).toEqual([[`EoR ${v4}`], 0]);
});

test('a changed export filter tells the peer the difference and nothing else', async () => {
  const stage = await staged({ peers: [torA, torB], originated: [{ prefix: P as Prefix }, { prefix: Q as Prefix }] });
  const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
  a.news();
  b.news();
  await stage.applyPeer('tor-a', { exportPolicy: onlyP });
  expect(a.news()).toEqual([`-${Q}`]);
  await stage.apply({ peers: [torA, torB] });
  expect(a.news()).toEqual([`+${Q}`]);
  expect([b.news(), stage.session('tor-a').flaps]).toEqual([[], 0]);
});

test('an export filter that changes attributes tells the peer just the routes that it changes', async () => {
  const stage = await staged({ peers: [torA], originated: [{ prefix: P as Prefix }, { prefix: Q as Prefix }] });
  const a = await stage.join('tor-a');
  a.news();
  const marked = onlyP.rules.map((rule) => ({
    ...rule,
    operations: [{ do: 'addCommunity', value: 0xfde9_0001 } as const],
  }));
  await stage.applyPeer('tor-a', { exportPolicy: { ...onlyP, otherwise: 'accept', rules: marked } });
  expect(a.news()).toEqual([`+${P}`]);
  expect(a.known.get(P)!.communities).toEqual([0xfde9_0001]);
});

test('a route of our own that comes, changes and goes is told without touching the session', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a');
  a.news();
  await stage.apply({ originated: [{ prefix: P as Prefix }] });
  await stage.apply({ originated: [{ prefix: P as Prefix, med: 7 }] });
  await stage.apply({ originated: [{ prefix: P as Prefix, med: 7 }] });
  await stage.apply({ originated: [] });
  expect([a.news(), stage.session('tor-a').flaps]).toEqual([[`+${P}`, `+${P}`, `-${P}`], 0]);
});

test('a prefix of our own is never taken from anybody, and is free again when we stop announcing it', async () => {
  const stage = await staged({ peers: [torA], originated: [{ prefix: P as Prefix }] });
  const a = await stage.join('tor-a');
  await a.announce([P], attributes({ asPath: path(65_001) }));
  expect(stage.forwarding()).toEqual([]);
  expect(stage.why(P)).toEqual([
    'own: best: our own route rather than tor-a',
    'tor-a: rejected: this node originates the prefix itself',
  ]);
  await stage.apply({ originated: [] });
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
  await stage.apply({ originated: [{ prefix: P as Prefix }] });
  expect(stage.changes.map(({ paths }) => paths.length)).toEqual([1, 0]);
});
