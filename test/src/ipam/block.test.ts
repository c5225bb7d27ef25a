import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Address, parseAddress, parsePrefix } from '#ip';
import {
  allocate,
  emptyBlock,
  free,
  freeOrdinals,
  holdingsOf,
  isEmpty,
  nextRevision,
  ordinalOf,
  releasable,
  rest,
  usedCount,
  wake,
} from '../../../src/ipam/block.ts';
import { checkBlock } from '../../../src/ipam/check.ts';
import { claimTime, timestamp, unixNano } from '../../../src/ipam/time.ts';
import type { IPAMBlockSpec } from '../../../src/resources/types.ts';
import { captured } from '../../support/captured.ts';

const NOW = Date.parse('2026-11-21T03:58:18Z');
const CIDR = parsePrefix('10.82.0.72/29');
const nothingReserved = (): boolean => false;

function owner(pod: string, node = 'worker-1', namespace = 'default', time = '') {
  return { handle: `k8s-pod-network.c0ffee-${pod}`, secondary: { namespace, node, pod, timestamp: time } };
}

function give(block: IPAMBlockSpec, pod: string): IPAMBlockSpec {
  const [ordinal] = freeOrdinals(block, nothingReserved);
  return nextRevision(allocate(block, [{ ordinal: ordinal!, owner: owner(pod) }]));
}

describe('a block as Calico keeps it', () => {
  const blocks = captured('IPAMBlock', 'ipamblocks').map(({ spec }) => spec);

  it('evolves into the captured one when the same things happen to it', () => {
    const before = { ...emptyBlock(CIDR, 'host:worker-1', NOW), sequenceNumber: 1795233498708315045n };
    const web = owner('web-1', 'worker-1', 'default', '2026-11-21 03:58:18.694982782 +0000 UTC');
    const api = owner('api-1', 'worker-1', 'team-a', '2026-11-21 03:58:18.983240942 +0000 UTC');
    const fixed = owner('fixed-1', 'worker-2', 'default', '2026-11-21 03:58:19.808421602 +0000 UTC');
    const steps: ((block: IPAMBlockSpec) => IPAMBlockSpec)[] = [
      (block) => allocate(block, [{ ordinal: 0, owner: web }]),
      (block) => allocate(block, [{ ordinal: 1, owner: api }]),
      (block) => allocate(block, [{ ordinal: 2, owner: owner('gone-1') }]),
      (block) => free(block, [2]),
      (block) => allocate(block, [{ ordinal: 5, owner: fixed }]),
    ];
    const after = steps.reduce((block, step) => nextRevision(step(block)), before);
    expect(after).toEqual(blocks.find(({ cidr }) => cidr === CIDR));
  });

  it('takes eight addresses one after the other into the captured full block', () => {
    const full = blocks.find(({ cidr }) => cidr === '10.82.0.56/29')!;
    let block: IPAMBlockSpec = {
      ...emptyBlock(full.cidr, 'host:worker-3', Date.parse(full.affinityClaimTime!)),
      sequenceNumber: 1795233500172326593n,
    };
    for (const { handle_id, secondary } of full.attributes) {
      const [ordinal] = freeOrdinals(block, nothingReserved);
      block = nextRevision(
        allocate(block, [{ ordinal: ordinal!, owner: { handle: handle_id!, secondary: secondary! } }]),
      );
    }
    expect(block).toEqual(full);
  });

  it('is found without fault in every captured block', () => {
    expect(blocks).toHaveLength(5);
    expect(blocks.flatMap(checkBlock)).toEqual([]);
  });
});

describe('points in time', () => {
  it('start sequence numbers at nanoseconds since the epoch', () => {
    expect(unixNano(1795233498708.5)).toBe(1795233498708500000n);
  });
  it('are written in seconds for a claim', () => {
    expect(claimTime(NOW + 999)).toBe('2026-11-21T03:58:18Z');
  });
  it.each([
    [694, '2026-11-21 03:58:18.694 +0000 UTC'],
    [470, '2026-11-21 03:58:18.47 +0000 UTC'],
    [0, '2026-11-21 03:58:18 +0000 UTC'],
  ])('are written as Go does for an allocation, %i ms after the second', (ms, text) => {
    expect(timestamp(NOW + ms)).toBe(text);
  });
});

describe('allocation', () => {
  it('passes over reserved addresses, which keep their place in the queue', () => {
    const block = emptyBlock(CIDR, 'host:a', NOW);
    const reserved = (address: Address): boolean => address === '10.82.0.72';
    const [ordinal] = freeOrdinals(block, reserved);
    expect(allocate(block, [{ ordinal: ordinal!, owner: owner('p') }]).unallocated).toEqual([0, 2, 3, 4, 5, 6, 7]);
  });

  it('shares the attribute between two addresses of one owner', () => {
    const picks = [0, 1].map((ordinal) => ({ ordinal, owner: owner('p') }));
    expect(allocate(emptyBlock(CIDR, 'host:a', NOW), picks).attributes).toHaveLength(1);
  });

  it('keeps two handles apart although everything else about them is the same', () => {
    const picks = ['p', 'q'].map((pod, ordinal) => ({ ordinal, owner: { handle: pod, secondary: { node: 'a' } } }));
    expect(allocate(emptyBlock(CIDR, 'host:a', NOW), picks).allocations.slice(0, 2)).toEqual([0, 1]);
  });

  it('refuses an ordinal that is not free', () => {
    const block = give(emptyBlock(CIDR, 'host:a', NOW), 'p');
    expect(() => allocate(block, [{ ordinal: 0, owner: owner('q') }])).toThrow('not free');
  });

  it('gives nothing out of a damaged block', () => {
    const block = { ...give(emptyBlock(CIDR, 'host:a', NOW), 'p'), attributes: [] };
    expect([...freeOrdinals(block, nothingReserved)]).toEqual([]);
  });

  it('knows where an address stands, and that another one is elsewhere', () => {
    const block = emptyBlock(CIDR, 'host:a', NOW);
    expect([ordinalOf(block, parseAddress('10.82.0.77')), ordinalOf(block, parseAddress('10.82.0.80'))]).toEqual([
      5,
      undefined,
    ]);
  });
});

describe('release', () => {
  const block = give(give(emptyBlock(CIDR, 'host:a', NOW), 'p'), 'q');

  it('frees an address for its own handle only', () => {
    const { handle } = owner('p');
    expect(
      releasable(block, [
        { ordinal: 0, handle },
        { ordinal: 1, handle },
      ]),
    ).toEqual([0]);
  });

  it('comes too late when the address has been given out again under another number', () => {
    const sequence = block.sequenceNumberForAllocation[0]!;
    const again = allocate(nextRevision(free(block, [0])), [{ ordinal: 0, owner: owner('p') }]);
    expect(releasable(again, [{ ordinal: 0, sequence }])).toEqual([]);
  });

  it('does not touch what is free already', () => {
    expect(releasable(block, [{ ordinal: 7 }])).toEqual([]);
  });

  it('marks the address, which rests until the cooldown is over, and belongs to nobody', () => {
    const resting = rest(block, [0], NOW);
    expect(holdingsOf(resting, owner('p').handle)).toEqual([]);
    expect(resting.attributes.at(-1)).toMatchObject({ releasedAt: '2026-11-21T03:58:18Z' });
    expect(wake(resting, 60, NOW + 59_000)).toBe(resting);
    expect(wake(resting, 60, NOW + 60_000).unallocated.at(-1)).toBe(0);
    expect(checkBlock(resting)).toEqual([]);
  });

  it('cannot be repeated while the address rests', () => {
    expect(releasable(rest(block, [0], NOW), [{ ordinal: 0 }])).toEqual([]);
  });
});

/** What may happen to a block: an address is given to pod p, or everything of pod p is given back. */
const happenings = fc.array(
  fc.record({ what: fc.constantFrom('give', 'give', 'release', 'rest'), pod: fc.integer({ min: 0, max: 5 }) }),
  { maxLength: 60 },
);

describe('whatever happens to a block', () => {
  it('no address is given twice, the queue is first in first out, and the counts agree', () => {
    fc.assert(
      fc.property(happenings, (events) => {
        let block = emptyBlock(CIDR, 'host:a', NOW);
        // The naive oracle: who has which ordinal, and the queue.
        const holders = new Map<number, string>();
        let queue = block.allocations.map((_, ordinal) => ordinal);
        for (const [step, { what, pod }] of events.entries()) {
          const { handle } = owner(`p${pod}`);
          const before = block.sequenceNumber;
          if (what === 'give') {
            const [ordinal] = freeOrdinals(block, nothingReserved);
            expect(ordinal).toBe(queue[0]);
            if (ordinal === undefined) continue;
            holders.set(ordinal, handle);
            queue = queue.slice(1);
            block = nextRevision(allocate(block, [{ ordinal, owner: owner(`p${pod}`) }]));
          } else {
            const mine = holdingsOf(block, handle).map(({ ordinal }) => ordinal);
            expect(mine).toEqual(
              [...holders]
                .filter(([, h]) => h === handle)
                .map(([o]) => o)
                .sort((a, b) => a - b),
            );
            for (const ordinal of mine) holders.delete(ordinal);
            queue.push(...mine);
            const resting = what === 'rest' ? wake(rest(block, mine, NOW + step), 0, NOW + step + 1000) : undefined;
            block = nextRevision(resting ?? free(block, mine));
          }
          expect(block.sequenceNumber).toBe(before + 1n);
          expect(checkBlock(block)).toEqual([]);
          expect(usedCount(block)).toBe(holders.size);
          expect(isEmpty(block)).toBe(holders.size === 0);
          expect(new Set(Object.keys(block.sequenceNumberForAllocation).map(Number))).toEqual(new Set(holders.keys()));
        }
      }),
      { numRuns: 300 },
    );
  });
});
