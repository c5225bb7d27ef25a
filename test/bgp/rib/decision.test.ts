// The decision ladder (RFC 4271 §9.1.2.2), step by step, and what it says about each loser.
import type { Address } from '#ip';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PathAttributes } from '../../../bgp/index.ts';
import { AttributeTable } from '../../../bgp/rib/attribute-table.ts';
import { type View, decide } from '../../../bgp/rib/decision.ts';
import { NextHopTable } from '../../../bgp/rib/next-hop-table.ts';
import { PathTable, ownPeer } from '../../../bgp/rib/path-table.ts';
import type { RibPeer } from '../../../bgp/rib/peer.ts';
import { PrefixTable } from '../../../bgp/rib/prefix-table.ts';
import { attributes, path } from '../stage.ts';

interface Contestant {
  readonly set?: Partial<PathAttributes>;
  readonly internal?: boolean;
  readonly routerId?: number;
  readonly rank?: number;
  readonly pathId?: number;
  readonly own?: boolean;
}

const costs: Readonly<Record<string, number>> = { '192.0.2.7': 7, '192.0.2.9': 9 };

/** Paths for one prefix, as the tables hold them, in the order given. */
function arena(contestants: readonly Contestant[]): { view: View; paths: Int32Array } {
  const nextHops = new NextHopTable((address) => ({ reachable: true, cost: costs[address] ?? 0 }));
  const attributeTable = new AttributeTable(nextHops);
  const prefixes = new PrefixTable('ipv4-unicast');
  const table = new PathTable(prefixes, attributeTable);
  const prefix = prefixes.claimPrefix('10.0.0.0/8' as never);
  const peers: (RibPeer | undefined)[] = [undefined];
  const paths = contestants.map(({ set, internal = false, routerId = 1, rank = 1, pathId = 0, own }) => {
    peers.push({ internal, routerId, rank } as RibPeer);
    const id = table.add(prefix, own ? ownPeer : peers.length - 1, pathId);
    const interned = attributeTable.intern(attributes(set));
    table.setAttributes(id, interned, interned);
    return id;
  });
  return { view: { paths: table, attributes: attributeTable, nextHops, peers }, paths: Int32Array.from(paths) };
}

/** Which contestants win, by their places, and what is said about the others. */
function outcome(contestants: readonly Contestant[], multipath = 1): { winners: number[]; why: string[] } {
  const { view, paths } = arena(contestants);
  const ids = [...paths];
  const why: string[] = [];
  const count = decide(view, paths, paths.length, multipath, (loser, step, against) => {
    const words = step.worse(step.key(view, loser), step.key(view, against));
    why.push(`${ids.indexOf(loser)} ${words}; ${ids.indexOf(against)} ${step.better}`);
  });
  return { winners: [...paths.subarray(0, count)].map((id) => ids.indexOf(id)), why };
}

const ours: Contestant = { own: true };

/** Each pair differs in one respect and, the other way round, in the next one of the ladder. */
test.each<[string, Contestant, Contestant, string]>([
  [
    'a route of our own',
    ours,
    { set: { localPref: 500 } },
    '1 this node originates the prefix itself; 0 our own route rather',
  ],
  [
    'what is not long-lived stale (RFC 9494 §4.3)',
    { set: { localPref: 1 } },
    { set: { localPref: 500, communities: [0xffff0006] } },
    '1 long-lived stale; 0 not long-lived stale, rather',
  ],
  [
    'the higher local preference',
    { set: { localPref: 200, asPath: path(1, 2, 3) } },
    { set: { asPath: path(1) } },
    '1 lower local preference (100 against 200); 0 higher local preference',
  ],
  [
    'the shorter AS path',
    { set: { asPath: path(1, 2), origin: 2 } },
    { set: { asPath: path(1, 2, 3) } },
    '1 longer AS path (3 against 2); 0 shorter AS path',
  ],
  [
    'the lower origin',
    { set: { origin: 0, med: 9 } },
    { set: { origin: 1 } },
    '1 worse origin (EGP against IGP); 0 better origin',
  ],
  [
    'the lower MED from one neighbouring AS',
    { set: { med: 5 }, internal: true },
    { set: { med: 6 } },
    '1 higher MED (6 against 5); 0 lower MED',
  ],
  [
    'an external path',
    { set: { nextHop: '192.0.2.9' as Address } },
    { set: { nextHop: '192.0.2.7' as Address }, internal: true },
    '1 from an internal peer; 0 an external peer rather',
  ],
  [
    'the nearer next hop',
    { set: { nextHop: '192.0.2.7' as Address }, routerId: 9 },
    { set: { nextHop: '192.0.2.9' as Address }, routerId: 8 },
    '1 farther next hop (cost 9 against 7); 0 nearer next hop',
  ],
  [
    'the lower router ID',
    { routerId: 0x0a000001, set: { clusterList: ['9.9.9.9' as Address] } },
    { routerId: 0xf0000000 },
    '1 higher router ID (240.0.0.0 against 10.0.0.1); 0 lower router ID',
  ],
  [
    'the lower ORIGINATOR_ID, which stands for the router ID (RFC 4456 §9)',
    { routerId: 9, set: { originatorId: '0.0.0.3' as Address } },
    { routerId: 4 },
    '1 higher router ID (0.0.0.4 against 0.0.0.3); 0 lower router ID',
  ],
  [
    'the shorter CLUSTER_LIST (RFC 4456 §9)',
    { rank: 2 },
    { rank: 1, set: { clusterList: ['9.9.9.9' as Address] } },
    '1 longer cluster list (1 against 0); 0 shorter cluster list',
  ],
  [
    'the lower peer address',
    { rank: 1, pathId: 2 },
    { rank: 2, pathId: 1 },
    '1 higher peer address; 0 lower peer address',
  ],
  [
    'the lower path identifier',
    { pathId: 0x7fffffff },
    { pathId: 0x80000000 },
    '1 higher path identifier (2147483648 against 2147483647); 0 lower path identifier',
  ],
])('%s wins, whichever came first', (_, winner, loser, why) => {
  expect(outcome([winner, loser])).toEqual({ winners: [0], why: [why] });
  expect(outcome([loser, winner]).winners).toEqual([1]);
});

test('MED does not count between neighbouring ASes (RFC 4271 §9.1.2.2 c)', () => {
  const low = { set: { med: 1, asPath: path(2) }, routerId: 9 };
  expect(outcome([low, { set: { med: 50, asPath: path(1) }, routerId: 8 }]).winners).toEqual([1]);
});

test('a missing MED is the lowest (RFC 4271 §9.1.2.2 c)', () => {
  expect(outcome([{ set: { med: 1 } }, { set: {}, routerId: 9 }]).winners).toEqual([1]);
});

test('the three paths that make MED no order have the same winner in every order of arrival', () => {
  // a beats b by router ID, b beats c by router ID, c beats a by MED: two by two nobody wins.
  const a = { set: { asPath: path(1), med: 10 }, routerId: 1 };
  const b = { set: { asPath: path(2), med: 0 }, routerId: 2 };
  const c = { set: { asPath: path(1), med: 5 }, routerId: 3 };
  const named: [string, Contestant][] = [
    ['a', a],
    ['b', b],
    ['c', c],
  ];
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ].map((order) => order.map((i) => named[i]!));
  const winners = orders.map((order) => order[outcome(order.map(([, each]) => each)).winners[0]!]![0]);
  expect(winners).toEqual(['b', 'b', 'b', 'b', 'b', 'b']);
});

test('several paths are used at once if they are equal up to the cost of the next hop, the best first', () => {
  const paths = [
    { routerId: 3 },
    { routerId: 1, set: { asPath: path(65_009) } },
    { routerId: 2 },
    { set: { asPath: path(1, 2) } },
  ];
  expect(outcome(paths, 8).winners).toEqual([1, 2, 0]);
  expect(outcome(paths, 2)).toEqual({
    winners: [1, 2],
    why: [
      '3 longer AS path (2 against 1); 0 shorter AS path',
      '0 higher router ID (0.0.0.3 against 0.0.0.2); 2 lower router ID',
    ],
  });
});

test('a route of our own is used alone', () => {
  expect(outcome([ours, {}], 8).winners).toEqual([0]);
});

const contestant: fc.Arbitrary<Contestant> = fc.record({
  internal: fc.boolean(),
  routerId: fc.integer({ min: 1, max: 3 }),
  rank: fc.integer({ min: 1, max: 1000 }),
  set: fc.record({
    asPath: fc.constantFrom(path(1), path(2), path(1, 2)),
    med: fc.integer({ min: 0, max: 2 }),
    nextHop: fc.constantFrom('192.0.2.7' as Address, '192.0.2.9' as Address),
  }),
});

test('the choice does not depend on the order of arrival, and everybody who lost is told why', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(contestant, { minLength: 2, maxLength: 8, selector: ({ rank }) => rank }),
      fc.integer({ min: 1, max: 3 }),
      (contestants, multipath) => {
        const { winners, why } = outcome(contestants, multipath);
        const reversed = outcome(contestants.toReversed(), multipath);
        expect(reversed.winners.map((i) => contestants.length - 1 - i)).toEqual(winners);
        expect(why).toHaveLength(contestants.length - winners.length);
      },
    ),
  );
});
