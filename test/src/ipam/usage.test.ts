// The numbers of `ipam show` and the findings of `ipam check`, held against what calicoctl prints for the same objects.
import { describe, expect, it } from 'vitest';
import { parseAddress, parsePrefix } from '#ip';
import { emptyBlock } from '../../../src/ipam/block.ts';
import { check, checkBlock } from '../../../src/ipam/check.ts';
import type { Settings } from '../../../src/ipam/settings.ts';
import { addressUsage, usageOf } from '../../../src/ipam/usage.ts';
import { captured } from '../../support/captured.ts';

const blocks = captured('IPAMBlock', 'ipamblocks');
const affinities = captured('BlockAffinity', 'blockaffinities');
const handles = captured('IPAMHandle', 'ipamhandles');
const settings: Settings = {
  pools: captured('IPPool', 'ippools'),
  reserved: [parsePrefix('10.82.0.0/31')],
  config: { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0 },
  nodes: new Map(['worker-1', 'worker-2', 'worker-3'].map((name) => [name, {}])),
};

describe('ipam show', () => {
  const usage = usageOf(settings, blocks);

  it('counts the pools as calicoctl does, and the IPv6 one right', () => {
    expect(usage.pools).toMatchObject([
      { cidr: '10.82.0.0/24', total: 256n, inUse: 11n, reserved: 2n, free: 243n },
      { cidr: 'fd82::/64', total: 2n ** 64n, inUse: 11n, reserved: 0n, free: 2n ** 64n - 11n },
    ]);
  });

  it('counts the blocks as calicoctl does, in the order of addresses', () => {
    expect(usage.pools.flatMap((pool) => pool.blocks.map(({ cidr, inUse, free }) => [cidr, inUse, free]))).toEqual([
      ['10.82.0.56/29', 8n, 0n],
      ['10.82.0.72/29', 3n, 5n],
      ['fd82::40/122', 1n, 63n],
      ['fd82::8bfb:736f:425f:4a80/122', 8n, 56n],
      ['fd82::9905:f003:c7bd:fb00/122', 2n, 62n],
    ]);
  });

  it('finds what is borrowed', () => {
    expect(usage.borrowed).toEqual([
      {
        address: '10.82.0.77',
        borrowingNode: 'worker-2',
        block: '10.82.0.72/29',
        blockOwner: 'worker-1',
        type: 'pod',
        allocatedTo: 'default/fixed-1',
      },
    ]);
  });

  it('says what the limit of blocks comes to', () => {
    expect(usage.configuration).toMatchObject({ maxBlocksPerHost: 0, blockLimit: 20, ipCooldownSeconds: 0 });
  });

  it('counts an address once that several reservations cover, and one in use as in use', () => {
    const reserved = ['10.82.0.0/31', '10.82.0.0/30', '10.82.0.1/32', '10.82.0.72/31'].map(parsePrefix);
    expect(usageOf({ ...settings, reserved }, blocks).pools[0]).toMatchObject({ inUse: 11n, reserved: 4n, free: 241n });
  });

  it('counts a pool that is reserved altogether', () => {
    const reserved = [parsePrefix('10.0.0.0/8')];
    expect(usageOf({ ...settings, reserved }, blocks).pools[0]).toMatchObject({ inUse: 11n, reserved: 245n, free: 0n });
  });

  it('shows blocks whose pool has gone', () => {
    const { blocksOutsidePools } = usageOf({ ...settings, pools: settings.pools.slice(0, 1) }, blocks);
    expect(blocksOutsidePools.map(({ cidr }) => cidr)).toEqual([
      'fd82::40/122',
      'fd82::8bfb:736f:425f:4a80/122',
      'fd82::9905:f003:c7bd:fb00/122',
    ]);
  });

  it('knows who has an address', () => {
    expect(addressUsage(settings, blocks, parseAddress('10.82.0.77'))).toMatchObject({
      state: 'in use',
      handle: 'k8s-pod-network.c0ffee-fixed-1',
      attributes: { pod: 'fixed-1', node: 'worker-2' },
    });
  });

  it.each([
    ['10.82.0.200', 'free'],
    ['10.83.0.1', 'outside every pool'],
  ])('says of %s that it is %s', (address, state) => {
    expect(addressUsage(settings, blocks, parseAddress(address)).state).toBe(state);
  });
});

describe('ipam check', () => {
  const kinds = (data: Partial<Parameters<typeof check>[0]>): string[] =>
    check({ settings, blocks, affinities, handles, ...data }).map(({ kind }) => kind);

  it('finds nothing wrong in what Calico left', () => {
    expect(check({ settings, blocks, affinities, handles })).toEqual([]);
  });
  it('finds addresses and blocks of a node that is gone', () => {
    const nodes = new Map([...settings.nodes].filter(([name]) => name !== 'worker-2'));
    expect(kinds({ settings: { ...settings, nodes } })).toEqual(['lost block', 'leaked', 'leaked']);
  });
  it('finds handles that hold nothing, and addresses whose handle is lost', () => {
    expect(kinds({ handles: handles.slice(1) })).toEqual(['missing handle', 'missing handle']);
    expect(kinds({ blocks: [], affinities: [] })).toEqual(handles.map(() => 'orphan handle'));
  });
  it('finds an affinity without a block, and a block without an affinity', () => {
    expect(kinds({ affinities: affinities.slice(1) })).toEqual(['affinity']);
    expect(kinds({ blocks: blocks.filter(({ spec }) => spec.cidr !== 'fd82::40/122') })).toContain('affinity');
  });
  it('finds blocks outside every pool', () => {
    expect(kinds({ settings: { ...settings, pools: settings.pools.slice(1) } })).toEqual([
      'outside pools',
      'outside pools',
    ]);
  });

  const good = emptyBlock(parsePrefix('10.0.0.0/31'), 'host:a', 0);
  it.each([
    ['a dangling attribute', { allocations: [5, null], unallocated: [1] }, 'points to attribute 5'],
    ['an unused attribute', { attributes: [{ handle_id: 'h' }] }, 'attribute 0 belongs to no address'],
    ['an address that is lost', { unallocated: [0] }, '10.0.0.1 is neither given out nor free'],
    ['an address that is both', { allocations: [0, null], attributes: [{}] }, '10.0.0.0 is both given out and free'],
    ['an address twice in the queue', { unallocated: [0, 1, 1] }, 'an address is free twice'],
  ])('finds %s in a block', (_, damage, text) => {
    expect(checkBlock({ ...good, ...damage }).map(({ message }) => message)).toEqual([expect.stringContaining(text)]);
  });
});
