// A member that is behind its group: what it is told, whatever happens while it catches up.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AttributeTable } from '../../../bgp/rib/attribute-table.ts';
import { Member } from '../../../bgp/rib/member.ts';
import { NextHopTable } from '../../../bgp/rib/next-hop-table.ts';
import type { RibPeer } from '../../../bgp/rib/peer.ts';
import { mustHear } from '../../../bgp/rib/pending.ts';
import type { Slots } from '../../../bgp/rib/slots.ts';
import { attributes } from '../stage.ts';

const end = 9;

/** A group's state in miniature, one member of it, and what the peer behind the member has been told. */
class Scene {
  readonly sets = new AttributeTable(new NextHopTable(() => ({ reachable: true })));
  /** Sets by number, from 1. */
  readonly numbered = [0, ...[1, 2, 3].map((med) => this.sets.intern(attributes({ med })))];
  readonly holds = new Map<number, number>();
  readonly state = new Map<number, number>();
  readonly known = new Map<number, number>();
  /** What was said although the peer knew it. */
  redundant = 0;
  readonly member: Member;

  constructor() {
    const count = (slot: number, by: number): void => void this.holds.set(slot, (this.holds.get(slot) ?? 0) + by);
    const slots: Slots = {
      ...{ room: 5, end, prefixOf: (slot) => slot, write: (_, __, at) => at },
      retain: (slot) => count(slot, 1),
      release: (slot) => count(slot, -1),
    };
    this.member = new Member({ index: 1 } as RibPeer, slots, this.sets, () => true);
  }

  change(slot: number, set: number): void {
    const old = this.state.get(slot) ?? 0;
    this.state.set(slot, this.numbered[set]!);
    if (old !== this.numbered[set]) this.member.miss(slot, old);
  }

  catchUp(limit: number): void {
    this.member.take(limit, end, (slot, told) => {
      const now = this.state.get(slot) ?? 0;
      if (now === told) return;
      if (now === 0 && told === 0) return;
      if (told !== mustHear && (this.known.get(slot) ?? 0) === now) this.redundant++;
      this.known.set(slot, now);
    });
    this.member.written();
  }
}

test('an introduction tells everything once, also what changes on its way, and nothing that comes and goes before it', () => {
  const scene = new Scene();
  for (let slot = 1; slot < 6; slot++) scene.state.set(slot, scene.numbered[1]!);
  scene.member.begin('introduction');
  scene.catchUp(3);
  scene.change(1, 2);
  scene.change(5, 2);
  scene.change(5, 1);
  scene.change(4, 0);
  scene.change(7, 3);
  scene.catchUp(100);
  const [, one, two, three] = scene.numbered;
  expect([...scene.known]).toEqual([
    [1, two],
    [2, one],
    [3, one],
    [5, one],
    [7, three],
  ]);
  expect([scene.redundant, scene.member.inStep]).toEqual([0, true]);
});

test('a refresh tells everything again, also a slot that has come back to what the peer knows', () => {
  const scene = new Scene();
  for (let slot = 1; slot < 4; slot++) scene.state.set(slot, scene.numbered[1]!);
  scene.member.begin('introduction');
  scene.catchUp(100);
  scene.known.clear();
  scene.member.begin('refresh');
  scene.change(2, 2);
  scene.change(2, 1);
  scene.change(3, 0);
  scene.catchUp(100);
  const one = scene.numbered[1];
  expect([...scene.known]).toEqual([
    [1, one],
    [2, one],
    [3, 0],
  ]);
});

test('what was remembered from another group is only told where it differs', () => {
  const scene = new Scene();
  const [, one, two] = scene.numbered;
  scene.state.set(1, one!).set(2, two!).set(4, one!);
  for (const [slot, told] of [
    [1, one!],
    [2, one!],
    [3, one!],
  ] as const) {
    scene.known.set(slot, told);
    scene.member.pending.remember(slot, told);
  }
  scene.member.begin('introduction');
  scene.catchUp(100);
  expect([...scene.known]).toEqual([
    [1, one],
    [2, two],
    [3, 0],
    [4, one],
  ]);
  expect(scene.redundant).toBe(0);
});

test('farewells are said when everything has been told, and each once', () => {
  const scene = new Scene();
  const said: string[] = [];
  scene.member.begin('introduction');
  scene.member.whenCaughtUp(() => said.push('first'));
  scene.catchUp(2);
  scene.member.settle();
  scene.member.whenCaughtUp(() => said.push('second'));
  scene.catchUp(100);
  scene.member.settle();
  scene.member.settle();
  expect(said).toEqual(['first', 'second']);
});

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ slot: fc.integer({ min: 1, max: end - 1 }), set: fc.integer({ min: 0, max: 3 }) }),
  },
  { weight: 3, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ begin: fc.constant('refresh' as const) }) },
);

test('whatever happens, the peer knows the last state in the end, and everything that was held is given back', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const scene = new Scene();
      scene.member.begin('introduction');
      for (const each of steps) {
        if ('slot' in each) scene.change(each.slot, each.set);
        else if ('take' in each) scene.catchUp(each.take);
        else scene.member.begin(each.begin);
      }
      scene.catchUp(1000);
      const nonEmpty = (map: ReadonlyMap<number, number>) => new Map([...map].filter(([, set]) => set !== 0));
      expect(nonEmpty(scene.known)).toEqual(nonEmpty(scene.state));
      expect([...scene.holds.values()].filter((holds) => holds !== 0)).toEqual([]);
      expect(scene.member.inStep).toBe(true);
      if (!steps.some((each) => 'begin' in each)) expect(scene.redundant).toBe(0);
    }),
    { numRuns: 500 },
  );
});
