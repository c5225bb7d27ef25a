// Which router on a link is the neighbour.
import type { Address } from '#ip';
import { describe, expect, test } from 'vitest';
import { type KernelNeighbour, chooseNeighbour, parseNeighbour } from '../../../fib/neighbours/table.ts';

const [a, b, c] = ['fe80::a', 'fe80::b', 'fe80::c'] as Address[] as [Address, Address, Address];
const router = (address: Address, state: KernelNeighbour['state'] = 'unknown'): KernelNeighbour => ({
  ...{ address, router: true, state, confirmedSeconds: 1 },
});
const host = (address: Address): KernelNeighbour => ({ ...router(address), router: false });

describe('the table of ip', () => {
  const age = { used: 9, confirmed: 7, updated: 9 };
  test.each([
    [['REACHABLE'], 'reachable'],
    [['DELAY'], 'reachable'],
    [['PROBE'], 'reachable'],
    [['PERMANENT'], 'reachable'],
    [['STALE'], 'unknown'],
    [['NONE'], 'unknown'],
    [['INCOMPLETE'], 'failed'],
    [['FAILED'], 'failed'],
  ])('says %s of one that is %s', (state, meaning) => {
    // As Linux 6.18 and iproute2 6.1 print it.
    const object = { dst: 'fe80::a', lladdr: '4e:c9:71:0b:ab:4a', router: null, ...age, state };
    expect(parseNeighbour(object)).toEqual({ address: a, router: true, state: meaning, confirmedSeconds: 7 });
  });
  test('marks routers only', () => {
    expect(parseNeighbour({ dst: 'fe80::a', ...age, state: ['STALE'] })?.router).toBe(false);
  });
  test('may have others than link-local ones, which are nobody here', () => {
    expect(parseNeighbour({ dst: 'fd00::1', router: null, ...age, state: ['STALE'] })).toBeUndefined();
  });
  test.each([{}, { dst: 'eth0', state: [] }, { dst: 'fe80::a', confirmed: 1 }, { dst: 'fe80::a', state: ['STALE'] }])(
    'that is something else is quoted (%o)',
    (object) => {
      expect(() => parseNeighbour(object)).toThrow(`in ${JSON.stringify(object)}`);
    },
  );
});

describe('the neighbour', () => {
  test.each<[string, KernelNeighbour[], Address | undefined, ReturnType<typeof chooseNeighbour>]>([
    ['is nobody on an empty link', [], undefined, undefined],
    ['is no host', [host(a)], undefined, undefined],
    ['is no router that does not answer', [router(a, 'failed')], undefined, undefined],
    ['is the router', [host(a), router(b)], undefined, { neighbour: b, others: [] }],
    [
      'of two is the one that has answered',
      [router(a), router(b, 'reachable')],
      undefined,
      { neighbour: b, others: [a] },
    ],
    [
      'of two alike is the one with the lower address',
      [router(b), router(a)],
      undefined,
      { neighbour: a, others: [b] },
    ],
    ['stays, whoever else is heard', [router(a, 'reachable'), router(c)], c, { neighbour: c, others: [a] }],
    ['stays while it asks for routers itself', [host(a)], a, { neighbour: a, others: [] }],
    ['stays while it asks, though another is there', [host(b), router(a)], b, { neighbour: b, others: [a] }],
    ['stays when the kernel forgets it', [], a, { neighbour: a, others: [] }],
    ['stays when it does not answer and nobody else does', [router(a, 'failed')], a, { neighbour: a, others: [] }],
    ['gives way when it does not answer', [router(a, 'failed'), router(b)], a, { neighbour: b, others: [] }],
    ['gives way when the kernel has forgotten it', [router(b)], a, { neighbour: b, others: [] }],
    ['does not give way to one that does not answer', [host(a), router(b, 'failed')], a, { neighbour: a, others: [] }],
  ])('%s', (_, table, before, choice) => {
    expect(chooseNeighbour(table, before)).toEqual(choice);
  });
});
