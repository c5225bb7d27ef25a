// Guarding the edge: limits on prefixes, RFC 8212, roles, GRACEFUL_SHUTDOWN, faults in UPDATEs.
import type { Prefix } from '#ip';
import { expect, test } from 'vitest';
import { encodeUpdate } from '../../bgp/codec/index.ts';
import type { Policy } from '../../bgp/index.ts';
import { Stage, attributes, ipv4, path, peerWish, refreshes, settle } from './stage.ts';

const [P, Q, R] = ['10.1.0.0/24', '10.2.0.0/24', '10.3.0.0/24'];
const torA = peerWish('tor-a', '10.0.0.11', 65_001);
const torB = peerWish('tor-b', '10.0.0.12', 65_002);
const nodeA = peerWish('node-a', '10.0.0.21', 64_512);
const limit = { max: 2, warnPercent: 50, action: 'discard' as const, idleSeconds: 60 };
const second = 1000;

async function staged(...args: ConstructorParameters<typeof Stage>): Promise<Stage> {
  const stage = new Stage(...args);
  await settle();
  return stage;
}

test('prefixes beyond the limit are ignored and counted, those within stay, and the operator is told', async () => {
  const stage = await staged({ peers: [{ ...torA, prefixLimit: limit }] });
  const a = await stage.join('tor-a');
  await a.announce([P, Q, R]);
  await a.announce([P], attributes({ asPath: path(65_001, 7) }));
  expect(stage.forwarding()).toHaveLength(2);
  expect(stage.family('tor-a').prefixLimit).toEqual({ max: 2, action: 'discard', discarded: 1 });
  expect(stage.notes).toEqual(['a peer nears its prefix limit', 'a peer exceeds its prefix limit, more are ignored']);
});

test('a higher limit has what was ignored asked for again, without a reset', async () => {
  const stage = await staged({ peers: [{ ...torA, prefixLimit: limit }] });
  const a = await stage.join('tor-a', [ipv4, ...refreshes]);
  await a.announce([P, Q, R]);
  a.news();
  await stage.applyPeer('tor-a', { prefixLimit: { ...limit, max: 10 } });
  expect([a.news(), stage.session('tor-a').flaps]).toEqual([['refresh 0'], 0]);
});

test('36: beyond a limit that closes, the session ends with 6/1 that names family and limit, and stays down (RFC 4486 §4)', async () => {
  const stage = await staged({ peers: [{ ...torA, passive: false, prefixLimit: { ...limit, action: 'close' } }] });
  const a = await stage.join('tor-a');
  await a.announce([P, Q, R]);
  const { code, subcode, data } = await a.nextUntilNotification();
  expect([code, subcode, [...data]]).toEqual([6, 1, [0, 1, 1, 0, 0, 0, 2]]);
  expect([stage.forwarding(), stage.session('tor-a').state]).toEqual([[], 'Idle']);
  await stage.clock.advance(59 * second);
  expect(stage.session('tor-a').state).toBe('Idle');
  await stage.clock.advance(2 * second);
  expect(stage.session('tor-a').state).not.toBe('Idle');
});

test('a withdrawal makes room under a limit', async () => {
  const stage = await staged({ peers: [{ ...torA, prefixLimit: limit }] });
  const a = await stage.join('tor-a');
  await a.announce([P, Q]);
  await a.withdraw([P]);
  await a.announce([R]);
  expect(stage.forwarding()).toEqual([`${Q} via 192.0.2.1`, `${R} via 192.0.2.1`]);
});

const anything: Policy = { name: 'anything', otherwise: 'accept', rules: [] };

test('with RFC 8212 an external peer without a policy neither brings nor gets a route, an internal one does', async () => {
  const policies = { importPolicy: anything, exportPolicy: anything };
  const stage = await staged({
    requirePolicy: true,
    peers: [torA, { ...torB, ...policies }, nodeA],
    originated: [{ prefix: P as Prefix }],
  });
  const [a, b, node] = [await stage.join('tor-a'), await stage.join('tor-b'), await stage.join('node-a')];
  await a.announce([Q]);
  await b.announce([R]);
  expect([a.prefixes, b.prefixes, node.prefixes]).toEqual([[], [P], [P, R]]);
  expect(stage.why(Q)).toEqual(['tor-a: rejected: this external peer has no import policy (RFC 8212)']);
});

test('GRACEFUL_SHUTDOWN from an external peer makes a path the last choice, whatever policy says (RFC 8326 §4.2)', async () => {
  const raise: Policy = {
    ...anything,
    rules: [{ name: '1', action: 'accept', operations: [{ do: 'setLocalPref', value: 500 }] }],
  };
  const stage = await staged({ peers: [{ ...torA, importPolicy: raise }, torB] });
  const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
  await a.announce([P]);
  await b.announce([P], attributes({ asPath: path(65_002, 1, 2, 3) }));
  expect(stage.why(P)[0]).toBe('tor-a: best: higher local preference than tor-b');
  await a.announce([P], attributes({ communities: [0xffff_0000] }));
  expect(stage.why(P)).toEqual([
    'tor-b: best: higher local preference than tor-a',
    'tor-a: lower local preference (0 against 100)',
  ]);
});

/** A peer with these roles on both sides. */
async function withRole(stage: Stage, name: string, theirs: number) {
  return stage.join(name, [ipv4, { name: 'role', role: theirs }]);
}

test('a route from a provider goes to customers and not to peers or other providers (RFC 9234 §5)', async () => {
  // Roles on the wire: 0 provider, 1 route server, 2 its client, 3 customer, 4 peer.
  const wishes = [
    { ...torA, role: 'customer' as const },
    { ...torB, role: 'provider' as const },
    { ...peerWish('peer-c', '10.0.0.13', 65_003), role: 'peer' as const },
    { ...peerWish('up-d', '10.0.0.14', 65_004), role: 'customer' as const },
  ];
  const stage = await staged({ peers: wishes });
  const [up, customer] = [await withRole(stage, 'tor-a', 0), await withRole(stage, 'tor-b', 3)];
  const [peer, other] = [await withRole(stage, 'peer-c', 4), await withRole(stage, 'up-d', 0)];
  await up.announce([P]);
  await customer.announce([Q], attributes({ asPath: path(65_002) }));
  expect([up, customer, peer, other].map(({ prefixes }) => prefixes)).toEqual([[Q], [P], [Q], [Q]]);
  // Marked on the way down, by our AS towards the peer, and left alone on the way up.
  const marks = [customer.known.get(P), peer.known.get(Q), other.known.get(Q)].map((set) => set!.onlyToCustomer);
  expect(marks).toEqual([65_001, 64_512, undefined]);
});

test('a route leak is rejected: one for customers only that comes from a customer, or from a peer in another name (RFC 9234 §5)', async () => {
  const stage = await staged({
    peers: [
      { ...torA, role: 'provider' },
      { ...torB, role: 'peer' },
    ],
  });
  const [customer, peer] = [await withRole(stage, 'tor-a', 3), await withRole(stage, 'tor-b', 4)];
  await customer.announce([P], attributes({ onlyToCustomer: 65_001 }));
  await peer.announce([Q], attributes({ asPath: path(65_002), onlyToCustomer: 65_009 }));
  await peer.announce([R], attributes({ asPath: path(65_002), onlyToCustomer: 65_002 }));
  expect([...stage.why(P), ...stage.why(Q), ...stage.why(R)]).toEqual([
    'tor-a: rejected: a route leak: OTC 65001 from a customer (RFC 9234 §5)',
    'tor-b: rejected: a route leak: OTC 65009 from peer AS 65002 (RFC 9234 §5)',
    'tor-b: best: the only path',
  ]);
});

test("a fault that RFC 7606 treats as withdrawal removes the peer's previous path, keeps the session and is shown", async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a');
  await a.announce([P, Q]);
  // ORIGIN of three: RFC 7606 §7.1.
  const faulty = Uint8Array.of(0x40, 1, 1, 3, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9, 0x40, 3, 4, 192, 0, 2, 1);
  a.write(encodeUpdate({ attributes: faulty, announced: Uint8Array.of(24, 10, 1, 0) }));
  await settle();
  expect(stage.forwarding()).toEqual([`${Q} via 192.0.2.1`]);
  const { state, errors } = stage.session('tor-a');
  expect([state, errors[0]!.text]).toEqual(['Established', expect.stringMatching(/ORIGIN.*treated as withdrawn/)]);
  expect(errors[0]!.message).toContain(Buffer.from(faulty).toString('hex'));
});

test('50: a prefix that an UPDATE both withdraws and announces is announced (RFC 4271 §4.3)', async () => {
  const stage = await staged({ peers: [torA] });
  const a = await stage.join('tor-a');
  const sound = Uint8Array.of(0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9, 0x40, 3, 4, 192, 0, 2, 1);
  const prefix = Uint8Array.of(24, 10, 1, 0);
  a.write(encodeUpdate({ withdrawn: prefix, attributes: sound, announced: prefix }));
  await settle();
  expect(stage.forwarding()).toEqual([`${P} via 192.0.2.1`]);
});

test('53: an unknown transitive attribute is passed on with the Partial bit (RFC 4271 §5)', async () => {
  const stage = await staged({ peers: [torA, torB] });
  const [a, b] = [await stage.join('tor-a'), await stage.join('tor-b')];
  await a.announce([P], attributes({ unknown: [{ code: 200, flags: 0xc0, value: Uint8Array.of(1, 2) }] }));
  expect(b.known.get(P)!.unknown).toEqual([{ code: 200, flags: 0xe0, value: Uint8Array.of(1, 2) }]);
});
