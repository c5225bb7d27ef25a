// For any prefix and peer: which rule or which check decided, in import and in export.
import { expect, test } from 'vitest';
import type { Prefix } from '#ip';
import type { Policy, PolicyUse } from '../../bgp/index.ts';
import { Stage, attributes, ipv4, ourAsn, path, peerWish, settle, v4 } from './stage.ts';

const P = '10.1.0.0/24';
const Q = '10.2.0.0/24';
const torA = peerWish('tor-a', '10.0.0.11', 65_001);
const torB = peerWish('tor-b', '10.0.0.12', 65_002);

async function staged(...args: ConstructorParameters<typeof Stage>): Promise<Stage> {
  const stage = new Stage(...args);
  await settle();
  return stage;
}

const onlyP: Policy = {
  name: 'only-p',
  otherwise: 'reject',
  rules: [{ name: 'the pods', match: { prefix: { cidr: P as Prefix, operator: 'Equal' } }, action: 'accept' }],
};

/** What each peer is told of a prefix: "tor-a + via 10.0.0.1: …", "tor-b - …". */
function told(stage: Stage, prefix: string): string[] {
  const [route] = [...stage.speaker.routes({ prefix: prefix as Prefix })];
  return route!.exports!.map(({ peer, announced, nextHop, why }) => {
    const via = nextHop === undefined ? '' : ` via ${nextHop.address}${nextHop.unchanged ? ' unchanged' : ''}`;
    return `${peer} ${announced ? '+' : '-'}${via}: ${why}`;
  });
}

test('a path that is in says which rule let it in, one that is not which rule kept it out', async () => {
  const stage = await staged({ peers: [{ ...torA, importPolicy: onlyP }] });
  const a = await stage.join('tor-a');
  await a.announce([P, Q]);
  const paths = [P, Q].map((prefix) => [...stage.speaker.routes({ prefix: prefix as Prefix })][0]!.paths[0]!);
  expect(paths.map(({ state, rule, why }) => [state, rule, why])).toEqual([
    ['best', 'accepted by filter only-p, rule 1 (the pods) (import)', 'best: the only path'],
    ['rejected', undefined, 'rejected by filter only-p, where no rule matches (import)'],
  ]);
});

test('each peer is named with what it is told, and the rule that decided so', async () => {
  const inside = peerWish('inside', '10.0.0.4', 64_512);
  const stage = await staged({ peers: [torA, { ...torB, exportPolicy: onlyP }, inside] });
  const [a] = [await stage.join('tor-a'), await stage.join('tor-b'), await stage.join('inside')];
  await a.announce([P, Q]);
  expect(told(stage, P)).toEqual([
    'tor-a -: it is the source',
    'tor-b + via 10.0.0.1: accepted by filter only-p, rule 1 (the pods) (export)',
    'inside + via 192.0.2.1 unchanged: no filter is set',
  ]);
  expect(told(stage, Q)).toEqual([
    'tor-a -: it is the source',
    'tor-b -: rejected by filter only-p, where no rule matches (export)',
    'inside + via 192.0.2.1 unchanged: no filter is set',
  ]);
});

test('what no filter decides is told as well: communities, split horizon, sessions that are down', async () => {
  const inside = (n: number) => peerWish(`inside-${n}`, `10.0.0.${n}`, 64_512);
  const stage = await staged({ peers: [torA, torB, inside(4), inside(5)] });
  const [a, four] = [await stage.join('tor-a'), await stage.join('inside-4'), await stage.join('inside-5')];
  await a.announce([P], attributes({ communities: [0xffff_ff01] }));
  await four.announce([Q], attributes({ asPath: path(65_009), localPref: 100 }));
  expect(told(stage, P)).toEqual([
    'tor-a -: it is the source',
    'tor-b -: the session is not up',
    'inside-4 + via 192.0.2.1 unchanged: no filter is set',
    'inside-5 + via 192.0.2.1 unchanged: no filter is set',
  ]);
  expect(told(stage, Q).slice(2)).toEqual([
    'inside-4 -: it is the source',
    'inside-5 -: learned from an internal peer',
  ]);
  await stage.join('tor-b');
  expect(told(stage, P)[1]).toBe('tor-b -: NO_EXPORT');
});

test('a family that the peer did not agree to is given as the reason', async () => {
  const stage = await staged({
    peers: [{ ...torA, families: [v4, 'ipv6-unicast'] }],
    originated: [{ prefix: 'fd01::/64' as Prefix }],
  });
  await stage.join('tor-a', [ipv4]);
  expect(told(stage, 'fd01::/64')).toEqual(['tor-a -: the family was not agreed on']);
});

test('a whole table is listed without it', async () => {
  const stage = await staged({ peers: [torA], originated: [{ prefix: P as Prefix }] });
  await stage.join('tor-a');
  expect([...stage.speaker.routes()].map(({ exports }) => exports)).toEqual([undefined]);
});

/** How many routes each rule decides about, in words, with those of no rule and those refused before any. */
function counted({ rules, otherwise, unasked }: PolicyUse): string[] {
  return [
    ...rules.map(({ name, action, routes }) => `${name}: ${routes} ${action}`),
    `otherwise: ${otherwise.routes} ${otherwise.action}`,
    `unasked: ${unasked}`,
  ];
}

test('the rules of a peer say how many routes they decide about at this moment', async () => {
  const stage = await staged({
    peers: [
      { ...torA, importPolicy: onlyP },
      { ...torB, exportPolicy: onlyP },
    ],
    originated: [{ prefix: '10.9.0.0/24' as Prefix }],
  });
  const [a] = [await stage.join('tor-a'), await stage.join('tor-b')];
  await a.announce([P, Q, '10.3.0.0/24']);
  await a.announce(['10.4.0.0/24'], attributes({ asPath: path(65_001, ourAsn) }));
  const imports = async () => counted((await stage.speaker.policies('tor-a'))!.import);
  expect(await imports()).toEqual(['the pods: 1 accept', 'otherwise: 2 reject', 'unasked: 1']);
  const exports = (await stage.speaker.policies('tor-b'))!.export!;
  expect(counted(exports)).toEqual(['the pods: 1 accept', 'otherwise: 1 reject', 'unasked: 0']);

  await a.withdraw([P]);
  expect(await imports()).toEqual(['the pods: 0 accept', 'otherwise: 2 reject', 'unasked: 1']);
  await stage.applyPeer('tor-a', { importPolicy: { ...onlyP, rules: [] } });
  expect(await imports()).toEqual(['otherwise: 2 reject', 'unasked: 1']);
});

test('what a peer said itself is not counted as told to it, and a session that is down tells nothing', async () => {
  const stage = await staged({ peers: [{ ...torA, exportPolicy: onlyP }, torB] });
  const a = await stage.join('tor-a');
  await a.announce([P, Q]);
  expect(counted((await stage.speaker.policies('tor-a'))!.export!)).toEqual([
    'the pods: 0 accept',
    'otherwise: 0 reject',
    'unasked: 0',
  ]);
  expect(await stage.speaker.policies('tor-b')).toEqual({
    import: { policy: 'none', rules: [], otherwise: { action: 'accept', routes: 0 }, unasked: 0 },
  });
  expect(await stage.speaker.policies('nobody')).toBeUndefined();
});
