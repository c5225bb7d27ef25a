// The packed tables against the naive speaker, over generated runs: routes come, change and go, peers go down and come
// back, stop reading and read on, policies change; and what each peer knows in the end is what it should know.
import type { Address, Prefix } from '#ip';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PathAttributes, PeerWish, Policy } from '../../../bgp/index.ts';
import type { Neighbour } from '../../../bgp/neighbour.ts';
import { Session } from '../../../bgp/session/index.ts';
import { type Player, Stage, peerWish, settle } from '../stage.ts';
import { type NaivePeer, NaiveSpeaker } from './naive.ts';

/** Last octets of 10.0.0.x, internal and external ones mixed, so that no step of the ladder stands in for another. */
const asns: Readonly<Record<number, number>> = {
  11: 64_512,
  12: 65_001,
  13: 65_001,
  21: 65_002,
  22: 64_512,
  23: 64_512,
};
const hosts = Object.keys(asns).map(Number);
const client = 23;

const prefix = fc.constantFrom(
  '10.1.0.0/24',
  '10.1.1.0/24',
  '10.1.0.0/16',
  '10.2.3.4/32',
  '0.0.0.0/0',
  '10.1.0.128/25',
);
const community = fc.constantFrom(0xfde9_0001, 0xfde9_0002, 0xffff_ff01, 0xffff_ff02);

const attributeSet: fc.Arbitrary<PathAttributes> = fc
  .record({
    origin: fc.constantFrom(0 as const, 2 as const),
    path: fc.array(fc.constantFrom(1, 2, 64_512, 65_002), { maxLength: 2 }),
    set: fc.boolean(),
    med: fc.option(fc.constantFrom(0, 5, 10), { nil: undefined }),
    localPref: fc.constantFrom(100, 100, 200),
    communities: fc.option(fc.uniqueArray(community, { maxLength: 2 }), { nil: undefined }),
    hop: fc.constantFrom('192.0.2.1', '192.0.2.2'),
    originator: fc.constantFrom(undefined, undefined, '10.0.0.1', '10.0.0.9', '10.0.0.40'),
    clusters: fc.constantFrom(undefined, undefined, ['10.0.0.1'], ['9.9.9.9'], ['9.9.9.9', '9.9.9.8']),
  })
  .map(({ origin, path, set, med, localPref, communities, hop, originator, clusters }) => ({
    origin,
    asPath: [
      { type: 'sequence' as const, asns: [0, ...path] },
      ...(set ? [{ type: 'set' as const, asns: [7, 8] }] : []),
    ],
    nextHop: hop as Address,
    localPref,
    ...(med !== undefined && { med }),
    ...(communities?.length && { communities: communities.toSorted((a, b) => a - b) }),
    ...(originator !== undefined && { originatorId: originator as Address }),
    ...(clusters !== undefined && { clusterList: clusters.map((each) => each as Address) }),
  }));

const policy: fc.Arbitrary<Policy> = fc.record({
  name: fc.constant('generated'),
  otherwise: fc.constantFrom('accept' as const, 'reject' as const),
  rules: fc.array(
    fc.record(
      {
        name: fc.constant(''),
        action: fc.constantFrom('accept' as const, 'accept' as const, 'reject' as const),
        match: fc.record(
          {
            prefix: fc.record(
              {
                cidr: prefix.map((each) => each as Prefix),
                operator: fc.constantFrom('Equal' as const, 'NotEqual' as const, 'In' as const, 'NotIn' as const),
                maxLength: fc.constantFrom(24, 32),
              },
              { requiredKeys: ['cidr', 'operator'] },
            ),
            communities: fc.array(community, { minLength: 1, maxLength: 1 }),
          },
          { requiredKeys: [] },
        ),
        operations: fc.array(
          fc.oneof(
            fc.record({ do: fc.constant('setLocalPref' as const), value: fc.constantFrom(50, 300) }),
            fc.record({ do: fc.constant('setMed' as const), value: fc.constantFrom(1, 2) }),
            fc.record({ do: fc.constant('addCommunity' as const), value: fc.constant(0xfde9_0001) }),
            fc.record({ do: fc.constant('prependAsPath' as const), asns: fc.constant([64_999, 64_998]) }),
          ),
          { maxLength: 2 },
        ),
      },
      { requiredKeys: ['name', 'action'] },
    ),
    { maxLength: 3 },
  ),
});

const host = fc.constantFrom(...hosts);
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('announce' as const),
      host,
      prefixes: fc.uniqueArray(prefix, { minLength: 1 }),
      attributes: attributeSet,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('withdraw' as const),
      host,
      prefixes: fc.uniqueArray(prefix, { minLength: 1 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('bounce' as const), host }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('down' as const), host }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pause' as const), host }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('read' as const), host }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('importPolicy' as const),
      host,
      policy: fc.option(policy, { nil: undefined }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('exportPolicy' as const),
      host,
      policy: fc.option(policy, { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refresh' as const), host }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('own' as const),
      prefixes: fc.uniqueArray(prefix, { maxLength: 2 }),
      med: fc.constantFrom(0, 9),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The real speaker and the naive one, told the same. */
class Pair {
  readonly stage: Stage;
  readonly naive = new NaiveSpeaker(64_512);
  readonly players = new Map<number, Player>();
  private readonly wishes = new Map<number, PeerWish>();

  constructor() {
    for (const each of hosts) this.wishes.set(each, this.wishFor(each));
    this.stage = new Stage({ peers: [...this.wishes.values()] });
  }

  async take(each: Step): Promise<void> {
    if (each.do === 'own') {
      this.naive.own.clear();
      for (const prefix of each.prefixes) this.naive.own.set(prefix, ownAttributes(each.med));
      await this.stage.apply({ originated: each.prefixes.map((one) => ({ prefix: one as Prefix, med: each.med })) });
      return;
    }
    if (each.do === 'importPolicy' || each.do === 'exportPolicy') {
      await this.setPolicy(each.host, each.do, each.policy);
      return;
    }
    const player = this.players.get(each.host);
    if (player === undefined) {
      if (each.do === 'announce') await this.up(each.host);
      return;
    }
    await this.act(each, player);
  }

  async up(each: number): Promise<void> {
    this.players.set(each, await this.stage.join(`peer-${each}`));
    this.naive.up(this.naivePeer(each));
  }

  private async act(each: Exclude<Step, { do: 'own' | 'importPolicy' | 'exportPolicy' }>, player: Player) {
    const heard = this.naive.heard.get(`peer-${each.host}`)!;
    if (each.do === 'announce') {
      const set = said(each.host, each.attributes);
      for (const one of each.prefixes) heard.set(one, set);
      await player.announce(each.prefixes, set);
    } else if (each.do === 'withdraw') {
      for (const one of each.prefixes) heard.delete(one);
      await player.withdraw(each.prefixes);
    } else if (each.do === 'pause') this.setReading(each.host, false);
    else if (each.do === 'read') this.setReading(each.host, true);
    else if (each.do === 'refresh') await player.refresh(0);
    else {
      await this.down(each.host, player);
      if (each.do === 'bounce') await this.up(each.host);
    }
  }

  private async down(each: number, player: Player): Promise<void> {
    this.players.delete(each);
    this.naive.down(`peer-${each}`);
    await player.vanish();
    await settle(30);
  }

  /**
   * Has a peer's session say that it has no room, or that it has again. Filling its real buffer of hundreds of
   * kilobytes would take too many routes for a run of this kind.
   */
  setReading(each: number, reads: boolean): void {
    const { neighbours } = this.stage.speaker as unknown as { neighbours: Map<string, Neighbour> };
    const neighbour = neighbours.get(`peer-${each}`)!;
    neighbour.session.send = (messages) => Session.prototype.send.call(neighbour.session, messages) && reads;
    if (reads) neighbour.drained();
  }

  private async setPolicy(each: number, which: 'importPolicy' | 'exportPolicy', policy: Policy | undefined) {
    const { importPolicy, exportPolicy, ...rest } = this.wishes.get(each)!;
    const policies = { importPolicy, exportPolicy, [which]: policy };
    this.wishes.set(each, {
      ...rest,
      ...(policies.importPolicy && { importPolicy: policies.importPolicy }),
      ...(policies.exportPolicy && { exportPolicy: policies.exportPolicy }),
    });
    if (this.players.has(each)) this.naive.peers.set(`peer-${each}`, this.naivePeer(each));
    await this.stage.apply({ peers: [...this.wishes.values()] });
  }

  private wishFor(each: number): PeerWish {
    return peerWish(`peer-${each}`, `10.0.0.${each}`, asns[each]!, {
      routeReflectorClient: each === client,
      gracefulRestart: { enabled: false, restartSeconds: 0, staleSecondsMax: 0, longLivedSeconds: 0 },
    });
  }

  private naivePeer(each: number): NaivePeer {
    const { name, asn, routeReflectorClient: client, importPolicy, exportPolicy } = this.wishes.get(each)!;
    return { name, host: each, asn, client, importPolicy, exportPolicy };
  }
}

/** What a peer says: behind its own AS if it is in another one, and without what is not for outside. */
function said(each: number, attributes: PathAttributes): PathAttributes {
  const { asPath, localPref, originatorId, clusterList, ...rest } = attributes;
  const [sequence, ...others] = asPath;
  const behind = sequence!.asns.slice(1);
  const numbers = asns[each] === 64_512 ? behind : [asns[each]!, ...behind];
  const path = numbers.length > 0 ? [{ type: 'sequence' as const, asns: numbers }, ...others] : others;
  if (asns[each] !== 64_512) return { ...rest, asPath: path };
  return {
    ...{ ...rest, asPath: path, localPref: localPref ?? 100 },
    ...(originatorId && { originatorId }),
    ...(clusterList && { clusterList }),
  };
}

function ownAttributes(med: number): PathAttributes {
  return { origin: 0, asPath: [], nextHop: '0.0.0.0' as Address, med };
}

function sorted(known: ReadonlyMap<string, PathAttributes>): [string, PathAttributes][] {
  return [...known].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

test('after any run of events each peer knows what a naive speaker would tell it, and we forward as it would', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const pair = new Pair();
      await settle();
      for (const each of hosts.slice(0, 4)) await pair.up(each);
      for (const each of steps) await pair.take(each);
      for (const each of pair.players.keys()) pair.setReading(each, true);
      await settle(150);
      for (const [each, player] of pair.players) {
        expect(sorted(player.known), `peer-${each}`).toEqual(sorted(pair.naive.told(`peer-${each}`)));
        const { advertised, accepted, received } = pair.stage.family(`peer-${each}`);
        expect(advertised).toBe(player.known.size);
        // Nobody is told what they know already, but for those who asked.
        if (!steps.some((one) => one.do === 'refresh')) expect(player.redundant).toEqual([]);
        expect(received).toBe(pair.naive.heard.get(`peer-${each}`)!.size);
        expect(accepted).toBeLessThanOrEqual(received);
      }
      const prefixes = new Set([...pair.naive.heard.values()].flatMap((table) => [...table.keys()]));
      const naive = [...prefixes].flatMap((one) => {
        const best = pair.naive.best(one);
        return best?.from === undefined ? [] : [`${one} from ${best.from.name}`];
      });
      const real = [...pair.stage.speaker.best()].map((route) => `${route.prefix} from ${route.paths[0]!.peer}`);
      expect(real.toSorted()).toEqual(naive.toSorted());
      // The changes that we were told add up to the same.
      const told = new Map(pair.stage.changes.map(({ prefix, paths }) => [prefix as string, paths[0]?.peer]));
      const upToDate = [...told].flatMap(([one, peer]) => (peer === undefined ? [] : [`${one} from ${peer}`]));
      expect(upToDate.toSorted()).toEqual(naive.toSorted());
      await pair.stage.speaker.close('shutdown');
    }),
    { numRuns: Number(process.env['MANX_RUNS'] ?? 60) },
  );
});
