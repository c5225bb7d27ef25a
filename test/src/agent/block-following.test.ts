// What others do with this node's blocks, seen by an agent that is told of nothing but "look".
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BlockFollowing, followBlocks } from '../../../src/agent/block-following.ts';
import { nextRevision } from '../../../src/ipam/block.ts';
import { type Ipam, createIpam } from '../../../src/ipam/index.ts';
import type { IPAMBlock } from '../../../src/resources/types.ts';
import { until } from '../../lab/until.ts';
import { type MemoryStore, createMemoryStore } from '../../support/memory-store.ts';
import { node, pool } from '../../support/resources.ts';

let store: MemoryStore;
let ipam: Ipam;
let following: BlockFollowing;
let lines: { readonly gained?: readonly string[]; readonly lost?: readonly string[] }[];

beforeEach(async () => {
  store = createMemoryStore(pool('pods', '10.82.0.0/28', { blockSize: 30 }), node('a'), node('b'));
  ipam = createIpam({ store, node: 'a', pause: async () => {} });
  lines = [];
  const log = pino({ base: null }, { write: (line) => lines.push(JSON.parse(line) as (typeof lines)[number]) });
  following = followBlocks({ store, ipam, log, restMs: 0 });
  await ipam.assign({ handle: 'pod', families: [4], attributes: {} });
});
afterEach(() => following[Symbol.asyncDispose]());

async function block(): Promise<IPAMBlock> {
  return (await store.list('IPAMBlock'))[0]!;
}

async function isConfirmed(): Promise<boolean> {
  return (await store.list('BlockAffinity'))[0]?.spec.state === 'confirmed';
}

describe('an agent of which somebody', () => {
  it('takes a block over forgets it before its next pod comes', async () => {
    await ipam.release('pod');
    const empty = await block();
    const [affinity] = await store.list('BlockAffinity');
    await store.delete('IPAMBlock', empty);
    await store.delete('BlockAffinity', affinity!);
    await until('it says so', () => lines.length > 0);
    expect(lines).toMatchObject([{ gained: [], lost: [empty.spec.cidr] }]);
  });

  it.each(['pending', 'pendingDeletion'] as const)('leaves an affinity %s confirms it again', async (state) => {
    const { sequenceNumber } = (await block()).spec;
    const [affinity] = await store.list('BlockAffinity');
    await store.update('BlockAffinity', { ...affinity!, spec: { ...affinity!.spec, state } });
    await until('it is confirmed', isConfirmed);
    // Whoever has read the block before, in order to delete it, comes too late.
    expect((await block()).spec.sequenceNumber).toBeGreaterThan(sequenceNumber);
  });

  it('removes an affinity makes it anew', async () => {
    const [affinity] = await store.list('BlockAffinity');
    await store.delete('BlockAffinity', affinity!);
    await until('it is confirmed', isConfirmed);
    expect(await ipam.check()).toEqual([]);
  });

  it('tells before it has read anything asks for nothing', async () => {
    const fresh = createIpam({ store, node: 'a', pause: async () => {} });
    const calls = store.calls.length;
    expect(await fresh.follow()).toEqual({ gained: [], lost: [] });
    expect(store.calls.slice(calls)).toEqual(['list BlockAffinity of a']);
  });

  it('only uses an own block asks the store for nothing', async () => {
    await ipam.assign({ handle: 'another', families: [4], attributes: {} });
    const before = await block();
    await store.update('IPAMBlock', { ...before, spec: nextRevision(before.spec) });
    await following.loop.settle();
    const calls = store.calls.length;
    await following.loop.settle();
    expect(store.calls.slice(calls)).toEqual(['list BlockAffinity of a']);
  });
});
