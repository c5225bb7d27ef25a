// Two nodes meet at one block, at the worst moments.
import { describe, expect, it } from 'vitest';
import { parsePrefix } from '#ip';
import {
  RECLAIM_AFTER_MS,
  type Site,
  claimBlock,
  isReclaimable,
  reclaimBlock,
  releaseEmptyBlock,
  settledBlocks,
} from '../../../src/ipam/claim.ts';
import { allocate, nextRevision } from '../../../src/ipam/block.ts';
import { getAffinity, getBlock } from '../../../src/ipam/data.ts';
import { Known } from '../../../src/ipam/known.ts';
import type { Store } from '../../../src/store/port.ts';
import { type StoreCall, createMemoryStore, seenThrough } from '../../support/memory-store.ts';

const CIDR = parsePrefix('10.82.0.0/30');
const NOW = Date.parse('2026-11-21T04:00:00Z');

function site(node: string, store: Store, now = NOW): Site {
  const known = new Known(store, node);
  return { store: known.store, known, node, now: () => now, pause: async () => {} };
}

/** The store, with something that happens once, just before a certain call. */
function interrupted(
  store: Store,
  verb: StoreCall['verb'],
  kind: StoreCall['kind'],
  act: () => Promise<unknown>,
): Store {
  let armed = true;
  return seenThrough(store, {
    before: async (call) => {
      if (!armed || call.verb !== verb || call.kind !== kind) return;
      armed = false;
      await act();
    },
  });
}

async function use(store: Store): Promise<void> {
  const block = (await getBlock(store, CIDR))!;
  const spec = nextRevision(allocate(block.spec, [{ ordinal: 0, owner: { handle: 'h', secondary: {} } }]));
  await store.update('IPAMBlock', { ...block, spec });
}

describe('a race for a new block', () => {
  it('is decided by the creation of the block; the loser deletes its affinity', async () => {
    const store = createMemoryStore();
    const slow = interrupted(store, 'create', 'IPAMBlock', () => claimBlock(site('b', store), CIDR));
    expect(await claimBlock(site('a', slow), CIDR)).toBeUndefined();
    expect((await store.list('BlockAffinity')).map(({ spec }) => [spec.node, spec.state])).toEqual([
      ['b', 'confirmed'],
    ]);
    expect((await getBlock(store, CIDR))?.spec.affinity).toBe('host:b');
  });
});

describe('a claim that was cut short after the block was created', () => {
  it('is confirmed over a new revision of the block, so that whoever read the old one cannot delete it', async () => {
    const store = createMemoryStore();
    const claimed = (await claimBlock(site('a', store), CIDR))!;
    const affinity = (await getAffinity(store, 'a', CIDR))!;
    await store.update('BlockAffinity', { ...affinity, spec: { ...affinity.spec, state: 'pending' } });
    const [block] = await settledBlocks(site('a', store));
    expect(block!.spec).toEqual({ ...claimed.spec, sequenceNumber: claimed.spec.sequenceNumber + 1n });
    expect((await getAffinity(store, 'a', CIDR))?.spec.state).toBe('confirmed');
    await expect(store.delete('IPAMBlock', claimed)).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('an empty block of another node', () => {
  it('may be taken over a minute after it was claimed, and not while anything is in it', async () => {
    const store = createMemoryStore();
    const block = (await claimBlock(site('a', store), CIDR))!;
    const later = (ms: number): boolean => isReclaimable(site('b', store, NOW + ms), block);
    expect([later(RECLAIM_AFTER_MS - 1), later(RECLAIM_AFTER_MS)]).toEqual([false, true]);
    await use(store);
    expect(isReclaimable(site('b', store, NOW + RECLAIM_AFTER_MS), (await getBlock(store, CIDR))!)).toBe(false);
  });

  it('belongs to the other node afterwards, with all that shows it', async () => {
    const store = createMemoryStore();
    const block = (await claimBlock(site('a', store), CIDR))!;
    expect(await reclaimBlock(site('b', store), block)).toMatchObject({ spec: { affinity: 'host:b' } });
    expect((await store.list('BlockAffinity')).map(({ spec }) => [spec.node, spec.state])).toEqual([
      ['b', 'confirmed'],
    ]);
  });

  it('stays with its owner, and announced, when that one gives out an address in the last moment', async () => {
    const store = createMemoryStore();
    const block = (await claimBlock(site('a', store), CIDR))!;
    const slow = interrupted(store, 'delete', 'IPAMBlock', () => use(store));
    expect(await reclaimBlock(site('b', slow), block)).toBeUndefined();
    expect((await store.list('BlockAffinity')).map(({ spec }) => [spec.node, spec.state])).toEqual([
      ['a', 'confirmed'],
    ]);
  });

  it('stays with its owner when that one confirms it in the last moment', async () => {
    const store = createMemoryStore();
    const block = (await claimBlock(site('a', store), CIDR))!;
    const slow = interrupted(store, 'delete', 'IPAMBlock', () => settledBlocks(site('a', store)));
    expect(await releaseEmptyBlock(site('b', slow), block)).toBe(false);
    expect((await getAffinity(store, 'a', CIDR))?.spec.state).toBe('confirmed');
    expect((await getBlock(store, CIDR))?.spec.affinity).toBe('host:a');
  });

  it('goes to one of two that want it at once', async () => {
    const store = createMemoryStore();
    const block = (await claimBlock(site('a', store), CIDR))!;
    const slow = interrupted(store, 'delete', 'IPAMBlock', () => reclaimBlock(site('c', store), block));
    const takers = [await reclaimBlock(site('b', slow), block), await getBlock(store, CIDR)];
    expect(takers.filter((taker) => taker !== undefined)).toHaveLength(1);
    const affinities = (await store.list('BlockAffinity')).map(({ spec }) => [`host:${spec.node}`, spec.state]);
    expect(affinities).toEqual([[(await getBlock(store, CIDR))!.spec.affinity, 'confirmed']]);
  });
});
