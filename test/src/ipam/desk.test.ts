// Where an address comes from, and what is said when there is none.
import { describe, expect, it } from 'vitest';
import { parseAddress } from '#ip';
import { type IpamError } from '../../../src/ipam/index.ts';
import { ask, lab, many } from '../../support/ipam-lab.ts';
import { ipamConfig, node, pool, prefixes, reservation } from '../../support/resources.ts';

describe('when the node has no room left', () => {
  const tiny = pool('pods', '10.82.0.0/29', { blockSize: 30 });

  it('an empty block of another node is taken over, but not in its first minute', async () => {
    const { at, turn } = lab(tiny, node('a'), node('b'));
    const [a, b] = [at('a'), at('b')];
    await a.assign(ask('x'));
    await b.assign(ask('y'));
    await a.release('x');
    await many(b, 'b', 3);
    turn(59_000);
    const borrowed = await b.assign(ask('early'));
    expect((await b.usage()).borrowed).toMatchObject([{ address: borrowed.addresses[0], blockOwner: 'a' }]);
    await b.release('early');
    turn(1000);
    await b.assign(ask('late'));
    expect(await b.ownBlocks()).toHaveLength(2);
    expect(await a.ownBlocks()).toEqual([]);
    expect(await b.check()).toEqual([]);
  });

  it('an address is borrowed from a block in use', async () => {
    const { at } = lab(tiny, node('a'), node('b'));
    const [a, b] = [at('a'), at('b')];
    await a.assign(ask('a-1'));
    await many(b, 'b', 5);
    expect((await b.usage()).borrowed).toMatchObject([
      { borrowingNode: 'b', blockOwner: 'a', type: 'pod', allocatedTo: 'default/b-4' },
    ]);
    expect(await b.check()).toEqual([]);
  });

  it('nothing is borrowed under strict affinity, and the error says so', async () => {
    const { at } = lab(tiny, node('a'), node('b'), ipamConfig({ strictAffinity: true }));
    await at('a').assign(ask('a-1'));
    await many(at('b'), 'b', 4);
    await expect(at('b').assign(ask('b-4'))).rejects.toThrow(
      'no free address: pool pods (10.82.0.0/29) has 3 of 8 left; ' +
        'strictAffinity forbids borrowing from blocks of other nodes',
    );
  });

  it('the error says how full each pool is, and which blocks are lost', async () => {
    const { at } = lab(tiny, node('b'));
    for (const name of ['a', 'b']) await many(at(name), name, 4);
    const error = await at('b')
      .assign(ask('more'))
      .catch((thrown: IpamError) => thrown);
    expect(error).toMatchObject({
      code: 'exhausted',
      mayPass: true,
      message:
        'no free address: pool pods (10.82.0.0/29) has 0 of 8 left; ' +
        '1 block belongs to nodes that no longer exist (manxctl ipam check)',
    });
  });

  it('the limit of blocks is an error rather than a borrowed address', async () => {
    const { at } = lab(pool('pods', '10.82.0.0/28', { blockSize: 30 }), node('a'), ipamConfig({ maxBlocksPerHost: 2 }));
    await expect(many(at('a'), 'a', 9)).rejects.toMatchObject({ code: 'limit' });
  });

  it('Calico’s limit of twenty blocks holds where none is set', async () => {
    const ipam = lab(pool('pods', '10.82.0.0/24', { blockSize: 32 }), node('a')).at('a');
    await many(ipam, 'a', 20);
    await expect(ipam.assign(ask('more'))).rejects.toMatchObject({ code: 'limit' });
  });

  it('no block is claimed while autoAllocateBlocks is off', async () => {
    const { at } = lab(tiny, node('a'), ipamConfig({ autoAllocateBlocks: false }));
    await expect(at('a').assign(ask('h'))).rejects.toThrow('autoAllocateBlocks is off');
  });
});

describe('an address by name', () => {
  const four = pool('pods', '10.82.0.0/24', { blockSize: 29 });
  const wanted = { addresses: [parseAddress('10.82.0.77')] };

  it('is given out of a block that is claimed for it', async () => {
    const ipam = lab(four, node('w')).at('w');
    expect(await ipam.assign(ask('h', wanted))).toEqual({ addresses: ['10.82.0.77'] });
    expect(await ipam.ownBlocks()).toMatchObject([{ cidr: '10.82.0.72/29', inUse: 1, free: 7 }]);
  });
  it('is borrowed where the block is another node’s', async () => {
    const { at } = lab(four, node('a'), node('b'));
    await at('a').assign(ask('x', { addresses: [parseAddress('10.82.0.73')] }));
    await at('b').assign(ask('h', wanted));
    expect((await at('b').usage()).borrowed).toMatchObject([{ address: '10.82.0.77', blockOwner: 'a' }]);
  });
  it('is not borrowed under strict affinity', async () => {
    const { at } = lab(four, node('a'), node('b'), ipamConfig({ strictAffinity: true }));
    await at('a').assign(ask('x', { addresses: [parseAddress('10.82.0.73')] }));
    await expect(at('b').assign(ask('h', wanted))).rejects.toThrow('strictAffinity forbids borrowing');
  });
  it('is given although it is reserved: reservations are for addresses that nobody asked for', async () => {
    const { at } = lab(four, node('w'), reservation('r', '10.82.0.77/32'));
    expect(await at('w').assign(ask('h', wanted))).toEqual({ addresses: ['10.82.0.77'] });
  });
  it('is refused when somebody has it, and the error names the pod', async () => {
    const ipam = lab(four, node('w')).at('w');
    await ipam.assign(ask('web', wanted));
    await expect(ipam.assign(ask('h', wanted))).rejects.toMatchObject({
      code: 'taken',
      message: expect.stringContaining('10.82.0.77 is taken by pod default/web'),
    });
    expect(await ipam.check()).toEqual([]);
  });
  it('is given to one of two who ask at once', async () => {
    const ipam = lab(four, node('w')).at('w');
    const answers = await Promise.allSettled([ipam.assign(ask('a', wanted)), ipam.assign(ask('b', wanted))]);
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });
  it('is refused outside every pool', async () => {
    const ipam = lab(four, node('w')).at('w');
    await expect(ipam.assign(ask('h', { addresses: [parseAddress('10.9.0.1')] }))).rejects.toMatchObject({
      code: 'pool',
      mayPass: false,
    });
  });
});

describe('reservations', () => {
  it('are passed over', async () => {
    const { at } = lab(pool('pods', '10.82.0.0/29', { blockSize: 29 }), node('w'), reservation('r', '10.82.0.0/30'));
    expect(await many(at('w'), 'h', 4)).toEqual(['10.82.0.4', '10.82.0.5', '10.82.0.6', '10.82.0.7']);
  });
  it('that together cover a block lead on to the next one', async () => {
    const reserved = reservation('r', '10.82.0.0/30', '10.82.0.4/30');
    const { at } = lab(pool('pods', '10.82.0.0/28', { blockSize: 29 }), node('w'), reserved);
    expect((await many(at('w'), 'h', 8)).every((address) => Number(address.split('.')[3]) >= 8)).toBe(true);
  });
});

describe('pools', () => {
  it('that do not select the node are named in the error', async () => {
    const { at } = lab(pool('rack-b', '10.1.0.0/24', { nodeSelector: "rack == 'b'" }), node('w', {}, { rack: 'a' }));
    await expect(at('w').assign(ask('h'))).rejects.toThrow(
      "no pool gives w an IPv4 address: pool rack-b does not select w (nodeSelector rack == 'b')",
    );
  });
  it('select namespaces by the labels that are known, and by name', async () => {
    const gold = pool('gold', '10.1.0.0/24', { namespaceSelector: "tier == 'gold'" });
    const shop = pool('shop', '10.2.0.0/24', { namespaceSelector: "kubernetes.io/metadata.name == 'shop'" });
    const ipam = lab(gold, shop, node('w')).at('w');
    const named = await ipam.assign(ask('a', { attributes: { namespace: 'shop' } }));
    const labelled = await ipam.assign(ask('b', { namespaceLabels: { tier: 'gold' } }));
    expect([named, labelled].map(({ addresses }) => addresses[0]!.split('.')[1])).toEqual(['2', '1']);
    await expect(ipam.assign(ask('c'))).rejects.toThrow('pool gold does not select the namespace');
  });
  it('that a pod asks for are the only ones used', async () => {
    const { at } = lab(pool('a', '10.1.0.0/24'), pool('b', '10.2.0.0/24'), node('w'));
    expect((await at('w').assign(ask('h', { pools: ['b'] }))).addresses[0]).toMatch(/^10\.2\./);
  });
  it('of a blocks list keep the order of addresses', async () => {
    const { at } = lab(pool('a', '10.1.0.0/24'), node('w'));
    await many(at('w'), 'h', 130);
    const cidrs = (await at('w').usage()).pools[0]!.blocks.map(({ cidr }) => cidr);
    expect(
      prefixes('10.1.0.0/26', '10.1.0.64/26', '10.1.0.128/26', '10.1.0.192/26').filter((c) => cidrs.includes(c)),
    ).toEqual(cidrs);
  });
});
